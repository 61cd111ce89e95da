//! Failures of a database server: it is gone, paused or cut off, or many nodes write at the same time. Conformance OP-20,
//! OP-21.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::postgres::PgListener;
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;
use tokenberg_core::{Answers, TokenId};
use tokenberg_store::{NewRevocation, NewSecret, Store, StoreError};
use tokenberg_testkit::{Line, POSTGRES_PASSWORD, Postgres, Wire};
use world::*;

/// Longer than anything may take; a test that waits for so long fails.
const LONG: Duration = Duration::from_secs(40);

fn revocation(jti: &str) -> NewRevocation {
    NewRevocation::Token { id: TokenId::parse(jti).unwrap(), until: at(3600) }
}

async fn unavailable<T>(work: impl Future<Output = Result<T, StoreError>>) {
    match tokio::time::timeout(LONG, work).await {
        Ok(outcome) => assert!(fault(outcome).is_unavailable()),
        Err(_) => panic!("it did not return"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_20_a_change_that_is_committed_later_is_not_skipped() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let database = postgres.database();
    let world = World::behind(&wire, &database);
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    // A node that has its number already, and is slow to commit.
    let mut slow = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    slow.execute("BEGIN").await.unwrap();
    slow.execute("UPDATE revisions SET number = number + 1 WHERE part = 'revoked_ids'").await.unwrap();
    slow.execute(
        "INSERT INTO revoked_ids (kind, id, until, revision) \
         SELECT 'token', 'slow', 1800003600, number FROM revisions WHERE part = 'revoked_ids'",
    )
    .await
    .unwrap();
    let quick = store.clone();
    let quick = tokio::spawn(async move { quick.revoke(&revocation("quick")).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    watched.refresh().await.unwrap();
    assert!(!quick.is_finished(), "a later number waits for an earlier one");
    assert_eq!(watched.now().snapshot().revocations(), 0);
    slow.execute("COMMIT").await.unwrap();
    quick.await.unwrap().unwrap();
    until(&watched, |w| w.now().snapshot().revocations() == 2).await;
    // A node that never commits does not block the others for ever.
    slow.execute("BEGIN").await.unwrap();
    slow.execute("UPDATE revisions SET number = number + 1 WHERE part = 'revoked_ids'").await.unwrap();
    unavailable(store.revoke(&revocation("third"))).await;
    assert!(store.use_once("jti", "a", at(60)).await.unwrap(), "a change without a number does not wait");
}

#[tokio::test]
async fn op_20_the_other_nodes_are_notified_of_changes_only() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let world = World::behind(&Wire::to(postgres.port()), &database);
    let store = world.open().await;
    let mut listener = PgListener::connect(&postgres.url(&database)).await.unwrap();
    listener.listen("tokenberg_changed").await.unwrap();
    assert!(store.use_once("jti", "a", at(60)).await.unwrap());
    listener.execute("SELECT 1").await.unwrap();
    assert!(listener.next_buffered().is_none(), "no node keeps used identifiers in memory");
    store.revoke(&revocation("t1")).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "");
    listener.execute("SELECT 1").await.unwrap();
    assert!(listener.next_buffered().is_none(), "one change, one call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_an_unreachable_database_is_an_outage_and_the_store_recovers() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let world = World::behind(&wire, &database);
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    add(&store, "c1", chosen("s1-Z7")).await;
    assert!(store.use_once("jti", "a", at(60)).await.unwrap());
    watched.refresh().await.unwrap();
    for mode in ["immediate", "fast"] {
        postgres.stop(mode);
        unavailable(store.revoke(&revocation(mode))).await;
        unavailable(store.use_once("jti", mode, at(60))).await;
        until(&watched, |w| w.health().fault.as_ref().is_some_and(StoreError::is_unavailable)).await;
        assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)), "what is in memory goes on");
        let message = fault(world.try_open().await).to_string();
        assert!(message.contains("cannot be opened") && message.contains("127.0.0.1"), "{message}");
        assert!(!message.contains(POSTGRES_PASSWORD));
        postgres.start_again();
        until(&watched, |w| w.health().fault.is_none()).await;
        assert!(store.use_once("jti", mode, at(60)).await.unwrap(), "it was unused");
        assert!(!store.use_once("jti", "a", at(60)).await.unwrap(), "the acknowledged use is stored");
        store.revoke(&revocation(mode)).await.unwrap();
        until(&watched, |w| w.now().revoked(&token("c1", 0, mode, "s")).is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_a_server_that_does_not_answer_blocks_no_request() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let world = World::behind(&wire, &postgres.database());
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    wire.set(Line::Stalled);
    // More than there are connections.
    let many = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { unavailable(store.use_once("jti", &n.to_string(), at(60))).await })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    until(&watched, |w| w.health().fault.is_some()).await;
    let message = fault(tokio::time::timeout(LONG, world.try_open()).await.unwrap()).to_string();
    assert!(message.contains("did not answer"), "{message}");
    wire.set(Line::Open);
    until(&watched, |w| w.health().fault.is_none()).await;
    assert!(store.use_once("jti", "new", at(60)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_connections_that_the_network_dropped_are_replaced() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let database = postgres.database();
    let store = World::behind(&wire, &database).open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    // All connections that may write are in the middle of a change when it happens.
    let mut other = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    other.execute("UPDATE revisions SET number = number + 1 WHERE part = 'revoked_before'").await.unwrap();
    let many = (0..8).map(|_| {
        let store = store.clone();
        let revocation = NewRevocation::Client { id: id("c1"), before: at(0) };
        tokio::spawn(async move { unavailable(store.revoke(&revocation)).await })
    });
    let many = many.collect::<Vec<_>>();
    let mut third = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let begun = std::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut third).await.unwrap() < 6 {
        assert!(begun.elapsed() < LONG, "they did not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    wire.drop_silently();
    for one in many {
        one.await.unwrap();
    }
    other.execute("ROLLBACK").await.unwrap();
    // Each connection of the pool may cost one caller its limit, but no more.
    let mut failures = 0;
    while store.use_once("jti", "a", at(60)).await.is_err() {
        failures += 1;
        assert!(failures < 10, "it never gets better");
    }
    until(&watched, |w| w.health().fault.is_none()).await;
    add(&store, "c1", NewSecret::Generate).await;
    until(&watched, |w| w.now().client(&id("c1")).is_some()).await;
}

#[tokio::test]
async fn op_21_a_standby_that_lacks_changes_is_detected() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let database = postgres.database();
    let store = World::behind(&wire, &database).open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    store.revoke(&revocation("lost")).await.unwrap();
    watched.refresh().await.unwrap();
    wire.set(Line::Cut);
    until(&watched, |w| w.health().fault.is_some()).await;
    // The same number, for another state.
    let mut standby = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    standby.execute("UPDATE revoked_ids SET id = 'new'").await.unwrap();
    wire.set(Line::Open);
    until(&watched, |w| w.now().revoked(&token("c1", 0, "new", "s")).is_some()).await;
}

#[tokio::test]
async fn se_05_no_error_contains_the_password() {
    let Some(postgres) = Postgres::shared() else { return };
    let good = postgres.url(&postgres.database());
    let port = postgres.port().to_string();
    for (url, expected) in [
        (good.replace(POSTGRES_PASSWORD, "hush-wrong"), "password authentication failed"),
        (good.replace(&port, "1"), "refused"),
        (postgres.url("nonexistent"), "does not exist"),
        (format!("{good}?sslmode=verify-full"), "UnknownIssuer"),
    ] {
        let world = World::new();
        let message = fault(Store::open(&url.parse().unwrap(), world.key()).await);
        let message = format!("{message} {message:?}");
        assert!(message.contains(expected) && message.contains("127.0.0.1"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
}

#[tokio::test]
async fn ht_19_the_database_authenticates_by_its_certificate() {
    let Some(postgres) = Postgres::shared() else { return };
    let here = World::new();
    let certificate = here.directory().join("ca.pem");
    std::fs::write(&certificate, postgres.certificate()).unwrap();
    let base = postgres.url(&postgres.database());
    let mode = |url: &str, mode: &str| format!("{url}?sslmode={mode}&sslrootcert={}", certificate.display());
    let named = base.replace("127.0.0.1", "localhost");
    for (url, is_good) in [
        (mode(&named, "verify-full"), true),
        (mode(&base, "verify-full"), false),
        (mode(&base, "verify-ca"), true),
        (format!("{base}?sslmode=verify-ca"), false),
        (format!("{base}?sslmode=require"), true),
        (mode(&base, "require"), true),
        (format!("{base}?sslmode=disable"), true),
    ] {
        let opened = Store::open(&url.parse().unwrap(), here.key()).await;
        assert_eq!(opened.is_ok(), is_good, "{url}");
        if let Ok(store) = opened {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let encrypted: bool = sqlx::query_scalar(encrypted).fetch_one(&mut connection).await.unwrap();
            assert_eq!(encrypted, !url.contains("disable"));
            store.close().await;
        }
    }
}

#[tokio::test]
async fn op_12_administration_creates_no_tables() {
    let Some(postgres) = Postgres::shared() else { return };
    let world = World::behind(&Wire::to(postgres.port()), &postgres.database());
    let missing = fault(Store::open_existing(&world.url(), world.key()).await);
    assert_eq!(missing, StoreError::Missing { store: world.url().to_string() });
    assert!(!world.key_file().exists());
    world.open().await.close().await;
    Store::open_existing(&world.url(), world.key()).await.map(drop).unwrap();
}
