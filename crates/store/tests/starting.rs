//! When a store on PostgreSQL is made, and how its schema is migrated there; conformance OP-12, OP-20.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{Connection, Executor, PgConnection};
use tokenberg_store::{NewSecret, Opening, OpeningError, Store, StoreError};
use tokenberg_testkit::{POSTGRES_PASSWORD, Postgres};
use world::*;

/// Makes a store one of the schema 4.
const BACK_TO_4: &str = "DROP TABLE nodes; DROP TABLE audit_segments; DROP INDEX audit_records_time; \
    DELETE FROM schema_version WHERE version >= 5";

/// A world on a new database, and a connection to it outside of any store.
async fn empty() -> Option<(World, PgConnection)> {
    let world = World::on_postgres(Postgres::shared()?);
    let connection = PgConnection::connect(&world.address()).await.unwrap();
    Some((world, connection))
}

#[tokio::test]
async fn s_14_a_publication_for_all_tables_stops_no_step() {
    let Some((world, mut other)) = empty().await else { return };
    world.open().await.close().await;
    other.execute(BACK_TO_4).await.unwrap();
    other.execute("CREATE PUBLICATION everything FOR ALL TABLES").await.unwrap();
    assert!(Store::migrate(&world.url()).await.unwrap().is_due());
    let store = Store::open_existing(&world.url(), world.key()).await.unwrap();
    add(&store, "c1", NewSecret::Generate).await;
}

#[tokio::test]
async fn s_14_a_role_that_may_take_no_step_is_told_the_command() {
    let Some((world, mut other)) = empty().await else { return };
    world.open().await.close().await;
    other.execute(BACK_TO_4).await.unwrap();
    let role = format!(
        "CREATE ROLE only_rows LOGIN PASSWORD '{POSTGRES_PASSWORD}'; GRANT USAGE ON SCHEMA public TO only_rows; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO only_rows"
    );
    other.execute(sqlx::AssertSqlSafe(role)).await.unwrap();
    let url = world.address().replace("//tokenberg:", "//only_rows:").parse().unwrap();
    for refused in [
        fault(Store::migrate(&url).await),
        fault(Store::open_for(&url, world.key(), Opening::Start { may_be_new: false }).await),
    ] {
        assert!(
            matches!(refused, StoreError::Opening(OpeningError::NotMigrated { found: 4, known: 7, .. })),
            "{refused}"
        );
        assert!(refused.to_string().contains("`tokenberg migrate`"), "{refused}");
    }
    // It can be read, and used after the step.
    Store::open_for(&url, world.key(), Opening::Read).await.unwrap().close().await;
    Store::migrate(&world.url()).await.unwrap();
    let store = Store::open_for(&url, world.key(), Opening::Start { may_be_new: false }).await.unwrap();
    // The step gave it the rights on the new tables that it has on the others.
    assert_eq!(store.nodes().await.unwrap(), []);
    add(&store, "c1", NewSecret::Generate).await;
    chains::node(&store, 300).await;
    assert!(store.verify_audit().await.unwrap().is_whole());
}

/// Whether the database has any table.
async fn has_tables(other: &mut PgConnection) -> bool {
    let count = "SELECT COUNT(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    sqlx::query_scalar::<_, i64>(count).fetch_one(other).await.unwrap() > 0
}

#[tokio::test]
async fn s_7_a_node_with_a_key_makes_no_store_in_an_empty_database_unless_it_is_expected() {
    let Some((world, mut other)) = empty().await else { return };
    tokenberg_store::KeyEncryptionKey::create_file(&world.key_file()).map(drop).unwrap();
    let url = world.url();
    let start = |may_be_new| Store::open_for(&url, world.key(), Opening::Start { may_be_new });
    let refused = fault(start(false).await);
    assert_eq!(refused, OpeningError::NotMade { store: world.url().to_string() }.into());
    for word in ["`tokenberg init`", "--create", "search_path"] {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert!(!has_tables(&mut other).await);
    start(true).await.unwrap().close().await;
    start(false).await.unwrap().close().await;
}

#[tokio::test]
async fn s_7_the_first_start_that_creates_the_key_file_makes_the_store() {
    let Some((world, _)) = empty().await else { return };
    let url = world.url();
    let start = || Store::open_for(&url, world.key(), Opening::Start { may_be_new: false });
    let nodes = tokio::join!(start(), start(), start());
    for node in [nodes.0, nodes.1, nodes.2] {
        node.unwrap_or_else(|e| panic!("{e}")).close().await;
    }
    assert!(world.key_file().exists());
}

#[tokio::test]
async fn s_7_no_store_is_made_beside_another_one_or_in_half_of_a_restored_one() {
    let Some((world, mut other)) = empty().await else { return };
    world.open().await.close().await;
    // Another search_path: the store is there, and out of sight.
    other.execute("CREATE SCHEMA elsewhere").await.unwrap();
    let beside = format!("{}?options=-csearch_path%3Delsewhere", world.address()).parse().unwrap();
    let expected = Opening::Start { may_be_new: true };
    let refused = fault(Store::open_for(&beside, world.key(), expected).await);
    assert!(refused.to_string().contains("\"public\""), "{refused}");
    Store::open_for(&beside, world.key(), Opening::Make).await.unwrap().close().await;
    // A restore that has made the tables and not filled them yet.
    other.execute("DROP SCHEMA elsewhere CASCADE; DELETE FROM schema_version").await.unwrap();
    for opening in [expected, Opening::Make] {
        let refused = fault(Store::open_for(&world.url(), world.key(), opening).await);
        assert!(refused.to_string().contains("restored in part"), "{opening:?} {refused}");
    }
    assert_eq!(
        fault(Store::open_for(&world.url(), world.key(), Opening::Read).await),
        StoreError::Missing { store: world.url().to_string() }
    );
}

#[tokio::test]
async fn s_7_a_store_that_has_lost_its_keys_gets_no_new_one() {
    let Some((world, mut other)) = empty().await else { return };
    let store = world.open().await;
    let first = async |store: &Store| {
        store.bootstrap(at(0), &key("k"), &id("root"), &rights(), NewSecret::Generate).await
    };
    assert!(first(&store).await.unwrap().key_added);
    other.execute("DELETE FROM signing_keys; DELETE FROM clients").await.unwrap();
    let refused = fault(first(&store).await);
    assert_eq!(refused, OpeningError::KeysLost.into());
    assert!(store.keys().await.unwrap().is_empty());
}
