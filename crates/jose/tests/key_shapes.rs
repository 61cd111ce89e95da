//! Shapes of key sets that are in use, and which libraries accept each: conformance JW-12, JW-13, JW-16 and JW-25.
//!
//! A row is a set, a token, the results of nimbus-jose-jwt 10.3, go-jose 4.1.9, jose 6 (npm) and joserfc (`y` accepts, `-`
//! refuses, in that order), and the right result here. What all four accept is accepted; what none accepts is not.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use tokenberg_core::jws::{Algorithm, Algorithms};
use tokenberg_core::{CompactJws, SignatureFault};
use tokenberg_jose::{PublicKeys, UnfitKey};

/// The modulus of RFC 7515 A.2; these tests do not use its private key.
const OTHER_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

const SIX: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The RSA key of the tests.
struct Rsa(RsaKeyPair);

impl Rsa {
    fn new() -> Self {
        let pem = std::str::from_utf8(include_bytes!("fixtures/rsa-2048-test-only.pem")).unwrap();
        let (_, body) = pem.split_once("-----BEGIN PRIVATE KEY-----").unwrap();
        let (body, _) = body.split_once("-----END").unwrap();
        let body: String = body.split_whitespace().collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        Self(RsaKeyPair::from_pkcs8(&der).unwrap())
    }

    fn n(&self) -> Vec<u8> {
        ring::signature::RsaPublicKeyComponents::<Vec<u8>>::from(self.0.public()).n
    }

    /// The shape that most issuers publish, with these members added or replaced.
    fn jwk(&self, members: Value) -> Value {
        let jwk = json!({"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": b64(&self.n()), "e": "AQAB"});
        with(jwk, members)
    }

    fn token(&self, alg: &str) -> String {
        self.signed(&json!({"alg": alg, "kid": "k1", "typ": "JWT"}))
    }

    fn unnamed(&self, alg: &str) -> String {
        self.signed(&json!({"alg": alg, "typ": "JWT"}))
    }

    fn signed(&self, header: &Value) -> String {
        let padding: &'static dyn RsaEncoding = match header["alg"].as_str().unwrap() {
            "RS256" => &RSA_PKCS1_SHA256,
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            other => panic!("{other}"),
        };
        let input = format!("{}.e30", b64(header.to_string().as_bytes()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", b64(&signature))
    }
}

/// A new key on P-256, on request with an `x` that begins with a zero.
struct Ec(EcdsaKeyPair);

impl Ec {
    fn new(is_short: bool) -> Self {
        let random = SystemRandom::new();
        let made = || {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
        };
        std::iter::repeat_with(made).find(|key| !is_short || key.x()[0] == 0).unwrap()
    }

    fn x(&self) -> &[u8] {
        &self.0.public_key().as_ref()[1..33]
    }

