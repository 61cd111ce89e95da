//! Signed tokens verify, with us and with other libraries, and nothing else does: conformance AT-01, JW-11 to JW-22, KS-01 and
//! KS-04.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the functions that the tests share are tests too")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::{AccessTokenClaims, CompactJws, Keys, SignatureFault, Timestamp};
use tokenberg_jose::{Keyring, PublicKeys, generate, import};

const RSA: &[u8] = include_bytes!("fixtures/rsa-2048-test-only.pem");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn key(algorithm: Algorithm, signs_from: i64) -> KeyMaterial {
    match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => import(RSA, Some(algorithm), at(0), at(signs_from)).unwrap(),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => {
            generate(algorithm, at(0), at(signs_from)).unwrap()
        }
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
            panic!("{algorithm} does not sign our tokens")
        }
    }
}

fn keyring(keys: &[KeyMaterial]) -> Keyring {
    Keyring::read(keys, at(0)).unwrap()
}

fn claims() -> AccessTokenClaims {
    let payload = json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,
        "jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
    AccessTokenClaims::read(payload.as_object().unwrap()).unwrap()
}

fn token(keys: &dyn Keys, now: i64) -> String {
    keys.sign(&claims(), at(now)).unwrap().expose().to_owned()
}

fn parse(token: &str) -> CompactJws {
    CompactJws::parse(token).unwrap_or_else(|fault| panic!("{fault}"))
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// The token with other header members, and its old signature.
fn with_header(token: &str, header: &Value) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn at_01_a_token_names_its_type_algorithm_and_key() {
    for algorithm in Algorithm::SIGNING {
        let material = key(algorithm, 0);
        let keys = keyring(std::slice::from_ref(&material));
        let token = token(&keys, 0);
        assert_eq!(
            header(&token),
            json!({"typ":"at+jwt","alg":algorithm.as_str(),"kid":material.id.as_str()})
        );
        assert_eq!(parse(&token).unverified_payload(), &claims().to_json());
        let theirs = PublicKeys::from_jwks(&keys.jwks()).unwrap();
        assert!(theirs.ignored().is_empty());
        for verified in [keys.verify(&parse(&token), at(0)).unwrap(), theirs.verify(&parse(&token)).unwrap()]
        {
            assert_eq!((verified.key(), verified.algorithm()), (&material.id, algorithm));
        }
    }
}

#[test]
fn at_01_no_key_signs_before_its_time() {
    assert_eq!(keyring(&[]).sign(&claims(), at(0)).err(), Some(SigningFault::NoKey));
    let later = keyring(&[key(Algorithm::ES256, 10)]);
    assert_eq!(later.sign(&claims(), at(9)).err(), Some(SigningFault::NoKey));
    assert!(later.sign(&claims(), at(10)).is_ok());
}

#[test]
fn jw_20_every_changed_bit_of_a_signature_is_detected() {
    for algorithm in Algorithm::SIGNING {
        let keys = keyring(&[key(algorithm, 0)]);
        let token = token(&keys, 0);
        let (signing_input, signature) = token.rsplit_once('.').unwrap();
        let good = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut bad: Vec<Vec<u8>> = (0..good.len() * 8)
            .step_by(5)
            .map(|bit| {
                let mut changed = good.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                changed
            })
            .collect();
        bad.extend([
            vec![0; good.len()],
            good[1..].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            [&[0], &good[..]].concat(),
            [&good[..good.len() / 2], &[0], &good[good.len() / 2..], &[0]].concat(),
        ]);
        for signature in bad {
            let changed = parse(&format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(&signature)));
            assert!(
                matches!(keys.verify(&changed, at(0)), Err(SignatureFault::Signature { .. })),
                "{algorithm} {signature:?}"
            );
        }
    }
}

