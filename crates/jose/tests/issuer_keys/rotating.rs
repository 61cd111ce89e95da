//! Rotations of an issuer's keys, and attackers who simulate one: unknown `kid`s, empty sets; KS-06.

use crate::world::{
    Held, JWKS, NO_KEY, Signer, Watched, at, idp, is_good, is_outage, issuer, retry_after, set, token_made,
    token_of,
};
use serde_json::json;
use tokenberg_core::{IssuerKeys, KeySource, SignatureFault};
use tokenberg_jose::FetchEvent;

#[test]
fn ks_06_a_new_key_right_after_a_fetch_verifies_immediately() {
    let (held, signers) = (Held::new(), [(); 5].map(|()| Signer::new()));
    held.pages.put(JWKS, set(&[&signers[0]]));
    assert!(is_good(held.verify(&idp(), &signers[0].token(), 0)));
    for (number, signer) in signers.iter().enumerate().skip(1) {
        held.pages.put(JWKS, set(&[signer]));
        let token = token_made(signer, 1);
        let answer = held.verify(&idp(), &token, 1);
        if number < 4 {
            // A bad signature means that the key was found.
            assert!(matches!(answer, Ok(Err(SignatureFault::Signature { .. }))), "{number}: {answer:?}");
        } else {
            assert_eq!(retry_after(answer), Some(60), "then one per minute");
        }
    }
    // A token is not bad because its key is not known yet; after the fetch, it verifies.
    assert!(is_outage(held.verify_at_once(&idp(), &token_made(&signers[4], 1), 60)));
    assert!(is_good(held.verify(&idp(), &signers[4].token(), 61)));
    assert_eq!(held.pages.requests().len(), 5);
}

#[test]
fn ks_06_a_thousand_unknown_kids_cause_few_fetches_and_harm_no_other_token() {
    let (held, signer, other) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    let elsewhere = issuer("https://other.test", KeySource::JwksUri("https://other.test/jwks".into()));
    held.pages.put("https://other.test/jwks", set(&[&other]));
    let mut bad = 0;
    for number in 0..1000 {
        let now = number / 20;
        match held.verify(&idp(), &token_of(&format!("kid-{number}")), now) {
            NO_KEY => bad += 1,
            answer => {
                let wait = retry_after(answer).unwrap();
                assert!((1..=60).contains(&wait) && i64::from(wait) == 60 - now, "{wait} at {now}");
            }
        }
        if number % 100 == 0 {
            assert!(is_good(held.verify_at_once(&idp(), &signer.token(), now)), "{number}");
        }
    }
    // Each fetch that began after its token came shows that there is no such key.
    assert_eq!((bad, held.pages.requests().len()), (4, 4));
    assert!(is_good(held.verify(&elsewhere, &other.token(), 50)), "each issuer has its own");
    for _ in 0..1000 {
        let answer = held.verify(&idp(), &token_of("x"), 60);
        assert!(answer == NO_KEY || retry_after(answer) == Some(60));
    }
    assert_eq!(held.pages.requests().len(), 6);
    // For the issuer's own users they cost at most a minute until a new key is known, and never a refusal.
    let next = Signer::new();
    held.pages.put(JWKS, set(&[&signer, &next]));
    assert!(is_outage(held.verify_at_once(&idp(), &token_made(&next, 70), 70)));
    assert!(is_good(held.verify_at_once(&idp(), &signer.token(), 70)));
    assert!(is_good(held.verify(&idp(), &next.token(), 120)));
}

#[test]
fn ks_06_a_thousand_unknown_kids_at_the_same_moment() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    held.pages.hang(true);
    let (trusted, good) = (idp(), signer.token());
    let strangers: Vec<_> = (0..1000).map(|n| token_of(&format!("kid-{n}"))).collect();
    let mut waiting: Vec<Watched> =
        strangers.iter().map(|token| Watched::of(held.sets.verify(&trusted, token, at(0)))).collect();
    let mut known = Watched::of(held.sets.verify(&trusted, &good, at(0)));
    assert!(waiting.iter_mut().all(|one| one.poll().is_none()) && known.poll().is_none());
    held.pages.hang(false);
    held.fetched();
    assert!(is_good(known.poll().unwrap()));
    while !waiting.iter_mut().all(|one| one.poll_again().is_some()) {
        std::thread::yield_now();
    }
    let bad = waiting.iter_mut().filter(|one| one.answer == Some(NO_KEY)).count();
    assert!(bad >= 1 && held.pages.requests().len() <= 4, "{bad} {}", held.pages.requests().len());
}

