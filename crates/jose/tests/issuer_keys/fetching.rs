//! How often keys are fetched: once for all requests that wait, and not without need; KS-06.

use crate::world::{Held, JWKS, NO_KEY, Signer, Watched, at, idp, is_good, is_outage, issuer, set, token_of};
use tokenberg_core::{IssuerKeys, KeySource};

#[test]
fn ks_06_a_thousand_tokens_for_an_issuer_that_is_down_are_one_fetch() {
    let (held, signer) = (Held::new(), Signer::new());
    for _ in 0..1000 {
        assert!(is_outage(held.verify(&idp(), &signer.token(), 0)));
    }
    assert_eq!(held.pages.requests().len(), 1);
    assert_eq!(held.failed(), (format!("{JWKS} cannot be fetched: connection refused"), false));
    // 10, 20, 40, 80, 160 seconds, and from then on every five minutes.
    let mut fetched_at = Vec::new();
    for now in 0..1500 {
        let before = held.pages.requests().len();
        assert!(is_outage(held.verify(&idp(), &signer.token(), now)));
        if held.pages.requests().len() > before {
            fetched_at.push(now);
        }
    }
    assert_eq!(fetched_at, [10, 30, 70, 150, 310, 610, 910, 1210]);
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_outage(held.verify_at_once(&idp(), &signer.token(), 1509)));
    assert!(is_good(held.verify(&idp(), &signer.token(), 1510)));
}

#[test]
fn ks_06_all_waiting_requests_share_one_fetch() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    held.pages.hang(true);
    let (idp, token) = (idp(), signer.token());
    let mut waiting: Vec<Watched> =
        (0..500).map(|n| Watched::of(held.sets.verify(&idp, &token, at(n % 3)))).collect();
    for _ in 0..3 {
        assert!(waiting.iter_mut().all(|one| one.poll().is_none()));
    }
    // A request that is cancelled cancels no other.
    waiting.truncate(400);
    held.pages.hang(false);
    assert_eq!(held.fetched(), 1);
    assert!(waiting.iter().all(|one| one.wakes() == 1), "each is woken, however often it was polled");
    assert!(waiting.iter_mut().all(|one| is_good(one.poll().unwrap())));
    assert_eq!(held.pages.requests(), [JWKS]);
}

#[test]
fn ks_06_issuers_do_not_wait_for_each_other() {
    let (held, signer) = (Held::new(), Signer::new());
    let other = issuer("https://other.test", KeySource::JwksUri("https://other.test/jwks".into()));
    held.pages.put(JWKS, set(&[&signer]));
    held.pages.put("https://other.test/jwks", set(&[&Signer::new()]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.pages.hang(true);
    let token = signer.token();
    let mut hanging = Watched::of(held.sets.verify(&other, &token, at(0)));
    assert!(hanging.poll().is_none());
    assert!(is_good(held.verify_at_once(&idp(), &token, 1)));
    held.pages.hang(false);
    assert_eq!((held.fetched(), held.fetched()), (1, 1));
    // The key of one issuer is none of another.
    assert_eq!(hanging.poll(), Some(NO_KEY));
}

#[test]
fn ks_06_known_kids_verify_while_the_issuer_hangs() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    // The event is sent after the answer, perhaps after that of the next fetch.
    assert_eq!(held.fetched(), 1);
    held.pages.hang(true);
    // A token names an unknown key, and another token comes when the set has just become stale.
    let (stranger, token, trusted) = (token_of("x"), signer.token(), idp());
    let mut seeking = Watched::of(held.sets.verify(&trusted, &stranger, at(100)));
    assert!(seeking.poll().is_none());
    for now in [100, 599, 600, 659] {
        assert!(is_good(held.verify_at_once(&trusted, &token, now)), "{now}");
    }
    held.pages.remove();
    held.pages.hang(false);
    assert!(held.failed().1);
    assert!(is_outage(seeking.poll().unwrap()), "the key may exist");
    // From now on the issuer is known not to answer, and tokens with known keys do not wait for it.
    held.pages.hang(true);
    for now in [700, 1000, 5000, 86_399] {
        assert!(is_good(held.verify_at_once(&trusted, &token, now)), "{now}");
    }
    held.pages.hang(false);
}

#[test]
fn ks_06_stale_keys_are_fetched_again_in_the_background() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    held.pages.answer(JWKS, 200, set(&[&signer]), Some("public, max-age=120"));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    assert_eq!(held.fetched(), 1);
    held.pages.put(JWKS, set(&[&signer, &next]));
    assert!(is_good(held.verify_at_once(&idp(), &signer.token(), 119)));
    assert_eq!(held.pages.requests().len(), 1);
    assert!(is_good(held.verify_at_once(&idp(), &signer.token(), 120)));
    assert_eq!(held.fetched(), 2);
    assert!(is_good(held.verify_at_once(&idp(), &next.token(), 121)));
    assert_eq!(held.pages.requests(), [JWKS; 2]);
}

#[test]
fn ks_06_the_keys_of_an_evicted_issuer_are_fetched_again() {
    let (held, signer) = (Held::new(), Signer::new());
    let many: Vec<_> = (0..1001)
        .map(|n| issuer(&format!("https://idp-{n}.test"), KeySource::JwksUri(JWKS.into())))
        .collect();
    held.pages.put(JWKS, set(&[&signer]));
    for (now, one) in many.iter().enumerate() {
        assert!(is_good(held.verify(one, &signer.token(), i64::try_from(now).unwrap() / 100)));
    }
    assert_eq!(held.pages.requests().len(), 1001);
    let again = many.iter().filter(|one| {
        let before = held.pages.requests().len();
        assert!(is_good(held.verify(one, &signer.token(), 11)));
        held.pages.requests().len() > before
    });
    assert!(again.count() >= 1);
}

#[test]
fn ks_06_a_clock_that_was_set_back_stops_nothing() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 100_000)));
    held.pages.put(JWKS, set(&[&next]));
    // Requests of the same time may come in any order.
    assert!(is_good(held.verify_at_once(&idp(), &signer.token(), 99_950)));
    assert!(is_good(held.verify(&idp(), &signer.token(), 50_000)));
    assert!(is_good(held.verify(&idp(), &next.token(), 50_001)));
    assert_eq!(held.verify(&idp(), &signer.token(), 50_002), NO_KEY);
}
