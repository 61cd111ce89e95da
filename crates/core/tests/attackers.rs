//! An attacker with one token or one issuer gains nothing beyond what that token or issuer may do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{AccessTokenClaims, GrantType, Introspection, Issuer, Refusal, TokenType};
use tokenberg_testkit::{
    Answer, Ask, ForeignKey, ISSUER, NOW, World, alice, at1, at2, changed, client, federated_client,
    signing_client, trusted, unsecured,
};

const P: &str = "https://idp.test";
const Q: &str = "https://evil.test";

/// The whole fixture: a valid issuer `P`, another trusted one `Q`, clients by secret, by key and by workload identity.
fn world() -> (World, ForeignKey, ForeignKey) {
    let (mut world, p, q) = (World::new(), ForeignKey::new(Some("k1")), ForeignKey::new(Some("k1")));
    world.issuers = vec![trusted(P, &p), trusted(Q, &q)];
    world.issuers[1].trust.scope = "catalog".parse().unwrap();
    let every_subject = vec![format!("{P}|*").parse().unwrap(), format!("{Q}|mallory*").parse().unwrap()];
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = every_subject;
        c1.rights_mut().grants = GrantType::ALL.to_vec();
    });
    world.register(signing_client("cj", "catalog ns:write", p.jwks()));
    world.register(federated_client("wl", "catalog ns:write", &[(P, "workload")]));
    world.register(client("ca", "sa", "catalog ns:read"));
    world.change("ca", |ca| ca.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    (world, p, q)
}

/// Sends each case, and checks whatever was granted.
fn play(world: &mut World, cases: Vec<(&str, Ask)>, is_within: impl Fn(&AccessTokenClaims) -> bool) -> usize {
    let mut granted = 0;
    for (what, ask) in cases {
        match world.check(ask) {
            Answer::Ok(answer) => {
                assert!(is_within(&answer.claims), "{what}: {:?}", answer.claims);
                granted += 1;
            }
            Answer::Refused(..) => {}
            Answer::Outage(outage) => panic!("{what}: {outage}"),
        }
    }
    granted
}

#[test]
fn a_stolen_token_gives_that_token_and_its_renewals_only() {
    let (mut world, p, _) = world();
    let stolen = at2(&mut world);
    let (victims, users) = (at1(&mut world), p.sign(&alice(&json!({"aud": [ISSUER, "c1", "c2"]}))));
    let raw = Ask::raw;
    let user = |kind| Ask::exchange_of(&users, kind);
    let assert_alice = unsecured(&json!({"sub": "alice", "iat": NOW}));
    let cases = vec![
        ("renewed", Ask::exchange(&stolen).bearer(&stolen)),
        ("with more scope", Ask::exchange(&stolen).bearer(&stolen).with("scope", "catalog ns:read")),
        ("with a role", Ask::exchange(&stolen).bearer(&stolen).with("scope", "PRINCIPAL_ROLE:ALL")),
        ("elsewhere", Ask::exchange(&stolen).bearer(&stolen).with("audience", "https://other.test")),
        ("for the victim", Ask::exchange(&victims).actor(&stolen).bearer(&stolen)),
        ("as the victim", Ask::exchange(&victims).bearer(&stolen)),
        ("with the victim as the actor", Ask::exchange(&stolen).actor(&victims).bearer(&stolen)),
        ("named as the victim", Ask::exchange(&stolen).bearer(&stolen).with("client_id", "c1")),
        ("for a user", user(TokenType::IdToken).actor(&stolen).bearer(&stolen)),
        ("for a user of a jwt", user(TokenType::Jwt).actor(&stolen).bearer(&stolen)),
        (
            "for an unsecured user",
            Ask::exchange_of(&assert_alice, TokenType::Jwt).actor(&stolen).bearer(&stolen),
        ),
        ("as another type", Ask::exchange_of(&stolen, TokenType::Jwt).bearer(&stolen)),
        ("as an id token", Ask::exchange_of(&stolen, TokenType::IdToken).bearer(&stolen)),
        ("client credentials", Ask::credentials().bearer(&stolen)),
        ("as an assertion", Ask::credentials().assertion(&stolen)),
        ("as a grant", Ask::jwt_bearer(&stolen).bearer(&stolen)),
        ("as a proof", Ask::exchange(&stolen).bearer(&stolen).dpop(&stolen)),
        ("as a secret", Ask::credentials().basic("c2", &stolen[..1000.min(stolen.len())])),
        ("as a password grant", raw("grant_type=password&username=c2").with("password", &stolen)),
        ("as a refresh token", raw("grant_type=refresh_token").with("refresh_token", &stolen)),
    ];
    let own = |claims: &AccessTokenClaims| {
        claims.client_id.as_str() == "c2" && claims.is_clients_own() && claims.scope.as_str() == "catalog"
    };
    assert_eq!(play(&mut world, cases, own), 1, "a renewal of what was stolen, and nothing else");
    // The companions reveal nothing to the attacker, and revoke nothing for it.
    for ask in [Ask::token(&victims).bearer(&stolen), Ask::token(&stolen).bearer(&stolen)] {
        assert_eq!(world.introspect(&ask).err(), Some(Refusal::BearerOutsideOfExchange));
        assert_eq!(world.revoke(&ask).err(), Some(Refusal::BearerOutsideOfExchange));
    }
    // A session that has expired stays expired.
    world.pass(12 * 3600);
    assert_eq!(world.check(Ask::exchange(&stolen).bearer(&stolen)).code(), "401 invalid_client Bearer");
}

