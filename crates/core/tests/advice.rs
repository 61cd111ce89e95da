//! Does a refusal name the rule that decided, and is the request granted once its advice is followed? SE-06 of the conformance list.
//!
//! What `tokenberg explain` advises as a command is run as it was printed by the tests of the command line, `advising.rs` there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::{
    AllowedScope, AuthMethod, Client, GrantType, KeySource, Lifetime, Rights, TokenType, Verdict,
};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, alice, at1, at2, by_c1, by_c2, client, let_c2_act_for_c1, trusted,
};

const IDP: &str = "https://idp.test";

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    let rights = Rights {
        auth_method: AuthMethod::PrivateKeyJwt,
        jwks: Some(key.jwks()),
        ..Rights::new(AllowedScope::Only("catalog".parse().unwrap()))
    };
    let secrets = Vec::new().into();
    world.register(Client { id: "cj".parse().unwrap(), enabled: true, secrets, rights: rights.into() });
    (world, key)
}

/// Reason and advice of a request; fails if it would be granted.
fn refused(world: &World, ask: &Ask) -> (String, String) {
    let verdict = world.explain(ask).verdict;
    let Verdict::Refused(refusing) = verdict else { panic!("{verdict:?}") };
    (refusing.refusal.to_string(), refusing.remedy)
}

#[test]
fn se_06_each_rule_has_a_reason_of_its_own_with_the_claim_and_its_value() {
    let (mut world, key) = world();
    let user = |changes: Value| by_c1(Ask::exchange_of(&key.sign(&alice(&changes)), TokenType::IdToken));
    let access =
        |changes: Value| by_c1(Ask::exchange_of(&key.sign(&alice(&changes)), TokenType::AccessToken));
    let own = |changes: Value| {
        let claims =
            json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "1"});
        Ask::credentials().assertion(&key.sign(&tokenberg_testkit::changed(claims, &changes)))
    };
    for (ask, reason) in [
        // Each of these was reported as something else: as a fault of the audience, of `typ`, of the keys, or of the scope.
        (
            user(json!({"azp": "portal"})),
            r#"its azp is "portal", and has to be the client "c1" or an --audience"#,
        ),
        (access(json!({"nonce": "n", "at_hash": "x"})), "it has the claim "),
        (
            user(json!({"aud": ["x", "y"]})),
            r#"its aud is ["x", "y"], and a token of https://idp.test has to be for"#,
        ),
        (
            user(json!({"iss": format!("{IDP}/")})),
            r#"(unverified) is not acceptable: its iss is "https://idp.test/", which is no"#,
        ),
        (user(json!({"exp": "soon"})), r#"the claim exp is "soon", and has to be a number"#),
        (user(json!({"exp": null})), "the claim exp is missing"),
        (user(json!({"nbf": NOW + 600})), "its nbf is 2027-01-15T08:10:00Z; it is 2027-01-15T08:00:00Z now"),
        (user(json!({"iat": NOW + 7000, "exp": NOW + 3600})), "its iat is 2027-01-15T09:56:40Z; it is"),
        (own(json!({"exp": NOW + 3600})), "5m ahead is the most, by --assertion-lifetime of the client"),
        (
            own(json!({"aud": "elsewhere"})),
            r#"its aud is "elsewhere", and the assertion of a client has to be for"#,
        ),
        (own(json!({"iss": "other"})), r#"its iss is "other", which is no trusted issuer"#),
        (own(json!({"jti": null})), "the claim jti is missing"),
        (
            by_c1(Ask::credentials().with("scope", "admin")),
            r#"what may be is "catalog ns:read ns:write PRINCIPAL_ROLE:ALL" (admin"#,
        ),
        (
            Ask::credentials().basic("cexp", "sexp"),
            "the secret 1 of the client cexp expired at 2027-01-15T08:00:00Z",
        ),
        (
            Ask::credentials().basic("cexp", "wrong"),
            "wrong secret for the client cexp, which has 0 live secrets",
        ),
        (
            Ask::credentials().basic("cj", "x"),
            "registered to authenticate by private_key_jwt, and the request does by a client secret",
        ),
    ] {
        let (found, _) = refused(&world, &ask);
        assert!(found.contains(reason), "{reason} is not in: {found}");
    }
    // A key that is published and cannot be used.
    let mut jwks: Value = serde_json::from_str(&key.jwks()).unwrap();
    jwks["keys"][0]["use"] = "enc".into();
    world.issuers[0].trust.keys = KeySource::Jwks(jwks.to_string().into());
    let (found, advice) = refused(&world, &user(json!({})));
    assert!(found.contains("the key \"p1\" is published, and not used: its use or key_ops says"), "{found}");
    assert!(
        advice.starts_with("https://idp.test has to publish the key \"p1\" so that it can be used"),
        "{advice}"
    );
}

#[test]
fn se_06_what_the_client_is_advised_to_send_is_granted() {
    let (mut world, key) = world();
    let_c2_act_for_c1(&mut world);
    let (one, two) = (at1(&mut world), at2(&mut world));
    let own = |changes: Value| {
        let claims =
            json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "1"});
        Ask::credentials().assertion(&key.sign(&tokenberg_testkit::changed(claims, &changes)))
    };
    let (cc, proof) = (Ask::credentials, |id: &str| key.proof(World::new().now, id, &json!({})));
    for (ask, advice, repaired) in [
        (
            by_c1(cc().with("scope", "admin catalog")),
            "request no more than \"catalog\"",
            by_c1(cc().with("scope", "catalog")),
        ),
        (
            by_c1(cc().with("audience", "https://no.test")),
            "request one of https://cat.test",
            by_c1(cc().with("audience", "https://cat.test")),
        ),
        (
            by_c1(Ask::exchange_of(&one, TokenType::IdToken)),
            "declare the subject token as access_token, or to send another token",
            by_c1(Ask::exchange_of(&one, TokenType::AccessToken)),
        ),
        (
            by_c2(Ask::exchange(&one).actor(&one)),
            "the client c2 has to present a token of its own as the actor_token",
            by_c2(Ask::exchange(&one).actor(&two)),
        ),
        (
            Ask::exchange(&one).bearer(&two),
            "send its own credential, or the subject_token or actor_token as the Bearer",
            Ask::exchange(&one).bearer(&one),
        ),
        (cc().bearer(&one), "send its own credential", by_c1(cc())),
        (cc(), "send its credential: Authorization: Basic", by_c1(cc())),
        (
            by_c1(cc()).with("client_id", "c2"),
            "send one client_id, its own, wherever it names itself",
            by_c1(cc()).with("client_id", "c1"),
        ),
        (own(json!({"aud": "x"})), "sign the client assertion with aud \"https://as.test\"", own(json!({}))),
        (
            by_c1(cc()).dpop(&key.proof(
                world.now,
                "p",
                &json!({"htu": "https://proxy.test/v1/oauth/tokens"}),
            )),
            "sign a DPoP proof now, for POST and https://as.test/v1/oauth/tokens",
            by_c1(cc()).dpop(&proof("p")),
        ),
    ] {
        let (reason, found) = refused(&world, &ask);
        assert!(found.contains(advice), "{advice} is not in: {found} ({reason})");
        assert_eq!(world.check(ask).code()[..1], *"4", "{reason}");
        assert_eq!(world.check(repaired).code(), "200", "{found}");
    }
    // What was used before: with another `jti`.
    for (again, advice, repaired) in [
        (own(json!({})), "sign a new assertion, with another jti", own(json!({"jti": "2"}))),
        (
            by_c1(cc()).dpop(&proof("p")),
            "sign a new DPoP proof, with another jti",
            by_c1(cc()).dpop(&proof("q")),
        ),
    ] {
        let explained = world.explain(&again);
        assert!(matches!(explained.verdict, Verdict::Granted(_)), "explaining does not ask what was used");
        let refusal = world.check(again).refusal().clone();
        assert!(refusal.to_string().contains("was used before"), "{refusal}");
        assert_eq!(world.check(repaired).code(), "200", "{advice}");
    }
}

