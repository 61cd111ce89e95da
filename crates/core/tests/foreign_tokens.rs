//! Verifies tokens of other issuers: RFC 8693 §2.1, RFC 8725; conformance TX-30 to TX-38 and JW, for tokens that are not ours.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{KeySource, Lifetime, Refusal, Revocation, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, RevokedTimes, World, alice, by_c1, by_c2, trusted};

const BAD: &str = "400 invalid_request";
const IDP: &str = "https://idp.test";

/// A world in which `c1` may act for all users of the issuer `P`.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    for client in ["c1", "c2"] {
        world.change(client, |c| c.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    }
    (world, key)
}

fn id_token(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::IdToken)
}

fn jwt(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::Jwt)
}

#[test]
fn tx_30_every_defect_of_a_subject_token_gives_the_client_the_same_error() {
    let (mut world, key) = world();
    let other = ForeignKey::new(Some("p1"));
    let good = key.sign(&alice(&json!({})));
    let mut descriptions = std::collections::BTreeSet::new();
    for (what, token) in [
        ("garbage", "garbage".to_owned()),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("tampered", good.replacen('.', ".e", 1)),
        ("another key of the same name", other.sign(&alice(&json!({})))),
        ("unknown kid", ForeignKey::new(Some("p9")).sign(&alice(&json!({})))),
        ("unknown issuer", key.sign(&alice(&json!({"iss": "https://evil.test"})))),
        ("prefix of the issuer", key.sign(&alice(&json!({"iss": "https://idp.tes"})))),
        ("issuer with a slash", key.sign(&alice(&json!({"iss": "https://idp.test/"})))),
        ("no issuer", key.sign(&alice(&json!({"iss": null})))),
        ("wrong audience", key.sign(&alice(&json!({"aud": "c2"})))),
        ("expired", key.sign(&alice(&json!({"exp": NOW - 30})))),
        ("not yet", key.sign(&alice(&json!({"nbf": NOW + 31})))),
        ("from the future", key.sign(&alice(&json!({"iat": NOW + 31})))),
        (
            "bound to a key",
            key.sign(&alice(&json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}))),
        ),
        ("bound in an unknown way", key.sign(&alice(&json!({"cnf": {"kid": "x"}})))),
    ] {
        let answer = world.check(by_c1(id_token(&token)));
        assert_eq!(answer.code(), BAD, "{what}");
        descriptions.insert(world.error_for(answer.refusal()).description.unwrap().into_owned());
        // The same as the actor of a valid subject (TX-31).
        let actor = by_c1(id_token(&good)).with("actor_token", &token);
        let actor = actor.with("actor_token_type", TokenType::IdToken.as_urn());
        assert_eq!(world.check(actor).code(), BAD, "{what} as the actor");
    }
    assert_eq!(descriptions.len(), 1, "{descriptions:?}");
    assert_eq!(world.minted(), 0);
    assert_eq!(world.check(by_c1(id_token(&good))).code(), "200", "and the next good one is granted");
}

#[test]
fn tx_32_cve_2026_55669_an_id_token_has_to_be_for_the_requesting_client() {
    let (mut world, key) = world();
    for (changes, good) in [
        (json!({}), true),
        (json!({"aud": ["c1"]}), true),
        (json!({"aud": ["x", "c1"]}), true),
        (json!({"aud": ["c1", "c2"], "azp": "c1"}), true),
        (json!({"aud": ["c1", "c2"], "azp": "c2"}), false),
        (json!({"aud": "c1", "azp": 1}), false),
        (json!({"aud": "c2"}), false),
        (json!({"aud": null}), false),
        (json!({"aud": []}), false),
        (json!({"aud": ""}), false),
        (json!({"aud": ["c1", 1]}), false),
        (json!({"aud": [["c1"]]}), false),
        (json!({"aud": {"c1": 1}}), false),
        (json!({"aud": "C1"}), false),
        (json!({"aud": ISSUER}), true),
    ] {
        let answer = world.check(by_c1(id_token(&key.sign(&alice(&changes)))));
        assert_eq!(answer.code() == "200", good, "{changes}");
    }
    // c2 obtains nothing for a token with the audience c1 either.
    assert_eq!(world.check(by_c2(id_token(&key.sign(&alice(&json!({})))))).code(), BAD);
}

