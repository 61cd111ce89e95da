//! Delegation, and how actors are reported: RFC 8693 §1.1 and §4.1; conformance TX-43 and TX-50 to TX-61.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use tokenberg_core::Refusal;
use tokenberg_core::token::Actor;
use tokenberg_testkit::{Ask, ISSUER, World, at1, at2, by_c1, by_c2, chain, client, let_c2_act_for_c1};

const BAD: &str = "400 invalid_request";

fn x0(subject: &str) -> Ask {
    Ask::exchange(subject)
}

#[test]
fn tx_43_a_delegated_token_has_no_more_than_its_actor() {
    let mut world = World::new();
    let_c2_act_for_c1(&mut world);
    let (subject, actor) = (at1(&mut world), at2(&mut world));
    let result = world.check(x0(&subject).actor(&actor).bearer(&actor));
    assert_eq!(result.body()["scope"], "catalog", "ns:read is not the actor's");
    assert_eq!(
        world.check(x0(&subject).actor(&actor).bearer(&actor).with("scope", "ns:read")).code(),
        "400 invalid_scope"
    );
}

#[test]
fn tx_50_tx_51_tx_52_actors_are_named_and_nested() {
    let mut world = World::new();
    let_c2_act_for_c1(&mut world);
    world.register({
        let mut c3 = client("c3", "s3", "catalog");
        c3.rights_mut().may_act_for = vec![format!("{ISSUER}|c1").parse().unwrap()];
        c3
    });
    let (subject, actor) = (at1(&mut world), at2(&mut world));
    let once = world.check(x0(&subject).actor(&actor).bearer(&actor));
    let claims = once.claims();
    assert_eq!((claims.subject.as_str(), claims.client_id.as_str()), ("c1", "c2"));
    assert_eq!(serde_json::Value::Object(claims.to_json())["act"], serde_json::json!({"sub": "c2"}));
    let third = world.token("c3", "s3", "catalog");
    let twice = world.check(x0(&once.token()).actor(&third).bearer(&third));
    assert_eq!(chain(&twice), ["c3", "c2"]);
    let act = serde_json::Value::Object(twice.claims().to_json())["act"].clone();
    assert_eq!(act, serde_json::json!({"sub": "c3", "act": {"sub": "c2"}}), "identity only");
    let renewed = world.check(x0(&twice.token()).bearer(&twice.token()));
    assert_eq!(chain(&renewed), ["c3", "c2"], "keycloak #52691: renewing without an actor loses none");
    // The outermost actor again adds nothing, and it cannot be dropped.
    let again = world.check(x0(&twice.token()).actor(&third).bearer(&third));
    assert_eq!(chain(&again), ["c3", "c2"]);
}

#[test]
fn tx_54_the_chain_is_capped() {
    let mut world = World::new();
    let token = at1(&mut world);
    (0..5).for_each(|n| world.register(client(&format!("a{n}"), "s", "catalog")));
    let mut claims = world.check(x0(&token).bearer(&token)).claims().clone();
    let nest = |depth: usize| {
        (0..depth).fold(None, |prior: Option<Box<Actor>>, n| {
            Some(Box::new(Actor { issuer: None, subject: format!("a{n}").parse().unwrap(), prior }))
        })
    };
    for (depth, expected) in [(4, "200"), (5, BAD)] {
        claims.actor = nest(depth).map(|a| *a);
        let deep = world.sign(&claims);
        let_c2_act_for_c1(&mut world);
        assert_eq!(world.check(by_c2(x0(&deep))).code(), expected, "{depth} and one more");
    }
    claims.actor = nest(5).map(|a| *a);
    let deep = world.sign(&claims);
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{ISSUER}|c1").parse().unwrap()]);
    assert_eq!(world.check(x0(&deep).bearer(&deep)).code(), "200", "five are renewed");
}

#[test]
fn tx_56_impersonation_is_a_right_of_its_own() {
    let mut world = World::new();
    let token = at1(&mut world);
    world.change("c2", |c2| c2.rights_mut().may_impersonate = vec![format!("{ISSUER}|c*").parse().unwrap()]);
    let result = world.check(by_c2(x0(&token)));
    assert_eq!(chain(&result), Vec::<String>::new());
    let actor = at2(&mut world);
    let named = world.check(x0(&token).actor(&actor).bearer(&actor));
    assert_eq!(chain(&named), ["c2"], "a request with an actor_token names that actor");
}

