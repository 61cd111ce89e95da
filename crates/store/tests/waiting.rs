//! Writes that wait: for a standby that is gone, and on a long way to the database. Conformance OP-21, RV-06.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::{Duration, Instant};
use tokenberg_core::{Answers, TokenId};
use tokenberg_store::{NewRevocation, Store};
use tokenberg_testkit::{Postgres, Wire};
use world::*;

/// A limit that a working machine does not reach.
const LONG: Duration = Duration::from_secs(60);

fn revocation(jti: &str) -> NewRevocation {
    NewRevocation::Token { id: TokenId::parse(jti).unwrap(), until: at(3600) }
}

async fn count(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_a_node_has_nine_connections_at_most_while_the_synchronous_standby_is_gone() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let world = World::behind(&Wire::to(postgres.port()), &database);
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let mut admin = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    let ours = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'tokenberg'";
    let begun = Instant::now();
    while count(&mut admin, "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").await == 0 {
        assert!(begun.elapsed() < LONG, "it does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Of the last commit of this connection nobody waits for a standby.
    let setting = "SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = 'gone'";
    for sql in setting.split(';') {
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut admin).await.unwrap();
    while count(
        &mut admin,
        "SELECT COUNT(*) FROM pg_settings WHERE name = 'synchronous_standby_names' AND setting = 'gone'",
    )
    .await
        == 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It is in force as soon as the checkpointer has seen it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let load = (0..40).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut acknowledged = 0;
            for round in 0.. {
                if begun.elapsed() > Duration::from_secs(14) {
                    break;
                }
                let id = format!("{n}-{round}");
                acknowledged += usize::from(store.use_once("jti", &id, at(60)).await.is_ok());
                acknowledged += usize::from(n % 4 == 0 && store.revoke(&revocation(&id)).await.is_ok());
            }
            acknowledged
        })
    });
    let load: Vec<_> = load.collect();
    let (mut most, mut oldest) = (0, Duration::ZERO);
    while load.iter().any(|one| !one.is_finished()) {
        most = most.max(count(&mut admin, ours).await);
        oldest = oldest.max(watched.health().age);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut acknowledged = 0;
    for one in load {
        acknowledged += one.await.unwrap();
    }
    println!("at most {most} connections; the node was {oldest:?} behind at most");
    assert_eq!(acknowledged, 0, "nothing is acknowledged that no standby has");
    assert!((7..=9).contains(&most), "{most} connections");
    assert!(oldest < Duration::from_secs(6), "reads go on: {oldest:?}");
    sqlx::raw_sql("ALTER SYSTEM RESET synchronous_standby_names").execute(&mut admin).await.unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut admin).await.unwrap();
    let begun = Instant::now();
    while store.revoke(&revocation("back")).await.is_err() {
        assert!(begun.elapsed() < LONG, "it does not recover");
    }
}

/// Revokes at this rate over nodes whose way to the database takes so long. Returns the slowest.
async fn revoke_at(rate: u32, seconds: u32, round_trip: Duration, nodes: usize) {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, wire) = (postgres.database(), Wire::to(postgres.port()));
    let world = World::behind(&wire, &database);
    let mut watched = Vec::new();
    for _ in 0..nodes {
        watched.push(world.open().await.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")));
    }
    wire.slow(round_trip);
    let direct = Store::open(&postgres.url(&database).parse().unwrap(), world.key()).await.unwrap();
    let pause = Duration::from_secs(1) / rate;
    let mut ticks = tokio::time::interval(pause);
    let mut all = Vec::new();
    for n in 0..(rate * seconds) as usize {
        ticks.tick().await;
        let (watched, direct) = (watched[n % nodes].clone(), direct.clone());
        all.push(tokio::spawn(async move {
            let (id, begun) = (format!("t{n}"), Instant::now());
            watched.store().revoke(&revocation(&id)).await.unwrap_or_else(|e| panic!("{id}: {e}"));
            let took = begun.elapsed();
            // It is durable before it is acknowledged, and this node has it right after.
            let stored = direct.snapshot().await.unwrap().revoked(&token("c1", 0, &id, "s")).is_some();
            assert!(stored, "{id} was acknowledged and is not stored");
            watched.refresh().await.unwrap_or_else(|e| panic!("{id}: {e}"));
            assert!(watched.now().revoked(&token("c1", 0, &id, "s")).is_some(), "{id}");
            (took, begun.elapsed())
        }));
    }
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    for one in all {
        let (took, seen) = one.await.unwrap();
        slowest = (slowest.0.max(took), slowest.1.max(seen));
    }
    println!(
        "{rate} a second at {round_trip:?}, {nodes} nodes: at most {:?}, and {:?} with the reload",
        slowest.0, slowest.1
    );
    // One record for each, in a chain that holds.
    let mut connection = PgConnection::connect(&postgres.url(&database)).await.unwrap();
    let records: Vec<String> =
        sqlx::query_scalar("SELECT record FROM audit_records WHERE chain = 'installation' ORDER BY number")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let records = records.join("\n");
    for n in 0..rate * seconds {
        assert_eq!(records.matches(&format!("\"token\":\"t{n}\"")).count(), 1, "t{n}");
    }
    let report = direct.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_twenty_revocations_a_second_succeed_at_twenty_milliseconds() {
    revoke_at(20, 4, Duration::from_millis(20), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_five_revocations_a_second_succeed_at_two_hundred_milliseconds() {
    revoke_at(5, 5, Duration::from_millis(200), 2).await;
}

/// A revocation was eighteen round trips.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_s_16_a_revocation_is_one_round_trip() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, wire) = (postgres.database(), Wire::to(postgres.port()));
    let world = World::behind(&wire, &database);
    let (store, other) = (world.open().await, world.open().await);
    let round_trips = async |store: &Store, ids: &[String]| {
        let before = wire.round_trips();
        let revocations: Vec<_> = ids.iter().map(|id| revocation(id)).collect();
        let outcomes = futures_util::future::join_all(revocations.iter().map(|one| store.revoke(one))).await;
        outcomes.into_iter().for_each(|outcome| outcome.unwrap_or_else(|e| panic!("{e}")));
        wire.round_trips() - before
    };
    let one = |id: &str| [id.to_owned()];
    // The first ones find out where the chain ends.
    round_trips(&store, &one("first")).await;
    round_trips(&other, &one("first-of-the-other")).await;
    assert_eq!(round_trips(&store, &one("after-the-other")).await, 2, "the other one has written meanwhile");
    for n in 0..5 {
        assert_eq!(round_trips(&store, &one(&format!("t{n}"))).await, 1);
    }
    // The first one begins at once, and the others are the next group.
    let many: Vec<_> = (0..100).map(|n| format!("m{n}")).collect();
    wire.slow(Duration::from_millis(20));
    assert_eq!(round_trips(&store, &many).await, 2);
    wire.slow(Duration::ZERO);
    // Another change of the store is in the same chain.
    other.revoke(&NewRevocation::Client { id: id("c1"), before: at(0) }).await.unwrap();
    assert_eq!(round_trips(&store, &one("after-another-change")).await, 2);
    let snapshot = other.snapshot().await.unwrap();
    for id in many.iter().map(String::as_str).chain([
        "first",
        "after-the-other",
        "t0",
        "t4",
        "after-another-change",
    ]) {
        assert!(snapshot.revoked(&token("c2", 0, id, "s")).is_some(), "{id}");
    }
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:?}");
}
