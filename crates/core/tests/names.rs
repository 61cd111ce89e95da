//! One name is one principal at every moment, for every token that is active: RFC 9068 §5, conformance CC-17 and IN-10.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::answers::TokenStatus;
use tokenberg_core::introspection::Inactivity;
use tokenberg_core::issuer::{Namesake, SubjectNames};
use tokenberg_core::token::Possession;
use tokenberg_core::{
    AccessTokenClaims, Answers, CompactJws, Introspection, Refusal, TokenFault, TokenType, TokenVerification,
};
use tokenberg_testkit::{
    Answer, Ask, ForeignKey, ISSUER, NOW, World, alice, by_c1, client, trusted, unsecured,
};

const IDP: &str = "https://idp.test";
const Q: &str = "https://q.test";

/// Two issuers, for whose users `c1` may act, and which do not cap the sessions of their users.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key), trusted(Q, &key)];
    world.issuers.iter_mut().for_each(|issuer| issuer.trust.outlives_subject = true);
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = [IDP, Q].map(|issuer| format!("{issuer}|*").parse().unwrap()).to_vec();
    });
    (world, key)
}

fn set_prefix(world: &mut World, issuer: usize, prefix: &str) {
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    world.issuers[issuer].trust.subject_prefix = prefix.map(Into::into);
}

fn signed_in(world: &mut World, key: &ForeignKey, issuer: &str, user: &str) -> Answer {
    let token = key.sign(&alice(&json!({"iss": issuer, "sub": user})));
    world.check(by_c1(Ask::exchange_of(&token, TokenType::IdToken)))
}

/// The reason why the token is invalid, about which introspection, a catalog, a renewal and an exchange by the Bearer agree.
fn fault(world: &mut World, token: &str) -> Option<TokenFault> {
    let of_introspection = match world.introspect(&by_c1(Ask::token(token))).unwrap() {
        Introspection::Active(_) => None,
        Introspection::Inactive(Inactivity::Fault(fault)) => Some(fault),
        Introspection::Inactive(other) => panic!("{other}"),
    };
    let framed = CompactJws::parse(token).unwrap();
    let claims = AccessTokenClaims::read(framed.unverified_payload()).unwrap();
    let catalog = TokenVerification::new(ISSUER.parse().unwrap(), claims.audience.clone());
    let verified = world.keys().verify(&framed, world.now);
    let claims = catalog.claims(&framed, verified, world.now, &Possession::default()).unwrap();
    let status = TokenStatus::of(&*world, &claims);
    assert_eq!(catalog.recalled(claims, status).err(), of_introspection);
    let renewed = world.check(by_c1(Ask::exchange(token)));
    let by_bearer = world.check(Ask::exchange(token).bearer(token));
    match &of_introspection {
        None => assert_eq!((renewed.code(), by_bearer.code()), ("200".to_owned(), "200".to_owned())),
        Some(fault) => {
            assert_eq!(*renewed.refusal(), Refusal::SubjectToken(fault.clone()));
            assert_eq!(*by_bearer.refusal(), Refusal::BearerToken(fault.clone()));
        }
    }
    of_introspection
}

fn is_taken(fault: Option<TokenFault>, by: &str) -> bool {
    matches!(fault, Some(TokenFault::NameTaken { by: taken, .. }) if taken.to_string() == by)
}

#[test]
fn cc_17_in_10_a_client_with_a_users_name_ends_the_users_tokens_everywhere_at_once() {
    let (mut world, key) = world();
    let token = signed_in(&mut world, &key, IDP, "alice").token();
    assert_eq!(fault(&mut world, &token), None);
    world.register(client("alice", "s", "catalog"));
    assert!(is_taken(fault(&mut world, &token), "the client alice"));
    // The token of the client itself has no user as its subject, and a user of another name is no namesake.
    let own = world.token("alice", "s", "catalog");
    let of_client = world.introspect(&Ask::token(&own).basic("alice", "s"));
    assert!(matches!(of_client, Ok(Introspection::Active(_))));
    let bob = signed_in(&mut world, &key, IDP, "bob").token();
    assert_eq!(fault(&mut world, &bob), None);
    for (names, is_ended) in [(SubjectNames::Shared, false), (SubjectNames::Separate, true)] {
        world.issuers[0].trust.subject_names = names;
        assert_eq!(fault(&mut world, &token).is_some(), is_ended, "{names:?}");
    }
    world.unregister("alice");
    assert_eq!(fault(&mut world, &token), None);
}

