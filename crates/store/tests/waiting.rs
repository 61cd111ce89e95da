//! Writes that wait for a standby that is gone. Conformance OP-21.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::{Duration, Instant};
use tokenberg_core::TokenId;
use tokenberg_store::NewRevocation;
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
