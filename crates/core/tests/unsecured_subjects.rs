//! The rights that an unsecured JWT gives, which Iceberg's specification allows; conformance TX-60 to TX-69.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokenberg_core::TokenType;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::flow::SubjectProof;
use tokenberg_testkit::{Answer, Ask, ForeignKey, ISSUER, NOW, World, at1, chain, changed, client, trusted};

const BAD: &str = "400 invalid_request";

/// As Trino sends it.
fn trino(changes: &Value) -> String {
    let claims = json!({"sub": "alice", "iss": "476", "iat": NOW, "user": "alice", "source": "trino-cli",
        "trinoCatalog": "iceberg", "trinoVersion": "476"});
    raw(r#"{"alg":"none"}"#, &changed(claims, changes))
}

fn raw(header: &str, claims: &Value) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn ask(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::Jwt)
}

/// A world in which `ca` may assert users, and its token.
fn world() -> (World, String) {
    let mut world = World::new();
    world.register(client("ca", "sa", "catalog ns:read"));
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let actor = world.token("ca", "sa", "catalog ns:read");
    (world, actor)
}

#[test]
fn tx_60_off_by_default() {
    let mut world = World::new();
    let actor = at1(&mut world);
    let token = trino(&json!({}));
    assert_eq!(world.check(ask(&token).actor(&actor).bearer(&actor)).code(), BAD);
    assert_eq!(world.check(ask(&token).actor(&actor).basic("c1", "s1-Z7")).code(), BAD);
    // The right to act for others does not give it either.
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["*|*".parse().unwrap()]);
    world.change("c1", |c1| c1.rights_mut().may_impersonate = vec!["*|*".parse().unwrap()]);
    assert_eq!(world.check(ask(&token).actor(&actor).bearer(&actor)).code(), BAD);
}

#[test]
fn tx_61_cve_2025_55241_only_with_an_authenticated_actor_that_has_the_right() {
    let (mut world, actor) = world();
    let token = trino(&json!({}));
    for ask in [ask(&token).actor(&actor).bearer(&actor), ask(&token).actor(&actor).basic("ca", "sa")] {
        let answer = world.check(ask);
        assert_eq!((answer.claims().subject.as_str(), chain(&answer)), ("alice", vec!["ca".to_owned()]));
    }
    assert_eq!(world.check(ask(&token).basic("ca", "sa")).code(), BAD, "no actor");
    let other = at1(&mut world);
    assert_eq!(world.check(ask(&token).actor(&other).bearer(&other)).code(), BAD, "may not");
    assert_eq!(world.check(ask(&token).actor(&other).basic("ca", "sa")).code(), BAD, "another's token");
    assert_eq!(world.check(ask(&token).actor(&actor).basic("c1", "s1-Z7")).code(), BAD, "another client");
    assert_eq!(world.check(ask(&token)).code(), "401 invalid_client Basic");
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["bob".parse().unwrap()]);
    assert_eq!(world.check(ask(&token).actor(&actor).bearer(&actor)).code(), BAD, "not this user");
}