#[test]
fn cc_17_a_prefix_that_moves_from_one_issuer_to_another_never_gives_both_the_name() {
    let (mut world, key) = world();
    set_prefix(&mut world, 0, "okta:");
    let firsts = signed_in(&mut world, &key, IDP, "alice").token();
    for given_up in ["entra:", ""] {
        set_prefix(&mut world, 0, given_up);
        let renamed = fault(&mut world, &firsts);
        assert!(matches!(renamed, Some(TokenFault::Renamed { .. })), "{given_up}: {renamed:?}");
    }
    set_prefix(&mut world, 1, "okta:");
    let seconds = signed_in(&mut world, &key, Q, "alice").token();
    assert_eq!(fault(&mut world, &seconds), None);
    assert!(is_taken(fault(&mut world, &firsts), &format!("a user of {Q}")));
    // The second gives the prefix up, too: neither session has the name until one of them has the prefix again.
    set_prefix(&mut world, 1, "q:");
    for token in [&firsts, &seconds] {
        assert!(matches!(fault(&mut world, token), Some(TokenFault::Renamed { .. })));
    }
    set_prefix(&mut world, 0, "okta:");
    assert_eq!((fault(&mut world, &firsts), fault(&mut world, &seconds).is_some()), (None, true));
}

#[test]
fn cc_17_a_first_prefix_ends_no_session_and_the_prefix_of_another_issuer_does() {
    let (mut world, key) = world();
    let [alice, named] = ["alice", "q:alice"].map(|user| signed_in(&mut world, &key, IDP, user).token());
    set_prefix(&mut world, 0, "okta:");
    assert_eq!((fault(&mut world, &alice), fault(&mut world, &named)), (None, None));
    set_prefix(&mut world, 1, "q:");
    assert_eq!(fault(&mut world, &alice), None);
    assert!(is_taken(fault(&mut world, &named), &format!("a user of {Q}")));
}

#[test]
fn cc_17_a_user_whose_name_begins_or_ends_with_a_space_gets_no_token() {
    let (mut world, key) = world();
    set_prefix(&mut world, 1, "q:");
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let actor = world.token("c1", "s1-Z7", "catalog");
    for (name, is_good) in [
        ("alice", true),
        ("alice b", true),
        ("alice  b", true),
        ("Zoë van der Berg", true),
        ("alice ", false),
        (" alice", false),
        ("  ", false),
        (" ", false),
    ] {
        let unsecured = unsecured(&json!({"sub": name, "iat": NOW}));
        let unsecured = Ask::exchange_of(&unsecured, TokenType::Jwt).actor(&actor).bearer(&actor);
        for (what, answer) in [
            ("without a prefix", signed_in(&mut world, &key, IDP, name)),
            ("with a prefix", signed_in(&mut world, &key, Q, name)),
            ("from an unsecured JWT", world.check(unsecured)),
        ] {
            if is_good {
                assert!(answer.claims().subject.as_str().ends_with(name), "{what} {name:?}");
                continue;
            }
            let reason = answer.refusal().to_string();
            let parts = ["the claim sub", "no space at its beginning or end"];
            assert!(parts.iter().all(|part| reason.contains(part)), "{what} {name:?}: {reason}");
        }
    }
}

#[test]
fn cc_17_overlapping_prefixes_of_an_earlier_version_give_no_name_twice() {
    for (first, second, ambiguous) in [
        ("x:", "x:", [(IDP, "alice"), (Q, "alice")]),
        ("x:", "x:y", [(IDP, "yz"), (Q, "z")]),
        ("x:y", "x:", [(IDP, "z"), (Q, "yz")]),
    ] {
        let (mut world, key) = world();
        set_prefix(&mut world, 0, first);
        set_prefix(&mut world, 1, second);
        for (issuer, user) in ambiguous {
            let answer = signed_in(&mut world, &key, issuer, user);
            let other = if issuer == IDP { Q } else { IDP };
            let by = Namesake::Issuer(other.parse().unwrap());
            assert!(
                matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::NameTaken { by: taken, .. }) if *taken == by),
                "{first} {second}: {user} of {issuer}"
            );
        }
    }
}

#[test]
fn cc_17_a_first_prefix_ends_a_session_whose_name_becomes_that_of_another_user() {
    let (mut world, key) = world();
    let [like_prefixed, other] =
        ["cc:alice", "bob"].map(|user| signed_in(&mut world, &key, IDP, user).token());
    assert_eq!(fault(&mut world, &like_prefixed), None);
    set_prefix(&mut world, 0, "cc:");
    assert_eq!(signed_in(&mut world, &key, IDP, "alice").claims().subject.as_str(), "cc:alice");
    assert!(matches!(fault(&mut world, &like_prefixed), Some(TokenFault::Renamed { .. })));
    assert_eq!(fault(&mut world, &other), None, "no other user has that name");
}
