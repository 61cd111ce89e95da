//! Damage and newer schemas are noticed.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::Secret;
use tokenberg_store::{
    KekSource, NewRevocation, NewSecret, Opening, OpeningError, SchemaDifference, Store, StoreError, StoreUrl,
};
use world::*;

#[tokio::test]
async fn se_03_a_key_that_was_swapped_or_changed_in_the_database_is_not_used() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.add_key(&key("k1")).await.unwrap();
    store.add_key(&key("k2")).await.unwrap();
    world.execute("UPDATE signing_keys SET sealed = (SELECT sealed FROM signing_keys WHERE id = 'k2')").await;
    let damaged = fault(store.keys().await);
    assert_eq!(damaged.to_string(), "the store is damaged: the signing key \"k1\" cannot be read");
}

#[tokio::test]
async fn op_12_a_newer_schema_is_left_alone() {
    let Some(world) = World::of_either_kind() else { return };
    world.open().await.close().await;
    world.execute("INSERT INTO schema_version (version) VALUES (8)").await;
    world.execute("DELETE FROM meta WHERE name = 'oldest_schema'").await;
    for opening in [Opening::Read, Opening::Use, Opening::Make] {
        let refused = fault(Store::open_for(&world.url(), world.key(), opening).await);
        assert_eq!(refused, StoreError::NewerSchema { found: 8, known: 7 }, "{opening:?}");
    }
    assert_eq!(fault(Store::migrate(&world.url()).await), StoreError::NewerSchema { found: 8, known: 7 });
}

#[tokio::test]
async fn s_14_f_2_an_older_schema_is_read_as_it_is_and_migrated_only_on_request() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    chains::node(&store, 1).await;
    store.close().await;
    world
        .execute(
            "DROP TABLE nodes; DROP TABLE audit_segments; DROP INDEX audit_records_time; \
             DELETE FROM schema_version WHERE version >= 5",
        )
        .await;
    let store = Store::open_for(&world.url(), world.key(), Opening::Read).await.unwrap();
    assert_eq!((store.schema().from, store.schema().to, store.schema().is_due()), (4, 7, true));
    assert_eq!(store.clients().await.unwrap().len(), 1);
    assert_eq!(store.schema_differences().await.unwrap(), []);
    assert!(store.verify_audit().await.unwrap().is_whole());
    store.close().await;
    let older = StoreError::from(OpeningError::OlderSchema { found: 4, known: 7 });
    assert_eq!(fault(Store::open_existing(&world.url(), world.key()).await), older);
    assert!(older.to_string().contains("`tokenberg migrate`"), "{older}");

    let plan = Store::migration(&world.url()).await.unwrap();
    assert_eq!(plan.steps.iter().map(|(schema, _)| *schema).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(Store::migrate(&world.url()).await.unwrap(), plan);
    let done = Store::migrate(&world.url()).await.unwrap();
    assert!(done.from == 7 && !done.is_due() && done.oldest == 5, "{done:?}");
    Store::open_existing(&world.url(), world.key()).await.unwrap().close().await;

    // The version before has everything but the list of servers and the summaries, and nodes of it may go on.
    world
        .execute(
            "DELETE FROM schema_version WHERE version >= 6; DROP TABLE nodes; DROP TABLE audit_segments; \
             DROP INDEX audit_records_time",
        )
        .await;
    let plan = Store::migration(&world.url()).await.unwrap();
    assert!(plan.from == 5 && plan.oldest == 5 && plan.steps.len() == 2, "{plan:?}");
    let old = Store::open_for(&world.url(), world.key(), Opening::Read).await.unwrap();
    assert_eq!((old.nodes().await.unwrap().len(), old.clients().await.unwrap().len()), (0, 1));
    assert_eq!(old.schema_differences().await.unwrap(), []);
    old.close().await;
    Store::migrate(&world.url()).await.unwrap();
    let store = Store::open_existing(&world.url(), world.key()).await.unwrap();
    assert_eq!(store.schema_differences().await.unwrap(), []);
    assert!(store.verify_audit().await.unwrap().is_whole() && store.nodes().await.unwrap().is_empty());
    store.close().await;

    // Before the audit existed, it cannot be read as it is.
    world.execute("DELETE FROM schema_version WHERE version >= 4").await;
    let refused = fault(Store::open_for(&world.url(), world.key(), Opening::Read).await);
    assert_eq!(refused, OpeningError::OlderSchema { found: 3, known: 7 }.into());
}

