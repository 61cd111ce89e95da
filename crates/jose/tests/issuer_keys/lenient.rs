//! An odd value in a published document affects only the key that contains it; KS-06 and JW-25.

use crate::world::{Held, IDP, JWKS, NO_KEY, Signer, idp, is_good, is_outage, issuer, token_of};
use serde_json::{Value, json};
use tokenberg_core::{KeySource, Lifetime, SignatureFault};
use tokenberg_jose::{FetchEvent, IgnoredKey, MOST_KEYS};

/// Values that a JSON parser refuses, or may refuse, in a member that does not describe a key.
fn odd_values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        r#""\ud800""#,
        r#""\udc00x \ud800\ud800""#,
        "1e999",
        "-1E+99999",
        "NaN",
        "01",
        "\"a\nb\tc\"",
        r#""\x41""#,
        "[1,2,]",
        "{\"keys\":[]}",
        "{\"a\":1,\"a\":2,}",
        "\"]}\\\"{[\"",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    values.push(b"\"M\xfcller\"".to_vec());
    values.push(vec![b'1'; 400]);
    for depth in [200, 30_000] {
        values.push([vec![b'['; depth], vec![b']'; depth]].concat());
        values.push([b"{\"a\":".repeat(depth), b"0".to_vec(), vec![b'}'; depth]].concat());
    }
    values
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The object, with one more member before or after the others.
fn with_member(object: &Value, member: &[&[u8]], is_first: bool) -> Vec<u8> {
    let text = object.to_string();
    let inside = &text.as_bytes()[1..text.len() - 1];
    let member = member.concat();
    let members = if is_first { [&member, inside] } else { [inside, &member] };
    [&b"{"[..], &members.join(&b','), b"}"].concat()
}

fn of_keys(keys: &[&[u8]]) -> Vec<u8> {
    [&b"{\"keys\":["[..], &keys.join(&b','), b"]}"].concat()
}

fn start(document: &[u8]) -> String {
    String::from_utf8_lossy(document).chars().take(300).collect()
}

/// The messages about the keys that are not used.
fn unused(held: &Held) -> Vec<String> {
    match held.event() {
        FetchEvent::Fetched { ignored, .. } => ignored.iter().map(IgnoredKey::to_string).collect(),
        FetchEvent::Failed { fault, .. } => vec![fault.to_string()],
    }
}

#[test]
fn ks_06_jw_25_an_unusual_value_beside_a_key_has_no_effect() {
    let signer = Signer::new();
    let jwk = signer.jwk();
    for value in odd_values() {
        for is_first in [false, true] {
            let label = with_member(&jwk, &[b"\"friendlyName\":", &value], is_first);
            let whole = with_member(&json!({"keys": [jwk]}), &[b"\"extra\":", &value], is_first);
            for document in [of_keys(&[&label]), whole] {
                let held = Held::new();
                held.pages.put(JWKS, document.clone());
                assert!(is_good(held.verify(&idp(), &signer.token(), 0)), "{}", start(&document));
                assert_eq!(unused(&held), [""; 0], "{}", start(&document));
            }
        }
    }
    for name in [&b"\"\\ud800\""[..], b"\"M\xfcller\"", b"\"\\x\"", b"\"\n\"", b"\"\""] {
        let held = Held::new();
        held.pages.put(JWKS, of_keys(&[&with_member(&jwk, &[name, b":1"], true)]));
        assert!(is_good(held.verify(&idp(), &signer.token(), 0)), "{}", start(name));
    }
}

#[test]
fn ks_06_jw_25_a_malformed_entry_affects_no_other_and_is_listed_with_its_defect() {
    let signer = Signer::new();
    let (good, other) = (bytes(&signer.jwk()), Signer::new().jwk());
    let without = |member: &str| {
        let mut jwk = other.clone();
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    };
    let with = |member: &str, value: &[u8]| {
        with_member(&without(member), &[b"\"", member.as_bytes(), b"\":", value], false)
    };
    let rsa = |n: &str| bytes(&json!({"kty": "RSA", "kid": "r", "n": n, "e": "AQAB"}));
    let mut cases = vec![
        (b"null".to_vec(), "key 0 is ignored: it is null, not an object"),
        (b"1e999".to_vec(), "it is a number, not an object"),
        (b"\"\\ud800\"".to_vec(), "it is a string, not an object"),
        (b"nope".to_vec(), "it is a word that is not JSON, not an object"),
        (b"[{}]".to_vec(), "it is an array, not an object"),
        (b"{}".to_vec(), "its member kty is missing or malformed"),
        (b"{\"kid\":\"a\",}".to_vec(), "key 0 (\"a\") is ignored: it is not JSON from byte 20 of the set on"),
        (b"{\"kid\":\"a\" \"kty\":1}".to_vec(), "it is not JSON from byte 20 of the set on"),
        (b"{kid:1}".to_vec(), "it is not JSON from byte 10 of the set on"),
        (bytes(&without("x")), "its member x is missing or malformed"),
        (bytes(&without("crv")), "its member crv is missing or malformed"),
        (rsa(""), "its member n is missing or malformed"),
        (rsa("A*"), "its member n is missing or malformed"),
        (rsa("AAAA"), "its member n is missing or malformed"),
        (with("kid", b"\"\\ud800\""), "its kid is not a text"),
        (with("kid", b"\"\xfc\""), "its kid is not a text"),
    ];
    for value in odd_values().into_iter().filter(|value| value.as_slice() != b"\"]}\\\"{[\"") {
        for (member, expected) in
            [("x", "its member x is"), ("kty", "its member kty is"), ("alg", "its member alg is")]
        {
            cases.push((with(member, &value), expected));
        }
    }
    for (entry, expected) in cases {
        for (position, document) in [(0, of_keys(&[&entry, &good])), (1, of_keys(&[&good, &entry]))] {
            let held = Held::new();
            held.pages.put(JWKS, document.clone());
            assert!(is_good(held.verify(&idp(), &signer.token(), 0)), "{}", start(&document));
            let unused = unused(&held);
            assert!(unused.len() == 1 && unused[0].starts_with(&format!("key {position} ")), "{unused:?}");
            assert!(position == 1 || unused[0].contains(expected), "{unused:?} is not {expected}");
        }
    }
}

