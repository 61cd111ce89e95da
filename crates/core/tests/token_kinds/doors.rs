//! The entries where a token of another issuer can be presented, and the tokens that each accepts.

use serde_json::{Value, json};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::{GrantType, TokenType};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, alice, by_c1, changed, federated_client, signing_client, trusted,
};

pub(crate) const IDP: &str = "https://idp.test";
pub(crate) const WORKLOAD: &str = "repo:o/r:ref:refs/heads/main";
pub(crate) const SVID: &str = "spiffe://td.test/ns/a/sa/b";

/// An entry where a token of another issuer can be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    IdToken,
    Jwt,
    AccessToken,
    Actor,
    Grant,
    ClientAssertion,
    Workload,
    Svid,
}

pub(crate) const DOORS: [Door; 8] = [
    Door::IdToken,
    Door::Jwt,
    Door::AccessToken,
    Door::Actor,
    Door::Grant,
    Door::ClientAssertion,
    Door::Workload,
    Door::Svid,
];

/// A world in which one key signs for `issuer`, for a trust domain and for the client `cj`.
pub(crate) fn world(issuer: &str, subject: &str) -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
    world.issuers = vec![trusted(issuer, &key), trusted("spiffe://td.test", &key)];
    world.issuers[0].trust.accept = AcceptedAs::ALL.to_vec();
    world.issuers[0].trust.audiences = vec!["api://tokens".into()];
    world.change("c1", |c1| {
        c1.rights_mut().grants = GrantType::ALL.to_vec();
        c1.rights_mut().may_act_for = vec![format!("{issuer}|*").parse().unwrap()];
    });
    world.register(signing_client("cj", "catalog", key.jwks()));
    world.register(federated_client("wl", "catalog", &[(issuer, subject), ("spiffe://td.test", SVID)]));
    (world, key)
}

/// Claims that are accepted at the door.
pub(crate) fn genuine(door: Door, id: &str) -> Value {
    let changes = match door {
        Door::IdToken | Door::Actor => json!({}),
        Door::Jwt | Door::AccessToken => json!({"aud": ISSUER}),
        Door::Grant => json!({"aud": ISSUER, "exp": NOW + 300}),
        Door::ClientAssertion => json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "exp": NOW + 60}),
        Door::Workload => json!({"sub": WORKLOAD, "aud": ISSUER}),
        Door::Svid => json!({"iss": null, "sub": SVID, "aud": [ISSUER]}),
    };
    changed(changed(alice(&json!({})), &changes), &json!({ "jti": id }))
}

pub(crate) fn present(door: Door, token: &str, key: &ForeignKey) -> Ask {
    let subject = |kind| by_c1(Ask::exchange_of(token, kind));
    match door {
        Door::IdToken => subject(TokenType::IdToken),
        Door::Jwt => subject(TokenType::Jwt),
        Door::AccessToken => subject(TokenType::AccessToken),
        Door::Actor => by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken))
            .with("actor_token", token)
            .with("actor_token_type", TokenType::IdToken.as_urn()),
        Door::Grant => by_c1(Ask::jwt_bearer(token)),
        Door::ClientAssertion | Door::Workload | Door::Svid => Ask::credentials().assertion(token),
    }
}

pub(crate) fn header(typ: &str) -> String {
    let typ = if typ.is_empty() { json!({}) } else { json!({ "typ": typ }) };
    changed(json!({"alg": "ES256", "kid": "k1"}), &typ).to_string()
}