#[tokio::test]
async fn f_2_a_backup_that_is_only_read_keeps_every_byte() {
    let world = World::new();
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    let copy = world.directory().join("copy.db");
    store.back_up(&copy).await.unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    let read = Store::open_for(&StoreUrl::sqlite(&copy), world.key(), Opening::Read).await.unwrap();
    assert_eq!(read.clients().await.unwrap().len(), 1);
    let refused = fault(read.set_enabled(&id("c1"), false).await);
    assert!(refused.to_string().contains("read-only"), "{refused}");
    read.close().await;
    assert!(std::fs::read(&copy).unwrap() == bytes);
    assert!(!world.directory().join("copy.db-wal").exists());
}

#[tokio::test]
async fn a_damaged_client_is_named() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    world.execute("UPDATE clients SET rights = '{}'").await;
    for damaged in [fault(store.clients().await), fault(store.snapshot().await)] {
        assert_eq!(damaged.to_string(), "the store is damaged: the client \"c1\" cannot be read");
    }
}

#[tokio::test]
async fn ks_07_another_key_opens_nothing_and_is_reported_as_the_wrong_one() {
    let Some(world) = World::of_either_kind() else { return };
    world.open().await.close().await;
    let text = KekSource::Text(Secret::new("ab".repeat(32)));
    assert!(matches!(fault(Store::open(&world.url(), text).await), StoreError::WrongKey { .. }));
    let right = KekSource::Text(Secret::new(std::fs::read_to_string(world.key_file()).unwrap()));
    Store::open_existing(&world.url(), right).await.map(drop).unwrap();
}

#[tokio::test]
async fn op_20_an_older_node_goes_on_when_a_newer_one_has_migrated() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    add(&store, "c1", NewSecret::Generate).await;
    store.add_key(&key("k1")).await.unwrap();
    // The next step may only add.
    for sql in [
        "CREATE TABLE next (id TEXT PRIMARY KEY NOT NULL)",
        "ALTER TABLE clients ADD COLUMN next TEXT",
        "ALTER TABLE signing_keys ADD COLUMN next BIGINT NOT NULL DEFAULT 0",
        "INSERT INTO revisions (part, number) VALUES ('next', 1)",
        "INSERT INTO schema_version (version) VALUES (8)",
    ] {
        world.execute(sql).await;
    }
    add(&store, "c2", NewSecret::Generate).await;
    store.add_key(&key("k2")).await.unwrap();
    store.set_enabled(&id("c1"), false).await.unwrap();
    store.revoke(&NewRevocation::Client { id: id("c2"), before: at(0) }).await.unwrap();
    assert!(store.use_once("jti", "a", at(60)).await.unwrap());
    watched.refresh().await.unwrap();
    assert_eq!(watched.now().signing_keys().0, ["k1", "k2"]);
    assert!(!watched.now().snapshot().client(&id("c1")).unwrap().enabled);
    assert_eq!(watched.now().snapshot().revocations(), 1);
    // After a crash it can open the store again, because the newer version states that this one may.
    let again = world.open().await;
    assert_eq!((again.schema().from, again.schema().to, again.schema().is_due()), (8, 7, false));
    let differences = again.schema_differences().await.unwrap();
    assert!(!differences.iter().any(SchemaDifference::affects_servers), "{differences:?}");
    // What the newer version did not add is still a difference.
    world.execute("DROP INDEX revoked_ids_revision").await;
    assert!(again.schema_differences().await.unwrap().iter().any(SchemaDifference::affects_servers));
}

#[tokio::test]
async fn op_12_an_older_store_is_migrated_and_keeps_its_content() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", chosen("s1-Z7")).await;
    store.close().await;
    world
        .execute(
            "DROP TABLE federations; DROP TABLE issuers; DROP TABLE disabled_subjects; \
         DROP TABLE audit_records; DROP TABLE audit_heads; DROP TABLE audit_segments; DROP TABLE nodes; \
         DELETE FROM revisions WHERE part IN ('issuers', 'disabled_subjects'); \
         ALTER TABLE client_secrets DROP COLUMN last_used_at; \
         DELETE FROM schema_version WHERE version >= 2",
        )
        .await;
    let store = world.open().await;
    assert!(store.issuers().await.unwrap().is_empty());
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    assert!(is_authenticated(&moment, "c1", "s1-Z7", at(0)));
}
