//! What introspection and revocation reveal about a token, and to which client: RFC 7662; conformance IN.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::TokenStatus;
use tokenberg_core::policy::LONGEST_TOKEN_LIFETIME;
use tokenberg_core::token::{Confirmation, Thumbprint};
use tokenberg_core::{Answers, Introspection, Lifetime, Refusal, Revoke, TokenVerification};
use tokenberg_testkit::{Ask, ISSUER, NOW, World, client};

const CATALOG: &str = "https://cat.test";

/// The fixture, and two resource servers: `rs1` serves the catalog, `rs2` something else.
fn world() -> World {
    let mut world = World::new();
    for (id, served) in [("rs1", CATALOG), ("rs2", "https://other.test")] {
        let mut server = client(id, "rs-secret", "catalog");
        server.rights_mut().serves = vec![served.into()];
        world.register(server);
    }
    world
}

fn introspect(world: &World, ask: &Ask) -> Value {
    match world.introspect(ask) {
        Ok(introspection) => serde_json::from_str(&introspection.to_json()).unwrap(),
        Err(refusal) => panic!("refused: {refusal}"),
    }
}

/// Whether the token is active to the resource server.
fn is_active(world: &World, token: &str) -> bool {
    let members = introspect(world, &Ask::token(token).basic("rs1", "rs-secret"));
    if members["active"] != true {
        assert_eq!(members, json!({"active": false}));
    }
    members["active"] == true
}

#[test]
fn in_01_in_02_tx_24_the_client_has_to_authenticate_and_to_send_a_token() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    let exchange = Ask::exchange(&token).with("token", &token).bearer(&token);
    for (ask, code) in [
        (Ask::token(&token), "401 invalid_client"),
        (Ask::token(&token).bearer(&token), "401 invalid_client"),
        (Ask::token(&token).bearer("?"), "401 invalid_client"),
        // A Bearer is no client authentication, whatever else the form contains.
        (exchange, "401 invalid_client"),
        (Ask::token(&token).basic("rs1", "wrong"), "401 invalid_client"),
        (Ask::token(&token).basic("unknown", "x"), "401 invalid_client"),
        (Ask::token(&token).basic("coff", "soff"), "401 invalid_client"),
        (Ask::default().basic("rs1", "wrong"), "401 invalid_client"),
        (Ask::default().basic("rs1", "rs-secret"), "400 invalid_request"),
        (Ask::raw("token=").basic("rs1", "rs-secret"), "400 invalid_request"),
        (Ask::token(&token).with("token", &token).basic("rs1", "rs-secret"), "400 invalid_request"),
        (Ask::default().query(&format!("token={token}")).basic("rs1", "rs-secret"), "400 invalid_request"),
        (Ask::token(&token).basic("rs1", "rs-secret").post("rs1", "rs-secret"), "400 invalid_request"),
    ] {
        for revokes in [false, true] {
            let refusal = if revokes { world.revoke(&ask).err() } else { world.introspect(&ask).err() };
            let error = world.error_for(&refusal.unwrap());
            assert_eq!(format!("{} {}", error.status(), error.code.as_str()), code, "{ask:?}");
            assert_eq!(
                error.challenge.map(tokenberg_core::error::Challenge::as_header).is_some(),
                error.status() == 401
            );
            assert!(
                error.challenge.is_none_or(|challenge| challenge == tokenberg_core::error::Challenge::Basic)
            );
        }
    }
    assert!(is_active(&world, &token), "none of these revoked it");
}

#[test]
fn in_03_an_active_token_is_reported_with_its_claims() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog ns:read");
    for ask in [
        Ask::token(&token).basic("rs1", "rs-secret"),
        Ask::token(&token).post("rs1", "rs-secret"),
        Ask::token(&token).basic("c1", "s1-Z7"),
    ] {
        let mut members = introspect(&world, &ask);
        assert!(members.as_object_mut().unwrap().remove("jti").is_some_and(|jti| jti.is_string()));
        let expected = json!({"active": true, "scope": "catalog ns:read", "client_id": "c1", "token_type": "bearer",
            "exp": NOW + 3600, "iat": NOW, "sub": "c1", "aud": CATALOG, "iss": ISSUER});
        assert_eq!(members, expected);
    }
    world.change("rs1", |c| c.rights_mut().audiences = vec![CATALOG.into()]);
    let delegated =
        world.check(Ask::exchange(&token).basic("rs1", "rs-secret").with("scope", "catalog")).token();
    assert_eq!(
        introspect(&world, &Ask::token(&delegated).basic("rs1", "rs-secret"))["act"],
        json!({"sub": "rs1"})
    );
    let Ok(Introspection::Active(active)) = world.introspect(&Ask::token(&token).basic("c1", "s1-Z7")) else {
        panic!("inactive");
    };
    let mut claims = (*active).clone();
    claims.confirmation =
        Confirmation::of(Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"), None);
    let bound = world.sign(&claims);
    let members = introspect(&world, &Ask::token(&bound).basic("rs1", "rs-secret"));
    assert_eq!(
        (&members["active"], &members["cnf"]["jkt"]),
        (&true.into(), &claims.confirmation.unwrap().key.unwrap().as_str().into())
    );
}

