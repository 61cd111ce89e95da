//! A refusal names the deciding rule, and the request is granted once its advice is followed: SE-06 of the conformance list.
//!
//! The tests of the command line run the commands that `tokenberg explain` advises as they are printed, in `advising.rs` there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::explanation::Verdict;
use tokenberg_core::{GrantType, KeySource, Lifetime, TokenType};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, alice, at1, at2, by_c1, by_c2, client, let_c2_act_for_c1,
    signing_client, trusted,
};

const IDP: &str = "https://idp.test";

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    world.register(signing_client("cj", "catalog", key.jwks()));
    (world, key)
}

/// The reason and the advice of a refusal; fails if the request is granted.
fn refused(world: &World, ask: &Ask) -> (String, String) {
    let verdict = world.explain(ask).verdict;
    let Verdict::Refused(refusing) = verdict else { panic!("{verdict:?}") };
    (refusing.refusal.to_string(), refusing.remedy)
}

#[test]
fn se_06_each_rule_has_its_own_reason_with_the_claim_and_its_value() {
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
            r#"its azp is "portal"; it has to be the client "c1" or an --audience"#,
        ),
        (access(json!({"nonce": "n", "at_hash": "x"})), "it has the claim "),
        (
            user(json!({"aud": ["x", "y"]})),
            r#"its aud is ["x", "y"]; a token of https://idp.test has to be for"#,
        ),
        (
            user(json!({"iss": format!("{IDP}/")})),
            r#"(unverified) is not acceptable: its iss is "https://idp.test/", which is no"#,
        ),
        (user(json!({"exp": "soon"})), r#"the claim exp is "soon", and has to be a number"#),
        (user(json!({"exp": null})), "the claim exp is missing"),
        (user(json!({"nbf": NOW + 600})), "its nbf is 2027-01-15T08:10:00Z; it is 2027-01-15T08:00:00Z now"),
        (user(json!({"iat": NOW + 7000, "exp": NOW + 3600})), "its iat is 2027-01-15T09:56:40Z; it is"),
        (
            own(json!({"exp": NOW + 3600})),
            "at most 5m ahead is allowed by --assertion-lifetime of the client",
        ),
        (
            own(json!({"aud": "elsewhere"})),
            r#"its aud is "elsewhere"; the assertion of a client has to be for"#,
        ),
        (own(json!({"iss": "other"})), r#"its iss is "other", which is not a trusted issuer"#),
        (own(json!({"jti": null})), "the claim jti is missing"),
        (
            by_c1(Ask::credentials().with("scope", "admin")),
            r#"allowed: "catalog ns:read ns:write PRINCIPAL_ROLE:ALL" (admin"#,
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
            "registered to authenticate by private_key_jwt, but the request uses a client secret",
        ),
    ] {
        let (found, _) = refused(&world, &ask);
        assert!(found.contains(reason), "{reason} is not in: {found}");
    }
    // A published key that is unusable.
    let mut jwks: Value = serde_json::from_str(&key.jwks()).unwrap();
    jwks["keys"][0]["use"] = "enc".into();
    world.issuers[0].trust.keys = KeySource::Jwks(jwks.to_string().into());
    let (found, advice) = refused(&world, &user(json!({})));
    assert!(found.contains("the key \"p1\" is published but not usable: its use or key_ops says"), "{found}");
    assert!(
        advice.starts_with("https://idp.test has to publish the key \"p1\" so that it can be used"),
        "{advice}"
    );
}

#[test]
fn se_06_a_request_that_follows_the_advice_is_granted() {
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
    // A single-use identifier was used before: with another `jti` the request is granted.
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
fn se_06_advice_changes_the_limit_that_ended_the_session() {
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
    // It ends with the token of the user, which the sessions of its issuer's users do not outlive.
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
