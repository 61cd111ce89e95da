//! A store whose audit an older version began, without witnesses, verifies, is reported to have fewer of them, and gets them:
//! conformance SE-06, OP-12.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::Connection;
use std::time::{Duration, Instant};
use tokenberg_core::audit::Recorder;
use tokenberg_store::{Break, NewSecret, Store, WhenFull};
use world::chains::*;
use world::*;

/// Written by that version: clients, keys, issuers, subjects and revocations of every kind, two nodes that ended and one that
/// was killed; `sqlite3 FILE .dump`.
const STORE: &str = include_str!("data/store_before_witnesses.sql");
const KEY: &str = "f86c0afce1f01ecce898d9f4fdd239bca0225323735bbb5774ccc81fd840832f\n";

/// A world that holds that store.
async fn before() -> World {
    let world = World::new();
    std::fs::write(world.path(), "").unwrap();
    std::fs::write(world.key_file(), KEY).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(world.key_file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut file = sqlx::SqliteConnection::connect(world.path().to_str().unwrap()).await.unwrap();
    sqlx::raw_sql(STORE).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    world
}

async fn uncompared(store: &Store) -> u64 {
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:#?}");
    report.uncompared
}

async fn until_compared(store: &Store) {
    let begun = Instant::now();
    while uncompared(store).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never compared");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn se_06_an_audit_of_the_previous_version_is_complete_and_compared() {
    let world = before().await;
    let store = world.open().await;
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:#?}");
    assert!(report.chains.iter().all(|chain| chain.witnessed == 0));
    assert_eq!(report.chains.len(), 4);
    // All of it has a record, but no record says that there is nothing else.
    assert_eq!(report.uncompared, 0);
    world.execute("UPDATE clients SET enabled = 1").await;
    let differences = store.verify_audit().await.unwrap().differences;
    assert_eq!(
        differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["client off has another value of \"enabled\" than in record 10 of the chain installation"]
    );
    world.execute("UPDATE clients SET enabled = 0 WHERE id = 'off'").await;
    world
        .execute("INSERT INTO clients SELECT 'mallory', enabled, rights, created_at FROM clients WHERE id = 'root'")
        .await;
    assert_eq!(uncompared(&store).await, 1, "it may be older than the audit");
    world.execute("DELETE FROM clients WHERE id = 'mallory'").await;
}

#[tokio::test]
async fn se_06_the_first_node_of_this_version_adds_what_is_missing_and_everything_is_compared_from_then_on() {
    let world = before().await;
    let store = world.open().await;
    // From before the audit, or its record has expired.
    world
        .execute(
            "INSERT INTO clients SELECT 'older', enabled, rights, created_at FROM clients WHERE id = 'root'",
        )
        .await;
    store.set_enabled(&id("older"), false).await.unwrap();
    assert_eq!(uncompared(&store).await, 1);
    let trail = store.audit_trail(WhenFull::Drop);
    trail.record(&granted(0));
    until_written(&trail, 1).await;
    until_compared(&store).await;
    trail.end().await;
    let report = store.verify_audit().await.unwrap();
    assert!(report.chains[1..].iter().all(|chain| chain.witnessed == chain.last), "{report:#?}");
    for (sql, expected) in [
        (
            "UPDATE clients SET enabled = 1 WHERE id = 'older'",
            "client older has another value of \"enabled\"",
        ),
        (
            "UPDATE clients SET rights = replace(rights, '3600', '3601') WHERE id = 'older'",
            "client older has another value of \"rights\"",
        ),
        (
            "INSERT INTO clients SELECT 'mallory', enabled, rights, created_at FROM clients WHERE id = 'root'",
            "client mallory is in the store without a record",
        ),
        // The version before did not write down until when a key verifies that another took over from.
        (
            "UPDATE signing_keys SET verifies_until = NULL WHERE id = 'k2'",
            "signing key k2 has another value of \"verifies_until\"",
        ),
    ] {
        world.execute("CREATE TABLE of_clients AS SELECT * FROM clients; CREATE TABLE of_keys AS SELECT * FROM signing_keys").await;
        world.execute(sql).await;
        let differences = store.verify_audit().await.unwrap().differences;
        assert!(
            differences.len() == 1 && differences[0].to_string().starts_with(expected),
            "{differences:?}"
        );
        world
            .execute(
                "DELETE FROM clients WHERE id = 'mallory'; \
                 UPDATE clients SET enabled = o.enabled, rights = o.rights FROM of_clients o WHERE o.id = clients.id; \
                 UPDATE signing_keys SET verifies_until = o.verifies_until FROM of_keys o WHERE o.id = signing_keys.id; \
                 DROP TABLE of_clients; DROP TABLE of_keys",
            )
            .await;
    }
    assert_eq!(broken(&store).await, None);
    // The records of the older nodes are witnessed now, too.
    let node = "(SELECT chain FROM audit_heads WHERE begun = 3)";
    world
        .execute(
            format!(
                "DELETE FROM audit_records WHERE chain = {node}; DELETE FROM audit_heads WHERE chain = {node}"
            )
            .leak(),
        )
        .await;
    assert!(matches!(broken(&store).await, Some((_, 1, Break::Gone | Break::Head))));
}

#[tokio::test]
async fn se_06_the_row_that_spares_reading_the_chain_may_be_missing_or_forged() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    store.expire_audit(at(1_000_000_000)).await.unwrap();
    for sql in [
        "DELETE FROM meta WHERE name = 'audit_complete_as_of'",
        "UPDATE meta SET value = (SELECT hash FROM audit_heads LIMIT 1) WHERE name = 'audit_complete_as_of'",
    ] {
        world.execute(sql).await;
        assert_eq!(uncompared(&store).await, 0);
        node(&store, 1).await;
        store.expire_audit(at(1_000_000_000)).await.unwrap();
        assert_eq!(uncompared(&store).await, 0);
    }
}
