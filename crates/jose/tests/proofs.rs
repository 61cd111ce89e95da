//! Keys of DPoP proofs, and their only name: RFC 9449 §4.2 and §4.3, conformance DP-03, DP-11 and DP-16.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use tokenberg_core::jws::{Algorithm, DpopProof, FramingFault, KeyMaterial};
use tokenberg_core::{Keys, SignatureFault, Timestamp, Verified};
use tokenberg_jose::{Keyring, generate, import, thumbprint};

/// A client with a key.
struct Prover {
    key: KeyMaterial,
    jwk: Value,
}

impl Prover {
    fn new(algorithm: Algorithm) -> Self {
        let start = Timestamp::from_seconds(0).unwrap();
        let rsa = include_bytes!("fixtures/rsa-2048-test-only.pem");
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => import(rsa, Some(algorithm), start, start),
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => generate(algorithm, start, start),
            Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
                panic!("{algorithm} does not sign our tokens")
            }
        }
        .unwrap();
        let ring = Keyring::read(std::slice::from_ref(&key), start).unwrap();
        let set: Value = serde_json::from_str(&ring.jwks()).unwrap();
        // As clients write it: only the members of its type.
        let mut jwk = set["keys"][0].clone();
        for member in ["kid", "use", "alg"] {
            jwk.as_object_mut().unwrap().remove(member);
        }
        Self { key, jwk }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            let pair =
                EcdsaKeyPair::from_pkcs8(algorithm, self.key.private.pkcs8().unwrap(), &random).unwrap();
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        };
        let rsa = |padding: &'static dyn RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(self.key.private.pkcs8().unwrap()).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, message, &mut signature).unwrap();
            signature
        };
        match self.key.algorithm {
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => {
                let pair =
                    Ed25519KeyPair::from_pkcs8_maybe_unchecked(self.key.private.pkcs8().unwrap()).unwrap();
                pair.sign(message).as_ref().to_vec()
            }
            Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
            Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => Vec::new(),
        }
    }

    fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.key.algorithm.as_str(), "jwk": self.jwk})
    }

    /// A proof with this header, signed with the key whatever the header says.
    fn proof(&self, header: &Value) -> String {
        let payload = json!({"jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": "https://as.test/v1/oauth/tokens", "iat": 0});
        let encoded = [header, &payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.sign(encoded.as_bytes()));
        format!("{encoded}.{signature}")
    }
}

fn keys() -> Keyring {
    Keyring::read(&[], Timestamp::from_seconds(0).unwrap()).unwrap()
}

fn verified(proof: &str) -> Result<Verified, SignatureFault> {
    keys().verify_proof(&DpopProof::parse(proof).unwrap_or_else(|fault| panic!("{fault}: {proof}")))
}

/// The JWK with one member replaced, or removed by a null.
fn with(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    match value {
        Value::Null => drop(jwk.as_object_mut().unwrap().remove(member)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            jwk[member] = value;
        }
    }
    jwk
}

#[test]
fn dp_01_dp_03_a_key_is_called_by_its_thumbprint_with_every_algorithm() {
    for algorithm in Algorithm::SIGNING {
        let prover = Prover::new(algorithm);
        let expected = thumbprint(&serde_json::from_value(prover.jwk.clone()).unwrap()).unwrap();
        // `kid` is ignored, and members that a browser adds do no harm.
        let named = with(&prover.jwk, "kid", json!("another name"));
        let of_browser = with(&with(&prover.jwk, "key_ops", json!(["verify"])), "ext", json!(true));
        let mut of_a_serializer = prover.jwk.clone();
        (of_a_serializer["use"], of_a_serializer["kid"]) = (Value::Null, Value::Null);
        for jwk in [
            prover.jwk.clone(),
            named,
            of_browser,
            of_a_serializer,
            with(&prover.jwk, "alg", json!(algorithm.as_str())),
        ] {
            let mut header = with(&prover.header(), "jwk", jwk);
            header["kid"] = "another".into();
            let verified = verified(&prover.proof(&header)).unwrap();
            assert_eq!((verified.key(), verified.algorithm()), (&expected, algorithm), "{header}");
        }
    }
}

