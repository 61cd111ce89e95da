//! `key show` for verifiers that read no key set, and what `rotate --now` and `revoke` say about those that cache one; KS-02, KS-05.

use crate::support::Place;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use std::process::Command;

/// A key for tests only.
const RSA: &str = include_str!("../../../jose/tests/fixtures/rsa-2048-test-only.pem");

/// A store whose only key is this one, and its `kid`.
fn place_with_key(pair: &KeyPair, alg: &str) -> (Place, String) {
    let place = Place::new();
    let pem = pair.serialize_pem();
    let mut arguments = vec!["key", "import", "-", "--json"];
    if alg == "PS256" {
        arguments.extend(["--alg", alg]);
    }
    let made = place.run_with(&arguments, &pem, &[]).done().json();
    assert_eq!(made["alg"], alg);
    (place, made["kid"].as_str().unwrap().to_owned())
}

fn pairs() -> [(&'static str, KeyPair); 5] {
    let rsa = || KeyPair::from_pem_and_sign_algo(RSA, &PKCS_RSA_SHA256).unwrap();
    [
        ("ES256", KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()),
        ("ES384", KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()),
        ("EdDSA", KeyPair::generate_for(&PKCS_ED25519).unwrap()),
        ("RS256", rsa()),
        ("PS256", rsa()),
    ]
}

#[test]
fn ks_02_key_show_prints_the_public_key_as_another_library_writes_it() {
    for (alg, pair) in pairs() {
        let (place, kid) = place_with_key(&pair, alg);
        let said = place.run(&["key", "show", &kid, "--pem"]).done();
        assert_eq!(
            (said.out.replace('\r', ""), said.err.as_str()),
            (pair.public_key_pem().replace('\r', ""), ""),
            "{alg}"
        );
        let json = place.run(&["key", "show", &kid, "--pem", "--json"]).done().json();
        assert_eq!(
            (&json["pem"], &json["kid"], &json["alg"]),
            (&said.out.into(), &kid.clone().into(), &alg.into())
        );
        // Without --pem, the output is that of `key list`.
        let json = place.run(&["key", "show", &kid, "--json"]).done().json();
        assert_eq!(json, place.run(&["key", "list", "--json"]).done().json()[0], "{alg}");
        let text = place.run(&["key", "show", &kid]).done().out;
        assert!(text.contains(&kid) && text.contains(alg) && text.contains("signing"), "{text}");
        let said = place.run(&["key", "show", "-unknown", "--pem"]).refused();
        assert!(said.err.contains("there is no key -unknown") && said.out.is_empty(), "{}", said.err);
    }
}

#[test]
fn ks_02_openssl_reads_the_public_key_and_verifies_a_token_by_it() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl here");
        return;
    }
    for (alg, pair) in pairs() {
        let (place, kid) = place_with_key(&pair, alg);
        let pem = place.run(&["key", "show", &kid, "--pem"]).done().out;
        place.file("public.pem", &pem);
        let secret = place.add("spark", &[]);
        let form = format!("grant_type=client_credentials&client_id=spark&client_secret={secret}");
        let answer = place.run_with(&["respond"], &form, &[]).done().json();
        let token = answer["body"]["access_token"].as_str().unwrap().to_owned();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = if alg.starts_with("ES") { der_of(&signature) } else { signature };
        std::fs::write(place.path("signature"), signature).unwrap();
        let openssl = |arguments: &str| {
            let words = arguments.split(' ');
            Command::new("openssl").args(words).current_dir(place.path("")).output().unwrap()
        };
        let read = openssl("pkey -pubin -in public.pem -noout");
        assert!(read.status.success(), "{alg}: {}", String::from_utf8_lossy(&read.stderr));
        let verify = match alg {
            "ES384" => "dgst -sha384 -verify public.pem -signature signature signed",
            "EdDSA" => "pkeyutl -verify -pubin -inkey public.pem -rawin -in signed -sigfile signature",
            "PS256" => {
                "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -verify public.pem -signature signature \
                 signed"
            }
            _ => "dgst -sha256 -verify public.pem -signature signature signed",
        };
        for (text, is_good) in [(signed.to_owned(), true), (format!("{signed}x"), false)] {
            place.file("signed", &text);
            let verified = openssl(verify);
            assert_eq!(
                verified.status.success(),
                is_good,
                "{alg}: {}",
                String::from_utf8_lossy(&verified.stderr)
            );
        }
    }
}

/// `Ecdsa-Sig-Value` (RFC 3279 §2.2.3) of the r and s that JWS has side by side (RFC 7518 §3.4).
fn der_of(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits.first().is_none_or(|byte| *byte >= 0x80) { &[0][..] } else { &[] };
        [&[2, (sign.len() + digits.len()) as u8], sign, &digits[..]].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8], &both[..]].concat()
}

/// The words in every note about catalogs that cache an old key set.
const QUARKUS: [&str; 4] =
    ["Polaris", "Nessie", "up to 10m", "quarkus.oidc.token.forced-jwk-refresh-interval=30S"];

#[test]
fn ks_05_rotate_now_and_revoke_name_catalogs_with_cached_keys_and_their_setting() {
    let place = Place::new();
    place.add("spark", &[]);
    let pem = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let signing = || {
        let keys = place.run(&["key", "list", "--json"]).done().json();
        let signing = keys.as_array().unwrap().iter().find(|key| key["state"] == "signing").unwrap().clone();
        signing["kid"].as_str().unwrap().to_owned()
    };
    // The first key replaces none that a catalog could have cached.
    for (line, words) in [
        ("key rotate --now", &[][..]),
        ("key rotate", &[]),
        ("key rotate --now", &["refuse tokens of the new key", "restart"]),
        ("key import - --now", &["refuse tokens of the new key", "restart"]),
        ("key revoke KID", &["accept tokens of the revoked key", "restart", "introspection-only=true"]),
    ] {
        let kid = if line.contains("KID") { signing() } else { String::new() };
        let line = line.replace("KID", &kid);
        let said = place.run_with(&line.split(' ').chain(["--json"]).collect::<Vec<_>>(), &pem, &[]).done();
        for word in words.iter().chain(if words.is_empty() { &[][..] } else { &QUARKUS }) {
            assert!(said.err.contains(word), "{line}: {word}: {}", said.err);
        }
        assert_eq!(said.err.contains("Quarkus"), !words.is_empty(), "{line}: {}", said.err);
        assert!(said.json()["kid"].is_string(), "one value on standard output");
    }
    for command in ["rotate", "revoke"] {
        let help = place.run(&["key", command, "--help"]).done().out;
        assert!(help.contains("forced-jwk-refresh-interval=30S") && help.contains("Polaris"), "{help}");
        assert!(!help.contains("after five minutes at most"), "{help}");
    }
}
