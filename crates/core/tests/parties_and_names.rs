//! Who may act, what a name is reserved for, and what ends a user's session: RFC 8693 §4.4, RFC 9068 §5; conformance CC-17 and TX.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::{Lifetime, Refusal, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, NOW, World, alice, by_c1, chain, trusted};

const IDP: &str = "https://idp.test";
const Q: &str = "https://q.test";

/// Two issuers; `c1` may act for the users of both, and name users in unsecured JWTs.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key), trusted(Q, &key)];
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = [IDP, Q].map(|issuer| format!("{issuer}|*").parse().unwrap()).to_vec();
        c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()];
    });
    (world, key)
}

fn user(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::IdToken)
}

fn with_actor(ask: Ask, token: &str) -> Ask {
    ask.with("actor_token", token).with("actor_token_type", TokenType::IdToken.as_urn())
}

fn unsecured(name: &str, now: i64) -> Ask {
    Ask::exchange_of(&tokenberg_testkit::unsecured(&json!({"sub": name, "iat": now})), TokenType::Jwt)
}

#[test]
fn law_6_tx_55_may_act_without_an_issuer_names_no_subject_of_a_third_issuer() {
    let (mut world, key) = world();
    let token = |issuer: &str, sub: &str, may_act: Value| {
        key.sign(&alice(&json!({"iss": issuer, "sub": sub, "aud": "c1", "may_act": may_act})))
    };
    for (may_act, actor, is_good) in [
        (json!({"sub": "robot"}), IDP, true),
        (json!({"sub": "robot"}), Q, false),
        (json!({"sub": "robot", "iss": Q}), Q, true),
        (json!({"sub": "robot", "iss": Q}), IDP, false),
    ] {
        let ask = by_c1(user(&token(IDP, "alice", may_act.clone())));
        let answer = world.check(with_actor(ask, &token(actor, "robot", Value::Null)));
        assert_eq!(answer.code() == "200", is_good, "{may_act} {actor}");
    }
    // The named client, and a user of another issuer with the same name, now and later in the session.
    let session = world.check(by_c1(user(&token(IDP, "alice", json!({"sub": "c1"})))));
    assert_eq!(chain(&session), ["c1"]);
    let namesake = token(Q, "c1", Value::Null);
    for ask in [user(&token(IDP, "alice", json!({"sub": "c1"}))), Ask::exchange(&session.token())] {
        let answer = world.check(with_actor(by_c1(ask), &namesake));
        assert!(matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::MayNotAct(_))));
    }
}

#[test]
fn cc_17_the_prefix_of_a_disabled_issuer_stays_reserved() {
    let (mut world, key) = world();
    world.issuers[1].trust.subject_prefix = Some("okta:".into());
    let actor = world.token("c1", "s1-Z7", "catalog");
    for enabled in [true, false] {
        // Catalogs go on granting rights to `okta:alice` while the issuer is disabled, perhaps because it was compromised.
        world.issuers[1].enabled = enabled;
        let of_another = by_c1(user(&key.sign(&alice(&json!({"sub": "okta:alice"})))));
        for ask in [of_another, unsecured("okta:alice", NOW).actor(&actor).bearer(&actor)] {
            let answer = world.check(ask);
            let fault = answer.refusal();
            assert!(
                matches!(fault, Refusal::SubjectToken(TokenFault::NameTaken { .. })),
                "{enabled} {fault}"
            );
        }
    }
}

#[test]
fn tx_44_law_3_a_user_from_an_unsecured_jwt_outlives_the_actors_session_when_renewed_with_it_too() {
    let (mut world, key) = world();
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(2));
    let actor = world.token("c1", "s1-Z7", "catalog");
    world.pass(3000);
    let renewed_actor = world.check(by_c1(Ask::exchange(&actor))).token();
    let begun = world.check(unsecured("bob", NOW + 3000).actor(&actor).bearer(&actor));
    world.pass(3000);
    let renewed = world.check(Ask::exchange(&begun.token()).actor(&renewed_actor).bearer(&renewed_actor));
    assert_eq!(renewed.claims().session.end, begun.claims().session.end, "not that of the catalog's session");
    // A token of another issuer as the actor does end it.
    let robot = key.sign(&alice(&json!({"iss": Q, "sub": "robot", "exp": NOW + 6100})));
    let by_robot = world.check(with_actor(by_c1(Ask::exchange(&renewed.token())), &robot));
    assert_eq!(by_robot.claims().session.end.as_seconds(), NOW + 6100);
}
