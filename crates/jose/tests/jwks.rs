//! Which keys of another party's JWK Set are used: conformance JW-12, JW-13, JW-16, JW-23, JW-25, JW-26, WL-03 and AB-10.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use serde_json::{Value, json};
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::{AccessTokenClaims, CompactJws, Keys, SignatureFault, Timestamp};
use tokenberg_jose::{JwksFault, Keyring, LARGEST_JWKS, MOST_KEYS, PublicKeys, UnfitKey, generate, import};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

/// A key, its public JWK, and a token of it.
struct Signer {
    keys: Keyring,
    jwk: Value,
}

fn signer(algorithm: Algorithm) -> Signer {
    let rsa = include_bytes!("fixtures/rsa-2048-test-only.pem");
    let material: KeyMaterial = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => import(rsa, Some(algorithm), at(0), at(0)).unwrap(),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => generate(algorithm, at(0), at(0)).unwrap(),
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
            panic!("{algorithm} does not sign our tokens")
        }
    };
    let keys = Keyring::read(&[material], at(0)).unwrap();
    let jwk = serde_json::from_str::<Value>(&keys.jwks()).unwrap()["keys"][0].clone();
    Signer { keys, jwk }
}

impl Signer {
    /// The JWK, with one member replaced, or removed by a null.
    fn jwk_with(&self, member: &str, value: Value) -> Value {
        let mut jwk = self.jwk.clone();
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(member);
        } else {
            jwk[member] = value;
        }
        jwk
    }

    fn token(&self) -> CompactJws {
        let payload = json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,
            "jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
        let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
        let token = self.keys.sign(&claims, at(0)).unwrap();
        CompactJws::parse(token.expose()).ok().unwrap()
    }

    /// The token without a `kid`; its signature is wrong then, so a good answer is `Signature`.
    fn unnamed_token(&self, alg: &str) -> CompactJws {
        use base64::Engine;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}"}}"#));
        let token = self.token();
        let (_, rest) = token.expose().split_once('.').unwrap();
        CompactJws::parse(&format!("{header}.{rest}")).ok().unwrap()
    }
}

fn set(keys: &[&Value]) -> PublicKeys {
    PublicKeys::from_jwks(&json!({ "keys": keys }).to_string()).unwrap()
}

/// Why the only key of a set is ignored.
fn reason(jwk: &Value) -> Option<UnfitKey> {
    let keys = set(&[jwk]);
    assert_eq!(keys.len() + keys.ignored().len(), 1);
    keys.ignored().first().map(|key| key.reason)
}

#[test]
fn jw_13_without_alg_the_type_and_curve_decide() {
    for algorithm in Algorithm::SIGNING {
        let signer = signer(algorithm);
        let keys = set(&[&signer.jwk_with("alg", Value::Null)]);
        if algorithm == Algorithm::PS256 {
            // One key, one algorithm: an RSA key without `alg` is for RS256.
            assert!(matches!(
                keys.verify(&signer.token()),
                Err(SignatureFault::Algorithm(fault)) if fault.expected == Algorithm::RS256.into()
            ));
        } else {
            assert_eq!(keys.verify(&signer.token()).map(|v| v.algorithm()), Ok(algorithm));
        }
    }
}