#[test]
fn jw_40_a_cached_token_is_no_other_token_and_its_key_may_retire() {
    let mut material = key(Algorithm::ES256, 0);
    material.verifies_until = Some(at(100));
    let keys = keyring(std::slice::from_ref(&material));
    let (first, second) = (token(&keys, 0), token(&keys, 0));
    for token in [&first, &first, &second] {
        assert_eq!(keys.verify(&parse(token), at(99)).unwrap().key(), &material.id);
    }
    // The signature of one with the content of the other, and a changed payload.
    let (content, signature) = (first.rsplit_once('.').unwrap().0, second.rsplit_once('.').unwrap().1);
    let (head, payload) = content.split_once('.').unwrap();
    let mut other = claims().to_json();
    other.insert("scope".to_owned(), json!("everything"));
    let other = URL_SAFE_NO_PAD.encode(Value::Object(other).to_string());
    assert_ne!(payload, other);
    for forged in
        [format!("{content}.{signature}"), format!("{head}.{other}.{}", first.rsplit_once('.').unwrap().1)]
    {
        // ECDSA uses a random number, so two different signatures of one content are both good.
        let is_same_content = forged.starts_with(content);
        assert_eq!(keys.verify(&parse(&forged), at(99)).is_ok(), is_same_content);
    }
    // A retired or removed key verifies nothing, whatever it verified before.
    let issuer = claims().issuer;
    let signed = |keys: &Keyring, now| keys.read(&first, &issuer, at(now)).ours(&issuer).map(drop);
    assert_eq!((signed(&keys, 99), signed(&keys, 99)), (Ok(()), Ok(())));
    let retired = keys.verify(&parse(&first), at(100)).unwrap_err();
    assert!(matches!(retired, SignatureFault::Retired { since, .. } if since == at(100)), "{retired}");
    assert_eq!(signed(&keys, 100), Err(retired.into()));
    let others = keys.updated(&[key(Algorithm::ES256, 0)], at(0)).unwrap();
    let no_key = SignatureFault::no_key(parse(&first).header(), 1);
    assert_eq!(others.verify(&parse(&first), at(0)).unwrap_err(), no_key);
    assert_eq!(signed(&others, 0), Err(no_key.into()));
}

#[test]
fn jw_21_the_other_s_of_ecdsa_verifies_too() {
    // JOSE allows both, so the text of a token is no identifier.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let keys = keyring(&[key(Algorithm::ES256, 0)]);
    let token = token(&keys, 0);
    let (signing_input, signature) = token.rsplit_once('.').unwrap();
    let mut twin = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for i in (0..32).rev() {
        let difference = i16::from(ORDER[i]) - i16::from(twin[32 + i]) - borrow;
        borrow = i16::from(difference < 0);
        twin[32 + i] = difference.rem_euclid(256) as u8;
    }
    let twin = format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(twin));
    assert_ne!(twin, token);
    assert!(keys.verify(&parse(&twin), at(0)).is_ok());
}

#[test]
fn jw_22_a_signature_of_ed25519_has_one_spelling() {
    // The order of the group, little-endian (RFC 8032 §5.1): S and S + L satisfy the same equation.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let keys = keyring(&[key(Algorithm::EdDSA, 0)]);
    let good = token(&keys, 0);
    let signature = parse(&good).signature().to_vec();
    let mut twin = signature.clone();
    let mut carry = 0;
    for (at, order) in ORDER.iter().enumerate() {
        let sum = u16::from(twin[32 + at]) + u16::from(*order) + carry;
        twin[32 + at] = u8::try_from(sum % 256).unwrap();
        carry = sum / 256;
    }
    let mut cases = vec![twin, signature[..63].to_vec(), [signature.as_slice(), &[0]].concat(), vec![0; 64]];
    let mut small = vec![0; 64];
    small[0] = 1; // R is the neutral element, S is 0.
    cases.push(small);
    let (rest, _) = good.rsplit_once('.').unwrap();
    for case in cases {
        let forged = format!("{rest}.{}", URL_SAFE_NO_PAD.encode(&case));
        assert!(
            matches!(keys.verify(&parse(&forged), at(0)), Err(SignatureFault::Signature { .. })),
            "{case:02x?}"
        );
    }
    assert!(keys.verify(&parse(&good), at(0)).is_ok());
}

