//! Authenticates clients by a JWT: RFC 7521 §4.2, RFC 7523 §2.2 and §3; conformance CJ, WL and JW for that entry.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{Client, Lifetime, Refusal, TokenFault};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, changed, signing_client};

const NO: &str = "401 invalid_client Basic";
const TOKENS: &str = "https://as.test/v1/oauth/tokens";

fn cj(id: &str, key: &ForeignKey) -> Client {
    let mut cj = signing_client(id, "catalog", key.jwks());
    cj.rights_mut().audiences = vec!["https://cat.test".into()];
    cj
}

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
    world.register(cj("cj", &key));
    (world, key)
}

/// `A(claims)` of the conformance page.
fn claims(id: &str, changes: &Value) -> Value {
    let claims = json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": id});
    changed(claims, changes)
}

fn ask(assertion: &str) -> Ask {
    Ask::credentials().assertion(assertion)
}

#[test]
fn cj_01_cj_02_cj_11_the_parameters_of_an_assertion() {
    let (mut world, key) = world();
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        key.sign(&claims(&format!("p{count}"), &json!({})))
    };
    let kind = AssertionKind::JwtBearer.as_parameter();
    assert_eq!(world.check(ask(&fresh())).claims().client_id.as_str(), "cj");
    assert_eq!(world.check(ask(&fresh()).with("client_id", "cj")).code(), "200");
    for (ask, code) in [
        (ask(&fresh()).with("client_id", "c1"), "400 invalid_request"),
        (ask(&fresh()).with("client_id", "\u{e9}"), "400 invalid_request"),
        (Ask::credentials().with("client_assertion", &fresh()), "400 invalid_request"),
        (Ask::credentials().with("client_assertion_type", kind), "400 invalid_request"),
        (ask(&fresh()).basic("c1", "s1-Z7"), "400 invalid_request"),
        (ask(&fresh()).with("client_secret", "s1-Z7"), "400 invalid_request"),
        (ask(&fresh()).and(b"&client_assertion=x"), "400 invalid_request"),
    ] {
        assert_eq!(world.check(ask.clone()).code(), code, "{ask:?}");
    }
    for unknown in [
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "x",
        "URN:ietf:params:oauth:client-assertion-type:jwt-bearer",
    ] {
        let ask =
            Ask::credentials().with("client_assertion_type", unknown).with("client_assertion", &fresh());
        assert_eq!(world.check(ask).code(), NO, "{unknown}");
    }
    let spiffe = AssertionKind::JwtSpiffe.as_parameter();
    let ask = Ask::credentials().with("client_assertion_type", spiffe).with("client_assertion", &fresh());
    assert_eq!(world.check(ask).code(), NO, "not a workload");
    // An assertion does not replace a required secret, nor the other way round (CVE-2026-16093, CA-19).
    for secret in ["s", "cj", ""] {
        assert_eq!(world.check(Ask::credentials().basic_raw(format!("cj:{secret}").as_bytes())).code(), NO);
    }
    let for_c1 = key.sign(&claims("x", &json!({"iss": "c1", "sub": "c1"})));
    assert_eq!(world.check(self::ask(&for_c1)).code(), NO);
}

#[test]
fn cj_03_cj_04_cj_05_cj_06_cve_2025_27370_every_claim_is_checked() {
    let (mut world, key) = world();
    let tables: [(&str, Vec<(Value, bool)>); 7] = [
        (
            "iss",
            vec![
                (json!("c1"), false),
                (json!(null), false),
                (json!(1), false),
                (json!("https://idp.test"), false),
            ],
        ),
        ("sub", vec![(json!("c1"), false), (json!(null), false), (json!("CJ"), false)]),
        (
            "aud",
            vec![
                (json!([ISSUER]), true),
                (json!(TOKENS), false),
                (json!([ISSUER, TOKENS]), false),
                (json!([ISSUER, "https://evil"]), false),
                (json!([ISSUER, ISSUER]), false),
                (json!("https://as.test/"), false),
                (json!("HTTPS://AS.TEST"), false),
                (json!("https://as.test:443"), false),
                (json!("https://as.test/.well-known/oauth-authorization-server"), false),
                (json!(null), false),
                (json!([]), false),
                (json!(42), false),
                (json!({}), false),
                (json!(["x", 1]), false),
            ],
        ),
        (
            "exp",
            vec![
                (json!(NOW + 300), true),
                (json!(NOW + 330), true),
                (json!(NOW + 331), false),
                (json!(NOW + 86_400), false),
                (json!(NOW - 29), true),
                (json!(NOW - 30), false),
                (json!(null), false),
                (json!("1"), false),
            ],
        ),
        (
            "iat",
            vec![
                (json!(null), true),
                (json!(NOW - 330), true),
                (json!(NOW - 331), false),
                (json!(NOW + 31), false),
            ],
        ),
        ("nbf", vec![(json!(NOW), true), (json!(NOW + 31), false)]),
        (
            "jti",
            vec![
                (json!(null), false),
                (json!(""), false),
                (json!(7), false),
                (json!("x".repeat(257)), false),
            ],
        ),
    ];
    for (name, values) in tables {
        for (index, (value, good)) in values.into_iter().enumerate() {
            // An assertion may have been issued earlier; its own times are consistent.
            let early = json!({"iat": NOW - 100});
            let id = format!("{name}{index}");
            let mut all = claims(&id, &if name == "exp" { early } else { json!({}) });
            all[name] = value.clone();
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            }
            let answer = world.check(ask(&key.sign(&all)));
            assert_eq!(answer.code(), if good { "200" } else { NO }, "{name} {value}");
        }
    }
    // The audience of older libraries, for clients that are registered so; never in a list (CJ-04).
    world.change("cj", |cj| cj.rights_mut().endpoint_as_audience = true);
    assert_eq!(world.check(ask(&key.sign(&claims("l1", &json!({"aud": TOKENS}))))).code(), "200");
    assert_eq!(world.check(ask(&key.sign(&claims("l2", &json!({"aud": [TOKENS]}))))).code(), NO);
    assert_eq!(world.check(ask(&key.sign(&claims("l3", &json!({"aud": [ISSUER, TOKENS]}))))).code(), NO);
}

