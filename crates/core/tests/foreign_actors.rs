//! The effect on a token when one of its actors is disabled: actors of other issuers, RFC 8693 §4.1; conformance TX-37.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::{Introspection, Issuer, TokenType, TrustedIssuer};
use tokenberg_testkit::{Ask, ForeignKey, World, alice, by_c1, trusted};

const BAD: &str = "400 invalid_request";
const IDP: &str = "https://idp.test";

#[test]
fn tx_37_tokens_obtained_with_a_foreign_actor_end_with_the_actor_and_with_its_issuer() {
    const SERVICES: &str = "https://services.test";
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key), trusted(SERVICES, &key)];
    let may_act_for = ["*", "alice"].map(|who| format!("{}|{who}", if who == "*" { SERVICES } else { IDP }));
    world.change("c1", |c| {
        c.rights_mut().may_act_for = may_act_for.iter().map(|p| p.parse().unwrap()).collect()
    });
    let actor = key.sign(&alice(&json!({"iss": SERVICES, "sub": "robot"})));
    let ask = by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken))
        .with("actor_token", &actor)
        .with("actor_token_type", TokenType::IdToken.as_urn());
    let first = world.check(ask).token();
    // Renewed without that actor, the token lists it among the earlier ones.
    let renewed = world.check(by_c1(Ask::exchange(&first))).token();
    let state = |world: &mut World| {
        [&first, &renewed].map(|token| {
            let renewal = world.check(by_c1(Ask::exchange(token))).code();
            let introspected = world.introspect(&by_c1(Ask::token(token)));
            (renewal, matches!(introspected, Ok(Introspection::Active(_))))
        })
    };
    let good = || [("200".to_owned(), true), ("200".to_owned(), true)];
    let bad = || [(BAD.to_owned(), false), (BAD.to_owned(), false)];
    assert_eq!(state(&mut world), good());
    world.issuers[1].enabled = false;
    assert_eq!(state(&mut world), bad(), "its issuer is disabled");
    let services = world.issuers.pop().unwrap();
    assert_eq!(state(&mut world), bad(), "its issuer was removed");
    world.issuers.push(TrustedIssuer { enabled: true, ..services });
    assert_eq!(state(&mut world), good());
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    for (issuer, name, expected) in
        [(SERVICES, "robot", bad()), (SERVICES, "alice", good()), (IDP, "robot", good())]
    {
        world.subjects = vec![(Issuer::foreign(issuer).ok(), name.to_owned(), disabled.clone())];
        assert_eq!(state(&mut world), expected, "{issuer} {name}");
    }
}
