//! The rights that a token of another issuer gives: RFC 8693 §4; conformance TX-12 to TX-59, for tokens that are not ours.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::flow::SubjectProof;
use tokenberg_core::{Issuer, Refusal, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, alice, at1, by_c1, by_c2, chain, trusted};

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
fn tx_41_tx_42_tx_59_a_subject_may_have_the_scope_that_its_issuer_maps() {
    let (mut world, key) = world();
    let trust = &mut world.issuers[0].trust;
    trust.scope = "catalog".parse().unwrap();
    trust.map = vec![
        "groups=readers:ns:read".parse().unwrap(),
        "groups=admins:PRINCIPAL_ROLE:admin".parse().unwrap(),
    ];
    for (changes, requested, granted) in [
        (json!({}), "", Some("catalog")),
        (json!({"groups": ["readers"]}), "", Some("catalog ns:read")),
        (json!({"groups": ["readers"]}), "ns:read", Some("ns:read")),
        (json!({}), "ns:read", None),
        (json!({"scope": "catalog ns:read ns:write"}), "ns:write", None),
        // The group gives the scope, but the client may not have it.
        (json!({"groups": "admins"}), "PRINCIPAL_ROLE:admin", None),
        (json!({"groups": "admins"}), "PRINCIPAL_ROLE:ALL", None),
        (json!({"groups": "admins"}), "", Some("catalog")),
    ] {
        let token = key.sign(&alice(&changes));
        let answer = world.check(by_c1(id_token(&token)).with("scope", requested));
        match granted {
            Some(scope) => assert_eq!(answer.claims().scope.as_str(), scope, "{changes} {requested}"),
            None => assert_eq!(answer.code(), "400 invalid_scope", "{changes} {requested}"),
        }
    }
    // No other claim of a foreign token is adopted.
    let loud = json!({"scope": "ns:write", "client_id": "root", "roles": ["admin"], "jti": "theirs", "amr": ["pwd"],
        "act": {"sub": "admin"}, "tokenberg_session": {"id": "x", "start": 1, "end": 9_999_999_999_i64}, "__proto__": {"x": 1}});
    let quiet = world.check(by_c1(id_token(&key.sign(&alice(&json!({})))))).claims().clone();
    let claims = world.check(by_c1(id_token(&key.sign(&alice(&loud))))).claims().clone();
    assert_eq!((claims.scope, claims.actor, claims.client_id), (quiet.scope, quiet.actor, quiet.client_id));
    assert_eq!((claims.audience, claims.session.end), (quiet.audience, quiet.session.end));
    assert_ne!(claims.token_id.as_str(), "theirs");
}

#[test]
fn tx_12_tx_13_tx_14_tx_39_ri_01_targets_are_those_of_the_client_and_the_actor() {
    let (mut world, key) = world();
    let token = key.sign(&alice(&json!({})));
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://two.test".into()]
    });
    let aud = |world: &mut World, ask: Ask| {
        let answer = world.check(by_c1(ask));
        if answer.code() == "200" { answer.claims().audience.join(" ") } else { answer.code() }
    };
    let ask = || id_token(&token);
    assert_eq!(aud(&mut world, ask()), "https://cat.test", "one place by default (RI-02)");
    assert_eq!(aud(&mut world, ask().with("resource", "https://two.test")), "https://two.test");
    let both = ask().with("resource", "https://two.test").with("audience", "https://cat.test");
    assert_eq!(aud(&mut world, both), "https://cat.test https://two.test");
    for bad in [
        ("resource", "https://evil.test"),
        ("audience", "c2"),
        ("resource", "cat"),
        ("resource", "https://cat.test#x"),
    ] {
        assert_eq!(aud(&mut world, ask().with(bad.0, bad.1)), "400 invalid_target", "{bad:?}");
    }
    // With an actor, where the actor's token may be used.
    let actor = world.check(by_c1(Ask::credentials()).with("audience", "https://cat.test")).token();
    assert_eq!(
        aud(&mut world, ask().actor(&actor).with("resource", "https://two.test")),
        "400 invalid_target"
    );
    assert_eq!(aud(&mut world, ask().actor(&actor)), "https://cat.test");
    let many = (0..64).fold(ask(), |ask, _| ask.with("resource", "https://two.test"));
    assert_eq!(aud(&mut world, many), "https://two.test");
}