#[test]
fn cj_07_cj_08_cj_09_cve_2020_5300_cve_2026_4282_an_assertion_is_accepted_once() {
    let (mut world, key) = world();
    let second = ForeignKey::new(Some("k1"));
    world.register(cj("cj2", &second));
    // A refused assertion is not used up.
    let forged = second.sign(&claims("J", &json!({})));
    assert_eq!(world.check(ask(&forged)).code(), NO);
    let wrong = key.sign(&claims("J", &json!({"aud": "https://evil"})));
    assert_eq!(world.check(ask(&wrong)).code(), NO);
    let once = key.sign(&claims("J", &json!({"exp": NOW + 300})));
    assert_eq!(world.check(ask(&once)).code(), "200");
    assert!(matches!(world.check(ask(&once)).refusal(), Refusal::ClientAssertionReplayed(_)));
    assert_eq!(world.check(ask(&once)).code(), NO);
    let same_id = key.sign(&claims("J", &json!({"exp": NOW + 200})));
    assert_eq!(world.check(ask(&same_id)).code(), NO);
    // The identifier of another client is another one, and so is one of another feature.
    let others = second.sign(&changed(claims("J", &json!({})), &json!({"iss": "cj2", "sub": "cj2"})));
    assert_eq!(world.check(ask(&others)).code(), "200");
    let proof = key.proof(world.now, "J", &json!({}));
    assert_eq!(world.check(Ask::credentials().basic("c1", "s1-Z7").dpop(&proof)).code(), "200");
    // Until the end of its lifetime.
    world.pass(299);
    assert_eq!(world.check(ask(&once)).code(), NO);
    world.pass(30);
    assert!(matches!(world.check(ask(&once)).refusal(), Refusal::ClientAssertionReplayed(_)));
    world.pass(1);
    assert!(matches!(
        world.check(ask(&once)).refusal(),
        Refusal::ClientAssertion(TokenFault::Expired { .. })
    ));
}

#[test]
fn cj_06_cj_08_an_assertion_and_its_stored_identifier_have_the_registered_lifetime() {
    let (mut world, key) = world();
    let hour = |id: &str, more: i64| key.sign(&claims(id, &json!({"exp": NOW + 3600 + more})));
    // The limit is five minutes, unless the operator configures another.
    assert!(matches!(
        world.check(ask(&hour("a", 0))).refusal(),
        Refusal::ClientAssertion(TokenFault::TooLongLived { most, .. }) if most.as_seconds() == 300
    ));
    world.change("cj", |cj| cj.rights_mut().assertion_lifetime = Lifetime::from_hours(1));
    for (more, code) in [(0, "200"), (30, "200"), (31, NO), (86_400, NO)] {
        assert_eq!(world.check(ask(&hour(&format!("b{more}"), more))).code(), code, "{more}");
    }
    // An hour is the maximum, whatever is registered.
    world.change("cj", |cj| cj.rights_mut().assertion_lifetime = Lifetime::from_hours(24));
    assert_eq!(world.check(ask(&hour("c", 31))).code(), NO);
    let old = json!({"iat": NOW - 3600, "exp": NOW + 60});
    assert_eq!(world.check(ask(&key.sign(&claims("d", &old)))).code(), "200");
    let older = json!({"iat": NOW - 3631, "exp": NOW + 60});
    assert_eq!(world.check(ask(&key.sign(&claims("e", &older)))).code(), NO);

    let once = hour("once", 0);
    assert_eq!(world.check(ask(&once)).code(), "200");
    for (passes, replayed) in [(299, true), (61, true), (3239, true), (30, true), (1, false)] {
        world.pass(passes);
        let answer = world.check(ask(&once));
        let is_replayed = matches!(answer.refusal(), Refusal::ClientAssertionReplayed(_));
        assert_eq!(is_replayed, replayed, "after {passes} s more");
    }
}