#[test]
fn tx_57_acting_for_oneself_adds_no_actor() {
    let mut world = World::new();
    let (token, other) = (at1(&mut world), at1(&mut world));
    for ask in [
        x0(&token).actor(&token).bearer(&token),
        x0(&token).actor(&other).bearer(&other),
        by_c1(x0(&token)).actor(&other),
    ] {
        assert_eq!(chain(&world.check(ask)), Vec::<String>::new());
    }
}

#[test]
fn tx_58_a_delegated_token_is_no_actor_token() {
    let mut world = World::new();
    let_c2_act_for_c1(&mut world);
    let (subject, actor) = (at1(&mut world), at2(&mut world));
    let delegated = world.check(x0(&subject).actor(&actor).bearer(&actor)).token();
    let answer = world.check(x0(&subject).actor(&delegated).bearer(&delegated));
    assert_eq!(answer.code(), BAD);
    assert!(matches!(answer.refusal(), Refusal::ActorIsDelegated(_)));
}

#[test]
fn tx_53_a_token_obtained_by_impersonation_names_no_actor() {
    let mut world = World::new();
    world.register(client("c3", "s3", "catalog"));
    let pattern = |who: &str| vec![format!("{ISSUER}|{who}").parse().unwrap()];
    world.change("c2", |c2| {
        c2.rights_mut().may_impersonate = pattern("c1");
        c2.rights_mut().may_act_for = pattern("c3");
    });
    let as_c1 = world.check(by_c2(x0(&at1(&mut World::new()))));
    assert_eq!(as_c1.code(), BAD, "a token of another world");
    let subject = at1(&mut world);
    let as_c1 = world.check(by_c2(x0(&subject))).token();
    let of_c3 = world.token("c3", "s3", "catalog");
    let forged = world.check(x0(&of_c3).actor(&as_c1).bearer(&as_c1));
    assert!(matches!(forged.refusal(), Refusal::ActorIsDelegated(_)), "c1 never acted");
    let hidden = world.check(x0(&subject).actor(&as_c1).bearer(&as_c1));
    assert!(matches!(hidden.refusal(), Refusal::ActorIsDelegated(_)), "nor does c2 hide behind it");
}

#[test]
fn tx_48_a_right_to_act_that_was_withdrawn_ends_the_renewals() {
    let mut world = World::new();
    let c1s = || vec![format!("{ISSUER}|c1").parse().unwrap()];
    let subject = at1(&mut world);
    world.change("c2", |c2| c2.rights_mut().may_impersonate = c1s());
    let impersonated = world.check(by_c2(x0(&subject))).token();
    world.change("c2", |c2| {
        c2.rights_mut().may_impersonate.clear();
        c2.rights_mut().may_act_for = c1s();
    });
    let renewed = world.check(x0(&impersonated).bearer(&impersonated));
    assert_eq!(chain(&renewed), ["c2"], "what is left is to act, by name");
    let delegated = renewed.token();
    world.change("c2", |c2| c2.rights_mut().may_act_for.clear());
    for token in [&impersonated, &delegated] {
        assert_eq!(world.check(x0(token).bearer(token)).code(), BAD);
        assert_eq!(world.check(by_c2(x0(token))).code(), BAD);
    }
    // Serving the audience gives the right to pass on tokens sent there, not to renew those obtained by another right.
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://cat.test".into()]);
    assert_eq!(world.check(x0(&delegated).bearer(&delegated)).code(), BAD);
    let passed_on = world.check(by_c2(x0(&subject)));
    assert_eq!(chain(&passed_on), ["c2"]);
}

#[test]
fn tx_61_an_actor_token_has_to_be_of_the_requesting_client() {
    let mut world = World::new();
    let (subject, actor) = (at1(&mut world), at2(&mut world));
    let answer = world.check(by_c1(x0(&subject)).actor(&actor));
    assert_eq!(answer.code(), BAD);
    assert!(matches!(answer.refusal(), Refusal::ActorOfAnotherClient { .. }));
}