#[test]
fn jw_12_use_key_ops_and_alg_must_fit() {
    for algorithm in Algorithm::SIGNING {
        let signer = signer(algorithm);
        for (member, value, expected) in [
            ("use", json!(null), None),
            ("use", json!("sig"), None),
            ("use", json!("jwt-svid"), None),
            ("use", json!("x509-svid"), Some(UnfitKey::Purpose)),
            ("use", json!("enc"), Some(UnfitKey::Purpose)),
            ("use", json!("SIG"), Some(UnfitKey::Purpose)),
            ("use", json!(1), Some(UnfitKey::Malformed)),
            ("key_ops", json!(["verify"]), None),
            ("key_ops", json!(["sign"]), Some(UnfitKey::Purpose)),
            ("key_ops", json!([]), None),
            ("key_ops", json!(["encrypt", "wrapKey"]), Some(UnfitKey::Purpose)),
            ("key_ops", json!("verify"), Some(UnfitKey::Malformed)),
            ("alg", json!("RSA-OAEP"), Some(UnfitKey::Algorithm)),
            ("alg", json!("HS256"), Some(UnfitKey::Algorithm)),
            ("alg", json!("none"), Some(UnfitKey::Algorithm)),
            ("alg", json!("ES512"), Some(UnfitKey::Algorithm)),
            ("alg", json!("RS1"), Some(UnfitKey::Algorithm)),
            ("alg", json!(""), None),
            ("alg", json!(5), Some(UnfitKey::Malformed)),
            ("kty", json!("AKP"), Some(UnfitKey::Algorithm)),
            ("kty", json!("ec"), Some(UnfitKey::Algorithm)),
            ("kty", json!("oct"), Some(UnfitKey::Malformed)),
            ("kty", json!(""), Some(UnfitKey::Malformed)),
            ("kid", json!(""), None),
            ("kid", json!("k".repeat(257)), Some(UnfitKey::KeyId)),
            ("kid", json!(7), Some(UnfitKey::KeyId)),
        ] {
            let jwk = signer.jwk_with(member, value.clone());
            assert_eq!(reason(&jwk), expected, "{algorithm} {member} {value}");
        }
    }
}

#[test]
fn jw_12_the_curve_is_that_of_the_algorithm() {
    let (p256, p384, ed) = (signer(Algorithm::ES256), signer(Algorithm::ES384), signer(Algorithm::EdDSA));
    for (jwk, expected) in [
        (p256.jwk_with("alg", json!("ES384")), UnfitKey::Algorithm),
        (p256.jwk_with("alg", json!("EdDSA")), UnfitKey::Algorithm),
        (p256.jwk_with("crv", json!("P-384")), UnfitKey::Length),
        (p256.jwk_with("crv", json!("P-521")), UnfitKey::Algorithm),
        (p256.jwk_with("crv", json!("secp256k1")), UnfitKey::Algorithm),
        (p256.jwk_with("crv", json!("Ed25519")), UnfitKey::Algorithm),
        (p384.jwk_with("alg", json!("ES256")), UnfitKey::Algorithm),
        (p384.jwk_with("crv", json!("P-256")), UnfitKey::Length),
        (ed.jwk_with("crv", json!("X25519")), UnfitKey::Algorithm),
        (ed.jwk_with("crv", json!("Ed448")), UnfitKey::Algorithm),
        (ed.jwk_with("crv", json!("P-256")), UnfitKey::Algorithm),
        (ed.jwk_with("alg", json!("ES256")), UnfitKey::Algorithm),
    ] {
        assert_eq!(reason(&jwk), Some(expected), "{jwk}");
    }
}

#[test]
fn jw_26_both_names_of_ed25519_are_understood() {
    let signer = signer(Algorithm::EdDSA);
    let keys = set(&[&signer.jwk_with("alg", json!("Ed25519"))]);
    assert_eq!(keys.verify(&signer.token()).map(|v| v.algorithm()), Ok(Algorithm::EdDSA));
    let other = keys.verify(&signer.unnamed_token("Ed25519"));
    assert!(matches!(other, Err(SignatureFault::Signature { .. })));
}

#[test]
fn jw_16_without_a_kid_only_the_one_that_fits() {
    let (a, b, other) = (signer(Algorithm::ES256), signer(Algorithm::ES256), signer(Algorithm::ES384));
    let token = a.unnamed_token("ES256");
    let fits = |keys: &[&Value]| matches!(set(keys).verify(&token), Err(SignatureFault::Signature { .. }));
    assert!(fits(&[&a.jwk]));
    assert!(fits(&[&other.jwk, &a.jwk]));
    assert!(!fits(&[&a.jwk, &b.jwk]));
    assert!(!fits(&[&other.jwk]));
    assert!(!fits(&[]));
    // A key without a kid is named by its thumbprint only.
    let unnamed = set(&[&a.jwk_with("kid", Value::Null)]);
    assert_eq!(unnamed.verify(&a.token()).unwrap().key().as_str(), a.jwk["kid"]);
    assert!(matches!(unnamed.verify(&b.token()), Err(SignatureFault::NoKey(_))));
}