    fn jwk(&self, members: Value) -> Value {
        let y = &self.0.public_key().as_ref()[33..];
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256",
            "x": b64(self.x()), "y": b64(y)});
        with(jwk, members)
    }

    fn token(&self) -> String {
        let input = format!("{}.e30", b64(br#"{"alg":"ES256","kid":"k1"}"#));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", b64(signature.as_ref()))
    }
}

/// The object with these members; `"-"` removes one.
fn with(mut object: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        if value == "-" {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn other_rsa(members: Value) -> Value {
    with(json!({"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": OTHER_N, "e": "AQAB"}), members)
}

fn read(jwks: &str) -> PublicKeys {
    PublicKeys::from_jwks(jwks).unwrap_or_else(|fault| panic!("{fault}: {jwks}"))
}

fn set(keys: &[Value]) -> PublicKeys {
    read(&json!({ "keys": keys }).to_string())
}

fn outcome(keys: &PublicKeys, accepted: Algorithms, token: &str) -> Result<Algorithm, SignatureFault> {
    let token = CompactJws::parse(token).unwrap_or_else(|fault| panic!("{fault}"));
    keys.verify_among(accepted, &token).map(|verified| verified.algorithm())
}

/// A row: its name, the results of the four libraries, whether it is accepted here, the keys, the token.
type Row = (&'static str, &'static str, bool, Vec<Value>, String);

fn check(rows: Vec<Row>) {
    for (name, libraries, expected, keys, token) in rows {
        assert!(libraries.len() == 4, "{name}");
        assert!(libraries != "yyyy" || expected, "{name}: all libraries accept it");
        assert!(libraries != "----" || !expected, "{name}: no library accepts it");
        let keys = set(&keys);
        let outcome = outcome(&keys, Algorithms::default(), &token);
        assert_eq!(outcome.is_ok(), expected, "{name}: {outcome:?}, ignored {:?}", keys.ignored());
    }
}

#[test]
fn jw_25_unset_members_change_nothing() {
    let rsa = Rsa::new();
    let (token, unnamed) = (rsa.token("RS256"), rsa.unnamed("RS256"));
    let row = |name, libraries, members| (name, libraries, true, vec![rsa.jwk(members)], token.clone());
    let mut rows = vec![
        row("plain", "yyyy", json!({})),
        row("no alg", "yyyy", json!({"alg": "-"})),
        row("no use", "yyyy", json!({"use": "-"})),
        row("d null", "yy--", json!({"d": null})),
        row("k null", "yyyy", json!({"k": null})),
        row(
            "every private member null",
            "yy--",
            json!({"d": null, "p": null, "q": null, "dp": null, "dq": null, "qi": null, "oth": null, "k": null}),
        ),
        row("d empty", "y---", json!({"d": ""})),
        row("oth empty", "yyy-", json!({"oth": []})),
        row("use null", "yy--", json!({"use": null})),
        row("alg null", "yy--", json!({"alg": null})),
        row("use empty", "-y--", json!({"use": ""})),
        row("alg empty", "-y-y", json!({"alg": ""})),
        row("key_ops empty", "yy--", json!({"key_ops": []})),
        row("key_ops null", "yy--", json!({"key_ops": null})),
        row("key_ops verify and sign", "yy-y", json!({"key_ops": ["verify", "sign"]})),
        row("key_ops verify and unknown", "-y--", json!({"key_ops": ["verify", "frob"]})),
        row("key_ops verify twice", "yy-y", json!({"key_ops": ["verify", "verify"]})),
        row("x5c empty", "yyyy", json!({"x5c": []})),
        row("x5c null", "yyy-", json!({"x5c": null})),
        row("x5c of garbage", "--yy", json!({"x5c": ["MIIB"]})),
        row("x5t of the wrong type", "--y-", json!({"x5t": 5})),
        row("x5u empty", "yyy-", json!({"x5u": ""})),
        row("unknown members", "yyyy", json!({"issuer": "x", "exp": 5, "nbf": 1, "tags": {}})),
        row("n with a leading zero", "yyyy", json!({"n": b64(&[&[0], &rsa.n()[..]].concat())})),
        row("e with leading zeros", "yyyy", json!({"e": "AAAAAQAB"})),
        row("n padded", "y-y-", json!({"n": URL_SAFE.encode(rsa.n())})),
        row("n in the standard alphabet", "y-y-", json!({"n": STANDARD_NO_PAD.encode(rsa.n())})),
        row("n with line ends", "yyy-", {
            let n = b64(&rsa.n());
            json!({"n": format!("{}\r\n{}\n", &n[..64], &n[64..])})
        }),
    ];
    for (name, libraries, kid) in
        [("no kid", "y-yy", "-".into()), ("kid null", "y-y-", json!(null)), ("kid empty", "y-yy", json!(""))]
    {
        rows.push((name, libraries, true, vec![rsa.jwk(json!({ "kid": kid }))], unnamed.clone()));
    }
    rows.push(("kid in the set alone", "y-yy", true, vec![rsa.jwk(json!({}))], unnamed.clone()));
    let ec = Ec::new(true);
    let short = json!({"x": b64(&ec.x()[1..])});
    rows.push(("x without its leading zero", "y-yy", true, vec![ec.jwk(short)], ec.token()));
    let long = json!({"x": b64(&[&[0, 0], ec.x()].concat())});
    rows.push(("x with leading zeros", "y-yy", true, vec![ec.jwk(long)], ec.token()));
    check(rows);
    let text = format!("\u{feff}{}", json!({"keys": [rsa.jwk(json!({}))], "spiffe_sequence": 1}));
    assert!(outcome(&read(&text), Algorithms::default(), &token).is_ok(), "a byte order mark");
}

#[test]
fn jw_12_jw_25_members_that_decide_are_strict() {
    let rsa = Rsa::new();
    let (token, unnamed) = (rsa.token("RS256"), rsa.unnamed("RS256"));
    let row = |name, libraries, members| (name, libraries, false, vec![rsa.jwk(members)], token.clone());
    check(vec![
        ("kid in the token alone", "----", false, vec![rsa.jwk(json!({"kid": "-"}))], token.clone()),
        ("kid a number", "--y-", false, vec![rsa.jwk(json!({"kid": 7}))], unnamed),
        row("use enc", "-y--", json!({"use": "enc"})),
        row("use in capitals", "-y--", json!({"use": "SIG"})),
        row("key_ops sign", "yy--", json!({"key_ops": ["sign"]})),
        row("key_ops a text", "-y--", json!({"key_ops": "verify"})),
        row("alg of encryption", "-y--", json!({"alg": "RSA-OAEP"})),
        row("kty in small letters", "----", json!({"kty": "rsa"})),
        row("e a number", "----", json!({"e": 65537})),
        row("its private key", "y--y", json!({"d": "AAAA"})),
        row("a secret", "yyyy", json!({"kty": "oct", "k": "AAAA"})).into_refused(),
        ("alg of the token another", "-y--", false, vec![rsa.jwk(json!({}))], rsa.token("RS512")),
        ("alg of the token another padding", "-y--", false, vec![rsa.jwk(json!({}))], rsa.token("PS256")),
    ]);
}

trait Refused {
    /// A row that was not tried with the libraries.
    fn into_refused(self) -> Self;
}

impl Refused for Row {
    fn into_refused(self) -> Self {
        (self.0, "----", false, self.3, self.4)
    }
}

#[test]
fn jw_25_an_invalid_entry_affects_no_valid_one() {
    let (rsa, ec) = (Rsa::new(), Ec::new(false));
    let token = rsa.token("RS256");
    let rows: Vec<Row> = [
        (
            "a kty that is not known",
            "y-yy",
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "z"}),
        ),
        ("a number", "---y", json!(5)),
        ("a text", "---y", json!("x")),
        ("null", "---y", json!(null)),
        ("an array", "---y", json!([])),
        ("an empty object", "--y-", json!({})),
        ("a crv that is not known", "--y-", ec.jwk(json!({"crv": "secp256k1", "kid": "z"}))),
        ("no n", "--y-", other_rsa(json!({"n": "-", "kid": "z"}))),
        ("an n that is not base64", "y-y-", other_rsa(json!({"n": "!!!", "kid": "z"}))),
        ("a secret", "yyyy", json!({"kty": "oct", "k": "c2VjcmV0", "kid": "z"})),
        ("a secret of the same kid", "y-y-", json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"})),
        ("another private key", "yyyy", other_rsa(json!({"d": "AAAA", "kid": "z"}))),
        ("a weak key", "yyyy", other_rsa(json!({"n": &OTHER_N[..172], "kid": "z"}))),
        ("a use that is a number", "--y-", other_rsa(json!({"use": 5, "kid": "z"}))),
        ("a kid that is a number", "--y-", other_rsa(json!({"kid": 5}))),
        ("a point off the curve", "--y-", ec.jwk(json!({"y": b64(ec.x()), "kid": "z"}))),
        ("a key for encryption of the same kid", "y-yy", other_rsa(json!({"use": "enc", "alg": "RSA-OAEP"}))),
        ("EC of the same kid", "y-yy", ec.jwk(json!({}))),
        ("RSA for PS256 of the same kid", "y-yy", other_rsa(json!({"alg": "PS256"}))),
    ]
    .into_iter()
    .flat_map(|(name, libraries, beside)| {
        let (before, after) = ([beside.clone(), rsa.jwk(json!({}))], [rsa.jwk(json!({})), beside]);
        [before, after].map(|keys| (name, libraries, true, keys.to_vec(), token.clone()))
    })
    .collect();
    check(rows);
}

#[test]
fn jw_25_one_key_that_is_listed_several_times_is_one_key() {
    let (rsa, ec) = (Rsa::new(), Ec::new(false));
    let token = rsa.token("RS256");
    // The shape that PingAM and OpenAM publish.
    let six: Vec<Value> = SIX.iter().map(|alg| rsa.jwk(json!({ "alg": alg }))).collect();
    let mut rows: Vec<Row> =
        SIX.iter().map(|alg| ("once for each alg", "yyyy", true, six.clone(), rsa.token(alg))).collect();
    let twice = |name, libraries, a, b| (name, libraries, true, vec![rsa.jwk(a), rsa.jwk(b)], token.clone());
    rows.extend([
        twice("twice", "yy-y", json!({}), json!({})),
        twice("once without alg", "yy-y", json!({"alg": "-"}), json!({})),
        twice("once for encryption", "yyyy", json!({"use": "enc", "alg": "-"}), json!({})),
        twice("with and without a leading zero", "yy-y", json!({"e": "AAEAAQ"}), json!({})),
        (
            "under two kids, and none in the token",
            "y---",
            true,
            vec![rsa.jwk(json!({"kid": "a"})), rsa.jwk(json!({"kid": "b"}))],
            rsa.unnamed("RS256"),
        ),
        (
            "EC and RSA of one kid without alg",
            "y-y-",
            true,
            vec![ec.jwk(json!({"alg": "-"})), rsa.jwk(json!({"alg": "-"}))],
            token.clone(),
        ),
        (
            "two kids, and one that fits",
            "y-y-",
            true,
            vec![other_rsa(json!({"kid": "z", "alg": "PS256"})), rsa.jwk(json!({}))],
            rsa.unnamed("RS256"),
        ),
    ]);
    check(rows);
    let keys = set(&six);
    assert_eq!((keys.len(), keys.ignored().len()), (1, 0));
}

#[test]
fn jw_16_jw_25_a_token_that_two_different_keys_would_fit_is_refused() {
    let rsa = Rsa::new();
    let (token, unnamed) = (rsa.token("RS256"), rsa.unnamed("RS256"));
    let two = |name, libraries, a: Value, b: Value, token: &String| {
        let keys = [rsa.jwk(a), other_rsa(b)];
        let swapped = vec![keys[1].clone(), keys[0].clone()];
        [keys.to_vec(), swapped].map(|keys| (name, libraries, false, keys, token.clone()))
    };
    let no_alg = json!({"alg": "-"});
    check(
        [
            two("one kid, one alg", "yy-y", json!({}), json!({}), &token),
            two("one kid, no alg", "y---", no_alg.clone(), no_alg.clone(), &token),
            two("one kid, alg once", "y---", no_alg.clone(), json!({}), &token),
            two("no kid in the token", "y---", json!({"kid": "a"}), json!({"kid": "b"}), &unnamed),
        ]
        .concat(),
    );
    // The accepted algorithms decide what fits: with PS256 listed, a key without alg is for PS256.
    let keys = set(&[rsa.jwk(json!({})), other_rsa(no_alg)]);
    let accepted = |list: &[Algorithm]| list.iter().copied().collect::<Algorithms>();
    let [rs256, ps256] = [Algorithm::RS256, Algorithm::PS256];
    assert!(matches!(outcome(&keys, accepted(&[rs256]), &token), Err(SignatureFault::Several(_))));
    assert!(matches!(outcome(&keys, accepted(&[rs256, ps256]), &token), Err(SignatureFault::Several(_))));
    assert_eq!(outcome(&keys, accepted(&[ps256]), &token), Err(SignatureFault::NotAccepted(rs256)));
    // A key whose private half is elsewhere in the set is not used, either.
    let leaked = set(&[rsa.jwk(json!({"d": "AAAA", "kid": "a"})), rsa.jwk(json!({}))]);
    let reasons: Vec<UnfitKey> = leaked.ignored().iter().map(|key| key.reason).collect();
    assert_eq!((leaked.len(), reasons), (0, vec![UnfitKey::Private, UnfitKey::Leaked]));
}

#[test]
fn jw_13_an_rsa_key_without_alg_takes_the_accepted_algorithm() {
    let rsa = Rsa::new();
    let keys = set(&[rsa.jwk(json!({"alg": "-"}))]);
    for alg in SIX {
        let (parsed, token): (Algorithm, _) = (alg.parse().unwrap(), rsa.token(alg));
        assert_eq!(outcome(&keys, parsed.into(), &token), Ok(parsed));
        let listed = Algorithms::from(parsed).union(Algorithm::ES256.into());
        assert_eq!(outcome(&keys, listed, &token), Ok(parsed));
        assert_eq!(outcome(&keys, Algorithm::ES256.into(), &token), Err(SignatureFault::NotAccepted(parsed)));
        let unlisted = outcome(&keys, Algorithms::default(), &token);
        assert_eq!(unlisted.is_ok(), parsed == Algorithm::RS256, "the token alone never decides");
        // A key with `alg` is for nothing else, whatever is accepted.
        let named = set(&[rsa.jwk(json!({ "alg": alg }))]);
        for other in SIX {
            let expected = other == alg;
            assert_eq!(outcome(&named, Algorithms::RSA, &rsa.token(other)).is_ok(), expected);
        }
        let other = if alg == "RS256" { "RS512" } else { "RS256" };
        let confused =
            format!("{}.{}", token.rsplit_once('.').unwrap().0, rsa.token(other).rsplit_once('.').unwrap().1);
        assert!(outcome(&named, Algorithms::default(), &confused).is_err());
    }
}
