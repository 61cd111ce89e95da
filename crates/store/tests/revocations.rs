//! Revoked tokens are refused, and expired rows are deleted.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::token::{Origin, Provenance};
use tokenberg_core::{AccessTokenClaims, ClientId, Issuer, Revocation, TokenId};
use tokenberg_store::{NewRevocation, NewSecret, Store};
use world::*;

fn token_id(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}

async fn revoked(store: &Store, token: &AccessTokenClaims) -> Option<Revocation> {
    store.snapshot().await.unwrap_or_else(|e| panic!("{e}")).revoked(token)
}

#[tokio::test]
async fn rv_08_tokens_and_sessions_are_revoked_by_identifier() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.revoke(&NewRevocation::Token { id: token_id("t1"), until: at(3600) }).await.unwrap();
    store.revoke(&NewRevocation::Session { id: token_id("s2"), until: at(3600) }).await.unwrap();
    let t1 = Some(Revocation::Token(token_id("t1")));
    let s2 = Some(Revocation::Session(token_id("s2")));
    for (jti, session, expected) in
        [("t1", "s1", t1), ("t1", "s2", s2.clone()), ("t2", "s2", s2), ("s2", "t1", None), ("T1", "S2", None)]
    {
        assert_eq!(revoked(&store, &token("c1", 0, jti, session)).await, expected, "{jti} {session}");
    }
}

#[tokio::test]
async fn rv_07_a_family_is_a_token_and_its_session() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let family = NewRevocation::Family {
        token: token_id("t1"),
        session: token_id("s1"),
        client: None,
        until: at(3600),
    };
    for _ in 0..2 {
        store.revoke(&family).await.unwrap();
        let snapshot = store.snapshot().await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(snapshot.revocations(), 2, "the second time changes nothing");
    }
    assert_eq!(revoked(&store, &token("c1", 0, "t1", "s2")).await, Some(Revocation::Token(token_id("t1"))));
    assert_eq!(revoked(&store, &token("c1", 0, "t2", "s1")).await, Some(Revocation::Session(token_id("s1"))));
    assert_eq!(revoked(&store, &token("c1", 0, "t2", "s2")).await, None);
    store.expire(at(1_000_000)).await.unwrap();
    assert_eq!(revoked(&store, &token("c1", 0, "t1", "s1")).await, None);
}

#[tokio::test]
async fn tx_38_the_later_not_before_wins_in_any_order() {
    let us: Issuer = "https://as.test".parse().unwrap();
    for times in [[10, 20], [20, 10]] {
        let Some(world) = World::of_either_kind() else { return };
        let store = world.open().await;
        for time in times {
            let before = at(time);
            store.revoke(&NewRevocation::Client { id: id("c1"), before }).await.unwrap();
            let subject = "c2".parse().unwrap();
            let issuer = Some(us.clone());
            store.revoke(&NewRevocation::Subject { issuer, subject, before }).await.unwrap();
        }
        assert_eq!(
            revoked(&store, &token("c1", 19, "t", "s")).await,
            Some(Revocation::Client { before: at(20) })
        );
        assert_eq!(revoked(&store, &token("c1", 20, "t", "s")).await, None);
        assert_eq!(
            revoked(&store, &token("c2", 19, "t", "s")).await,
            Some(Revocation::Subject { before: at(20) })
        );
        assert_eq!(revoked(&store, &token("c2", 20, "t", "s")).await, None);
        assert_eq!(revoked(&store, &token("c3", 0, "t", "s")).await, None);
    }
}

#[tokio::test]
async fn tx_38_law_8_an_issuer_is_revoked_with_its_users_and_the_identities_of_clients() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let (idp, other) = ("https://idp.test".parse::<Issuer>().unwrap(), "https://k8s.test".parse().unwrap());
    for before in [at(20), at(10)] {
        store.revoke(&NewRevocation::Issuer { issuer: idp.clone(), before }).await.unwrap();
    }
    let reason = Revocation::Issuer { before: at(20) };
    for (issuer, since, is_revoked) in [(&idp, 19, true), (&idp, 20, false), (&other, 19, false)] {
        let mut of_user = token("c1", since, "t", "s");
        of_user.session.subject_issuer = Some(issuer.clone());
        assert_eq!(revoked(&store, &of_user).await, is_revoked.then(|| reason.clone()), "{issuer} {since}");
        let named = |client: Option<ClientId>| {
            let (issuer, subject) = (issuer.clone(), "workload".parse().unwrap());
            match client {
                Some(client) => Origin::Identity { issuer, subject, client, since: at(since) },
                None => Origin::Foreign { issuer, subject, since: at(since) },
            }
        };
        for origin in [named(Some(id("c1"))), named(None)] {
            let mut of_client = token("c1", 0, "t", "s");
            let origins = vec![origin];
            of_client.session.provenance = Some(Box::new(Provenance { origins, ..Provenance::default() }));
            let expected = is_revoked.then(|| Revocation::Origin(Box::new(reason.clone())));
            assert_eq!(revoked(&store, &of_client).await, expected, "{issuer} {since}");
        }
    }
    assert_eq!(revoked(&store, &token("c1", 0, "t", "s")).await, None);
}