#[test]
fn jw_23_ab_10_weak_rsa_keys_are_ignored() {
    let rsa = signer(Algorithm::RS256);
    let n = |bytes: usize| json!("x".repeat(bytes * 4 / 3));
    for (jwk, expected) in [
        (rsa.jwk_with("n", n(129)), UnfitKey::RsaSize),
        (rsa.jwk_with("n", n(600)), UnfitKey::RsaSize),
        (rsa.jwk_with("n", n(3000)), UnfitKey::RsaSize),
        (rsa.jwk_with("n", json!("")), UnfitKey::Malformed),
        (rsa.jwk_with("n", json!("=")), UnfitKey::Malformed),
        (rsa.jwk_with("e", json!("AQ")), UnfitKey::RsaExponent),
        (rsa.jwk_with("e", json!("Ag")), UnfitKey::RsaExponent),
        (rsa.jwk_with("e", json!("AQAA")), UnfitKey::RsaExponent),
        (rsa.jwk_with("e", json!("AQAAAAE")), UnfitKey::RsaExponent),
        (rsa.jwk_with("e", json!("AAAA")), UnfitKey::Malformed),
        (rsa.jwk_with("e", json!(65537)), UnfitKey::Malformed),
        (rsa.jwk_with("n", Value::Null), UnfitKey::Malformed),
    ] {
        assert_eq!(reason(&jwk), Some(expected), "{jwk}");
    }
}

#[test]
fn jw_23_coordinates_have_the_exact_length_of_their_curve() {
    let ec = signer(Algorithm::ES256);
    let x = ec.jwk["x"].as_str().unwrap();
    for (value, expected) in [
        (json!("AAAA"), UnfitKey::Length),
        (json!(format!("AAAB{x}")), UnfitKey::Length),
        (json!(x[..28]), UnfitKey::Length),
        (json!("x".repeat(43)), UnfitKey::Malformed),
        (json!(""), UnfitKey::Malformed),
    ] {
        assert_eq!(reason(&ec.jwk_with("x", value.clone())), Some(expected), "{value}");
    }
    let ed = signer(Algorithm::EdDSA);
    assert_eq!(reason(&ed.jwk_with("x", json!("AAAA"))), Some(UnfitKey::Length));
    // A point off the curve has the right length, and verifies nothing.
    let off = ec.jwk_with("y", ec.jwk["x"].clone());
    assert!(matches!(set(&[&off]).verify(&ec.token()), Err(SignatureFault::Signature { .. })));
}

