//! Renews tokens by exchange, as Iceberg does, and limits how long a session lasts; conformance TX-44 to TX-48.

use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{Lifetime, Refusal, Revocation, TokenFault};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, World, by_c2, client, trusted};

const BAD: &str = "400 invalid_request";

fn renew(token: &str) -> Ask {
    Ask::exchange(token).bearer(token)
}

fn by_c1(ask: Ask) -> Ask {
    ask.basic("c1", "s1-Z7")
}

#[test]
fn tx_44_no_loop_of_renewals_outlives_the_session() {
    let mut world = World::new();
    let begun = world.now;
    let mut token = world.token("c1", "s1-Z7", "catalog");
    let mut renewals = 0;
    for _ in 0..1000 {
        world.pass(3300);
        let answer = world.check(renew(&token));
        if answer.code() != "200" {
            break;
        }
        assert!(answer.claims().expires_at <= begun.plus(Lifetime::from_hours(12)));
        assert_eq!(answer.claims().session.start, begun);
        token = answer.token();
        renewals += 1;
    }
    assert_eq!(renewals, 13, "every 55 minutes for twelve hours");
    assert_eq!(world.now, begun.plus(Lifetime::from_seconds(14 * 3300)));
    assert_eq!(world.check(renew(&token)).code(), "401 invalid_client Bearer");
}

#[test]
fn tx_44_a_fresh_full_lifetime_until_the_end_of_the_session() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    world.pass(1800);
    assert_eq!(world.check(renew(&token)).body()["expires_in"], 3600);
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(2000));
    assert_eq!(world.check(renew(&token)).body()["expires_in"], 200, "a shorter session counts at once");
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(1800));
    let answer = world.check(renew(&token));
    assert_eq!(answer.code(), BAD);
    assert!(matches!(answer.refusal(), Refusal::SessionOver { .. }));
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(1000));
    let end = world.check(renew(&token)).claims().session.end;
    assert_eq!(end, world.now.plus(Lifetime::from_seconds(12 * 3600 - 1800)), "a longer one does not");
}

#[test]
fn tx_45_renewal_preserves_everything_but_the_times() {
    let mut world = World::new();
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://b.test".into()]
    });
    let first = by_c1(Ask::credentials())
        .with("resource", "https://b.test")
        .with("resource", "https://cat.test")
        .with("scope", "ns:read catalog");
    let first = world.check(first);
    world.pass(10);
    for ask in [renew(&first.token()), by_c1(Ask::exchange(&first.token()))] {
        let renewed = world.check(ask);
        let (mut before, mut after) = (first.claims().to_json(), renewed.claims().to_json());
        for changes in ["iat", "exp", "jti"] {
            assert_ne!(before.remove(changes), after.remove(changes), "{changes}");
        }
        assert_eq!(serde_json::to_string(&before).unwrap(), serde_json::to_string(&after).unwrap());
    }
}

#[test]
fn tx_46_the_old_token_stays_valid() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    for _ in 0..3 {
        assert_eq!(world.check(renew(&token)).code(), "200");
    }
}

#[test]
fn tx_47_ic_10_an_expired_token_is_renewed_with_the_clients_own_credential_and_nothing_else() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog ns:read");
    world.pass(3605);
    let renewed = world.check(by_c1(Ask::exchange(&token)));
    assert_eq!(renewed.body()["scope"], "catalog ns:read");
    assert_eq!(world.check(Ask::exchange(&token).post("c1", "s1-Z7")).code(), "200");
    assert_eq!(world.check(Ask::exchange(&token).post("c1", "s1-Z7").bearer(&token)).code(), "200");
    assert_eq!(world.check(renew(&token)).code(), "401 invalid_client Bearer");
    assert_eq!(world.check(Ask::exchange(&token).basic("c2", "s2-Q4")).code(), BAD);
    assert_eq!(world.check(Ask::exchange(&token).basic("c1", "bad")).code(), "401 invalid_client Basic");
    assert_eq!(
        world.check(by_c1(Ask::exchange(&token)).actor(&token)).code(),
        BAD,
        "an expired token is no actor token"
    );
    world.pass(24 * 3600 - 5);
    assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), "200", "24 h after it expired");
    world.pass(1);
    let late = world.check(by_c1(Ask::exchange(&token)));
    assert!(matches!(late.refusal(), Refusal::SubjectToken(TokenFault::NotRenewable { .. })));
    assert_eq!(late.code(), BAD);
}

