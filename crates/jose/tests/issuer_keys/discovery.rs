//! Discovery of an issuer's keys, its limits, and what is not followed; KS-06, JW-14, JW-25.

use crate::world::{Held, IDP, JWKS, NO_KEY, Signer, idp, is_good, is_outage, issuer, set, token_of};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokenberg_core::{CompactJws, KeySource, Lifetime, SignatureFault};
use tokenberg_jose::{FetchEvent, LARGEST_JWKS, LARGEST_METADATA, UnfitKey};

const OPENID: &str = "https://idp.test/.well-known/openid-configuration";
const OAUTH: &str = "https://idp.test/.well-known/oauth-authorization-server";

fn metadata(jwks_uri: &str) -> String {
    json!({"issuer": IDP, "jwks_uri": jwks_uri, "token_endpoint": "https://idp.test/token"}).to_string()
}

#[test]
fn ks_06_keys_are_found_by_discovery() {
    let signer = Signer::new();
    let discovered = issuer(IDP, KeySource::Discovery);
    let held = Held::new();
    held.pages.put(OPENID, metadata(JWKS));
    held.pages.put(JWKS, set(&[&signer]));
    assert!(is_good(held.verify(&discovered, &signer.token(), 0)));
    assert_eq!(held.pages.requests(), [OPENID, JWKS]);
    // RFC 8414's place is the second, and keys may be on another host.
    let held = Held::new();
    held.pages.answer(OPENID, 404, "", None);
    held.pages.put(OAUTH, metadata("https://keys.test/jwks"));
    held.pages.put("https://keys.test/jwks", set(&[&signer]));
    assert!(is_good(held.verify(&discovered, &signer.token(), 0)));
    assert_eq!(held.pages.requests(), [OPENID, OAUTH, "https://keys.test/jwks"]);
}

#[test]
fn ks_06_metadata_are_accepted_only_from_the_issuer_itself() {
    let signer = Signer::new();
    let long = format!("{}{}", metadata(JWKS), " ".repeat(LARGEST_METADATA));
    for (status, body, fault) in [
        (200, metadata(JWKS).replace(IDP, "https://evil.test"), "is the metadata of another issuer"),
        (200, metadata(JWKS).replacen(IDP, "https://idp.test/", 1), "is the metadata of another issuer"),
        (200, json!({ "jwks_uri": JWKS }).to_string(), "is the metadata of another issuer"),
        (200, json!({ "issuer": IDP }).to_string(), "has no jwks_uri"),
        (200, json!({"issuer": IDP, "jwks_uri": [JWKS]}).to_string(), "has no jwks_uri"),
        (200, metadata("http://idp.test/jwks"), "it is not https"),
        (200, metadata("http://127.0.0.1/jwks"), "it is not https"),
        (200, metadata("http://169.254.169.254/latest"), "it is not https"),
        (200, metadata("file:///etc/passwd"), "it is not https"),
        (200, metadata("https://user:hush@idp.test/"), "user name"),
        (200, "[]".to_owned(), "not a JSON object"),
        (200, "<html>".to_owned(), "not a JSON object"),
        (200, long, "longer than 262144 bytes"),
        (302, metadata(JWKS), "redirects (status 302)"),
        (500, metadata(JWKS), "answered 500"),
    ] {
        let held = Held::new();
        held.pages.answer(OPENID, status, body.clone(), None);
        held.pages.put(JWKS, set(&[&signer]));
        assert!(is_outage(held.verify(&issuer(IDP, KeySource::Discovery), &signer.token(), 0)), "{body:.80}");
        let (message, _) = held.failed();
        assert!(message.contains(fault), "{message} is not {fault}");
        assert_eq!(held.pages.requests(), [OPENID], "{fault}");
    }
    let held = Held::new();
    held.pages.answer(OPENID, 404, "", None);
    held.pages.answer(OAUTH, 403, "", None);
    assert!(is_outage(held.verify(&issuer(IDP, KeySource::Discovery), &signer.token(), 0)));
    assert_eq!(held.failed().0, format!("{OPENID} answered 404"));
}

#[test]
fn ks_06_only_a_set_within_its_limits_is_accepted() {
    let signer = Signer::new();
    for (status, body, fault) in [
        (301, String::new(), "redirects (status 301)"),
        (307, set(&[&signer]), "redirects (status 307)"),
        (404, set(&[&signer]), "answered 404"),
        (204, String::new(), "answered 204"),
        (200, String::new(), "not a JWK Set: it is not JSON from byte 0 on"),
        (200, "<!DOCTYPE html>".to_owned(), "not a JWK Set: it is not JSON from byte 0 on"),
        (200, set(&[&signer])[..90].to_owned(), "not a JWK Set: it is not JSON from byte 90 on"),
        (200, "{}".to_owned(), "not a JWK Set: the object has no member keys"),
        (200, "[]".to_owned(), "not a JWK Set: a JWK Set is an object, and this is an array"),
        (
            200,
            r#"{"keys":{}}"#.to_owned(),
            "not a JWK Set: its member keys is an array, and this is an object",
        ),
        (200, format!("{}{}", set(&[&signer]), " ".repeat(LARGEST_JWKS)), "longer than 1048576 bytes"),
    ] {
        let held = Held::new();
        held.pages.answer(JWKS, status, body, None);
        assert!(is_outage(held.verify(&idp(), &signer.token(), 0)), "{fault}");
        let (message, stale) = held.failed();
        assert!(message.contains(fault) && !stale, "{message} is not {fault}");
    }
}

