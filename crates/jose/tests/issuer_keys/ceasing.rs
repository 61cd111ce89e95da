//! When keys stop verifying: after a revocation, a change of the issuer, or a long outage; KS-06, WL-06.

use crate::world::{
    Held, IDP, JWKS, NO_KEY, Signer, Watched, at, idp, is_good, is_outage, issuer, set, token_of,
};
use serde_json::json;
use tokenberg_core::{IssuerKeys, KeySource};

#[test]
fn ks_06_a_removed_key_ceases_to_verify_with_the_next_fetch() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.pages.put(JWKS, set(&[&next]));
    assert!(is_good(held.verify(&idp(), &next.token(), 60)));
    assert_eq!(held.verify(&idp(), &signer.token(), 61), NO_KEY);
}

#[test]
fn ks_06_a_removed_key_does_not_verify_after_a_quiet_day() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.pages.put(JWKS, set(&[&Signer::new()]));
    // No request came while the set became stale, so the first one waits for the new set.
    assert_eq!(held.verify(&idp(), &signer.token(), 20_000), NO_KEY);
}

#[test]
fn ks_06_two_concurrent_requests_do_not_revive_a_removed_key() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.pages.put(JWKS, set(&[&Signer::new()]));
    held.pages.hang(true);
    let (trusted, token) = (idp(), signer.token());
    let mut both = [0; 2].map(|_| Watched::of(held.sets.verify(&trusted, &token, at(660))));
    assert!(both.iter_mut().all(|one| one.poll().is_none()));
    held.pages.hang(false);
    assert_eq!((held.fetched(), held.fetched()), (1, 1));
    assert_eq!(both[0].poll(), Some(NO_KEY), "it began the fetch");
    // The other came while the fetch was under way, so one more fetch is made for it.
    assert_eq!((both[1].wait(), held.fetched(), held.pages.requests().len()), (NO_KEY, 1, 3));
}

#[test]
fn ks_06_keys_of_a_silent_issuer_end_after_a_day() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    held.pages.remove();
    let (sets, given) = (&held.sets, issuer(IDP, KeySource::Jwks(set(&[&signer]).into())));
    assert_eq!(
        (sets.usable_until(&idp(), at(1)), sets.usable_until(&given, at(1))),
        (Some(at(86_400)), None)
    );
    for now in [700, 3600, 86_399] {
        assert!(is_good(held.verify(&idp(), &signer.token(), now)), "{now}");
        // Whether such a key exists is unknown, so it is an outage and not a bad token.
        assert!(is_outage(held.verify(&idp(), &token_of("x"), now)), "{now}");
    }
    assert!(is_outage(held.verify(&idp(), &signer.token(), 86_400)));
    assert_eq!(held.sets.usable_until(&idp(), at(86_400)), None);
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 87_000)));
}

#[test]
fn ks_06_keys_of_the_old_source_are_dropped_when_it_changes() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    held.pages.put("https://idp.test/new", set(&[&next]));
    let moved = issuer(IDP, KeySource::JwksUri("https://idp.test/new".into()));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    assert_eq!(held.verify(&moved, &signer.token(), 1), NO_KEY);
    assert!(is_good(held.verify_at_once(&moved, &next.token(), 1)));
    assert_eq!((held.fetched(), held.fetched()), (1, 1));

    // A late result of the old source is not stored for the new one.
    let held = Held::new();
    held.pages.put(JWKS, set(&[&signer]));
    held.pages.hang(true);
    let (old, token) = (idp(), signer.token());
    let mut early = Watched::of(held.sets.verify(&old, &token, at(0)));
    assert!(early.poll().is_none());
    let mut late = Watched::of(held.sets.verify(&moved, &token, at(0)));
    assert!(late.poll().is_none());
    held.pages.put("https://idp.test/new", set(&[&next]));
    held.pages.hang_at(Some("/new"));
    while early.wakes() == 0 {
        std::thread::yield_now();
    }
    assert!(is_outage(early.poll().unwrap()) && late.poll().is_none());
    held.pages.hang(false);
    assert_eq!(held.fetched(), 1);
    assert_eq!(late.poll(), Some(NO_KEY));
}

#[test]
fn ks_06_a_fetch_that_panics_leaves_no_request_waiting() {
    let held = Held::new();
    let broken = issuer(IDP, KeySource::JwksUri("https://idp.test/panic".into()));
    assert!(is_outage(held.verify(&broken, &token_of("x"), 0)));
    assert_eq!(held.failed(), ("the fetch broke off".to_owned(), false));
}

#[test]
fn wl_03_wl_06_a_bundle_has_its_own_refresh_interval_and_never_goes_back() {
    let (held, signer, next) = (Held::new(), Signer::new(), Signer::new());
    let bundle = |signer: &Signer, sequence: u64| {
        let mut jwk = signer.jwk();
        let members = jwk.as_object_mut().unwrap();
        members.remove("alg");
        members.insert("use".into(), "jwt-svid".into());
        let mut authority = Signer::new().jwk();
        authority["use"] = "x509-svid".into();
        json!({"keys": [authority, jwk], "spiffe_sequence": sequence, "spiffe_refresh_hint": 90}).to_string()
    };
    let url = "https://spire.test/bundle";
    let domain = issuer("spiffe://td.test", KeySource::JwksUri(url.into()));
    held.pages.answer(url, 200, bundle(&signer, 7), Some("max-age=3600"));
    assert!(is_good(held.verify(&domain, &signer.token(), 0)));
    assert_eq!(held.fetched(), 1);
    // An older one is ignored, and the previous one stays in use.
    held.pages.put(url, bundle(&next, 6));
    assert!(is_good(held.verify_at_once(&domain, &signer.token(), 89)));
    assert_eq!(held.pages.requests().len(), 1);
    assert!(is_good(held.verify(&domain, &signer.token(), 90)));
    assert_eq!(held.failed(), ("the bundle has sequence 6, which is older than 7".to_owned(), true));
    assert!(is_outage(held.verify_at_once(&domain, &next.token(), 91)));
    held.pages.put(url, bundle(&next, 8));
    assert!(is_good(held.verify(&domain, &next.token(), 150)));
    assert_eq!(held.verify(&domain, &signer.token(), 151), NO_KEY);
}

#[test]
fn wl_03_an_authority_of_x509_svids_verifies_no_token() {
    let (held, signer) = (Held::new(), Signer::new());
    let url = "https://spire.test/bundle";
    let domain = issuer("spiffe://td.test", KeySource::JwksUri(url.into()));
    let mut authority = signer.jwk();
    authority["use"] = "x509-svid".into();
    held.pages.put(url, json!({ "keys": [authority] }).to_string());
    assert!(!is_good(held.verify(&domain, &signer.token(), 0)));
}

#[test]
fn wl_13_configured_keys_are_never_fetched() {
    let (held, signer) = (Held::new(), Signer::new());
    let given = issuer(IDP, KeySource::Jwks(set(&[&signer]).into()));
    assert!(is_good(held.verify_at_once(&given, &signer.token(), 0)));
    assert_eq!(held.verify_at_once(&given, &token_of("x"), 0), NO_KEY);
    let none = issuer(IDP, KeySource::Jwks("no set".into()));
    assert_eq!(held.verify_at_once(&none, &signer.token(), 0), NO_KEY);
    assert_eq!(held.pages.requests(), [""; 0]);
}