#[test]
fn in_04_in_07_cve_2026_37979_cve_2026_18208_an_inactive_token_is_reported_without_its_claims() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    let text = |world: &World, ask: &Ask| world.introspect(ask).unwrap_or_else(|e| panic!("{e}")).to_json();
    let inactive = r#"{"active":false}"#;
    let payload = json!({"iss": ISSUER, "aud": CATALOG, "sub": "c1", "client_id": "c1", "iat": NOW, "exp": NOW + 60,
        "jti": "x", "scope": "catalog", "tokenberg_session": {"id": "x", "start": NOW, "end": NOW + 60}});
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": world.kid()});
    let signed = |header: &Value, name: &str, value: Value| {
        let mut payload = payload.clone();
        payload[name] = value;
        world.sign_raw(&header.to_string(), &payload.to_string())
    };
    let typed = |typ: &str| json!({"alg": "ES256", "typ": typ, "kid": world.kid()});
    assert!(is_active(&world, &signed(&header, "jti", json!("y"))));
    let bad = [
        "garbage".to_owned(),
        "x".repeat(1_000_000),
        format!("{}AAAA", &token[..token.len() - 4]),
        signed(&header, "exp", json!(NOW)),
        signed(&header, "iat", json!(NOW + 6)),
        signed(&header, "nbf", json!(NOW + 6)),
        signed(&header, "iss", json!("https://other-as.test")),
        signed(&header, "client_id", json!("coff")),
        signed(&header, "sub", json!("coff")),
        signed(&header, "sub", json!("unknown")),
        signed(&header, "aud", json!("https://nowhere.test")),
        signed(&typed("JWT"), "jti", json!("y")),
        signed(&typed("dpop+jwt"), "jti", json!("y")),
        signed(&typed("client-authentication+jwt"), "jti", json!("y")),
        World::new().token("c1", "s1-Z7", "catalog"),
    ];
    for bad in bad {
        for (id, secret) in [("rs1", "rs-secret"), ("c1", "s1-Z7")] {
            assert_eq!(text(&world, &Ask::token(&bad).basic(id, secret)), inactive, "{:.80}", bad);
        }
    }
    // Refused to clients that neither serve its audience nor own it.
    for (id, secret) in [("rs2", "rs-secret"), ("c2", "s2-Q4")] {
        assert_eq!(text(&world, &Ask::token(&token).basic(id, secret)), inactive, "{id}");
    }
    world.change("c1", |c| c.enabled = false);
    assert!(!is_active(&world, &token));
    world.change("c1", |c| c.enabled = true);
    assert!(is_active(&world, &token));
    world.pass(3600);
    assert!(!is_active(&world, &token));
}

#[test]
fn in_06_rv_05_hints_change_nothing() {
    let mut world = world();
    for hint in ["access_token", "refresh_token", "id_token", "unknown", ""] {
        let token = world.token("c1", "s1-Z7", "catalog");
        let ask = Ask::token(&token).with("token_type_hint", hint);
        assert_eq!(introspect(&world, &ask.clone().basic("rs1", "rs-secret"))["active"], true, "{hint}");
        assert!(world.revoke(&ask.basic("c1", "s1-Z7")).unwrap().is_some(), "{hint}");
        assert!(!is_active(&world, &token), "{hint}");
    }
}

/// The verdict of exchange, of a catalog, and of introspection.
fn verdicts(world: &mut World, token: &str) -> [bool; 3] {
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![CATALOG.into()]);
    let at_catalog = verification.framed(token).and_then(|framed| {
        let claims = verification.claims(
            &framed,
            world.keys().verify(&framed, world.now),
            world.now,
            &Default::default(),
        )?;
        let status = TokenStatus::of(&*world, &claims);
        verification.recalled(claims, status)
    });
    let exchanged = world.check(Ask::exchange(token).bearer(token)).code() == "200";
    [exchanged, at_catalog.is_ok(), is_active(world, token)]
}

