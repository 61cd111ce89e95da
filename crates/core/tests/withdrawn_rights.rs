//! The effect on a session when the operator reduces the rights of its subject's issuer, its client or an earlier party; laws 1,
//! 2 and 9 of docs/delegation.md, conformance TX-40, TX-42, TX-48.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::{Introspection, Refusal, Scope, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, World, alice, by_c1, by_c2, chain, client, trusted};

const BAD: &str = "400 invalid_request";
const BAD_SCOPE: &str = "400 invalid_scope";
const IDP: &str = "https://idp.test";
const CAT: &str = "https://cat.test";
const NEXT: &str = "https://next.test";

/// `c1`, `c2` and `c3` may act for every subject. Users have `catalog`, and analysts `ns:read`, too.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.issuers[0].trust.outlives_subject = true;
    world.issuers[0].trust.scope = Scope::catalog();
    world.issuers[0].trust.map = vec!["groups=analysts:ns:read".parse().unwrap()];
    world.register(client("c3", "s3", "catalog ns:read"));
    for id in ["c1", "c2", "c3"] {
        let every_subject = [ISSUER, IDP].map(|issuer| format!("{issuer}|*").parse().unwrap());
        world.change(id, |client| client.rights_mut().may_act_for = every_subject.into());
    }
    (world, key)
}

fn analyst(key: &ForeignKey) -> Ask {
    let id_token = key.sign(&alice(&json!({"aud": "c1", "groups": ["analysts"]})));
    Ask::exchange_of(&id_token, TokenType::IdToken)
}

