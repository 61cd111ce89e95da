//! Which tokens a revocation reaches: the branches of a session, RFC 7009 §2.1, and revocations of a party; conformance RV and TX-38.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::{Introspection, Lifetime, Revocation, TokenType};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, alice, at1, at2, by_c1, by_c2, chain, client, trusted,
};

const IDP: &str = "https://idp.test";

fn by_c3(ask: Ask) -> Ask {
    ask.basic("c3", "s3")
}

fn is_active(world: &World, token: &str, by: fn(Ask) -> Ask) -> bool {
    matches!(world.introspect(&by(Ask::token(token))), Ok(Introspection::Active(_)))
}

fn revoke(world: &mut World, token: &str, by: fn(Ask) -> Ask) {
    world.revoke(&by(Ask::token(token))).unwrap().unwrap();
}

fn as_jwt(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::IdToken)
}

/// `c1` and `c3` may act for users of an issuer, `c2` is the resource server of the catalog, and `c3` may impersonate `c1`.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.register(client("c3", "s3", "catalog ns:read"));
    for id in ["c1", "c3"] {
        world.change(id, |c| c.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    }
    world.change("c2", |c| c.rights_mut().serves = vec!["https://cat.test".into()]);
    world.change("c3", |c| c.rights_mut().may_impersonate = vec![format!("{ISSUER}|c1").parse().unwrap()]);
    (world, key)
}

#[test]
fn rv_07_a_token_passed_on_after_a_client_revoked_its_tokens_of_a_session_is_valid() {
    let (mut world, key) = world();
    let users = world.check(by_c1(as_jwt(&key.sign(&alice(&json!({})))))).token();
    let pass_on = |world: &mut World| world.check(by_c2(Ask::exchange(&users))).token();
    let (first, second) = (pass_on(&mut world), pass_on(&mut world));
    let renewed = world.check(Ask::exchange(&first).bearer(&first)).token();
    let passed_back = world.check(by_c1(Ask::exchange(&first))).token();
    // A resource server that revokes what it obtained for one query, and obtains a token for the next, in the same second.
    revoke(&mut world, &first, by_c2);
    let third = pass_on(&mut world);
    for (what, token, by, is) in [
        ("what was revoked", &first, by_c2 as fn(Ask) -> Ask, false),
        ("its renewal", &renewed, by_c2, false),
        ("what was obtained with it", &passed_back, by_c1, false),
        ("what was passed on separately", &second, by_c2, true),
        ("what was passed on afterwards", &third, by_c2, true),
        ("the session", &users, by_c1, true),
    ] {
        assert_eq!(is_active(&world, token, by), is, "{what}");
        assert_eq!(world.check(by(Ask::exchange(token))).code() == "200", is, "{what}");
    }
    // The session as a whole ends when the token of its first client is revoked.
    revoke(&mut world, &users, by_c1);
    for token in [&second, &third] {
        assert!(!is_active(&world, token, by_c2));
    }
}

#[test]
fn rv_07_a_client_that_revokes_a_token_of_its_own_session_ends_the_session() {
    let (mut world, key) = world();
    world.issuers.push(trusted("https://q.test", &key));
    world.change("c1", |c1| c1.rights_mut().may_act_for.push("https://q.test|robot".parse().unwrap()));
    let own = world.token("c1", "s1-Z7", "catalog");
    let users = world.check(as_jwt(&key.sign(&alice(&json!({})))).actor(&own).bearer(&own)).token();
    let robot = key.sign(&alice(&json!({"iss": "https://q.test", "sub": "robot"})));
    let by_robot = by_c1(Ask::exchange(&own)).with("actor_token", &robot);
    let by_robot = world.check(by_robot.with("actor_token_type", TokenType::IdToken.as_urn()));
    assert_eq!(chain(&by_robot), ["robot"]);
    revoke(&mut world, &by_robot.token(), by_c1);
    // The record names the session, which no rule about actors can read in two ways.
    let session = by_robot.claims().session.id.clone();
    assert_eq!(world.revoked[0], Revocation::Session(session));
    for (what, token) in [("with the robot", &by_robot.token()), ("its own", &own), ("of a user", &users)] {
        assert!(!is_active(&world, token, by_c1), "{what}");
    }
    assert!(!world.token("c1", "s1-Z7", "catalog").is_empty(), "the session of the client continues");
}