#[tokio::test]
async fn tx_38_the_subject_of_any_issuer_and_of_one_issuer_are_both_revoked() {
    for (any_issuer, theirs) in [(10, 20), (20, 10)] {
        let Some(world) = World::of_either_kind() else { return };
        let store = world.open().await;
        let idp: Issuer = "https://idp.test".parse().unwrap();
        for (issuer, time) in [(None, any_issuer), (Some(idp.clone()), theirs)] {
            let revocation =
                NewRevocation::Subject { issuer, subject: "alice".parse().unwrap(), before: at(time) };
            store.revoke(&revocation).await.unwrap();
        }
        let mut ours = token("alice", any_issuer - 1, "t", "s");
        ours.client_id = id("c1");
        assert_eq!(revoked(&store, &ours).await, Some(Revocation::Subject { before: at(any_issuer) }));
        ours.session.start = at(any_issuer);
        assert_eq!(revoked(&store, &ours).await, None);
        ours.session.subject_issuer = Some(idp);
        ours.session.start = at(19);
        assert_eq!(revoked(&store, &ours).await, Some(Revocation::Subject { before: at(20) }));
        ours.session.start = at(20);
        assert_eq!(revoked(&store, &ours).await, None);
    }
}

#[tokio::test]
async fn op_02_nothing_is_deleted_early_and_a_clock_that_jumps_an_hour_frees_nothing() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    assert!(store.use_once("jti", "a", at(60)).await.unwrap());
    store.revoke(&NewRevocation::Token { id: token_id("t1"), until: at(60) }).await.unwrap();
    // A later end wins, and an earlier one changes nothing.
    store.revoke(&NewRevocation::Token { id: token_id("t2"), until: at(9000) }).await.unwrap();
    store.revoke(&NewRevocation::Token { id: token_id("t2"), until: at(60) }).await.unwrap();
    let old = add(&store, "c1", NewSecret::Generate).await;
    store.expire_secret(&id("c1"), &old.secret_id, at(60)).await.unwrap();
    assert_eq!(store.expire(at(60 + 3600)).await.unwrap(), 0);
    assert!(!store.use_once("jti", "a", at(60)).await.unwrap());
    assert!(revoked(&store, &token("c1", 0, "t1", "s")).await.is_some());

    assert_eq!(store.expire(at(60 + 7200)).await.unwrap(), 2);
    assert!(store.use_once("jti", "a", at(60)).await.unwrap());
    assert!(revoked(&store, &token("c1", 0, "t1", "s")).await.is_none());
    assert!(revoked(&store, &token("c1", 0, "t2", "s")).await.is_some());
    assert_eq!(store.client(&id("c1")).await.unwrap().secrets.len(), 1);
    assert_eq!(store.expire(at(60 + 30 * 86_400)).await.unwrap(), 3);
    assert_eq!(store.client(&id("c1")).await.unwrap().secrets.len(), 0);
}

#[tokio::test]
async fn op_22_thousands_are_deleted_in_batches() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    world
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
             INSERT INTO used_ids (namespace, id, until) SELECT 'jti', CAST(i AS TEXT), i FROM n",
        )
        .await;
    assert_eq!(store.expire(at(0)).await.unwrap(), 2500);
    assert_eq!(store.expire(at(0)).await.unwrap(), 0);
}

#[tokio::test]
async fn op_03_times_are_kept_beyond_2038() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let mut late = key("k1");
    late.signs_from = tokenberg_core::Timestamp::from_seconds(253_402_300_799).unwrap();
    late.verifies_until = Some(late.signs_from);
    store.add_key(&late).await.unwrap();
    let kept = store.keys().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((kept[0].signs_from, kept[0].verifies_until), (late.signs_from, Some(late.signs_from)));
}

#[tokio::test]
async fn rv_07_a_clients_part_of_anothers_session_is_revoked_alone() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let (token_id, session) = (token_id("t1"), token_id("s1"));
    let family = NewRevocation::Family { token: token_id, session, client: Some(id("c2")), until: at(3600) };
    store.revoke(&family).await.unwrap();
    let mut delegated = token("c2", 0, "t2", "s1");
    delegated.subject = "c1".parse().unwrap();
    let found = revoked(&store, &delegated).await;
    assert!(matches!(found, Some(Revocation::Delegation { .. })), "{found:?}");
    delegated.client_id = id("c3");
    assert_eq!(revoked(&store, &delegated).await, None);
    assert_eq!(revoked(&store, &token("c1", 0, "t3", "s1")).await, None);
}