#[test]
fn dp_03_headers_that_carry_no_proof() {
    let prover = Prover::new(Algorithm::ES256);
    let fault = |member: &str, value: Value| {
        DpopProof::parse(&prover.proof(&with(&prover.header(), member, value))).err()
    };
    let member = |member: &str, value: Value| match fault(member, value) {
        Some(FramingFault::Header(fault)) => fault.member().to_owned(),
        other => format!("{other:?}"),
    };
    for typ in [Value::Null, json!("JWT"), json!("at+jwt"), json!("dpop"), json!("dpop+jwt ")] {
        assert_eq!(member("typ", typ.clone()), "typ", "{typ}");
    }
    for typ in ["DPOP+JWT", "application/dpop+jwt", "dpop+JWT"] {
        verified(&prover.proof(&with(&prover.header(), "typ", json!(typ)))).unwrap();
    }
    for jwk in [Value::Null, json!("x"), json!([]), json!(1)] {
        assert_eq!(member("jwk", jwk.clone()), "jwk", "{jwk}");
    }
    for alg in ["none", "None", "NONE"] {
        assert_eq!(fault("alg", json!(alg)), Some(FramingFault::Unsecured), "{alg}");
    }
    assert_eq!(member("alg", Value::Null), "alg");
    assert_eq!(member("crit", json!(["x"])), "crit");
    for alg in ["HS256", "HS512", "RS256", "ES384", "EdDSA", "es256", "ES256K", "none "] {
        let answer = verified(&prover.proof(&with(&prover.header(), "alg", json!(alg))));
        assert!(matches!(answer, Err(SignatureFault::Algorithm(_))), "{alg}: {answer:?}");
    }
}

#[test]
fn dp_03_a_proof_is_signed_with_the_key_that_it_carries() {
    for algorithm in Algorithm::SIGNING {
        let (prover, other) = (Prover::new(algorithm), Prover::new(Algorithm::ES256));
        let foreign = verified(&prover.proof(&with(&prover.header(), "jwk", other.jwk.clone())));
        assert!(foreign.is_err(), "{algorithm}");
        let good = prover.proof(&prover.header());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[7] ^= 1;
        let bad = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert!(matches!(verified(&bad), Err(SignatureFault::Signature { .. })), "{algorithm}");
    }
    let (prover, other) = (Prover::new(Algorithm::ES256), Prover::new(Algorithm::ES256));
    let stolen = verified(&prover.proof(&with(&prover.header(), "jwk", other.jwk.clone())));
    assert!(matches!(stolen, Err(SignatureFault::Signature { .. })));
}