#[test]
fn tx_62_a_subject_declared_as_jwt_and_nothing_else() {
    let (mut world, actor) = world();
    world.change("ca", |ca| ca.rights_mut().grants = tokenberg_core::GrantType::ALL.to_vec());
    let token = trino(&json!({"iss": ISSUER, "aud": ISSUER, "exp": NOW + 60}));
    for kind in [TokenType::AccessToken, TokenType::IdToken] {
        let typed = Ask::exchange_of(&token, kind).actor(&actor).bearer(&actor);
        assert_eq!(world.check(typed).code(), BAD, "{kind}");
    }
    for kind in [TokenType::AccessToken, TokenType::Jwt, TokenType::IdToken] {
        let as_actor = Ask::exchange(&actor).basic("ca", "sa").with("actor_token", &token);
        assert_eq!(world.check(as_actor.with("actor_token_type", kind.as_urn())).code(), BAD, "actor {kind}");
        let alone = ask(&token).basic("ca", "sa").with("actor_token", &token);
        assert_eq!(world.check(alone.with("actor_token_type", kind.as_urn())).code(), BAD, "both {kind}");
    }
    assert_eq!(world.check(ask(&token).bearer(&token)).code(), "401 invalid_client Bearer");
    assert_eq!(world.check(Ask::credentials().assertion(&token)).code(), "401 invalid_client Basic");
    assert_eq!(world.check(Ask::jwt_bearer(&token).basic("ca", "sa")).code(), "400 invalid_grant");
    let proof = raw(r#"{"alg":"none","typ":"dpop+jwt"}"#, &json!({"jti": "1", "htm": "POST", "iat": NOW}));
    assert_eq!(
        world.check(Ask::credentials().basic("ca", "sa").dpop(&proof)).code(),
        "400 invalid_dpop_proof"
    );
}

#[test]
fn tx_63_tx_64_alg_is_exactly_none_and_a_signed_jwt_is_never_read_as_unsecured() {
    let (mut world, actor) = world();
    let key = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted("https://idp.test", &key)];
    let claims =
        json!({"sub": "alice", "iat": NOW, "exp": NOW + 60, "iss": "https://idp.test", "aud": ISSUER});
    let good = raw(r#"{"alg":"none"}"#, &claims);
    let broken = key.sign(&claims).replacen('.', ".e", 1);
    let unknown = ForeignKey::new(Some("p2")).sign(&claims);
    let appendix_e = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.";
    let send = |world: &mut World, token: &str| world.check(ask(token).actor(&actor).bearer(&actor)).code();
    assert_eq!(send(&mut world, &good), "200");
    for bad in [
        raw(r#"{"alg":"None"}"#, &claims),
        raw(r#"{"alg":"NONE"}"#, &claims),
        raw(r#"{"alg":"none","crit":["exp"]}"#, &claims),
        raw(r#"{"alg":"none","kid":"p1"}"#, &claims),
        raw(r#"{"alg":"none","typ":"at+jwt"}"#, &claims),
        raw(r#"{"alg":"ES256"}"#, &claims),
        raw(r#"{"alg":"HS256"}"#, &claims),
        format!("{good}c2ln"),
        good.trim_end_matches('.').to_owned(),
        format!("{good}."),
        format!("{}.", broken.rsplit_once('.').unwrap().0),
        broken,
        unknown,
        appendix_e.to_owned(),
    ] {
        assert_eq!(send(&mut world, &bad), BAD, "{bad}");
    }
}

#[test]
fn tx_65_tx_66_only_the_name_is_used_and_it_adds_no_right() {
    let (mut world, actor) = world();
    let mut granted = |changes: &Value| {
        let answer = world.check(ask(&trino(changes)).actor(&actor).bearer(&actor));
        let claims = answer.claims();
        (
            claims.scope.clone(),
            claims.audience.clone(),
            claims.expires_at,
            claims.actor.clone(),
            claims.client_id.clone(),
        )
    };
    let bare = granted(&json!({}));
    let loud = granted(
        &json!({"scope": "ns:write", "act": {"sub": "admin"}, "may_act": "x", "client_id": "root",
        "cnf": {"jkt": "x"}, "aud": "https://other.test", "exp": 9_000_000_000_000_000_000_u64, "roles": ["admin"], "nbf": 0}),
    );
    assert_eq!(bare, loud);
    assert_eq!(bare.0.as_str(), "catalog ns:read");
    let scoped = |scope: &str| ask(&trino(&json!({}))).actor(&actor).bearer(&actor).with("scope", scope);
    assert_eq!(world.check(scoped("ns:read")).code(), "200");
    assert_eq!(world.check(scoped("ns:write")).code(), "400 invalid_scope");
    for name in ["c1", "ca", "coff", "c2"] {
        let token = trino(&json!({"sub": name}));
        assert_eq!(world.check(ask(&token).actor(&actor).bearer(&actor)).code(), BAD, "{name} is a client");
    }
    for bad in [json!(""), json!(1), json!(null), json!("a\nb"), json!("x".repeat(256))] {
        let token = trino(&json!({"sub": bad}));
        assert_eq!(world.check(ask(&token).actor(&actor).bearer(&actor)).code(), BAD, "{bad}");
    }
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    world.subjects = vec![(None, "alice".to_owned(), disabled)];
    assert_eq!(world.check(scoped("catalog")).code(), BAD, "shut out");
}

#[test]
fn tx_67_an_unsecured_jwt_has_to_be_recent() {
    let (mut world, actor) = world();
    for (changes, good) in [
        (json!({"iat": NOW - 300}), true),
        (json!({"iat": NOW - 301}), false),
        (json!({"iat": NOW + 5}), true),
        (json!({"iat": NOW + 6}), false),
        (json!({"iat": null}), false),
        (json!({"iat": "1"}), false),
        (json!({"exp": NOW + 1}), true),
        (json!({"exp": NOW}), false),
        (json!({"exp": "never"}), false),
    ] {
        let answer = world.check(ask(&trino(&changes)).actor(&actor).bearer(&actor));
        assert_eq!(answer.code() == "200", good, "{changes}");
    }
}

#[test]
fn tx_44_an_unsecured_user_has_the_clients_session_lifetime_and_ends_with_the_actors_session() {
    let (mut world, actor) = world();
    let assertion = |seconds| trino(&json!({"iat": NOW + seconds}));
    world.pass(3590);
    let first = world.check(ask(&assertion(3590)).actor(&actor).bearer(&actor));
    assert_eq!(first.body()["expires_in"], 3600, "not the 10 s that are left of the actor's token");
    assert_eq!(first.claims().session.end.as_seconds(), NOW + 3590 + 12 * 3600);
    world.pass(3500);
    let renewed = world.check(Ask::exchange(&first.token()).bearer(&first.token()));
    assert_eq!(renewed.body()["expires_in"], 3600, "renewals do not shrink");
    // Iceberg's fallback once the token has expired: Basic of the catalog's client.
    world.pass(3605);
    let late = world.check(Ask::exchange(&renewed.token()).basic("ca", "sa"));
    let identity = (late.claims().subject.as_str(), chain(&late), late.claims().session.unsecured);
    assert_eq!(identity, ("alice", vec!["ca".to_owned()], true));
    assert_eq!(
        (&late.body()["expires_in"], &late.claims().session),
        (&json!(3600), &renewed.claims().session)
    );
    assert_eq!(world.check(Ask::exchange(&renewed.token()).basic("c1", "s1-Z7")).code(), BAD);
    let token = late.token();
    let state = |world: &mut World| world.check(Ask::exchange(&token).basic("ca", "sa")).code();
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["bob".parse().unwrap()]);
    assert_eq!(state(&mut world), BAD, "the client may no longer name the user");
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    assert_eq!(state(&mut world), "200");
    // The actor's token is revoked, long after it expired: the tokens obtained with it end.
    world.revoke(&Ask::token(&actor).basic("ca", "sa")).unwrap().unwrap();
    assert_eq!(state(&mut world), BAD);
    assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code(), "401 invalid_client Bearer");
}

#[test]
fn tx_68_tx_69_an_unsecured_name_is_of_no_issuer_and_the_token_is_marked() {
    let (mut world, actor) = world();
    let answer = world.check(ask(&trino(&json!({}))).actor(&actor).bearer(&actor));
    let Answer::Ok(granted) = &answer else { panic!("granted") };
    assert_eq!(granted.decision.subject_proof, SubjectProof::Unsecured);
    let json = Value::Object(answer.claims().to_json());
    assert_eq!((&json["amr"], &json["act"]), (&json!(["unsecured"]), &json!({"sub": "ca"})));
    assert_eq!(json["tokenberg_session"]["sub_auth"], "unsecured");
    // A client of that name is another principal, and so is the alice of an issuer.
    world.register(client("alice", "s", "catalog ns:read"));
    assert!(!answer.claims().is_clients_own());
    let token = answer.token();
    assert_eq!(world.check(Ask::exchange(&token).basic("alice", "s")).code(), BAD);
    for pattern in [format!("{ISSUER}|alice"), "*|*".to_owned()] {
        world.change("c1", |c1| c1.rights_mut().may_act_for = vec![pattern.parse().unwrap()]);
        assert_eq!(world.check(Ask::exchange(&token).basic("c1", "s1-Z7")).code(), BAD, "{pattern}");
    }
    assert_eq!(
        world.check(Ask::exchange(&token).bearer(&token)).code(),
        "401 invalid_client Bearer",
        "catalogs would take it for that client"
    );
    world.unregister("alice");
    // Renewal keeps all of it, as long as the client may still assert the user.
    let renewed = world.check(Ask::exchange(&token).bearer(&token));
    assert!(renewed.claims().session.unsecured);
    assert_eq!(chain(&renewed), ["ca"]);
    world.change("ca", |ca| ca.rights_mut().may_assert_users.clear());
    assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code(), BAD);
    // The marker never occurs without the session, nor the session without the marker.
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, world.kid());
    for changes in [json!({"amr": null}), json!({"amr": ["pwd"]}), json!({"amr": "unsecured"})] {
        let forged = world.sign_raw(&header, &changed(json.clone(), &changes).to_string());
        assert_eq!(
            world.check(Ask::exchange(&forged).bearer(&forged)).code(),
            "401 invalid_client Bearer",
            "{changes}"
        );
    }
}