fn by_c3(ask: Ask) -> Ask {
    ask.basic("c3", "s3")
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn is_active(world: &World, ask: &Ask) -> bool {
    matches!(world.introspect(ask), Ok(Introspection::Active(_)))
}

#[test]
fn law_1_tx_42_tx_48_a_renewal_gives_what_the_issuer_may_give_now() {
    let (mut world, key) = world();
    let answer = world.check(by_c1(analyst(&key)));
    assert_eq!(answer.body()["scope"], "catalog ns:read");
    let token = answer.token();
    type Narrow = fn(&mut World);
    let cases: [(&str, Narrow, &str); 5] = [
        ("as before", |_| {}, "catalog ns:read"),
        // The claims of the user are not known any more: every scope that a mapping could give counts.
        (
            "another group",
            |w| w.issuers[0].trust.map = vec!["groups=other:ns:read".parse().unwrap()],
            "catalog ns:read",
        ),
        ("no mapping", |w| w.issuers[0].trust.map.clear(), "catalog"),
        ("it is in the scope of all", |w| w.issuers[0].trust.scope = scope("ns:read"), "ns:read"),
        ("other scope", |w| w.issuers[0].trust.scope = scope("ns:write"), ""),
    ];
    for (what, narrow, left) in cases {
        narrow(&mut world);
        let renewals = [
            by_c1(Ask::exchange(&token)),
            Ask::exchange(&token).bearer(&token),
            // Passed on to another client.
            by_c3(Ask::exchange(&token)),
        ];
        for ask in renewals {
            let answer = world.check(ask.clone());
            if left.is_empty() {
                assert_eq!(answer.code(), BAD_SCOPE, "{what}");
            } else {
                assert_eq!(answer.body()["scope"], left, "{what}");
            }
            // As for a client whose scope was narrowed: without a scope parameter it is cut, and a request for more is refused.
            let answer = world.check(ask.with("scope", "catalog ns:read"));
            assert_eq!(answer.code() == "200", left == "catalog ns:read", "{what}");
            if answer.code() != "200" {
                assert!(answer.refusal().to_string().contains("the registration of issuer"), "{what}");
            }
        }
    }
}

#[test]
fn law_9_tx_48_no_session_is_renewed_for_an_issuer_whose_subjects_are_no_longer_accepted() {
    let (mut world, key) = world();
    let token = world.check(by_c1(analyst(&key))).token();
    let renewals =
        [by_c1(Ask::exchange(&token)), Ask::exchange(&token).bearer(&token), by_c2(Ask::exchange(&token))];
    for (accept, good) in [(vec![AcceptedAs::Jwt], true), (vec![], false), (vec![AcceptedAs::IdToken], true)]
    {
        world.issuers[0].trust.accept = accept;
        for ask in &renewals {
            let answer = world.check(ask.clone());
            assert_eq!(answer.code() == "200", good);
            let is_reason = |refusal: &Refusal| matches!(refusal, Refusal::SubjectToken(TokenFault::NoSubjects(issuer)) if issuer.as_str() == IDP);
            assert!(good || is_reason(answer.refusal()));
        }
    }
}

#[test]
fn law_2_a_withdrawn_audience_ends_a_clients_own_tokens_although_it_serves_that_audience() {
    let (mut world, key) = world();
    world.change("c3", |c3| {
        c3.rights_mut().serves = vec![CAT.into()];
        // It may act for users only: tokens that another client sent there are passed on by `--serves`.
        c3.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
        c3.rights_mut().audiences = vec![CAT.into(), NEXT.into()];
    });
    let id_token = key.sign(&alice(&json!({"aud": "c3"})));
    let own = world.token("c3", "s3", "catalog");
    let users = world.check(by_c3(Ask::exchange_of(&id_token, TokenType::IdToken))).token();
    let sent = world.token("c1", "s1-Z7", "catalog");
    let served = world.check(by_c3(Ask::exchange(&sent))).token();
    world.change("c3", |c3| c3.rights_mut().audiences = vec![NEXT.into()]);
    for (token, good) in [(&own, false), (&users, false), (&served, true)] {
        assert_eq!(is_active(&world, &by_c3(Ask::token(token))), good);
        assert_eq!(world.check(by_c3(Ask::exchange(token))).code() == "200", good);
        assert_eq!(world.check(Ask::exchange(token).bearer(token)).code() == "200", good);
    }
    // Tokens that are sent there from now on are passed on, as before.
    assert_eq!(world.check(by_c3(Ask::exchange(&sent))).code(), "200");
    world.change("c3", |c3| c3.rights_mut().serves.clear());
    assert!(!is_active(&world, &by_c3(Ask::token(&served))));
}

#[test]
fn a_secret_that_expires_ends_no_session_and_revoke_client_does() {
    let (mut world, _) = world();
    let token = world.token("c1", "s1-Z7", "catalog");
    world.change("c1", |c1| c1.secrets = Vec::new().into());
    assert_eq!(world.check(by_c1(Ask::credentials())).code(), "401 invalid_client Basic");
    let renewed = world.check(Ask::exchange(&token).bearer(&token)).token();
    world.pass(1);
    let now = world.now.as_seconds();
    world.before.client("c1", now);
    for token in [&token, &renewed] {
        assert_eq!(world.check(Ask::exchange(token).bearer(token)).code(), "401 invalid_client Bearer");
    }
}

#[test]
fn law_9_a_right_of_an_earlier_party_is_not_required_again() {
    let (mut world, key) = world();
    let first = world.check(by_c1(analyst(&key))).token();
    let passed_on = world.check(by_c2(Ask::exchange(&first)));
    assert_eq!(chain(&passed_on), ["c2", "c1"]);
    let passed_on = passed_on.token();
    world.change("c1", |c1| c1.rights_mut().may_act_for.clear());
    assert_eq!(world.check(by_c1(Ask::exchange(&first))).code(), BAD, "it renews nothing of its own");
    assert_eq!(world.check(by_c2(Ask::exchange(&passed_on))).code(), "200");
    // To end that, the operator revokes the tokens that the earlier party obtained.
    world.pass(1);
    let now = world.now.as_seconds();
    world.before.client("c1", now);
    assert_eq!(world.check(by_c2(Ask::exchange(&passed_on))).code(), BAD);
}