#[test]
fn dp_03_only_a_public_key_to_verify_with_is_one() {
    let prover = Prover::new(Algorithm::ES256);
    let secret = URL_SAFE_NO_PAD.encode([7; 32]);
    for jwk in [
        json!({"kty": "oct", "k": secret}),
        json!({"kty": "oct"}),
        with(&prover.jwk, "k", json!(secret)),
        with(&prover.jwk, "d", json!(secret)),
        with(&prover.jwk, "d", json!("")),
        with(&prover.jwk, "use", json!("enc")),
        with(&prover.jwk, "key_ops", json!(["sign"])),
        with(&prover.jwk, "alg", json!("ES384")),
        with(&prover.jwk, "alg", json!("HS256")),
        with(&prover.jwk, "alg", json!(1)),
        with(&prover.jwk, "kty", json!("RSA")),
        with(&prover.jwk, "kty", json!("OKP")),
        with(&prover.jwk, "kty", Value::Null),
        with(&prover.jwk, "crv", json!("P-384")),
        with(&prover.jwk, "crv", json!("P-521")),
        with(&prover.jwk, "crv", json!("secp256k1")),
        with(&prover.jwk, "crv", Value::Null),
        with(&prover.jwk, "x", Value::Null),
        with(&prover.jwk, "y", Value::Null),
        with(&prover.jwk, "y", json!(1)),
        json!({}),
        json!({ "keys": [prover.jwk] }),
    ] {
        let answer = verified(&prover.proof(&with(&prover.header(), "jwk", jwk.clone())));
        assert!(matches!(answer, Err(SignatureFault::Carried(_))), "{jwk}");
    }
    let rsa = Prover::new(Algorithm::RS256);
    for (member, value) in [
        ("d", "AQAB"),
        ("p", "AQAB"),
        ("q", "AQAB"),
        ("dp", "AQAB"),
        ("dq", "AQAB"),
        ("qi", "AQAB"),
        ("e", "AQ"),
        ("e", "AAEAAQ"),
        ("e", "Ag"),
        ("n", "AQAB"),
    ] {
        let jwk = with(&rsa.jwk, member, json!(value));
        let answer = verified(&rsa.proof(&with(&rsa.header(), "jwk", jwk)));
        assert!(matches!(answer, Err(SignatureFault::Carried(_))), "{member} {value}");
    }
}

#[test]
fn dp_16_a_key_has_one_spelling_and_so_one_thumbprint() {
    for (algorithm, members) in [
        (Algorithm::ES256, &["x", "y"][..]),
        (Algorithm::ES384, &["x", "y"]),
        (Algorithm::EdDSA, &["x"]),
        (Algorithm::RS256, &["n"]),
    ] {
        let prover = Prover::new(algorithm);
        verified(&prover.proof(&prover.header())).unwrap();
        for member in members {
            let text = prover.jwk[member].as_str().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            let (last, rest) = (&text[text.len() - 1..], &text[..text.len() - 1]);
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let next = alphabet.find(last).unwrap() + 1;
            let mut spellings = vec![
                URL_SAFE_NO_PAD.encode([&[0], &bytes[..]].concat()),
                URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat()),
                URL_SAFE_NO_PAD.encode(&bytes[1..]),
                format!("{text} "),
                format!("\n{text}"),
                format!("{text}="),
                String::new(),
            ];
            if !bytes.len().is_multiple_of(3) {
                spellings.push(URL_SAFE.encode(&bytes));
                // The unused bits of the last character are not zero.
                spellings.push(format!("{rest}{}", &alphabet[next..=next]));
            }
            let standard = STANDARD_NO_PAD.encode(&bytes);
            if standard != text {
                spellings.push(standard);
            }
            for spelling in spellings {
                let jwk = with(&prover.jwk, member, json!(spelling));
                let answer = verified(&prover.proof(&with(&prover.header(), "jwk", jwk)));
                assert!(matches!(answer, Err(SignatureFault::Carried(_))), "{algorithm} {member} {spelling}");
            }
        }
    }
}

#[test]
fn dp_01_dp_11_rfc_9449_4_1_and_7_1() {
    let Some(vectors) = tokenberg_testkit::vectors("rfc_kats.json") else { return };
    let mut proofs = 0;
    for vector in vectors.as_array().unwrap().iter().filter(|vector| vector["kind"] == "dpop") {
        let text = |member: &str| vector[member].as_str().unwrap();
        let proof = DpopProof::parse(text("token")).unwrap();
        assert_eq!(Value::Object(proof.jwk().clone()), vector["jwk"]);
        let verified = keys().verify_proof(&proof).unwrap();
        assert_eq!((verified.key().as_str(), verified.algorithm()), (text("jkt"), Algorithm::ES256));
        if vector.get("ath").is_some() {
            let hash = URL_SAFE_NO_PAD.encode(tokenberg_testkit::sha256(text("access_token").as_bytes()));
            assert_eq!(hash, text("ath"));
            assert_eq!(proof.token().unverified_payload()["ath"], text("ath"));
        }
        proofs += 1;
    }
    assert_eq!(proofs, 2);
}