#[test]
fn tx_47_wire_compat_1_3_a_users_expired_token_never_becomes_the_services_own() {
    let mut world = World::new();
    let own = world.token("c1", "s1-Z7", "catalog");
    let mut claims = world.check(renew(&own)).claims().clone();
    // A token for alice of another issuer, acted for by c1, as delegation makes it.
    claims.subject = "alice".parse().unwrap();
    claims.session.subject_issuer = "https://idp.test".parse().ok();
    claims.actor =
        Some(tokenberg_core::token::Actor { issuer: None, subject: "c1".parse().unwrap(), prior: None });
    let users = world.sign(&claims);
    let claims_of_alice = claims.clone();
    assert_eq!(world.check(by_c1(Ask::exchange(&users))).code(), BAD, "of an issuer that is not trusted");
    world.issuers = vec![trusted("https://idp.test", &ForeignKey::new(None))];
    assert_eq!(world.check(by_c1(Ask::exchange(&users))).code(), BAD, "without the right to act for alice");
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["https://idp.test|alice".parse().unwrap()]);
    let renewed = world.check(by_c1(Ask::exchange(&users)));
    assert_eq!(renewed.claims().subject.as_str(), "alice", "still alice, while it lives");
    assert_eq!(renewed.claims().actor, claims.actor);
    // A user with the same name as the client, impersonated.
    claims.actor = None;
    claims.subject = "c1".parse().unwrap();
    let namesake = world.sign(&claims);
    world.pass(3605);
    assert_eq!(
        world.check(by_c1(Ask::exchange(&namesake))).code(),
        BAD,
        "the client does not act for it by name"
    );
    let renewed = world.check(by_c1(Ask::exchange(&users)));
    let identity = (renewed.claims().subject.as_str(), &renewed.claims().actor);
    assert_eq!(identity, ("alice", &claims_of_alice.actor), "alice, and never the client");
    for token in [&users, &namesake] {
        assert_eq!(world.check(renew(token)).code(), "401 invalid_client Bearer");
    }
}

#[test]
fn tx_47_d13_an_expired_delegated_token_is_renewed_by_its_outermost_actor_alone() {
    let mut world = World::new();
    let c1s = || vec![format!("{ISSUER}|c1").parse().unwrap()];
    world.register(client("c3", "s3", "catalog"));
    for id in ["c2", "c3"] {
        world.change(id, |c| c.rights_mut().may_act_for = c1s());
    }
    let subject = world.token("c1", "s1-Z7", "catalog");
    let delegated = world.check(by_c2(Ask::exchange(&subject))).token();
    let onwards = world.check(Ask::exchange(&delegated).basic("c3", "s3")).token();
    let before = world.check(by_c2(Ask::exchange(&delegated))).claims().clone();
    world.pass(3605);
    let after = world.check(by_c2(Ask::exchange(&delegated)));
    let kept = |claims: &tokenberg_core::AccessTokenClaims| {
        (
            claims.subject.clone(),
            claims.actor.clone(),
            claims.scope.clone(),
            claims.client_id.clone(),
            claims.session.clone(),
        )
    };
    assert_eq!(kept(after.claims()), kept(&before), "subject, actors, scope and session stay");
    assert_eq!(after.body()["expires_in"], 3600);
    for (what, ask) in [
        ("the subject", by_c1(Ask::exchange(&delegated))),
        ("a client with the right", Ask::exchange(&delegated).basic("c3", "s3")),
        ("an inner actor", by_c2(Ask::exchange(&onwards))),
        ("the token alone", renew(&delegated)),
        ("wider scope", by_c2(Ask::exchange(&delegated)).with("scope", "catalog ns:read")),
    ] {
        assert_ne!(world.check(ask).code(), "200", "{what}");
    }
    world.change("c2", |c2| c2.rights_mut().may_act_for.clear());
    assert_eq!(world.check(by_c2(Ask::exchange(&delegated))).code(), BAD, "the right was withdrawn");
    world.change("c2", |c2| c2.rights_mut().may_act_for = c1s());
    world.pass(12 * 3600 - 3605 - 1);
    assert_eq!(world.check(by_c2(Ask::exchange(&delegated))).body()["expires_in"], 1);
    world.pass(1);
    assert!(matches!(world.check(by_c2(Ask::exchange(&delegated))).refusal(), Refusal::SessionOver { .. }));
}