#[test]
fn cj_10_without_a_store_of_identifiers_no_assertion_is_accepted() {
    let (mut world, key) = world();
    world.has_memory = false;
    assert_eq!(world.check(ask(&key.sign(&claims("1", &json!({}))))).code(), "503");
    assert_eq!(world.check(Ask::credentials().basic("c1", "s1-Z7")).code(), "200", "others need none");
}

#[test]
fn cj_12_cj_14_jw_11_jw_38_cve_2026_11800_header_and_algorithm() {
    let (mut world, key) = world();
    for (index, (header, good)) in [
        (r#"{"alg":"ES256","kid":"k1"}"#, true),
        (r#"{"alg":"ES256"}"#, true),
        (r#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#, true),
        (r#"{"alg":"ES256","typ":"client-authentication+jwt","kid":"k1"}"#, true),
        (r#"{"alg":"ES256","typ":"application/client-authentication+JWT","kid":"k1"}"#, true),
        (r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#, false),
        (r#"{"alg":"ES256","typ":"dpop+jwt","kid":"k1"}"#, false),
        (r#"{"alg":"ES256","typ":"secevent+jwt","kid":"k1"}"#, false),
        (r#"{"alg":"HS256","kid":"k1"}"#, false),
        (r#"{"alg":"RS256","kid":"k1"}"#, false),
        (r#"{"alg":"none","kid":"k1"}"#, false),
        (r#"{"alg":"ES256","kid":"../../dev/null"}"#, false),
        (r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, false),
        (r#"{"alg":"ES256","kid":"k1","b64":false}"#, false),
        (r#"{"alg":"ES256","kid":"k1","cty":"JWT"}"#, false),
    ]
    .into_iter()
    .enumerate()
    {
        let token = key.sign_raw(header, &claims(&index.to_string(), &json!({})).to_string());
        assert_eq!(world.check(ask(&token)).code(), if good { "200" } else { NO }, "{header}");
    }
}

#[test]
fn cj_17_ca_18_unknown_and_known_clients_receive_the_same_error() {
    let (mut world, key) = world();
    world.register(cj("off", &key));
    world.change("off", |client| client.enabled = false);
    let other = ForeignKey::new(Some("k1"));
    let by = |id: &str, key: &ForeignKey| {
        key.sign(&changed(claims(id, &json!({})), &json!({"iss": id, "sub": id})))
    };
    let mut errors = std::collections::BTreeSet::new();
    for token in [
        by("unknown", &key),
        by("c1", &key),
        by("off", &key),
        by("cj", &other),
        by("cj", &ForeignKey::new(Some("k9"))),
        "garbage".to_owned(),
        key.sign(&claims("x", &json!({"sub": "\u{0}"}))),
    ] {
        let answer = world.check(ask(&token));
        assert_eq!(answer.code(), NO);
        errors.insert(world.error_for(answer.refusal()).to_json());
    }
    let unknown = world.check(Ask::credentials().basic("unknown", "x"));
    errors.insert(world.error_for(unknown.refusal()).to_json());
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn em_08_a_client_id_that_is_a_url_is_not_fetched() {
    let (mut world, key) = world();
    let id = "https://client.test/metadata.json";
    let token = key.sign(&changed(claims("1", &json!({})), &json!({"iss": id, "sub": id})));
    // `World` panics if a key is fetched.
    assert_eq!(world.check(ask(&token)).code(), NO);
}

#[test]
fn cj_13_a_secret_signs_nothing() {
    // client_secret_jwt would need secrets that can be read back, so it is not offered, not even to clients with a secret.
    let (mut world, key) = world();
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD
            .encode(changed(claims("h", &json!({})), &json!({"iss": "c1", "sub": "c1"})).to_string())
    );
    // Signed with the secret of c1, with an empty key, and with the public key of cj (CVE-2026-33322, CVE-2026-45363).
    for secret in ["s1-Z7", "", &key.jwks()] {
        let shared = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&shared, input.as_bytes()));
        assert_eq!(world.check(ask(&format!("{input}.{signature}"))).code(), NO);
    }
}

#[test]
fn wl_07_assertion_types_of_drafts_are_refused_cleanly() {
    let (mut world, key) = world();
    let token = key.sign(&claims("w", &json!({})));
    for kind in ["jwt-wit", "wit+jwt", "attest-jwt-client-auth", "wimse-wit"] {
        let kind = format!("urn:ietf:params:oauth:client-assertion-type:{kind}");
        let ask = Ask::credentials().with("client_assertion_type", &kind).with("client_assertion", &token);
        assert_eq!(world.check(ask).code(), NO, "{kind}");
    }
}