#[test]
fn jw_25_entries_that_do_not_belong_in_a_set_are_ignored_and_reported() {
    let (good, other) = (signer(Algorithm::ES256), signer(Algorithm::EdDSA));
    let oct = json!({"kty":"oct","k":"AAAA","kid":"shared","alg":"HS256"});
    let twin = other.jwk_with("kid", good.jwk["kid"].clone());
    let private = other.jwk_with("d", json!("AAAA"));
    let keys = set(&[&oct, &good.jwk, &private, &json!(5), &json!({"kty":"FOO"})]);
    assert!(keys.verify(&good.token()).is_ok());
    assert_eq!(keys.len(), 1);
    let reasons: Vec<_> = keys.ignored().iter().map(|k| (k.position, k.reason)).collect();
    assert_eq!(
        reasons,
        [
            (0, UnfitKey::Symmetric),
            (2, UnfitKey::Private),
            (3, UnfitKey::Malformed),
            (4, UnfitKey::Algorithm)
        ]
    );
    assert!(matches!(keys.verify(&other.token()), Err(SignatureFault::Unusable { .. })));
    assert_eq!(keys.ignored()[0].to_string(), r#"key 0 ("shared") is ignored: it is a symmetric key"#);
    // The token's alg distinguishes keys of different types.
    for set in [set(&[&good.jwk, &twin]), set(&[&twin, &good.jwk]), set(&[&good.jwk, &good.jwk])] {
        assert!(set.verify(&good.token()).is_ok() && set.ignored().is_empty());
    }
    let stranger = signer(Algorithm::ES256).jwk_with("kid", good.jwk["kid"].clone());
    for set in [set(&[&good.jwk, &stranger]), set(&[&stranger, &twin, &good.jwk])] {
        let (key, reason) =
            (tokenberg_core::jws::KeyId::new(good.jwk["kid"].as_str().unwrap()), UnfitKey::Twice.as_str());
        let expected = match set.len() {
            0 => SignatureFault::Unusable { key, reason },
            _ => SignatureFault::algorithm(good.token().header(), key, Algorithm::EdDSA.into()),
        };
        assert_eq!(set.verify(&good.token()), Err(expected));
        assert_eq!(set.ignored().iter().map(|k| k.reason).collect::<Vec<_>>(), [UnfitKey::Twice; 2]);
    }
}

#[test]
fn jw_25_a_foreign_kid_is_written_with_escapes() {
    let signer = signer(Algorithm::ES256);
    let mut jwk = signer.jwk_with("kid", json!("a\nERROR forged \u{1b}[2J"));
    jwk["use"] = json!("enc");
    let message = set(&[&jwk]).ignored()[0].to_string();
    assert!(!message.chars().any(char::is_control), "{message}");
}

fn with_kid(jwk: &Value, kid: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk["kid"] = kid.into();
    jwk
}

#[test]
fn ks_06_a_set_has_limits() {
    let jwk = signer(Algorithm::ES256).jwk;
    // A set is used up to the limit, however many of its keys are unusable.
    let mut many: Vec<Value> = (0..MOST_KEYS + 7).map(|n| with_kid(&jwk, &format!("k{n}"))).collect();
    let keys = set(&many.iter().collect::<Vec<_>>());
    assert_eq!((keys.len(), keys.ignored().len(), keys.left_out()), (MOST_KEYS, 7, 0));
    many.splice(0..0, vec![json!({"kty": "FOO"}); 1000]);
    let keys = set(&many.iter().collect::<Vec<_>>());
    assert_eq!((keys.len(), keys.ignored().len(), keys.left_out()), (MOST_KEYS, 100, 907));
    // A leak is listed after any number of others.
    many.push(json!({"kty": "oct", "k": "AAAA"}));
    let keys = set(&many.iter().collect::<Vec<_>>());
    assert_eq!(keys.ignored().last().map(|key| key.reason), Some(UnfitKey::Symmetric));
    let empty = r#"{"keys":[]}"#;
    let padded =
        |length: usize| PublicKeys::from_jwks(&format!("{empty}{}", " ".repeat(length - empty.len())));
    assert!(padded(LARGEST_JWKS).unwrap().is_empty());
    assert_eq!(padded(LARGEST_JWKS + 1).unwrap_err(), JwksFault::TooLarge);
    for (bad, fault) in [
        ("", JwksFault::Json { offset: 0 }),
        ("x", JwksFault::Object("a word that is not JSON")),
        ("<html>", JwksFault::Json { offset: 0 }),
        ("{\"keys\":[]}x", JwksFault::Json { offset: 11 }),
        ("{\"keys\":[", JwksFault::Json { offset: 9 }),
        ("{}", JwksFault::NoKeys),
        ("[]", JwksFault::Object("an array")),
        ("null", JwksFault::Object("null")),
        (r#"{"keys":{}}"#, JwksFault::Keys("an object")),
        (r#"{"keys":null}"#, JwksFault::Keys("null")),
    ] {
        assert_eq!(PublicKeys::from_jwks(bad).unwrap_err(), fault, "{bad}");
    }
    let deep = PublicKeys::from_jwks(&"[".repeat(100_000));
    assert_eq!(deep.unwrap_err(), JwksFault::Json { offset: 100_000 });
}