#[test]
fn law_8_a_revoked_subject_ends_what_it_obtained_as_a_client() {
    let (mut world, key) = world();
    let subject = at1(&mut world);
    let impersonated = world.check(by_c3(Ask::exchange(&subject))).token();
    assert_eq!(chain(&world.check(by_c3(Ask::exchange(&impersonated)))), Vec::<String>::new());
    let users = world.check(by_c3(as_jwt(&key.sign(&alice(&json!({"aud": "c3"})))))).token();
    let passed_on = world.check(by_c2(Ask::exchange(&impersonated))).token();
    world.pass(1);
    // `tokenberg revoke --subject c3`, for every principal of that name.
    world.before.subject(None, "c3", world.now.as_seconds());
    for (what, token, by) in [
        ("as the client alone", &impersonated, by_c3 as fn(Ask) -> Ask),
        ("as the actor", &users, by_c3),
        ("as a party that passed the token on", &passed_on, by_c2),
    ] {
        assert!(!is_active(&world, token, by), "{what}");
        assert_ne!(world.check(by(Ask::exchange(token))).code(), "200", "{what}");
    }
    assert!(is_active(&world, &subject, by_c1), "the subject is another one");
    let again = world.check(by_c3(Ask::exchange(&subject))).token();
    assert!(is_active(&world, &again, by_c3), "what it obtains afterwards");
}

#[test]
fn law_8_a_session_depends_on_the_actor_token_with_which_another_client_joined_it() {
    let (mut world, key) = world();
    let users = world.check(by_c1(as_jwt(&key.sign(&alice(&json!({})))))).token();
    world.change("c3", |c3| c3.rights_mut().may_impersonate = vec![format!("{IDP}|*").parse().unwrap()]);
    let impersonated = world.check(by_c3(Ask::exchange(&users))).token();
    // `c1` is the present actor already, so its token changes no actor; but it makes the result a token of `c1`.
    let stolen = world.token("c1", "s1-Z7", "catalog");
    let taken = world.check(Ask::exchange(&impersonated).actor(&stolen).bearer(&stolen));
    assert_eq!(chain(&taken), ["c1"]);
    let another = world.token("c1", "s1-Z7", "catalog");
    let renewed = world.check(Ask::exchange(&taken.token()).actor(&another).bearer(&another)).token();
    assert!(is_active(&world, &renewed, by_c1));
    revoke(&mut world, &stolen, by_c1);
    assert!(!is_active(&world, &renewed, by_c1), "law 8: however often it was renewed since");
}

#[test]
fn law_8_a_renewal_depends_on_the_last_actor_token_only() {
    let mut world = World::new();
    let (first, other) = (at1(&mut world), at1(&mut world));
    let renewed = world.check(by_c1(Ask::exchange(&first)).actor(&other)).token();
    // An actor token of the same session adds nothing, and takes the place of the other.
    let again = world.check(by_c1(Ask::exchange(&renewed)).actor(&first)).token();
    revoke(&mut world, &other, by_c1);
    assert_eq!((is_active(&world, &renewed, by_c1), is_active(&world, &again, by_c1)), (false, true));
}

#[test]
fn rv_03_rv_06_a_token_of_a_node_whose_clock_is_ahead_is_revoked() {
    let mut world = World::new();
    let token = at2(&mut world);
    let set_back = |world: &mut World| world.now = tokenberg_core::Timestamp::from_seconds(NOW - 6).unwrap();
    set_back(&mut world);
    assert!(!is_active(&world, &token, by_c2), "its time has not come at this node");
    // The answer was 200, so the revocation has to hold where the token is valid: at the other node now, and here after a few seconds.
    assert!(world.revoke(&by_c2(Ask::token(&token))).unwrap().is_some());
    world.pass(6);
    assert!(!is_active(&world, &token, by_c2));
    assert_eq!(world.check(by_c2(Ask::exchange(&token))).code(), "400 invalid_request");
}

#[test]
fn jw_34_no_renewal_before_the_session_began_so_that_issued_tokens_are_valid() {
    let mut world = World::new();
    world.pass(60);
    let token = at2(&mut world);
    // Clocks of several nodes, or one that is set back twice: each step is within the leeway, both together are not.
    world.now = tokenberg_core::Timestamp::from_seconds(NOW + 56).unwrap();
    let renewed = world.check(by_c2(Ask::exchange(&token))).token();
    assert!(is_active(&world, &renewed, by_c2));
    world.now = tokenberg_core::Timestamp::from_seconds(NOW + 54).unwrap();
    assert_eq!(world.check(by_c2(Ask::exchange(&renewed))).code(), "400 invalid_request");
    assert!(!is_active(&world, &renewed, by_c2));
    world.pass(1);
    let answer = world.check(by_c2(Ask::exchange(&renewed)));
    assert!(is_active(&world, &answer.token(), by_c2));
    assert!(answer.claims().remaining(world.now) > Lifetime::ZERO);
}