#[test]
fn stolen_credentials_give_the_rights_of_that_client_only() {
    let (mut world, p, _) = world();
    let (own, victims) = (at2(&mut world), at1(&mut world));
    let users = p.sign(&alice(&json!({"aud": [ISSUER, "c1", "c2"]})));
    let session = world.check(Ask::exchange_of(&users, TokenType::IdToken).basic("c1", "s1-Z7")).token();
    let by = |ask: Ask| ask.basic("c2", "s2-Q4");
    let cases = vec![
        ("itself", by(Ask::credentials())),
        ("more scope", by(Ask::credentials().with("scope", "ns:write"))),
        ("the victim's token", by(Ask::exchange(&victims))),
        ("with itself as the actor", by(Ask::exchange(&victims).actor(&own))),
        ("the victim as the actor", by(Ask::exchange(&own).actor(&victims))),
        ("a user's session of another client", by(Ask::exchange(&session))),
        ("the same as the actor's", by(Ask::exchange(&session).actor(&own))),
        ("a user", by(Ask::exchange_of(&users, TokenType::IdToken).actor(&own))),
        ("a grant", by(Ask::jwt_bearer(&users))),
    ];
    let own = |claims: &AccessTokenClaims| {
        claims.client_id.as_str() == "c2" && claims.is_clients_own() && claims.scope.as_str() == "catalog"
    };
    assert_eq!(play(&mut world, cases, own), 1);
    let inactive = world.introspect(&by(Ask::token(&victims)));
    assert!(matches!(inactive, Ok(Introspection::Inactive(_))));
    assert!(matches!(world.revoke(&by(Ask::token(&victims))), Err(Refusal::TokenOfAnotherClient { .. })));
}