#[test]
fn ks_06_a_fetch_that_began_before_the_token_arrived_does_not_refute_it() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.fetched();
    held.pages.hang(true);
    let (trusted, stranger, token) = (idp(), token_of("x"), next.token());
    let mut first = Watched::of(held.sets.verify(&trusted, &stranger, at(1)));
    assert!(first.poll().is_none());
    let mut second = Watched::of(held.sets.verify(&trusted, &token, at(1)));
    assert!(second.poll().is_none());
    held.pages.hang(false);
    held.fetched();
    // Only now the issuer publishes the key of the token.
    held.pages.put(JWKS, set(&[&signer, &next]));
    assert_eq!(first.poll(), Some(NO_KEY));
    assert!(is_good(second.wait()));
    assert_eq!((held.fetched(), held.pages.requests().len()), (2, 3));
}

#[test]
fn ks_06_an_unknown_key_that_signed_before_the_last_fetch_does_not_exist() {
    let (held, signer) = (Held::new(), Signer::new());
    let gone = Signer::new();
    held.pages.put(JWKS, set(&[&signer]));
    for number in 0..4 {
        assert_eq!(held.verify(&idp(), &token_of(&number.to_string()), 1000), NO_KEY);
    }
    // The clocks may differ by the issuer's leeway, 30 s.
    for (iat, is_bad) in [(0, true), (969, true), (970, false), (1000, false), (5000, false)] {
        let answer = held.verify_at_once(&idp(), &token_made(&gone, iat), 1001);
        assert_eq!(answer == NO_KEY, is_bad, "{iat}");
        assert_eq!(retry_after(answer).is_none(), is_bad, "{iat}");
    }
    assert_eq!(held.pages.requests().len(), 4);
}

#[test]
fn ks_06_a_key_that_is_published_and_does_not_fit_is_not_fetched_again() {
    let (held, signer, encryption) = (Held::new(), Signer::new(), Signer::new());
    let mut unusable = encryption.jwk();
    unusable["use"] = "enc".into();
    let mut other = signer.jwk();
    (other["kid"], other["alg"]) = ("k".into(), "ES256".into());
    held.pages.put(JWKS, json!({"keys": [signer.jwk(), unusable, other]}).to_string());
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    for _ in 0..100 {
        let answer = held.verify_at_once(&idp(), &encryption.token(), 1);
        assert!(matches!(answer, Ok(Err(SignatureFault::Unusable { .. }))), "{answer:?}");
    }
    assert_eq!(held.pages.requests().len(), 1);
}

#[test]
fn ks_06_an_empty_set_is_an_outage_and_its_keys_before_are_revoked() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[]));
    assert_eq!(held.sets.usable_keys(&idp(), at(0)), None);
    assert_eq!(retry_after(held.verify(&idp(), &signer.token(), 0)), Some(10));
    assert!(matches!(held.event(), FetchEvent::Fetched { keys: 0, .. }));
    assert_eq!(held.sets.usable_keys(&idp(), at(0)), Some(0));
    held.pages.put(JWKS, set(&[&signer]));
    assert_eq!(retry_after(held.verify_at_once(&idp(), &signer.token(), 7)), Some(3));
    assert!(is_good(held.verify(&idp(), &signer.token(), 10)));
    assert_eq!((held.fetched(), held.sets.usable_keys(&idp(), at(10))), (1, Some(1)));

    let mut unusable = signer.jwk();
    unusable["use"] = "enc".into();
    for empty in [set(&[]), json!({"keys": [unusable, 5]}).to_string()] {
        let held = Held::new();
        held.pages.put(JWKS, set(&[&signer]));
        assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
        held.pages.put(JWKS, empty);
        for now in [5000, 5009, 5010, 5050] {
            assert!(is_outage(held.verify(&idp(), &signer.token(), now)), "{now}");
            assert!(is_outage(held.verify(&idp(), &token_of("x"), now)), "{now}");
        }
        assert_eq!(held.sets.usable_keys(&idp(), at(5050)), Some(0));
        held.pages.put(JWKS, set(&[&signer]));
        assert!(is_good(held.verify(&idp(), &signer.token(), 5100)));
    }
    let given = issuer("https://given.test", KeySource::Jwks(set(&[&signer]).into()));
    assert_eq!(held.sets.usable_keys(&given, at(0)), Some(1));
}