#[test]
fn se_06_what_ended_a_session_is_what_its_advice_changes() {
    let (mut world, key) = world();
    let long = key.sign(&alice(&json!({"exp": NOW + 3600})));
    let first = world.check(by_c1(Ask::exchange_of(&long, TokenType::IdToken))).token();
    // The session ends by the lifetime of the client's sessions, which was made shorter.
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(600));
    world.pass(700);
    let renewal = by_c1(Ask::exchange(&first));
    let (reason, advice) = refused(&world, &renewal);
    assert!(reason.contains("by --session-lifetime of the client"), "{reason}");
    let command = advice.split('`').nth(1).unwrap();
    let lifetime = command.strip_prefix("tokenberg client change c1 --session-lifetime ").unwrap();
    assert_eq!(lifetime, "1h11m40s", "an hour more than has passed: {advice}");
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(4300));
    assert_eq!(world.check(renewal).code(), "200");
    // It ends with the token of the user, whom its issuer's users do not outlive.
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(12));
    let sign_in = |now: i64| key.sign(&alice(&json!({"iat": now - 3600, "exp": now - 10})));
    let ask = by_c1(Ask::exchange_of(&sign_in(world.now.as_seconds()), TokenType::IdToken));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.contains("without --outlives-subject"), "{reason}");
    assert!(
        advice.starts_with("`tokenberg issuer change https://idp.test --outlives-subject true`"),
        "{advice}"
    );
    world.issuers[0].trust.outlives_subject = true;
    assert_eq!(world.check(ask).code(), "200");
    // A client that may not use a grant.
    world.register(client("c9", "s9", "catalog"));
    world.change("c9", |c9| c9.rights_mut().grants = vec![GrantType::TokenExchange]);
    let (_, advice) = refused(&world, &Ask::credentials().basic("c9", "s9"));
    assert_eq!(advice, "`tokenberg client change c9 --grant token_exchange,client_credentials`");
}