#[test]
fn tx_47_a_client_that_authenticates_with_its_credential_begins_a_new_session() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "ns:read");
    world.pass(3605);
    let within = world.check(by_c1(Ask::exchange(&token)));
    assert_eq!(within.claims().session.start.as_seconds() + 3605, world.now.as_seconds(), "the same session");
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(1));
    let anew = world.check(by_c1(Ask::exchange(&token)));
    assert_eq!(anew.claims().session.start, world.now);
    assert_eq!(anew.claims().session.id, anew.claims().token_id);
    assert_eq!(anew.body()["scope"], "ns:read", "no wider than before");
    world.change("c1", |c1| c1.rights_mut().grants = vec![tokenberg_core::GrantType::TokenExchange]);
    assert_eq!(
        world.check(by_c1(Ask::exchange(&token))).code(),
        BAD,
        "unless it could not ask for one otherwise"
    );
}

#[test]
fn tx_48_withdrawn_rights_are_not_renewed() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog ns:read");
    world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Only("catalog".parse().unwrap()));
    assert_eq!(world.check(renew(&token)).body()["scope"], "catalog");
    assert_eq!(world.check(renew(&token).with("scope", "catalog ns:read")).code(), "400 invalid_scope");
    let narrow = {
        world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Only("ns:read".parse().unwrap()));
        world.token("c1", "s1-Z7", "ns:read")
    };
    world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Only("catalog".parse().unwrap()));
    assert_eq!(world.check(renew(&narrow)).code(), "400 invalid_scope", "nothing is left");
}

#[test]
fn ic_12_a_refresh_storm_is_just_refused() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    world.pass(3600);
    for _ in 0..6 {
        assert_eq!(world.check(renew(&token)).code(), "401 invalid_client Bearer");
    }
    assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), "200");
}

#[test]
fn delegation_ends_with_the_earlier_of_both_sessions() {
    let mut world = World::new();
    world.change("c2", |c2| {
        c2.rights_mut().may_act_for = vec![format!("{ISSUER}|*").parse().unwrap()];
        c2.rights_mut().session_lifetime = Lifetime::from_seconds(600);
    });
    let actor = world.token("c2", "s2-Q4", "catalog");
    world.pass(300);
    let subject = world.token("c1", "s1-Z7", "catalog");
    let delegated = world.check(Ask::exchange(&subject).actor(&actor).bearer(&actor));
    assert_eq!(delegated.body()["expires_in"], 300);
    let token = delegated.token();
    world.pass(299);
    assert_eq!(world.check(renew(&token)).body()["expires_in"], 1);
    world.pass(1);
    assert_eq!(world.check(renew(&token)).code(), "401 invalid_client Bearer");
}

#[test]
fn ic_15_a_narrowed_token_for_a_table_is_renewed_by_the_client_it_was_issued_to() {
    let mut world = World::new();
    let parent = world.token("c1", "s1-Z7", "catalog ns:read ns:write");
    let narrowed = world.check(renew(&parent).with("scope", "ns:read")).token();
    assert_eq!(world.check(renew(&narrowed)).body()["scope"], "ns:read");
    assert_eq!(
        world.check(Ask::exchange(&narrowed).actor(&parent).bearer(&parent)).body()["scope"],
        "ns:read"
    );
    assert_eq!(world.check(Ask::exchange(&narrowed).basic("c2", "s2-Q4")).code(), BAD);
}

#[test]
fn tx_38_rv_03_a_renewal_in_the_second_of_a_revocation_does_not_escape_it() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    world.pass(10);
    let in_that_second = world.check(renew(&token)).token();
    let before = world.now;
    world.pass(1);
    let on_a_node_behind = world.check(renew(&in_that_second)).token();
    for revocation in [Revocation::Client { before }, Revocation::Subject { before }] {
        world.revoked = vec![revocation];
        for stolen in [&token, &in_that_second, &on_a_node_behind] {
            assert_eq!(world.check(renew(stolen)).code(), "401 invalid_client Bearer");
            assert_eq!(world.check(by_c1(Ask::exchange(stolen))).code(), BAD);
        }
        let anew = world.token("c1", "s1-Z7", "catalog");
        assert_eq!(world.check(renew(&anew)).code(), "200", "a client that authenticates again continues");
    }
}
