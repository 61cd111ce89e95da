//! After the database was restored, nothing from before is valid, and the audit tells the restore from tampering: conformance OP-10,
//! SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::{Duration, Instant};
use tokenberg_core::audit::Recorder;
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{KeySource, Trust};
use tokenberg_store::{Break, NewRevocation, NewSecret, Store};
use world::chains::*;
use world::*;

/// The tables with content, so that no row comes before one that it refers to.
const TABLES: [&str; 14] = [
    "meta",
    "revisions",
    "clients",
    "changed_clients",
    "client_secrets",
    "signing_keys",
    "revoked_ids",
    "revoked_before",
    "used_ids",
    "issuers",
    "federations",
    "disabled_subjects",
    "audit_records",
    "audit_heads",
];

/// Copies all tables as they are at one moment, between two writes of the server.
async fn keep(world: &World) {
    let copies = TABLES.map(|table| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"));
    world.execute_alone(&copies.join(";")).await;
}

/// Puts the whole database back to the copy, in one transaction.
async fn restore(world: &World) {
    let delete = TABLES.iter().rev().map(|table| format!("DELETE FROM {table}"));
    let insert = TABLES.iter().map(|table| format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
    world.execute_alone(&delete.chain(insert).collect::<Vec<_>>().join(";")).await;
}

fn once(id: &str, issued_at: Option<i64>, until: i64) -> SingleUseId {
    let (namespace, id) = ("jti".into(), id.into());
    SingleUseId { namespace, id, issued_at: issued_at.map(at), until: at(until) }
}

/// A store with a key, a client and an issuer, which was restored while a server ran: afterwards, the key had been revoked, an identifier
/// used, the client disabled.
async fn restored() -> Option<(World, Store)> {
    let world = World::of_either_kind()?;
    let store = world.open().await;
    store.bootstrap(at(0), &key("k1"), &id("c1"), &rights(), NewSecret::Generate).await.unwrap();
    store
        .add_issuer(at(0), &"https://idp.example".parse().unwrap(), &Trust::new(KeySource::Discovery))
        .await
        .unwrap();
    node(&store, 2).await;
    let running = watching(&store);
    running.record(&granted(1));
    until_written(&running, 1).await;
    keep(&world).await;
    store.revoke_key(at(1), &tokenberg_core::jws::KeyId::new("k1"), &key("k2")).await.unwrap();
    store.set_enabled(&id("c1"), false).await.unwrap();
    assert!(store.use_id_once(&once("a", Some(1), 300)).await.unwrap());
    for n in 2..5 {
        running.record(&granted(n));
        until_written(&running, n as u64).await;
    }
    // The server has compared the chains since.
    tokio::time::sleep(Duration::from_millis(100)).await;
    restore(&world).await;
    let begun = Instant::now();
    while running.metrics().went_back == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server does not notice");
        running.record(&granted(9));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.end().await;
    Some((world, store))
}

#[tokio::test]
async fn s_4_a_restored_store_revokes_everything_from_before_and_its_audit_says_so() {
    let Some((_world, store)) = restored().await else { return };
    // The stolen key signs again, and the audit cannot know why.
    assert_eq!(store.keys().await.unwrap()[0].id.as_str(), "k1");
    let broken = broken(&store).await.map(|(_, _, what)| what);
    assert!(matches!(broken, Some(Break::TurnedBack | Break::Rewritten | Break::Gone)), "{broken:?}");

    let done = store.restored(at(10), &key("k3")).await.unwrap();
    assert_eq!(done.revoked_keys.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["k1"]);
    assert!(done.lost_records > 0 && done.issuers.len() == 1, "{done:?}");
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:#?}");
    assert_eq!((report.restores.len(), report.restores[0].record), (1, done.record));
    assert_eq!(report.restores[0].lost, done.lost_records);
    assert_eq!(store.acknowledge_restore().await.unwrap(), 0);

    let keys = store.keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k3"]);
    let watched = store.watch(Names::build).await.unwrap();
    let before = watched.now().snapshot().revocations();
    assert_eq!(before, 1, "tokens of the issuer from before are revoked");
    for (identifier, is_first) in [
        (once("a", Some(1), 300), false),
        (once("b", Some(9), 300), false),
        (once("c", Some(10), 300), true),
        (once("c", Some(11), 300), false),
        // Without a time, it may have been made an hour before its end.
        (once("d", None, 10 + 3600 - 1), false),
        (once("e", None, 10 + 3600), true),
    ] {
        assert_eq!(store.use_id_once(&identifier).await.unwrap(), is_first, "{identifier:?}");
    }
}

#[tokio::test]
async fn s_4_tampering_is_found_before_and_after_a_restore_that_was_acknowledged() {
    let Some((world, store)) = restored().await else { return };
    assert!(store.acknowledge_restore().await.unwrap() > 0);
    assert_eq!(broken(&store).await, None);
    assert_eq!(store.keys().await.unwrap()[0].id.as_str(), "k1", "nothing else is changed");
    // The same numbers are lost a second time, without a restore that anyone acknowledged.
    world.execute(MIDDLE).await;
    for n in 0..8 {
        add(&store, &format!("later{n}"), NewSecret::Generate).await;
    }
    node(&store, 3).await;
    assert_eq!(broken(&store).await, None);
    world.execute_alone(&put_back("'installation'")).await;
    let found = broken(&store).await;
    assert!(found.is_some(), "{found:?}");
    // A record that was changed is no loss, and is never acknowledged.
    store.acknowledge_restore().await.unwrap();
    world.execute("UPDATE audit_records SET record = '{}' WHERE chain = 'installation' AND number = 1").await;
    store.acknowledge_restore().await.unwrap();
    assert!(matches!(broken(&store).await, Some((_, 1, Break::Changed))));
    store.revoke(&NewRevocation::Client { id: id("c1"), before: at(0) }).await.unwrap();
}