#[test]
fn tx_33_jw_31_jw_33_jw_36_jw_37_the_required_claims_of_an_id_token() {
    let (mut world, key) = world();
    for (name, values) in [
        (
            "exp",
            vec![json!(null), json!("1"), json!(-1), json!(1e300), json!(NOW + 86_400 + 3_600), json!([NOW])],
        ),
        ("iat", vec![json!(null), json!("1"), json!(true)]),
        ("nbf", vec![json!("1"), json!({})]),
        (
            "sub",
            vec![
                json!(null),
                json!(1),
                json!(""),
                json!("a\u{0}b"),
                json!("x".repeat(256)),
                json!("\u{202e}a"),
            ],
        ),
        ("iss", vec![json!(1), json!([IDP]), json!([IDP, ISSUER]), json!({})]),
        ("jti", vec![json!(1), json!(""), json!("x".repeat(257))]),
    ] {
        for value in values {
            let mut claims = alice(&json!({}));
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(world.check(by_c1(id_token(&key.sign(&claims)))).code(), BAD, "{name} {value}");
        }
    }
    // A duplicate member name, at any depth (JW-05).
    let payload = alice(&json!({})).to_string().replacen("\"sub\"", "\"sub\":\"root\",\"sub\"", 1);
    let twice = key.sign_raw(r#"{"alg":"ES256","kid":"p1"}"#, &payload);
    assert_eq!(world.check(by_c1(id_token(&twice))).code(), BAD);
}

#[test]
fn tx_34_a_jwt_has_to_be_for_this_server_and_not_for_the_resource() {
    let (mut world, key) = world();
    for (aud, good) in [
        (json!(ISSUER), true),
        (json!("https://as.test/v1/oauth/tokens"), true),
        (json!(["https://cat.test", ISSUER]), true),
        (json!("https://cat.test"), false),
        (json!("c1"), false),
        (json!("https://as.test/"), false),
        (json!("HTTPS://AS.TEST"), false),
        (json!("https://as.test.evil"), false),
        (json!("https://as.test/v1/oauth/introspect"), false),
    ] {
        let token = key.sign(&alice(&json!({"aud": aud})));
        assert_eq!(world.check(by_c1(jwt(&token))).code() == "200", good, "{aud}");
        assert_eq!(world.check(by_c1(Ask::exchange(&token))).code() == "200", good, "{aud} access token");
    }
    world.issuers[0].trust.audiences = vec!["api://tokens".into()];
    let registered = key.sign(&alice(&json!({"aud": "api://tokens"})));
    assert_eq!(world.check(by_c1(jwt(&registered))).code(), "200");
}

#[test]
fn tx_35_cve_2025_30144_no_issuer_signs_for_another() {
    let (mut world, key) = world();
    let second = ForeignKey::new(Some("q1"));
    world.issuers.push(trusted("https://other.test", &second));
    for (token, why) in [
        (key.sign(&alice(&json!({"iss": ISSUER}))), "their key, our name"),
        (
            world.sign_raw(
                &format!(r#"{{"alg":"ES256","kid":"{}"}}"#, world.kid()),
                &alice(&json!({})).to_string(),
            ),
            "our key, their name",
        ),
        (key.sign(&alice(&json!({"iss": "https://other.test"}))), "one issuer's key, another's name"),
        (second.sign(&alice(&json!({}))), "and the other way round"),
    ] {
        for ask in [id_token(&token), jwt(&token), Ask::exchange(&token)] {
            assert_eq!(world.check(by_c1(ask)).code(), BAD, "{why}");
        }
    }
}

#[test]
fn tx_06_jw_38_a_token_has_to_be_of_its_declared_type() {
    let (mut world, key) = world();
    let payload = |changes: &Value| {
        alice(&{
            let mut all = json!({"aud": [ISSUER, "c1"]});
            all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            all
        })
    };
    for (typ, id, jwt_is_good, access) in [
        (r#""typ":"JWT","#, true, true, true),
        (r#""typ":"jwt","#, true, true, true),
        ("", true, true, true),
        (r#""typ":"at+jwt","#, false, false, true),
        (r#""typ":"application/AT+jwt","#, false, false, true),
        (r#""typ":"dpop+jwt","#, false, false, false),
        (r#""typ":"client-authentication+jwt","#, false, false, false),
        (r#""typ":"secevent+jwt","#, false, false, false),
        (r#""typ":"logout+jwt","#, false, false, false),
        (r#""typ":1,"#, false, false, false),
    ] {
        let token =
            key.sign_raw(&format!(r#"{{{typ}"alg":"ES256","kid":"p1"}}"#), &payload(&json!({})).to_string());
        for (kind, good) in
            [(TokenType::IdToken, id), (TokenType::Jwt, jwt_is_good), (TokenType::AccessToken, access)]
        {
            let answer = world.check(by_c1(Ask::exchange_of(&token, kind)));
            assert_eq!(answer.code() == "200", good, "{typ} as {kind}");
        }
    }
    // A claim that only ID tokens have makes the token an ID token.
    for only in [json!({"nonce": "n"}), json!({"at_hash": "h"}), json!({"c_hash": "h"})] {
        let token = key.sign(&payload(&only));
        assert_eq!(world.check(by_c1(id_token(&token))).code(), "200", "{only}");
        assert_eq!(world.check(by_c1(jwt(&token))).code(), BAD, "{only}");
        assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), BAD, "{only}");
    }
    // The issuer is trusted only for the registered uses.
    world.issuers[0].trust.accept = vec![AcceptedAs::IdToken];
    let token = key.sign(&payload(&json!({})));
    assert_eq!(world.check(by_c1(id_token(&token))).code(), "200");
    assert_eq!(world.check(by_c1(jwt(&token))).code(), BAD);
    assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), BAD);
}

#[test]
fn tx_37_cc_19_cve_2026_16103_a_disabled_or_removed_principal_is_refused_at_once() {
    let (mut world, key) = world();
    let subject = key.sign(&alice(&json!({})));
    let token = world.check(by_c1(id_token(&subject))).token();
    let renew = |world: &mut World| world.check(Ask::exchange(&token).bearer(&token)).code();
    assert_eq!(renew(&mut world), "200");
    let gone = |world: &mut World, what: &str| {
        assert_eq!(world.check(by_c1(id_token(&subject))).code(), BAD, "{what}");
        assert_eq!(renew(world), "401 invalid_client Bearer", "{what}");
        assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), BAD, "{what}");
    };
    world.issuers[0].enabled = false;
    gone(&mut world, "issuer disabled");
    let issuers = std::mem::take(&mut world.issuers);
    gone(&mut world, "issuer removed");
    world.issuers = issuers;
    world.issuers[0].enabled = true;
    assert_eq!(renew(&mut world), "200");
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    world.subjects = vec![(IDP.parse().ok(), "alice".to_owned(), disabled.clone())];
    gone(&mut world, "subject disabled");
    world.subjects = vec![(None, "alice".to_owned(), disabled)];
    assert_eq!(renew(&mut world), "200", "another user of that name was disabled");
    world.change("c1", |c1| c1.enabled = false);
    assert_eq!(renew(&mut world), "401 invalid_client Bearer");
}

#[test]
fn tx_38_cve_2026_8922_a_revocation_before_a_time_counts_by_when_a_token_was_issued() {
    let (mut world, key) = world();
    for (before, iat, good) in [
        (NOW, NOW, true),
        (NOW, NOW - 1, false),
        (NOW + 1, NOW, false),
        (NOW + 30, NOW + 30, true),
        (NOW - 100, NOW - 101, false),
        (NOW - 100, NOW - 100, true),
    ] {
        let revoked_before = tokenberg_core::Timestamp::from_seconds(before).ok();
        let status = SubjectStatus { revoked_before, ..SubjectStatus::default() };
        world.subjects = vec![(IDP.parse().ok(), "alice".to_owned(), status)];
        let token = key.sign(&alice(&json!({"iat": iat})));
        assert_eq!(world.check(by_c1(id_token(&token))).code() == "200", good, "{before} {iat}");
        world.subjects.clear();
        world.before = RevokedTimes::default();
        world.before.issuer(IDP, before);
        assert_eq!(world.check(by_c1(id_token(&token))).code() == "200", good, "the issuer: {before} {iat}");
    }
    // Of a token without `iat` only the expiry is known: it could not be presented until 24 h before that.
    world.before = RevokedTimes::default();
    world.before.issuer(IDP, NOW - 23 * 3600);
    for (exp, good) in [(NOW + 3600 + 29, false), (NOW + 3600 + 30, true)] {
        let token = key.sign(&alice(&json!({"iat": null, "aud": ISSUER, "exp": exp})));
        assert_eq!(world.check(by_c1(jwt(&token))).code() == "200", good, "{exp}");
    }
    let revoked_before = tokenberg_core::Timestamp::from_seconds(NOW - 100_000).ok();
    let status = SubjectStatus { revoked_before, ..SubjectStatus::default() };
    world.subjects = vec![(IDP.parse().ok(), "alice".to_owned(), status)];
    // A token without `iat` may be from before.
    let token = key.sign(&alice(&json!({"iat": null, "aud": ISSUER})));
    let answer = world.check(by_c1(jwt(&token)));
    assert!(matches!(
        answer.refusal(),
        Refusal::SubjectToken(TokenFault::Revoked(revocation)) if matches!(**revocation, Revocation::Subject { .. })
    ));
}

#[test]
fn tx_54_cve_2025_53864_a_foreign_chain_of_too_many_actors_is_refused() {
    let (mut world, key) = world();
    let deep = format!(
        r#"{{"iss":"{IDP}","sub":"alice","aud":"c1","iat":{NOW},"exp":{},"act":{}1{}}}"#,
        NOW + 60,
        r#"{"act":"#.repeat(900),
        "}".repeat(900)
    );
    let token = key.sign_raw(r#"{"alg":"ES256","kid":"p1"}"#, &deep);
    assert_eq!(world.check(by_c1(id_token(&token))).code(), BAD);
}

#[test]
fn jw_32_op_01_an_issuers_own_bounds_hold_to_the_second() {
    let (mut world, key) = world();
    world.issuers[0].trust.leeway = Lifetime::from_seconds(10);
    world.issuers[0].trust.max_age = Lifetime::from_seconds(600);
    for (changes, good) in [
        (json!({"exp": NOW + 600}), true),
        (json!({"exp": NOW + 611}), false),
        (json!({"exp": NOW + 60, "iat": NOW - 610}), true),
        (json!({"exp": NOW + 60, "iat": NOW - 611}), false),
        (json!({"exp": NOW + 60, "iat": NOW + 10}), true),
        (json!({"exp": NOW + 60, "iat": NOW + 11}), false),
    ] {
        assert_eq!(
            world.check(by_c1(id_token(&key.sign(&alice(&changes))))).code() == "200",
            good,
            "{changes}"
        );
    }
}

#[test]
fn jw_11_jw_13_jw_16_the_key_and_the_operator_determine_the_algorithm() {
    let (mut world, key) = world();
    let claims = alice(&json!({})).to_string();
    for header in
        [r#"{"alg":"ES384","kid":"p1"}"#, r#"{"alg":"HS256","kid":"p1"}"#, r#"{"alg":"none","kid":"p1"}"#]
    {
        assert_eq!(world.check(by_c1(id_token(&key.sign_raw(header, &claims)))).code(), BAD, "{header}");
    }
    assert_eq!(
        world.check(by_c1(id_token(&key.sign_raw(r#"{"alg":"ES256"}"#, &claims)))).code(),
        "200",
        "the only key there is"
    );
    world.issuers[0].trust.algorithms = vec![Algorithm::RS256];
    assert_eq!(world.check(by_c1(id_token(&key.sign(&alice(&json!({})))))).code(), BAD);
    world.issuers[0].trust.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
    assert_eq!(world.check(by_c1(id_token(&key.sign(&alice(&json!({})))))).code(), "200");
}

#[test]
fn jw_14_cve_2018_0114_cve_2026_27962_a_key_in_the_header_is_not_used() {
    let (mut world, _) = world();
    let own = ForeignKey::new(None);
    let jwk = own.jwk();
    for header in [
        json!({"alg": "ES256", "jwk": jwk}),
        json!({"alg": "ES256", "kid": "p1", "jwk": jwk}),
        json!({"alg": "ES256", "jku": "https://evil.test/jwks.json"}),
        json!({"alg": "ES256", "x5u": "https://evil.test/x"}),
        json!({"alg": "ES256", "x5c": ["MIIB"]}),
    ] {
        let token = own.sign_raw(&header.to_string(), &alice(&json!({})).to_string());
        assert_eq!(world.check(by_c1(id_token(&token))).code(), BAD, "{header}");
    }
}

#[test]
fn ks_06_an_issuer_of_plain_http_is_trusted_only_if_registered_for_it() {
    const KEYCLOAK: &str = "http://keycloak:8080/realms/x";
    let (mut world, key) = world();
    world.issuers = vec![trusted(KEYCLOAK, &key)];
    world.change("c1", |c| c.rights_mut().may_act_for = vec![format!("{KEYCLOAK}|*").parse().unwrap()]);
    let token = key.sign(&alice(&json!({"iss": KEYCLOAK})));
    let refused = world.check(by_c1(id_token(&token)));
    assert!(matches!(refused.refusal(), Refusal::SubjectToken(TokenFault::Issuer { .. })));
    world.issuers[0].trust.insecure_http = true;
    let first = world.check(by_c1(id_token(&token))).token();
    assert_eq!(world.check(Ask::exchange(&first).bearer(&first)).code(), "200", "the session names it");
}

#[test]
fn ks_06_keys_are_fetched_from_trusted_issuers_only_and_an_outage_is_no_refusal() {
    let (mut world, key) = world();
    world.issuers[0].trust.keys = KeySource::Discovery;
    let token = key.sign(&alice(&json!({})));
    world.fetched.insert(IDP.to_owned(), Some(key.jwks()));
    assert_eq!(world.check(by_c1(id_token(&token))).code(), "200");
    // `World` panics on a request for the keys of an issuer that is not registered.
    let stranger = key.sign(&alice(&json!({"iss": "https://evil.test"})));
    assert_eq!(world.check(by_c1(id_token(&stranger))).code(), BAD);
    world.issuers[0].enabled = false;
    world.fetched.clear();
    assert_eq!(world.check(by_c1(id_token(&token))).code(), BAD);
    world.issuers[0].enabled = true;
    world.fetched.insert(IDP.to_owned(), None);
    assert_eq!(world.check(by_c1(id_token(&token))).code(), "503");
    // A client that has not authenticated learns nothing of that.
    assert_eq!(world.check(id_token(&token).basic("c1", "wrong")).code(), "401 invalid_client Basic");
}
