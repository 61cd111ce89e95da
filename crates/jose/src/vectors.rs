//! Runs public test vectors: Wycheproof's JWS and JWK files and the RFCs' examples; conformance Part 3.
//!
//! They are read from `../shared/vectors` beside the repository. The tests are inside the crate because many payloads are not
//! JSON, which [`CompactJws`] refuses: the framing is checked with another payload in its place.

use crate::PublicKeys;
use crate::signing_key::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokenberg_core::CompactJws;
use tokenberg_core::jws::{Algorithm, Algorithms};

/// Intended differences from a vector: file, `tcId`, reason. A line that no longer holds fails the run.
const EXCEPTIONS: [(&str, u64, &str); 0] = [];

const JWS: &str = "json_web_signature_test.json";
const JWK: &str = "json_web_key_test.json";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Pass,
    Skip(String),
    KnownDivergence(&'static str),
    UnexpectedFailure,
    UnexpectedSuccess,
}

fn load(file: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    if !folder.is_dir() {
        println!("skipped: ../shared/vectors does not exist");
        return None;
    }
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Whether the token verifies, as it would if payloads were free.
fn accepts(keys: &PublicKeys, token: &str) -> bool {
    let Some((signing_input, signature)) = token.rsplit_once('.') else { return false };
    let Some((header, payload)) = signing_input.split_once('.') else { return false };
    let Ok(framing) = CompactJws::parse(&format!("{header}.e30.{signature}")) else { return false };
    URL_SAFE_NO_PAD.decode(payload).is_ok()
        && keys
            .verify_parts(
                Algorithms::default(),
                framing.header(),
                signing_input.as_bytes(),
                framing.signature(),
            )
            .is_ok()
}

/// Why keys like these are not supported, whatever they signed.
fn unsupported(set: &Value) -> Option<String> {
    let mut algorithms = set["keys"].as_array().unwrap().iter().filter_map(|key| key["alg"].as_str());
    let other = algorithms.find(|alg| alg.parse::<Algorithm>().is_err())?;
    Some(format!("{other} is not supported"))
}

fn outcome(
    expected_good: bool,
    accepted: bool,
    unsupported: Option<String>,
    known: Option<&'static str>,
) -> Outcome {
    match (expected_good, accepted, unsupported, known) {
        (true, false, Some(reason), _) => Outcome::Skip(reason),
        (true, true, _, None) | (false, false, _, None) => Outcome::Pass,
        (true, false, None, Some(why)) | (false, true, _, Some(why)) => Outcome::KnownDivergence(why),
        (true, false, None, None) => Outcome::UnexpectedFailure,
        (false, true, _, None) | (true, true, _, Some(_)) | (false, false, _, Some(_)) => {
            Outcome::UnexpectedSuccess
        }
    }
}

fn run(file: &'static str) {
    let (Some(vectors), Some(overrides)) = (load(file), load("wycheproof_overrides.json")) else { return };
    let mut tally: BTreeMap<Outcome, Vec<u64>> = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
        let keys = PublicKeys::from_jwks(&set.to_string()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let corrected = (file == JWS).then(|| overrides["overrides"][id.to_string()]["expect"].as_str());
            // Encrypted tokens and the JSON serialization are never read, whatever they hold.
            let token = test.get("jws").or(test.get("jwe")).unwrap();
            let expected_good = match corrected.flatten() {
                Some("reject") => false,
                Some(_) => true,
                None => test["jws"].is_string() && test["result"] == "valid",
            };
            let text = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            let accepted = accepts(&keys, &text);
            let known = EXCEPTIONS.iter().find(|(f, i, _)| (*f, *i) == (file, id)).map(|(_, _, why)| *why);
            let outcome = outcome(expected_good, accepted, unsupported(&set), known);
            tally.entry(outcome).or_default().push(id);
        }
    }
    for (outcome, ids) in &tally {
        match outcome {
            Outcome::Pass => println!("{file}: {} Pass", ids.len()),
            Outcome::Skip(_)
            | Outcome::KnownDivergence(_)
            | Outcome::UnexpectedFailure
            | Outcome::UnexpectedSuccess => println!("{file}: {} {outcome:?} {ids:?}", ids.len()),
        }
    }
    for bad in [Outcome::UnexpectedFailure, Outcome::UnexpectedSuccess] {
        assert_eq!(tally.get(&bad), None, "{file}");
    }
}