#[test]
fn jw_12_a_key_is_used_with_its_own_algorithm_only() {
    for algorithm in Algorithm::SIGNING {
        let material = key(algorithm, 0);
        let keys = keyring(std::slice::from_ref(&material));
        let token = token(&keys, 0);
        for alg in ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256", "es256"] {
            if algorithm.is_named(alg) {
                continue;
            }
            let mut header = header(&token);
            header["alg"] = alg.into();
            let token = parse(&with_header(&token, &header));
            let expected = SignatureFault::algorithm(token.header(), material.id.clone(), algorithm.into());
            assert_eq!(keys.verify(&token, at(0)).unwrap_err(), expected);
        }
    }
    // The same RSA key, but for the other padding.
    let (rs256, ps256) = (keyring(&[key(Algorithm::RS256, 0)]), keyring(&[key(Algorithm::PS256, 0)]));
    for (signer, verifier) in [(&rs256, &ps256), (&ps256, &rs256)] {
        let fault = verifier.verify(&parse(&token(signer, 0)), at(0));
        assert!(matches!(fault, Err(SignatureFault::Algorithm(_))));
    }
}

#[test]
fn jw_11_a_public_key_is_no_secret_of_an_hmac() {
    let material = key(Algorithm::RS256, 0);
    let keys = keyring(std::slice::from_ref(&material));
    let jwks = keys.jwks();
    let n = serde_json::from_str::<Value>(&jwks).unwrap()["keys"][0]["n"].as_str().unwrap().to_owned();
    for secret in [jwks.as_bytes(), n.as_bytes(), RSA, &URL_SAFE_NO_PAD.decode(&n).unwrap()] {
        for header in [json!({"alg":"HS256"}), json!({"alg":"HS256","kid":material.id.as_str()})] {
            let signing_input = format!("{}.e30", URL_SAFE_NO_PAD.encode(header.to_string()));
            let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
            let tag = ring::hmac::sign(&hmac, signing_input.as_bytes());
            let forged = format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert!(keys.verify(&parse(&forged), at(0)).is_err());
        }
    }
}

#[test]
fn jw_14_a_token_does_not_bring_its_own_key() {
    let (ours, attackers) = (keyring(&[key(Algorithm::ES256, 0)]), key(Algorithm::ES256, 0));
    let forger = keyring(std::slice::from_ref(&attackers));
    let jwk = serde_json::from_str::<Value>(&forger.jwks()).unwrap()["keys"][0].clone();
    // Signed as a whole by the attacker, whose key is in `jwk` and at `jku`.
    let forged = token(&forger, 0);
    assert!(matches!(ours.verify(&parse(&forged), at(0)), Err(SignatureFault::NoKey(_))));
    let mut header = header(&forged);
    (header["jwk"], header["jku"]) = (jwk, "http://127.0.0.1:1/".into());
    let answer = ours.verify(&parse(&with_header(&forged, &header)), at(0));
    assert!(matches!(answer, Err(SignatureFault::NoKey(_))));
}

#[test]
fn jw_15_a_kid_is_only_compared() {
    let keys = keyring(&[key(Algorithm::ES256, 0)]);
    let token = token(&keys, 0);
    let ours = header(&token)["kid"].as_str().unwrap().to_owned();
    let case = ours.to_ascii_uppercase();
    for kid in ["../../dev/null", "' OR 1=1--", "k1\0", "https://evil.test/", &format!("{ours}\0"), &case] {
        let mut header = header(&token);
        header["kid"] = kid.into();
        let fault = keys.verify(&parse(&with_header(&token, &header)), at(0)).unwrap_err();
        assert!(matches!(fault, SignatureFault::NoKey(_)), "{kid}");
    }
}

#[test]
fn ks_01_only_public_members_are_published() {
    let materials =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA].map(|a| key(a, 0));
    let jwks: Value = serde_json::from_str(&keyring(&materials).jwks()).unwrap();
    assert_eq!(jwks.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    for material in &materials {
        let all = jwks["keys"].as_array().unwrap();
        let jwk = all.iter().find(|k| k["kid"] == material.id.as_str()).unwrap();
        let (kty, members, lengths): (_, &[&str], &[usize]) = match material.algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => ("RSA", &["n", "e"], &[342, 4]),
            Algorithm::ES256 => ("EC", &["crv", "x", "y"], &[5, 43, 43]),
            Algorithm::ES384 => ("EC", &["crv", "x", "y"], &[5, 64, 64]),
            Algorithm::EdDSA => ("OKP", &["crv", "x"], &[7, 43]),
        };
        assert_eq!((&jwk["kty"], &jwk["use"]), (&kty.into(), &"sig".into()));
        assert_eq!(jwk["alg"], material.algorithm.as_str());
        assert_eq!(jwk.as_object().unwrap().len(), 4 + members.len(), "{jwk}");
        for (member, length) in members.iter().zip(lengths) {
            assert_eq!(jwk[member].as_str().unwrap().len(), *length, "{member}");
        }
        let named: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk.clone()).unwrap();
        assert_eq!(tokenberg_jose::thumbprint(&named).as_ref(), Some(&material.id));
    }
    assert_eq!(&*keyring(&[]).jwks(), r#"{"keys":[]}"#);
}