#[test]
fn a_compromised_issuer_gives_the_subjects_of_that_issuer_only() {
    let (mut world, p, q) = world();
    world.issuers[1].trust.accept = AcceptedAs::ALL.to_vec();
    let good = json!({"iss": Q, "sub": "mallory", "aud": [ISSUER, "c1"], "iat": NOW, "exp": NOW + 300});
    let forged = |changes: &Value| q.sign(&changed(good.clone(), changes));
    let c1 = |ask: Ask| ask.basic("c1", "s1-Z7");
    let actor = at1(&mut world);
    let mut cases = Vec::new();
    for (what, changes) in [
        ("its own subject", json!({})),
        ("a subject that no client may act for", json!({"sub": "root"})),
        ("called like a client", json!({"sub": "c1"})),
        ("called like the operator's client", json!({"sub": "mallory", "client_id": "root"})),
        ("another issuer's", json!({"iss": P, "sub": "alice"})),
        ("ours", json!({"iss": ISSUER, "sub": "c1"})),
        ("two issuers", json!({"iss": [Q, P]})),
        ("with scope", json!({"scope": "ns:write", "scp": ["ns:write"], "roles": ["admin"]})),
        ("with actors", json!({"act": {"sub": "c1"}, "may_act": {"sub": "c1"}})),
        ("with our session", json!({"tokenberg_session": {"id": "x", "start": 1, "end": 9_999_999_999_i64}})),
        ("for ever", json!({"exp": 9_999_999_999_i64})),
        ("bound", json!({"cnf": {"jkt": q.thumbprint().as_str()}})),
        ("a workload of another issuer", json!({"sub": "workload"})),
        ("a workload of another trust domain", json!({"sub": "spiffe://idp.test/a"})),
    ] {
        let token = forged(&changes);
        for kind in [TokenType::IdToken, TokenType::Jwt, TokenType::AccessToken] {
            cases.push((what, c1(Ask::exchange_of(&token, kind))));
            cases.push((what, c1(Ask::exchange_of(&token, kind).actor(&actor))));
            let victim = Ask::exchange(&actor).with("actor_token", &token);
            cases.push((what, c1(victim.with("actor_token_type", kind.as_urn()))));
        }
        cases.push((what, c1(Ask::jwt_bearer(&token))));
        cases.push((what, Ask::exchange(&token).bearer(&token)));
        cases.push((what, Ask::credentials().assertion(&token)));
        for id in ["wl", "cj", "c1"] {
            cases.push((what, Ask::credentials().assertion(&token).with("client_id", id)));
        }
        let spiffe =
            Ask::credentials().with("client_assertion_type", AssertionKind::JwtSpiffe.as_parameter());
        cases.push((what, spiffe.with("client_assertion", &token)));
        cases.push((what, c1(Ask::credentials()).dpop(&token)));
    }
    // The attacker's key under the name of the other issuer's, and a client's own key under the issuer's name.
    cases.push((
        "for a client",
        Ask::credentials().assertion(&forged(&json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "jti": "1"}))),
    ));
    cases.push(("by a client", c1(Ask::exchange_of(&p.sign(&good), TokenType::Jwt))));
    let within = |claims: &AccessTokenClaims| {
        let realm = claims.session.subject_issuer.as_ref().map(Issuer::as_str);
        let actor = claims
            .actor
            .as_ref()
            .map(|a| (a.issuer.as_ref().map(Issuer::as_str), a.subject.as_str(), a.prior.is_none()));
        let who = match realm {
            Some(issuer) => {
                issuer == Q && claims.subject.as_str() == "mallory" && actor == Some((None, "c1", true))
            }
            // The delegation that c1 permits mallory, with the credential of c1.
            None => claims.subject.as_str() == "c1" && actor == Some((Some(Q), "mallory", true)),
        };
        who && claims.client_id.as_str() == "c1"
            && claims.scope.as_str() == "catalog"
            && claims.expires_at.as_seconds() <= NOW + 330
            && claims.audience == ["https://cat.test".into()]
    };
    assert!(play(&mut world, cases, within) > 10, "its own subjects come through, as they may");
    // Once the issuer is removed, everything that depended on it is refused.
    let session = world.check(c1(Ask::exchange_of(&forged(&json!({})), TokenType::IdToken))).token();
    world.issuers.pop();
    assert_eq!(world.check(Ask::exchange(&session).bearer(&session)).code(), "401 invalid_client Bearer");
}