#[tokio::test]
async fn rv_07_a_branch_of_a_session_is_revoked_alone_with_the_tokens_obtained_with_it() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let of = |client: &str, jti: &str, branch: Option<&str>, origin: Option<&str>| {
        let mut claims = token(client, 0, jti, "s1");
        claims.subject = "c1".parse().unwrap();
        let since = at(0);
        let of_c2 =
            |session: &str| Origin::Session { session: token_id(session), client: id("c2"), joined: since };
        claims.session.provenance = Some(Box::new(Provenance {
            branch: branch.map(token_id),
            origins: origin.into_iter().map(of_c2).collect(),
            ..Provenance::default()
        }));
        claims
    };
    let family = NewRevocation::Family {
        token: token_id("t1"),
        session: token_id("b1"),
        client: None,
        until: at(3600),
    };
    store.revoke(&family).await.unwrap();
    for (what, claims, is) in [
        ("of the branch", of("c2", "t2", Some("b1"), None), true),
        ("obtained with the branch", of("c3", "t3", Some("b3"), Some("b1")), true),
        ("of another branch of the client", of("c2", "t4", Some("b2"), None), false),
        ("of the client that began the session", of("c1", "t5", None, None), false),
    ] {
        assert_eq!(revoked(&store, &claims).await.is_some(), is, "{what}");
    }
    // A revocation by an older version, without branches, does not reach them.
    let of_client = NewRevocation::Family {
        token: token_id("t9"),
        session: token_id("s1"),
        client: Some(id("c2")),
        until: at(9),
    };
    store.revoke(&of_client).await.unwrap();
    assert!(revoked(&store, &of("c2", "t6", None, None)).await.is_some());
    assert!(revoked(&store, &of("c2", "t4", Some("b2"), None)).await.is_none());
}

#[tokio::test]
async fn law_8_tokens_that_were_obtained_with_a_token_are_revoked_with_it() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let origin = |session: &str, client: &str, joined| Origin::Session {
        session: token_id(session),
        client: id(client),
        joined: at(joined),
    };
    let foreign = |sub: &str| Origin::Foreign {
        issuer: Issuer::foreign("https://idp.test").unwrap(),
        subject: sub.parse().unwrap(),
        since: at(9),
    };
    let obtained_with = |origins: Vec<Origin>| {
        let mut obtained = token("c9", 20, "t", "s");
        obtained.session.provenance = Some(Box::new(Provenance { origins, ..Provenance::default() }));
        obtained
    };
    let family = |session: &str, client: Option<&str>| NewRevocation::Family {
        token: token_id("x"),
        session: token_id(session),
        client: client.map(id),
        until: at(3600),
    };
    let subject = |issuer: Option<&str>, name: &str| NewRevocation::Subject {
        issuer: issuer.map(|issuer| Issuer::foreign(issuer).unwrap()),
        subject: name.parse().unwrap(),
        before: at(10),
    };
    for revocation in [
        family("s1", None),
        family("s2", Some("c2")),
        NewRevocation::Client { id: id("c3"), before: at(10) },
        subject(Some("https://as.test"), "c4"),
        subject(Some("https://idp.test"), "robot"),
        subject(None, "alice"),
    ] {
        store.revoke(&revocation).await.unwrap();
    }
    for (with, is_revoked) in [
        (origin("s1", "c1", 0), true),
        (origin("s2", "c2", 0), true),
        (origin("s2", "c1", 0), false),
        (origin("s3", "c3", 9), true),
        (origin("s3", "c3", 10), false),
        (origin("s4", "c4", 9), true),
        (origin("s4", "alice", 9), true),
        (foreign("robot"), true),
        (foreign("alice"), true),
        (foreign("c3"), false),
        (foreign("c4"), false),
        (origin("s5", "robot", 9), false),
    ] {
        let found = revoked(&store, &obtained_with(vec![origin("s0", "c0", 0), with.clone()])).await;
        assert_eq!(matches!(found, Some(Revocation::Origin(_))), is_revoked, "{with:?} {found:?}");
    }
    // The client that joined another client's session later, and acts again after the revocation.
    for (joined, is_revoked) in [(9, true), (10, false)] {
        let mut joined_later = token("c3", 0, "t", "s");
        joined_later.session.subject_issuer = Issuer::foreign("https://idp.test").ok();
        let provenance = Provenance { joined: Some(at(joined)), ..Provenance::default() };
        joined_later.session.provenance = Some(Box::new(provenance));
        assert_eq!(revoked(&store, &joined_later).await.is_some(), is_revoked, "{joined}");
    }
}