#[test]
fn ks_04_every_live_token_verifies_at_every_instant_of_a_rotation() {
    const MAX_AGE: i64 = 60;
    const LIFETIME: i64 = 100;
    let mut old = key(Algorithm::ES256, 0);
    let new = key(Algorithm::EdDSA, 300);
    old.verifies_until = Some(at(300 + LIFETIME));
    // The new one is known, and so published, from 200 on.
    let known = |now| if now < 200 { vec![old.clone()] } else { vec![old.clone(), new.clone()] };
    let mut ring = Keyring::read(&known(0), at(0)).unwrap();
    let (mut tokens, mut published) = (Vec::new(), Vec::new());
    for now in (0..600).step_by(10) {
        ring = ring.updated(&known(now), at(now)).unwrap();
        tokens.push((now, token(&ring, now)));
        published.push((now, ring.jwks()));
        let sets = published.iter().filter(|(at, _)| *at >= now - MAX_AGE);
        for (issued, token) in tokens.iter().filter(|(issued, _)| now < issued + LIFETIME) {
            for (_, jwks) in sets.clone() {
                let keys = PublicKeys::from_jwks(jwks).unwrap();
                assert!(keys.verify(&parse(token)).is_ok(), "issued {issued}, now {now}");
            }
            assert!(ring.verify(&parse(token), at(now)).is_ok(), "issued {issued}, now {now}");
        }
    }
    assert_eq!(header(&tokens[29].1)["alg"], "ES256");
    assert_eq!(header(&tokens[30].1)["alg"], "EdDSA");
    assert!(!ring.jwks().contains(old.id.as_str()));
    assert!(matches!(ring.verify(&parse(&tokens[29].1), at(0)), Err(SignatureFault::NoKey(_))));
}

#[test]
fn ks_09_algorithms_live_beside_each_other() {
    let keys = [key(Algorithm::ES256, 0), key(Algorithm::EdDSA, 10), key(Algorithm::ES384, 20)];
    let ring = keyring(&keys);
    let tokens: Vec<String> = [0, 10, 20].into_iter().map(|now| token(&ring, now)).collect();
    let algs: Vec<String> = tokens.iter().map(|t| header(t)["alg"].as_str().unwrap().to_owned()).collect();
    assert_eq!(algs, ["ES256", "EdDSA", "ES384"]);
    let published = PublicKeys::from_jwks(&ring.jwks()).unwrap();
    for token in &tokens {
        assert!(ring.verify(&parse(token), at(30)).is_ok() && published.verify(&parse(token)).is_ok());
    }
}

#[test]
fn ks_05_a_revoked_key_is_removed_immediately() {
    let (mut lost, other) = (key(Algorithm::ES256, 10), key(Algorithm::ES256, 0));
    let before = keyring(&[lost.clone(), other.clone()]);
    let stolen = token(&before, 20);
    lost.verifies_until = Some(at(20));
    let not_read_again = keyring(&[lost.clone(), other.clone()]);
    assert!(not_read_again.verify(&parse(&stolen), at(19)).is_ok());
    let answer = not_read_again.verify(&parse(&stolen), at(20));
    assert!(matches!(answer, Err(SignatureFault::Retired { .. })));
    let after = before.updated(&[lost.clone(), other.clone()], at(20)).unwrap();
    assert!(matches!(after.verify(&parse(&stolen), at(0)), Err(SignatureFault::NoKey(_))));
    assert!(!after.jwks().contains(lost.id.as_str()));
    assert_eq!(header(&token(&after, 20))["kid"], other.id.as_str());
}