#[test]
fn in_10_introspection_exchange_and_catalog_agree() {
    let mut world = world();
    let good = world.token("c1", "s1-Z7", "catalog");
    let of_another = world.token("c2", "s2-Q4", "catalog");
    let revoked = world.token("c1", "s1-Z7", "catalog");
    let renewed = world.check(Ask::exchange(&revoked).bearer(&revoked)).token();
    assert!(world.revoke(&Ask::token(&revoked).basic("c1", "s1-Z7")).unwrap().is_some());
    let kid = world.kid().to_owned();
    let with = |name: &str, value: Value| {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": kid});
        let mut payload = json!({"iss": ISSUER, "aud": CATALOG, "sub": "c1", "client_id": "c1", "iat": NOW,
            "exp": NOW + 60, "jti": "x", "scope": "catalog",
            "tokenberg_session": {"id": "x", "start": NOW, "end": NOW + 60}});
        if header.get(name).is_some() {
            header[name] = value
        } else {
            payload[name] = value
        }
        world.sign_raw(&header.to_string(), &payload.to_string())
    };
    let made = [
        (with("jti", json!("y")), true),
        (with("aud", json!([CATALOG, "https://b.test"])), true),
        (with("typ", json!("application/at+jwt")), true),
        (with("nbf", json!(NOW + 5)), true),
        (with("nbf", json!(NOW + 6)), false),
        (with("exp", json!(NOW)), false),
        (with("exp", json!(NOW + 61)), false),
        (with("alg", json!("none")), false),
        (with("alg", json!("ES384")), false),
        (with("typ", json!("JWT")), false),
        (with("kid", json!("unknown")), false),
        (with("iss", json!("https://evil.test")), false),
        (with("aud", json!("https://evil.test")), false),
        (with("client_id", json!("coff")), false),
        (with("sub", json!("unknown")), false),
        (with("scope", json!("")), false),
        (with("may_act", json!({"sub": "c2"})), false),
        (with("act", json!("admin")), false),
        (good.clone(), true),
        (of_another, true),
        (revoked, false),
        (renewed, false),
        ("garbage".to_owned(), false),
    ];
    for (token, passes) in made {
        assert_eq!(verdicts(&mut world, &token), [passes; 3], "{token}");
    }
    world.pass(3600);
    assert_eq!(verdicts(&mut world, &good), [false; 3]);
}

#[test]
fn rv_01_rv_03_rv_07_a_token_and_its_session_are_revoked_at_once() {
    let mut world = world();
    world.change("rs1", |c| c.rights_mut().audiences = vec![CATALOG.into()]);
    let before = world.token("c1", "s1-Z7", "catalog");
    let given_back = world.check(Ask::exchange(&before).bearer(&before)).token();
    let after = world.check(Ask::exchange(&given_back).bearer(&given_back)).token();
    let delegated = world.check(Ask::exchange(&given_back).basic("rs1", "rs-secret")).token();
    let elsewhere = world.token("c1", "s1-Z7", "catalog");
    let revoked = world.revoke(&Ask::token(&given_back).basic("c1", "s1-Z7")).unwrap().unwrap();
    assert_eq!(revoked.claims().client_id.as_str(), "c1");
    for dead in [&before, &given_back, &after, &delegated] {
        assert!(!is_active(&world, dead));
        assert_eq!(world.check(Ask::exchange(dead).basic("c1", "s1-Z7")).code(), "400 invalid_request");
    }
    assert!(is_active(&world, &elsewhere), "another session continues");
    assert!(!world.token("c1", "s1-Z7", "catalog").is_empty(), "the session of the client continues");
}

