//! A client without a credential exchanges ID tokens that were issued to it, and does nothing else; conformance CA-25.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::registration::{CertificateName, Federation};
use tokenberg_core::{AuthMethod, GrantType, Issuer, Refusal, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, alice, certificate, client_with, trusted};

const IDP: &str = "https://idp.test";

/// The client `app` of an identity provider, which also has another client with a registered audience.
fn setting() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    let mut issuer = trusted(IDP, &key);
    issuer.trust.audiences = vec!["other-app".into()];
    world.issuers = vec![issuer];
    world.register(client_with("app", "catalog ns:read", |rights| {
        rights.auth_method = AuthMethod::Public;
        rights.grants = vec![GrantType::TokenExchange];
        rights.may_impersonate = vec![format!("{IDP}|*").parse().unwrap()];
    }));
    (world, key)
}

/// An exchange of an ID token with these claims by `app`.
fn ask(key: &ForeignKey, changes: &Value) -> Ask {
    let claims = alice(&tokenberg_testkit::changed(json!({"aud": "app"}), changes));
    Ask::exchange_of(&key.sign(&claims), TokenType::IdToken).with("client_id", "app")
}

/// The error code of the response, or `200`.
fn code(world: &mut World, ask: Ask) -> String {
    let code = world.check(ask).code();
    code.split(' ').nth(1).unwrap_or(&code).to_owned()
}

#[test]
fn ca_25_an_id_token_that_was_issued_to_the_client_begins_a_session_of_its_user() {
    let (mut world, key) = setting();
    for good in [json!({}), json!({"aud": ["app"]}), json!({"aud": ["x", "app"], "azp": "app"})] {
        let answer = world.check(ask(&key, &good));
        let claims = answer.claims();
        assert_eq!((claims.subject.as_str(), claims.client_id.as_str()), ("alice", "app"), "{good}");
        assert!(claims.actor.is_none());
    }
    // It is renewed as every token is: presented as its own credential.
    let token = world.check(ask(&key, &json!({}))).token();
    let renewed = world.check(Ask::exchange(&token).bearer(&token)).token();
    assert_eq!(code(&mut world, Ask::exchange(&renewed).with("client_id", "app")), "invalid_client");
    let proof = key.proof(world.now, "1", &json!({}));
    assert!(world.check(ask(&key, &json!({})).dpop(&proof)).claims().confirmation.is_some());

    world.change("app", |app| app.enabled = false);
    assert_eq!(code(&mut world, ask(&key, &json!({}))), "invalid_client");
    assert_eq!(code(&mut world, Ask::exchange(&renewed).bearer(&renewed)), "invalid_client");
    world.change("app", |app| app.enabled = true);
    world.subjects.push((
        IDP.parse().ok(),
        "alice".to_owned(),
        SubjectStatus { disabled: true, ..SubjectStatus::default() },
    ));
    assert_eq!(code(&mut world, ask(&key, &json!({}))), "invalid_request");
}

#[test]
fn ca_25_no_other_token_authenticates_the_client() {
    let (mut world, key) = setting();
    for wrong in [
        // Neither an audience that is registered for the issuer, nor ours: it was not issued to this client.
        json!({"aud": "other-app"}),
        json!({"aud": ISSUER}),
        json!({"aud": ["app", "other-app"]}),
        json!({"aud": ["app", "other-app"], "azp": "other-app"}),
        json!({"azp": "other-app"}),
        json!({"azp": null, "aud": []}),
        json!({"iss": "https://other.test"}),
        json!({"exp": NOW - 60, "iat": NOW - 120}),
        json!({"iat": NOW + 3600}),
        json!({"events": {}}),
    ] {
        assert_eq!(code(&mut world, ask(&key, &wrong)), "invalid_client", "{wrong}");
    }
    assert_eq!(code(&mut world, ask(&ForeignKey::new(Some("p1")), &json!({}))), "invalid_client");
    let azp = world.check(ask(&key, &json!({"azp": "other-app", "aud": ["app", "other-app"]})));
    let Refusal::ClientAssertion(TokenFault::Claim(_)) = azp.refusal() else {
        panic!("{}", azp.refusal());
    };
    world.issuers[0].trust.accept.clear();
    assert_eq!(code(&mut world, ask(&key, &json!({}))), "invalid_client");
}