#[test]
fn tx_43_tx_50_a_user_with_the_catalogs_token_as_the_actor() {
    let (mut world, key) = world();
    let actor = at1(&mut world);
    let token = key.sign(&alice(&json!({"jti": "their-id"})));
    // Iceberg Java: the actor's token is the Bearer (captured).
    let answer = world.check(id_token(&token).actor(&actor).bearer(&actor));
    let claims = answer.claims();
    assert_eq!((claims.subject.as_str(), claims.client_id.as_str()), ("alice", "c1"));
    assert_eq!(chain(&answer), ["c1"]);
    assert_eq!(claims.session.subject_issuer.as_ref().map(Issuer::as_str), Some(IDP));
    let body = answer.body();
    assert_eq!(body["token_type"], "bearer");
    let tokenberg_testkit::Answer::Ok(granted) = &answer else { panic!("granted") };
    assert_eq!(granted.decision.subject_proof, SubjectProof::Issuer(IDP.parse().unwrap()));
    assert_eq!(granted.decision.subject_token.as_deref(), Some("their-id"));
    // The scope is limited to that of the actor.
    let narrow = world.token("c1", "s1-Z7", "catalog");
    assert_eq!(
        world.check(by_c1(id_token(&token).actor(&narrow)).with("scope", "ns:read")).code(),
        "400 invalid_scope"
    );
    assert_eq!(world.check(by_c1(id_token(&token).actor(&narrow))).claims().scope.as_str(), "catalog");
    // The Bearer has to be the actor; a foreign token is no credential (TX-20, TX-22, TX-23).
    assert_eq!(world.check(id_token(&token)).code(), "401 invalid_client Basic");
    assert_eq!(world.check(id_token(&token).bearer(&token)).code(), "401 invalid_client Bearer");
    let others = world.token("c2", "s2-Q4", "catalog");
    assert_eq!(
        world.check(id_token(&token).actor(&actor).bearer(&others)).code(),
        "401 invalid_client Bearer"
    );
    assert_eq!(world.check(by_c1(id_token(&token).actor(&others))).code(), BAD);
}

#[test]
fn keycloak_48104_tx_56_a_client_without_the_right_acts_for_no_user() {
    let (mut world, key) = world();
    let token = key.sign(&alice(&json!({})));
    for (pattern, good) in [
        ("https://idp.test|alice", true),
        ("https://idp.test|bob", false),
        ("https://as.test|alice", false),
        ("https://other.test|*", false),
        ("*|al*", true),
    ] {
        world.change("c1", |c1| c1.rights_mut().may_act_for = vec![pattern.parse().unwrap()]);
        let answer = world.check(by_c1(id_token(&token)));
        assert_eq!(answer.code() == "200", good, "{pattern}");
        if good {
            assert_eq!(chain(&answer), ["c1"], "it is named although no actor token was sent (D25)");
        } else {
            assert!(matches!(answer.refusal(), Refusal::MayNotActFor { of: None, .. }));
        }
    }
    world
        .change("c1", |c1| c1.rights_mut().may_impersonate = vec!["https://idp.test|alice".parse().unwrap()]);
    let answer = world.check(by_c1(id_token(&token)));
    assert_eq!(answer.claims().actor, None);
    assert!(!answer.claims().is_clients_own());
}

#[test]
fn tx_44_the_result_ends_with_the_tokens_that_it_was_obtained_with() {
    let (mut world, key) = world();
    let exp = |world: &mut World, ask: Ask| world.check(by_c1(ask)).claims().expires_at.as_seconds() - NOW;
    let long = key.sign(&alice(&json!({"exp": NOW + 36_000})));
    let short = key.sign(&alice(&json!({"exp": NOW + 300})));
    assert_eq!(exp(&mut world, id_token(&long)), 3600);
    assert_eq!(exp(&mut world, id_token(&short)), 300, "the subject's end is the session's");
    // Unless the operator lets sessions outlive it, as Iceberg Java up to 1.10 needs.
    world.issuers[0].trust.outlives_subject = true;
    let actor = at1(&mut world);
    let answer = world.check(id_token(&short).actor(&actor).bearer(&actor));
    assert!(answer.claims().expires_at >= world.check(by_c1(Ask::credentials())).claims().expires_at);
    let end = answer.claims().session.end;
    assert_eq!(end.as_seconds() - NOW, 12 * 3600);
    // A loop of renewals does not outlive that either.
    let mut token = answer.token();
    let mut renewals = 0;
    loop {
        world.pass(1800);
        let renewed = world.check(Ask::exchange(&token).bearer(&token));
        if renewed.code() != "200" {
            break;
        }
        assert!(renewed.claims().expires_at <= end && renewed.claims().session.end == end);
        assert_eq!((renewed.claims().subject.as_str(), chain(&renewed)), ("alice", vec!["c1".to_owned()]));
        token = renewed.token();
        renewals += 1;
    }
    assert_eq!((renewals, world.now), (23, end));
    // Nor does the client's credential, which is not alice's (wire-compat 1.3).
    assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), BAD);
}