#[test]
fn jw_25_an_unusual_value_hides_no_private_key() {
    let signer = Signer::new();
    let (jwk, public) = (signer.jwk(), bytes(&signer.jwk()));
    let mut odd: Vec<Vec<u8>> =
        odd_values().iter().map(|value| with_member(&jwk, &[b"\"d\":", value], false)).collect();
    // An entry that stops being JSON after its private half.
    odd.push(with_member(&jwk, &[b"\"d\":\"aHVzaA\",,"], false));
    odd.push(with_member(&jwk, &[b"\"\\u0064\":\"aHVzaA\""], true));
    for entry in odd {
        let held = Held::new();
        held.pages.put(JWKS, of_keys(&[&public, &entry]));
        assert!(is_outage(held.verify(&idp(), &signer.token(), 0)), "{}", start(&entry));
        let sentences = unused(&held);
        let private =
            sentences.iter().any(|sentence| sentence.ends_with("its private key was published with it"));
        assert!(private && !sentences.iter().any(|sentence| sentence.contains("aHVzaA")), "{sentences:?}");
    }
    // A null is not a private half.
    let held = Held::new();
    held.pages.put(JWKS, of_keys(&[&with_member(&jwk, &[b"\"d\":null"], true)]));
    assert!(is_good(held.verify(&idp(), &signer.token(), 0)));
}

#[test]
fn wl_06_an_unusual_value_in_a_bundle_or_in_metadata_has_no_effect() {
    let signer = Signer::new();
    let openid = format!("{IDP}/.well-known/openid-configuration");
    for value in odd_values() {
        let held = Held::new();
        let metadata = json!({"issuer": IDP, "jwks_uri": JWKS});
        held.pages.put(&openid, with_member(&metadata, &[b"\"logo\":", &value], true));
        held.pages.put(JWKS, of_keys(&[&bytes(&signer.jwk())]));
        let discovered = issuer(IDP, KeySource::Discovery);
        assert!(is_good(held.verify(&discovered, &signer.token(), 0)), "{}", start(&value));
        let bundle = json!({"keys": [signer.jwk()], "spiffe_sequence": 7, "spiffe_refresh_hint": 90});
        held.pages.put(JWKS, with_member(&bundle, &[b"\"label\":", &value], true));
        let domain = issuer("spiffe://td.test", KeySource::JwksUri(JWKS.into()));
        held.event();
        assert!(is_good(held.verify(&domain, &signer.token(), 0)), "{}", start(&value));
        let FetchEvent::Fetched { fresh_for, .. } = held.event() else { panic!("{}", start(&value)) };
        assert_eq!(fresh_for, Lifetime::from_seconds(90));
    }
}

fn named(jwk: &Value, kid: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk["kid"] = kid.into();
    jwk
}

#[test]
fn ks_06_a_large_set_is_used_as_far_as_it_goes() {
    let (signer, other) = (Signer::new(), Signer::new().jwk());
    let before = |count: usize| (0..count).map(|n| named(&other, &format!("x{n}")));
    let set = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let token = signer.token();
    // 600 KiB of certificates, and the maximum number of keys.
    let mut long = signer.jwk();
    long["x5c"] = json!(["A".repeat(600_000)]);
    for keys in [vec![long], before(MOST_KEYS - 1).chain([signer.jwk()]).collect()] {
        let held = Held::new();
        held.pages.put(JWKS, set(keys));
        assert!(is_good(held.verify(&idp(), &token, 0)));
    }
    // The names of left-out keys are known too: a token with one causes no fetch and gets no 503.
    let unsupported = (0..150).map(|n| json!({"kty": "AKP", "kid": format!("y{n}")}));
    let keys = before(MOST_KEYS).chain(unsupported).chain([signer.jwk()]).collect();
    let held = Held::new();
    held.pages.put(JWKS, set(keys));
    let most = format!("more than {MOST_KEYS} usable keys");
    for (token, expected) in [(&token, most.as_str()), (&token_of("y149"), "not supported")] {
        for now in 0..10 {
            match held.verify(&idp(), token, now) {
                Ok(Err(SignatureFault::Unusable { reason, .. })) => {
                    assert!(reason.contains(expected), "{reason}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(held.pages.requests(), [JWKS]);
    assert_eq!(held.verify(&idp(), &token_of("z"), 0), NO_KEY);
}

#[test]
fn ks_06_a_set_without_usable_keys_is_reported_with_the_reason() {
    let signer = Signer::new();
    let mut encrypting = signer.jwk();
    encrypting["use"] = "enc".into();
    for (keys, expected) in [
        (vec![], "no usable key: it is empty"),
        (vec![encrypting.clone()], "its use or key_ops says that it is not for verifying signatures"),
        (vec![json!(null), encrypting], "key 0 is ignored: it is null, not an object; 1 more"),
    ] {
        let held = Held::new();
        held.pages.put(JWKS, json!({ "keys": keys }).to_string());
        let outage = held.verify(&idp(), &signer.token(), 0).unwrap_err();
        assert!(outage.reason.contains(expected), "{} is not {expected}", outage.reason);
    }
}
