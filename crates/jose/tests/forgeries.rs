//! Forgeries with a published key: as the secret of an HMAC, and at the edges of ECDSA; conformance JW-11 and JW-20.
#![allow(clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{KeyPair, RsaKeyPair};
use serde_json::{Value, json};
use tokenberg_core::jws::{Algorithm, Algorithms, KeyMaterial};
use tokenberg_core::{CompactJws, Keys, SignatureFault, Timestamp};
use tokenberg_jose::{Keyring, PublicKeys, generate, import};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn keyring(material: &KeyMaterial) -> Keyring {
    Keyring::read(std::slice::from_ref(material), at(0)).unwrap()
}

fn parse(text: &str) -> CompactJws {
    CompactJws::parse(text).unwrap_or_else(|fault| unreachable!("{fault}"))
}

/// A value in DER, of up to 65535 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

/// The public key in the forms in which libraries have used it as a secret.
fn spellings(material: &KeyMaterial, set: &str) -> Vec<Vec<u8>> {
    let jwk = serde_json::from_str::<Value>(set).unwrap()["keys"][0].clone();
    let bytes = |member: &str| URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap();
    let (identifier, key) = if material.algorithm == Algorithm::RS256 {
        let pair = RsaKeyPair::from_pkcs8(material.private.pkcs8().unwrap()).unwrap();
        (&b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"[..], pair.public_key().as_ref().to_vec())
    } else {
        let identifier = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        (&identifier[..], [vec![4], bytes("x"), bytes("y")].concat())
    };
    // SubjectPublicKeyInfo (RFC 5280 §4.1).
    let spki = der(0x30, &[der(0x30, identifier), der(3, &[&[0], &key[..]].concat())].concat());
    let lines = |wide: usize| {
        let text = STANDARD.encode(&spki);
        let lines: Vec<&str> =
            text.as_bytes().chunks(wide).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"))
    };
    let pem = lines(64);
    let mut all = vec![
        set.to_owned(),
        jwk.to_string(),
        format!("{pem}\n"),
        format!("\n{pem}"),
        format!(" {pem}"),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', ""),
        pem,
        lines(10_000),
        STANDARD.encode(&spki),
        String::new(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect::<Vec<_>>();
    for member in ["n", "x", "y", "kid"] {
        if let Some(text) = jwk[member].as_str() {
            all.extend([text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).unwrap()]);
        }
    }
    all.extend([spki, key]);
    all
}

#[test]
fn jw_11_no_spelling_of_a_public_key_is_a_secret() {
    let rsa = include_bytes!("fixtures/rsa-2048-test-only.pem");
    for material in
        [import(rsa, None, at(0), at(0)).unwrap(), generate(Algorithm::ES256, at(0), at(0)).unwrap()]
    {
        let ring = keyring(&material);
        let set = ring.jwks();
        let theirs = PublicKeys::from_jwks(&set).unwrap();
        for secret in spellings(&material, &set) {
            for (alg, algorithm) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                for kid in [json!(material.id.as_str()), Value::Null] {
                    let mut header = json!({ "alg": alg });
                    if !kid.is_null() {
                        header["kid"] = kid;
                    }
                    let signed = format!("{}.e30", URL_SAFE_NO_PAD.encode(header.to_string()));
                    let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
                    let forged = parse(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)));
                    assert!(ring.verify(&forged, at(0)).is_err(), "{header}");
                    assert!(ring.verify_with(&set, Algorithms::default(), &forged).is_err(), "{header}");
                    assert!(theirs.verify(&forged).is_err(), "{header}");
                }
            }
        }
    }
}

#[test]
fn jw_20_the_edges_of_ecdsa_sign_nothing() {
    // The order of each group (FIPS 186-4 D.1.2.3 and D.1.2.4).
    let p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let p384 =
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    for (algorithm, order) in [(Algorithm::ES256, p256), (Algorithm::ES384, p384)] {
        let order: Vec<u8> = (0..order.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&order[at..at + 2], 16).unwrap())
            .collect();
        let length = order.len();
        let changed = |last: i16| {
            let mut number = order.clone();
            number[length - 1] = u8::try_from(i16::from(number[length - 1]) + last).unwrap();
            number
        };
        let one = [vec![0; length - 1], vec![1]].concat();
        let numbers = [vec![0; length], one, order.clone(), changed(-1), changed(1), vec![0xff; length]];
        let material = generate(algorithm, at(0), at(0)).unwrap();
        let ring = keyring(&material);
        let signed = URL_SAFE_NO_PAD
            .encode(json!({"alg": algorithm.as_str(), "kid": material.id.as_str()}).to_string());
        let verify = |signature: &[u8]| {
            ring.verify(&parse(&format!("{signed}.e30.{}", URL_SAFE_NO_PAD.encode(signature))), at(0))
        };
        for r in &numbers {
            for s in &numbers {
                // Side by side as JWS has it, and in DER as X.509 does.
                let integers = [r, s].map(|n| [&[2, u8::try_from(length + 1).unwrap(), 0], &n[..]].concat());
                for signature in [[&r[..], s].concat(), der(0x30, &integers.concat())] {
                    let answer = verify(&signature);
                    assert!(matches!(answer, Err(SignatureFault::Signature { .. })), "{signature:02x?}");
                }
            }
        }
    }
}