#[test]
fn jw_10_jw_12_jw_20_jw_24_wycheproof_signatures() {
    run(JWS);
}

#[test]
fn jw_12_jw_23_jw_25_wycheproof_keys() {
    run(JWK);
}

#[test]
fn jw_19_wycheproof_encrypted_tokens() {
    run("json_web_encryption_test.json");
    run("json_web_crypto_test.json");
}

#[test]
fn a_vector_has_five_outcomes() {
    let skip = || Some("no".to_owned());
    for (expected, given) in [
        (Outcome::Pass, outcome(true, true, None, None)),
        (Outcome::Pass, outcome(false, false, skip(), None)),
        (Outcome::Skip("no".to_owned()), outcome(true, false, skip(), None)),
        (Outcome::KnownDivergence("so"), outcome(true, false, None, Some("so"))),
        (Outcome::KnownDivergence("so"), outcome(false, true, None, Some("so"))),
        (Outcome::UnexpectedFailure, outcome(true, false, None, None)),
        (Outcome::UnexpectedSuccess, outcome(false, true, skip(), None)),
        // A listed divergence that no longer diverges.
        (Outcome::UnexpectedSuccess, outcome(true, true, None, Some("so"))),
        (Outcome::UnexpectedSuccess, outcome(false, false, None, Some("so"))),
    ] {
        assert_eq!(given, expected);
    }
}

#[test]
fn ks_02_jw_18_known_answers_of_the_rfcs() {
    let Some(vectors) = load("rfc_kats.json") else { return };
    let mut count = 0;
    for vector in vectors.as_array().unwrap() {
        let (id, token) = (&vector["id"], vector["token"].as_str().unwrap_or_default());
        let keys = PublicKeys::from_jwks(&json!({ "keys": [public(&vector["jwk"])] }).to_string()).unwrap();
        match vector["kind"].as_str().unwrap() {
            "jws" | "dpop" => {
                let ours = vector["alg"].as_str().unwrap().parse::<Algorithm>().is_ok();
                assert_eq!(accepts(&keys, token), ours, "{id}");
            }
            "jws-reject" => assert!(!accepts(&keys, token), "{id}"),
            "thumbprint" => {
                let jwk = serde_json::from_value(vector["jwk"].clone()).unwrap();
                assert_eq!(crate::thumbprint(&jwk).unwrap().as_str(), vector["expect"], "{id}");
            }
            _ => continue,
        }
        count += 1;
    }
    assert!(count > 12, "{count}");
}

fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    if let Some(members) = jwk.as_object_mut() {
        members.remove("d");
    }
    jwk
}

#[test]
fn jw_12_rfc_7515_a_2_and_a_3_and_rfc_8037_a_4() {
    let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rs256 = json!({"keys":[{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]});
    let es256 = json!({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]});
    let eddsa =
        json!({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    for (set, token) in [
        (
            rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
        ),
        (
            es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
        ),
        (
            eddsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned(),
        ),
    ] {
        let keys = PublicKeys::from_jwks(&set.to_string()).unwrap();
        assert!(accepts(&keys, &token), "{token}");
        let middle = token.len() / 2;
        let other = if &token[middle..=middle] == "A" { "B" } else { "A" };
        assert!(!accepts(&keys, &format!("{}{other}{}", &token[..middle], &token[middle + 1..])));
    }
}

#[test]
fn at_01_rfc_8037_a_4_is_signed_the_same() {
    // RFC 8410 §7: PKCS#8 v1 around the 32 bytes, as openssl writes it.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pkcs8 = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", &seed[..]].concat();
    let key = SigningKey::read(&pkcs8, Algorithm::EdDSA).unwrap();
    assert_eq!(key.id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.signature(message, &SystemRandom::new()).unwrap()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}