#[test]
fn rv_02_rv_08_rv_09_the_revocation_of_an_invalid_token_is_not_stored() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    let expired = {
        let kid = world.kid().to_owned();
        let payload = json!({"iss": ISSUER, "aud": CATALOG, "sub": "c1", "client_id": "c1", "iat": NOW - 4_000_000,
            "exp": NOW - 3_996_400, "jti": "x", "scope": "catalog",
            "tokenberg_session": {"id": "x", "start": NOW - 4_000_000, "end": NOW - 3_990_000}});
        world
            .sign_raw(&json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}).to_string(), &payload.to_string())
    };
    assert!(world.revoke(&Ask::token(&token).basic("c1", "s1-Z7")).unwrap().is_some());
    let written = world.revoked.len();
    let foreign = World::new().token("c1", "s1-Z7", "catalog");
    for nothing in [token.clone(), expired, foreign, "garbage".to_owned(), format!("{token}x")] {
        assert!(world.revoke(&Ask::token(&nothing).basic("c1", "s1-Z7")).unwrap().is_none(), "{nothing}");
    }
    assert_eq!(world.revoked.len(), written);
}

#[test]
fn rv_04_rv_07_an_actor_revokes_its_own_tokens_and_not_the_subjects_session() {
    let mut world = world();
    world.change("c2", |c| c.rights_mut().may_act_for = vec![format!("{ISSUER}|c1").parse().unwrap()]);
    let subjects = world.token("c1", "s1-Z7", "catalog");
    let delegated = world.check(Ask::exchange(&subjects).basic("c2", "s2-Q4")).token();
    let renewed = world.check(Ask::exchange(&delegated).bearer(&delegated)).token();
    assert!(world.revoke(&Ask::token(&delegated).basic("c2", "s2-Q4")).unwrap().is_some());
    assert!(!is_active(&world, &delegated) && !is_active(&world, &renewed));
    assert!(is_active(&world, &subjects), "the subject's own session ends only at its own request");
    assert!(world.revoke(&Ask::token(&subjects).basic("c1", "s1-Z7")).unwrap().is_some());
    assert!(!is_active(&world, &subjects));
}

#[test]
fn rv_05_rv_07_an_expired_token_still_ends_its_session() {
    let mut world = world();
    let first = world.token("c1", "s1-Z7", "catalog");
    world.pass(3000);
    let renewed = world.check(Ask::exchange(&first).bearer(&first)).token();
    world.pass(700);
    assert!(!is_active(&world, &first) && is_active(&world, &renewed));
    assert!(world.revoke(&Ask::token(&first).basic("c1", "s1-Z7")).unwrap().is_some());
    assert!(!is_active(&world, &renewed));
    assert_ne!(world.check(Ask::exchange(&first).basic("c1", "s1-Z7")).code(), "200");
}

#[test]
fn rv_06_rv_08_a_revocation_is_stored_while_any_token_of_the_session_is_valid() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    let mut claims = world.check(Ask::exchange(&token).bearer(&token)).claims().clone();
    // The session of a client with short sessions, which obtained the token from one with long ones.
    claims.session.end = world.now.plus(Lifetime::from_seconds(60));
    claims.expires_at = claims.session.end;
    let revoke = Revoke::of(claims, world.endpoint.policy(), world.now);
    let parent_can_be_renewed =
        world.now.plus(LONGEST_TOKEN_LIFETIME).plus(world.endpoint.policy().expired_subject_grace);
    assert!(revoke.until() > parent_can_be_renewed);
}

#[test]
fn rv_04_no_client_revokes_the_token_of_another() {
    let mut world = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    // Not even its resource server may revoke it, although it may introspect it.
    for (id, secret) in [("c2", "s2-Q4"), ("rs1", "rs-secret")] {
        let refusal = world.revoke(&Ask::token(&token).basic(id, secret)).err().unwrap();
        assert!(matches!(refusal, Refusal::TokenOfAnotherClient { .. }), "{refusal}");
        let error = world.error_for(&refusal);
        assert_eq!((error.status(), error.code.as_str()), (400, "unauthorized_client"));
    }
    assert!(is_active(&world, &token) && world.revoked.is_empty());
}

#[test]
fn rv_03_a_token_of_a_disabled_subject_stays_revoked_when_the_subject_is_enabled_again() {
    let mut world = world();
    world.change("c2", |c| c.rights_mut().may_act_for = vec![format!("{ISSUER}|c1").parse().unwrap()]);
    let token = world.token("c1", "s1-Z7", "catalog");
    let delegated = world.check(Ask::exchange(&token).basic("c2", "s2-Q4")).token();
    world.change("c1", |c| c.enabled = false);
    assert!(world.revoke(&Ask::token(&delegated).basic("c2", "s2-Q4")).unwrap().is_some());
    world.change("c1", |c| c.enabled = true);
    assert!(!is_active(&world, &delegated));
}