/// An unsecured JWT about a user of this name.
fn unsecured(name: &str) -> String {
    use base64::Engine;
    let encoded = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", encoded(json!({"alg": "none"})), encoded(json!({"sub": name, "iat": NOW})))
}

#[test]
fn se_06_no_right_is_advised_for_an_unsecured_user_with_the_name_of_another_principal() {
    let (mut world, _) = world();
    world.issuers[0].trust.subject_prefix = Some("idp:".into());
    let actor = at1(&mut world);
    let ask = |name: &str| by_c1(Ask::exchange_of(&unsecured(name), TokenType::Jwt));
    for (name, advised) in [
        ("c2", "name another user: \"c2\" is the name of a client"),
        ("idp:alice", "name another user: this name is that of a user of https://idp.test"),
        ("alice", "`tokenberg client change c1 --may-assert-users alice`"),
    ] {
        let (reason, advice) = refused(&world, &ask(name).actor(&actor));
        assert!(reason.contains("the client c1 may not assert the user"), "{reason}");
        assert!(advice.contains(advised), "{advice}");
        // Without the token of the client as the actor, too.
        let (reason, advice) = refused(&world, &ask(name));
        assert!(reason.contains("there is no actor_token"), "{reason}");
        assert_eq!(advice.contains(advised), name != "alice", "{advice}");
    }
    // The advice is right: the right does not help where it is not advised.
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    for (name, code) in
        [("c2", "400 invalid_request"), ("idp:alice", "400 invalid_request"), ("alice", "200")]
    {
        assert_eq!(world.check(ask(name).actor(&actor)).code(), code, "{name}");
    }
}

#[test]
fn se_06_advice_about_a_subject_names_its_fault_and_not_the_length_of_a_prefix() {
    let (mut world, key) = world();
    let trust = &mut world.issuers[0].trust;
    trust.subject_prefix = Some("idp:".into());
    trust.subject_claim = "upn".into();
    let user =
        |upn: Value| by_c1(Ask::exchange_of(&key.sign(&alice(&json!({"upn": upn}))), TokenType::IdToken));
    for (upn, advised) in [
        (
            json!(null),
            "https://idp.test has to correct the claim upn of the subject token, which is missing; or `tokenberg issuer change https://idp.test --subject-claim sub`",
        ),
        (json!(12), "which is 12, and has to be a text"),
        (json!("a\u{202e}b"), "which is \"a\\u{202e}b\": "),
        (json!(""), "which is \"\": "),
        (
            json!("x".repeat(252)),
            "has to write a subject of at most 251 bytes in upn: with the prefix \"idp:\"",
        ),
    ] {
        let (reason, advice) = refused(&world, &user(upn));
        assert!(advice.contains(advised), "{advice} ({reason})");
        assert_eq!(advised.contains("bytes"), advice.contains("bytes in"), "{advice}");
    }
    world.issuers[0].trust.subject_claim = "sub".into();
    assert_eq!(world.check(user(json!(null))).code(), "200");
}

#[test]
fn a_disabled_unsecured_user_is_named_without_a_second_comma() {
    let (mut world, _) = world();
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let disabled = tokenberg_core::SubjectStanding { disabled: true, ..Default::default() };
    world.subjects.push((None, "alice".to_owned(), disabled));
    let actor = at1(&mut world);
    let ask = by_c1(Ask::exchange_of(&unsecured("alice"), TokenType::Jwt).actor(&actor));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.ends_with("its subject, the unsecured user \"alice\", is disabled"), "{reason}");
    assert_eq!(advice, "`tokenberg subject enable alice`");
}

#[test]
fn se_01_se_06_what_was_copied_along_with_a_secret_is_named_and_the_secret_is_not() {
    let (mut world, _) = world();
    for (sent, named, correction) in [
        ("`s1-Z7`", "is in backticks", "without the backticks around it"),
        ("\"s1-Z7\"", "is in quotation marks or angle brackets", "without the quotation marks"),
        (" s1-Z7", "begins or ends with a space", "without the spaces"),
        ("s1-Z7\n", "begins or ends with a line end", "without the line end"),
        ("client_secret: s1-Z7", "begins with a label", "without its label"),
        ("c1:s1-Z7", "begins with the client_id and a colon", "without its client_id"),
    ] {
        let ask = Ask::credentials().basic("c1", sent);
        let (reason, advice) = refused(&world, &ask);
        assert!(reason.starts_with("wrong secret for the client c1") && reason.contains(named), "{reason}");
        assert!(
            advice.starts_with("the client has to send the secret") && advice.contains(correction),
            "{advice}"
        );
        assert!(!format!("{reason}{advice}").contains("s1-Z7"), "{reason} {advice}");
        assert_eq!(world.check(ask).code(), "401 invalid_client Basic");
    }
    assert_eq!(world.check(Ask::credentials().basic("c1", "s1-Z7")).code(), "200");
}