#[test]
fn tx_55_only_the_party_that_may_act_names_may_act() {
    let (mut world, key) = world();
    let actor = at1(&mut world);
    for (may_act, good) in [
        (json!({"sub": "c1"}), true),
        (json!({"sub": "c1", "iss": ISSUER}), true),
        (json!({"sub": "c1", "iss": IDP}), false),
        (json!({"sub": "admin@example.net"}), false),
        (json!("c1"), false),
        (json!([]), false),
        (json!([{"sub": "c1"}]), false),
        (json!({}), false),
        (json!({"sub": 1}), false),
        (json!({"sub": "c1", "iss": 1}), false),
        // Further claims about the party, and claims without meaning there (RFC 8693 §4.4).
        (json!({"sub": "c1", "email": "c1@example.net", "aud": "x", "exp": 1, "nbf": 1}), true),
        // Claims that may name fewer parties than `sub` does.
        (json!({"sub": "c1", "client_id": "portal"}), false),
        (json!({"sub": "c1", "sub_id": {"format": "opaque", "id": "x"}}), false),
        (json!({"sub": "c1", "acr": "high"}), false),
        (json!({"email": "c1@example.net"}), false),
        (json!(null), true),
    ] {
        let mut claims = alice(&json!({}));
        if !may_act.is_null() {
            claims["may_act"] = may_act.clone();
        }
        let token = key.sign(&claims);
        assert_eq!(world.check(by_c1(id_token(&token).actor(&actor))).code() == "200", good, "{may_act}");
        // Without an actor token the client is the actor.
        assert_eq!(world.check(by_c1(id_token(&token))).code() == "200", good, "{may_act} without");
        world.change("c1", |c1| c1.rights_mut().may_impersonate = vec![format!("{IDP}|*").parse().unwrap()]);
        assert_eq!(world.check(by_c1(id_token(&token))).code() == "200", good, "{may_act} impersonated");
        world.change("c1", |c1| c1.rights_mut().may_impersonate.clear());
    }
}

#[test]
fn tx_55_rfc_8693_appendix_a_2_with_keys_of_ours() {
    let (mut world, key) = world();
    const ORIGINAL: &str = "https://original-issuer.example.net";
    let mut issuer = trusted(ORIGINAL, &key);
    issuer.trust.map = vec!["scope=status:status".parse().unwrap(), "scope=feed:feed".parse().unwrap()];
    issuer.trust.scope = tokenberg_core::Scope::default();
    world.issuers.push(issuer);
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = vec![format!("{ORIGINAL}|*").parse().unwrap()];
        c1.rights_mut().scope =
            tokenberg_core::registration::AllowedScope::Only("status feed".parse().unwrap());
        c1.rights_mut().audiences = vec!["urn:example:cooperation-context".into()];
    });
    let user = json!({"aud": ISSUER, "iss": ORIGINAL, "exp": NOW + 560, "scope": "status feed",
        "sub": "user@example.net", "may_act": {"sub": "admin@example.net"}});
    let actor = |sub: &str| {
        key.sign(
            &json!({"aud": ISSUER, "iss": ORIGINAL, "exp": NOW + 560, "sub": sub, "scope": "status feed"}),
        )
    };
    let ask = |actor: &str| {
        by_c1(jwt(&key.sign(&user)))
            .with("actor_token", actor)
            .with("actor_token_type", TokenType::Jwt.as_urn())
            .with("audience", "urn:example:cooperation-context")
    };
    let answer = world.check(ask(&actor("admin@example.net")));
    let claims = answer.claims();
    assert_eq!((claims.subject.as_str(), claims.scope.as_str()), ("user@example.net", "status feed"));
    assert_eq!(
        (chain(&answer), &*claims.audience),
        (vec!["admin@example.net".to_owned()], &["urn:example:cooperation-context".into()][..])
    );
    assert_eq!(claims.actor.as_ref().unwrap().issuer.as_ref().map(Issuer::as_str), Some(ORIGINAL));
    assert_eq!(world.check(ask(&actor("someone@example.net"))).code(), BAD);
    // The client adds only subjects that it may act for.
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{ORIGINAL}|user*").parse().unwrap()]);
    assert_eq!(world.check(ask(&actor("admin@example.net"))).code(), BAD);
}

#[test]
fn tx_51_tx_52_tx_53_tx_57_tx_58_the_chain_begins_at_this_server() {
    let (mut world, key) = world();
    // The actors in a foreign token are not trusted, and give no right.
    let token = key.sign(&alice(&json!({"act": {"sub": "admin", "scope": "ns:write"}})));
    let first = world.check(by_c1(id_token(&token)));
    assert_eq!(chain(&first), ["c1"]);
    // Nested as it goes on: the outermost is the present one.
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://cat.test".into()]);
    let onward = world.check(by_c2(Ask::exchange(&first.token())));
    assert_eq!(chain(&onward), ["c2", "c1"]);
    assert_eq!(onward.claims().session.subject_issuer.as_ref().map(Issuer::as_str), Some(IDP));
    let json = Value::Object(onward.claims().to_json());
    assert_eq!(json["act"], json!({"sub": "c2", "act": {"sub": "c1"}}));
    // The subject is no actor, whether it is ours or not (D24).
    let token = key.sign(&alice(&json!({})));
    assert_eq!(world.check(by_c1(id_token(&token).actor(&first.token()))).code(), BAD);
    let acting = key.sign(&alice(&json!({"aud": ISSUER, "act": {"sub": "x"}})));
    let ask = by_c1(id_token(&token))
        .with("actor_token", &acting)
        .with("actor_token_type", TokenType::Jwt.as_urn());
    assert!(matches!(world.check(ask).refusal(), Refusal::ActorIsDelegated(_)));
    // A client that acts for itself adds no actor.
    let acting_for_itself = by_c1(id_token(&token))
        .with("actor_token", &token)
        .with("actor_token_type", TokenType::IdToken.as_urn());
    assert_eq!(chain(&world.check(acting_for_itself)), Vec::<String>::new());
}