#[test]
fn ca_25_mt_04_a_certificate_of_the_connection_does_not_keep_a_public_client_from_its_id_token() {
    let (mut world, key) = setting();
    for fault in [None, Some("of an unknown authority".into())] {
        let mut shown = certificate("CN=laptop,O=Test", 7);
        shown.fault = fault;
        let answer = world.check(ask(&key, &json!({})).certificate(shown.clone()));
        assert_eq!((answer.code().as_str(), answer.claims().subject.as_str()), ("200", "alice"));
        assert_eq!(
            code(&mut world, ask(&key, &json!({"aud": "other-app"})).certificate(shown)),
            "invalid_client"
        );
    }
    // A client that is registered with a certificate authenticates by it, and with no other.
    let token = key.sign(&alice(&json!({"aud": "cm"})));
    let by_cm = |subject: &str| {
        Ask::exchange_of(&token, TokenType::IdToken)
            .with("client_id", "cm")
            .certificate(certificate(subject, 7))
    };
    world.register(client_with("cm", "catalog ns:read", |rights| {
        rights.auth_method = AuthMethod::TlsClientAuth;
        rights.certificate = Some(CertificateName::Subject("CN=cm,O=Test".into()));
        rights.may_impersonate = vec![format!("{IDP}|*").parse().unwrap()];
    }));
    assert_eq!(code(&mut world, by_cm("CN=cm,O=Test")), "200");
    assert_eq!(code(&mut world, by_cm("CN=laptop,O=Test")), "invalid_client");
    for id in ["c1", "nobody"] {
        let by_other = Ask::exchange_of(&token, TokenType::IdToken).with("client_id", id);
        assert_eq!(
            code(&mut world, by_other.certificate(certificate("CN=laptop,O=Test", 7))),
            "invalid_client"
        );
    }
}

#[test]
fn ca_25_a_client_with_a_credential_has_to_use_it() {
    let (mut world, key) = setting();
    let token = key.sign(&alice(&json!({})));
    let as_client = |id: &str| Ask::exchange_of(&token, TokenType::IdToken).with("client_id", id);
    for id in ["c1", "coff", "cnone", "nobody", "é"] {
        assert_eq!(code(&mut world, as_client(id)), "invalid_client", "{id}");
    }
    assert_eq!(code(&mut world, Ask::exchange_of(&token, TokenType::IdToken)), "invalid_client");
    world.change("c1", |c1| c1.rights_mut().may_impersonate = vec![format!("{IDP}|*").parse().unwrap()]);
    assert_eq!(code(&mut world, as_client("c1")), "invalid_client");
    assert_eq!(code(&mut world, as_client("c1").and(b"&client_secret=s1-Z7")), "200");
}

#[test]
fn ca_25_a_client_without_a_credential_does_nothing_else() {
    let (mut world, key) = setting();
    // Rights that it must not be registered with have no effect either.
    let federation = Federation {
        issuer: Issuer::foreign(IDP).unwrap(),
        subject: "pod".into(),
        audience: None,
        uid: None,
    };
    world.change("app", |app| {
        let rights = app.rights_mut();
        rights.grants = GrantType::ALL.to_vec();
        rights.may_act_for = rights.may_impersonate.clone();
        rights.may_assert_users = vec!["*".parse().unwrap()];
        rights.serves = vec!["https://cat.test".into()];
        rights.federations = vec![federation];
    });
    let id_token = key.sign(&alice(&json!({"aud": "app"})));
    let token = world.check(ask(&key, &json!({}))).token();
    let of_c1 = world.token("c1", "s1-Z7", "catalog");
    let pod = key.sign(&json!({"iss": IDP, "sub": "pod", "aud": ISSUER, "iat": NOW, "exp": NOW + 60}));
    let jwt = key.sign(&alice(&json!({"aud": ISSUER, "exp": NOW + 60})));
    for (what, ask) in [
        ("a token for itself", Ask::credentials().with("client_id", "app")),
        ("a grant", Ask::jwt_bearer(&jwt).with("client_id", "app")),
        ("a plain JWT", Ask::exchange_of(&jwt, TokenType::Jwt).with("client_id", "app")),
        ("a token of ours", Ask::exchange(&token).with("client_id", "app")),
        ("an actor", ask(&key, &json!({})).actor(&token)),
        ("an identity", Ask::credentials().assertion(&pod)),
        ("an identity for a user", Ask::exchange_of(&id_token, TokenType::IdToken).assertion(&pod)),
        ("a secret", ask(&key, &json!({})).with("client_secret", "x")),
    ] {
        assert_eq!(code(&mut world, ask), "invalid_client", "{what}");
    }
    for (what, ask) in [
        (
            "an actor of another issuer",
            Ask::exchange(&token)
                .bearer(&token)
                .with("actor_token", &key.sign(&alice(&json!({"sub": "bob", "aud": "app"}))))
                .with("actor_token_type", TokenType::IdToken.as_urn()),
        ),
        (
            "itself as the actor for another client's token",
            Ask::exchange(&of_c1).actor(&token).bearer(&token),
        ),
    ] {
        assert_eq!(code(&mut world, ask), "invalid_request", "{what}");
    }
    let presented = Ask::token(&token)
        .with("client_id", "app")
        .with("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .with("subject_token", &id_token)
        .with("subject_token_type", TokenType::IdToken.as_urn());
    assert!(matches!(world.introspect(&presented), Err(Refusal::NoCredentials)));
    assert!(matches!(world.revoke(&presented), Err(Refusal::NoCredentials)));
    // --may-act-for would make it an actor that nothing has authenticated.
    world.change("app", |app| app.rights_mut().may_impersonate.clear());
    assert!(matches!(world.check(ask(&key, &json!({}))).refusal(), Refusal::MayNotActFor { .. }));
    assert_ne!(code(&mut world, Ask::exchange(&token).bearer(&token)), "200");
}