#[test]
fn ks_06_plain_http_is_for_an_issuer_on_this_machine() {
    let signer = Signer::new();
    let here = "http://127.0.0.1:3000";
    for (uri, good) in [("http://127.0.0.1:3000/jwks", true), ("http://10.0.0.1/jwks", false)] {
        let held = Held::new();
        held.pages.put(uri, set(&[&signer]));
        let trusted = issuer(here, KeySource::JwksUri(uri.into()));
        assert_eq!(is_good(held.verify(&trusted, &signer.token(), 0)), good, "{uri}");
        assert_eq!(held.pages.requests().len(), usize::from(good));
    }
}

#[test]
fn ks_06_availability_of_keys_is_checked_without_caching_them() {
    let (held, signer) = (Held::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    assert_eq!(held.sets.fetched_once(&idp()).unwrap().len(), 1);
    assert_eq!(held.sets.fetched_once(&idp()).unwrap().len(), 1);
    assert_eq!(held.pages.requests(), [JWKS; 2]);
    let fault = held.sets.fetched_once(&issuer(IDP, KeySource::Discovery)).unwrap_err();
    assert_eq!(fault.to_string(), format!("{OPENID} cannot be fetched: connection refused"));
    let given = |text: &str| held.sets.fetched_once(&issuer(IDP, KeySource::Jwks(text.into())));
    assert_eq!(given(&set(&[&signer])).unwrap().len(), 1);
    assert!(given("{}").unwrap_err().to_string().starts_with("the keys that were given: "));
    let domain = issuer("spiffe://td.test", KeySource::Discovery);
    let fault = held.sets.fetched_once(&domain).unwrap_err().to_string();
    assert!(fault.contains("give the address of its bundle"), "{fault}");
}

#[test]
fn jw_25_unused_keys_are_reported_without_their_content() {
    let (held, signer, twice) = (Held::new(), Signer::new(), Signer::new());
    let mut twin = Signer::new().jwk();
    twin["kid"] = twice.jwk()["kid"].clone();
    let mut private = Signer::new().jwk();
    private["d"] = "aHVzaA".into();
    let secret = json!({"kty": "oct", "kid": "s", "k": "aHVzaA"});
    let keys = json!({"keys": [secret, private, twice.jwk(), signer.jwk(), twin]});
    held.pages.answer(JWKS, 200, keys.to_string(), Some("max-age=5"));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
    let refused = held.verify(&idp(), &twice.token(), 1);
    assert!(matches!(refused, Ok(Err(SignatureFault::Unusable { .. }))), "{refused:?}");
    let FetchEvent::Fetched { issuer, keys: 1, ignored, left_out: 0, fresh_for } = held.event() else {
        panic!()
    };
    assert_eq!((issuer.as_str(), fresh_for), (IDP, Lifetime::from_seconds(60)));
    let reasons: Vec<_> = ignored.iter().map(|key| (key.position, key.reason)).collect();
    let expected =
        [(0, UnfitKey::Symmetric), (1, UnfitKey::Private), (2, UnfitKey::Twice), (4, UnfitKey::Twice)];
    assert_eq!(reasons, expected);
    assert!(ignored.iter().all(|key| !key.to_string().contains("aHVzaA")));
}

#[test]
fn jw_14_no_address_of_keys_in_a_token_is_used() {
    let (held, signer, attacker) = (Held::new(), Signer::new(), Signer::new());
    held.pages.put(JWKS, set(&[&signer]));
    for (name, value) in [
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("https://evil.test/x5u")),
        ("jwk", attacker.jwk()),
        ("x5c", json!(["MIIB"])),
        ("kid", json!("https://evil.test/kid")),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "unknown"});
        header[name] = value;
        let signed = attacker.token();
        let (_, rest) = signed.expose().split_once('.').unwrap();
        let text = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(held.verify(&idp(), &CompactJws::parse(&text).ok().unwrap(), 0), NO_KEY, "{name}");
    }
    assert!(!is_good(held.verify(&idp(), &token_of("x"), 0)));
    assert!(held.pages.requests().iter().all(|requested| requested == JWKS));
}
