//! An unverified e-mail address names no user: OpenID Connect Core 1.0 §5.1 and §5.7.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::{GrantType, Refusal, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, alice, by_c1, changed, trusted};

const IDP: &str = "https://idp.test";

fn world(subject_claim: &str) -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.issuers[0].trust.subject_claim = subject_claim.into();
    world.issuers[0].trust.accept = AcceptedAs::ALL.to_vec();
    world.change("c1", |c1| {
        c1.rights_mut().grants = GrantType::ALL.to_vec();
        c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
    });
    (world, key)
}

/// The statements about the address, and whether each counts as verified.
fn statements() -> Vec<(Value, bool)> {
    vec![
        (json!({}), true),
        (json!({"email_verified": true}), true),
        (json!({"email_verified": "true"}), true),
        (json!({"email_verified": false}), false),
        (json!({"email_verified": "false"}), false),
        (json!({"email_verified": "True"}), false),
        (json!({"email_verified": "1"}), false),
        (json!({"email_verified": ""}), false),
        (json!({"email_verified": 1}), false),
        (json!({"email_verified": 0}), false),
        (json!({"email_verified": [true]}), false),
        (json!({"email_verified": {}}), false),
        (json!({"xms_edov": true}), true),
        (json!({"xms_edov": "1"}), true),
        (json!({"xms_edov": 1}), true),
        (json!({"xms_edov": false}), false),
        (json!({"xms_edov": "0"}), false),
        (json!({"email_verified": true, "xms_edov": false}), false),
    ]
}

#[test]
fn an_unverified_address_is_no_subject() {
    let (mut world, key) = world("email");
    for (email, good) in statements() {
        let claims = changed(alice(&json!({"email": "alice@example.test", "aud": [ISSUER, "c1"]})), &email);
        let token = key.sign(&claims);
        let grant = key.sign(&changed(claims, &json!({"exp": NOW + 300})));
        let user = key.sign(&alice(&json!({"email": "bob@example.test"})));
        let as_actor = by_c1(Ask::exchange_of(&user, TokenType::IdToken))
            .with("actor_token", &token)
            .with("actor_token_type", TokenType::IdToken.as_urn());
        for ask in [
            by_c1(Ask::exchange_of(&token, TokenType::IdToken)),
            by_c1(Ask::exchange_of(&token, TokenType::Jwt)),
            by_c1(Ask::exchange_of(&token, TokenType::AccessToken)),
            by_c1(Ask::jwt_bearer(&grant)),
            as_actor,
        ] {
            let answer = world.check(ask);
            assert_eq!(answer.code() == "200", good, "{email}");
            if !good {
                let (Refusal::SubjectToken(fault) | Refusal::Assertion(fault) | Refusal::ActorToken(fault)) =
                    answer.refusal()
                else {
                    unreachable!("{:?}", answer.refusal())
                };
                assert!(matches!(fault, TokenFault::UnverifiedEmail { .. }), "{email}: {fault}");
            }
        }
    }
    // Null cannot be written by `changed`.
    let null =
        alice(&json!({"email": "a@b.test"})).to_string().replacen('{', r#"{"email_verified":null,"#, 1);
    let token = key.sign_raw(r#"{"alg":"ES256","kid":"p1"}"#, &null);
    assert_ne!(world.check(by_c1(Ask::exchange_of(&token, TokenType::IdToken))).code(), "200");
}

#[test]
fn an_unverified_address_gives_no_scope_and_other_claims_still_do() {
    let (mut world, key) = world("sub");
    world.change("c1", |c1| c1.rights_mut().scope = tokenberg_core::registration::AllowedScope::Every);
    world.issuers[0].trust.map =
        vec!["email=boss@example.test:all".parse().unwrap(), "groups=x:some".parse().unwrap()];
    for (email, good) in statements() {
        let claims = alice(&json!({"email": "boss@example.test", "groups": ["x"]}));
        let token = key.sign(&changed(claims, &email));
        let answer = world.check(by_c1(Ask::exchange_of(&token, TokenType::IdToken)));
        let scope = answer.claims().scope.as_str().to_owned();
        assert_eq!(scope.split(' ').any(|token| token == "all"), good, "{email}");
        assert!(scope.contains("some"), "{email}");
    }
}
