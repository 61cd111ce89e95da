//! Whose names a removal revokes, and that a prefix of issuers is one issuer's alone: conformance CC-17 and TX-38.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::{AccessTokenClaims, Answers, Issuer, KeySource, Trust};
use tokenberg_store::{Store, StoreError};
use world::*;

const A: &str = "https://a.test";
const B: &str = "https://b.test";

fn foreign(text: &str) -> Issuer {
    Issuer::foreign(text).unwrap()
}

/// Four tokens of the client `c2` from before: for the client of that name, for users of two issuers and one from an unsecured JWT.
fn tokens(name: &str) -> [AccessTokenClaims; 4] {
    ["", A, B, "unsecured"].map(|whose| {
        let mut token = token("c2", -60, "j", "s");
        token.subject = name.parse().unwrap();
        token.session.unsecured = whose == "unsecured";
        token.session.subject_issuer = Some(whose).filter(|w| w.starts_with("https:")).map(foreign);
        token
    })
}

#[tokio::test]
async fn cc_17_tx_38_removing_a_client_revokes_no_user_of_the_same_name() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for client in ["c2", "alice"] {
        store.add_client(at(0), &id(client), &rights(), None).await.map(drop).unwrap();
    }
    store.remove_client(at(0), &id("alice")).await.unwrap();
    // As the version before has recorded the removal of another client: for every issuer, which it still means.
    world
        .execute("INSERT INTO revoked_before SELECT kind, '', 'old', before FROM revoked_before WHERE kind = 'subject'")
        .await;
    world.execute("UPDATE revisions SET number = number + 1 WHERE part = 'revoked_before'").await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let moment = watched.now();
    for (name, expected) in [("alice", [true, false, false, false]), ("old", [true; 4]), ("bob", [false; 4])]
    {
        assert_eq!(tokens(name).each_ref().map(|token| moment.revoked(token).is_some()), expected, "{name}");
    }
    let mut own = token("alice", -60, "j", "s");
    assert!(moment.revoked(&own).is_some(), "what the client itself had");
    own = token("alice", 0, "j", "s");
    assert!(moment.revoked(&own).is_none(), "a client that is registered again");
}

#[tokio::test]
async fn se_06_the_removal_of_a_client_is_compared_with_what_it_revoked() {
    let world = World::new();
    let store = world.open().await;
    store.add_client(at(0), &id("alice"), &rights(), None).await.map(drop).unwrap();
    store.remove_client(at(0), &id("alice")).await.unwrap();
    let differences = async || -> Vec<String> {
        let report = store.verify_audit().await.unwrap();
        report.differences.iter().map(ToString::to_string).collect()
    };
    assert_eq!(differences().await, [""; 0]);
    world.execute("DELETE FROM revoked_before WHERE kind = 'subject'").await;
    let found = differences().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("revocation of all tokens of subject alice of our clients"), "{found:?}");
}

async fn trust(store: &Store, issuer: &str, prefix: Option<&str>) -> Result<(), StoreError> {
    let mut trust = Trust::new(KeySource::Discovery);
    trust.subject_prefix = prefix.map(Into::into);
    store.add_issuer(at(0), &foreign(issuer), &trust).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cc_17_one_of_many_concurrent_issuers_with_overlapping_prefixes_is_added() {
    let Some(world) = World::of_either_kind() else { return };
    let nodes = [world.open().await, world.open().await];
    let mut tasks = Vec::new();
    for n in 0..12 {
        let store = nodes[n % 2].clone();
        let prefix = ["p:", "p", "p:x"][n % 3];
        tasks.push(tokio::spawn(
            async move { trust(&store, &format!("https://i{n}.test"), Some(prefix)).await },
        ));
    }
    let mut added = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => added += 1,
            Err(StoreError::PrefixTaken { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(added, 1);
    let issuers = nodes[0].issuers().await.unwrap();
    let prefixes: Vec<_> = issuers.iter().filter_map(|i| i.trusted.trust.subject_prefix.as_deref()).collect();
    assert_eq!(prefixes.len(), 1, "{prefixes:?}");
}

#[tokio::test]
async fn cc_17_a_change_to_an_overlapping_prefix_changes_nothing() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    trust(&store, A, Some("a:")).await.unwrap();
    trust(&store, B, None).await.unwrap();
    let before = store.issuer(&foreign(B)).await.unwrap().trusted.trust;
    let mut after = before.clone();
    after.subject_prefix = Some("a:b".into());
    for outcome in [
        store.set_trust(&foreign(B), &after).await.map(|()| true),
        store.replace_trust(&foreign(B), &before, &after).await,
    ] {
        assert!(matches!(fault(outcome), StoreError::PrefixTaken { by, .. } if by == foreign(A)));
    }
    assert_eq!(store.issuer(&foreign(B)).await.unwrap().trusted.trust, before);
    // It is free as soon as the other one gives it up.
    store.remove_issuer(at(1), &foreign(A)).await.unwrap();
    assert!(store.replace_trust(&foreign(B), &before, &after).await.unwrap());
    assert!(store.set_trust(&foreign(B), &after).await.is_ok(), "an issuer's own prefix is no other's");
}
