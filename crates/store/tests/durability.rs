//! Acknowledged changes survive concurrent writers and a power cut at any moment.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::io::{BufRead, BufReader};
use std::time::Duration;
use tokenberg_core::TokenId;
use tokenberg_store::{KekSource, NewRevocation, NewSecret, OpeningError, Store};
use world::*;

fn revocation() -> NewRevocation {
    NewRevocation::Token { id: TokenId::parse("jti-1").unwrap(), until: at(3600) }
}

/// The process that the test below kills; not a test itself.
#[tokio::test]
#[ignore = "it is started by rv_06 and waits to be killed"]
async fn the_process_that_is_killed() {
    let kek = KekSource::File(std::env::var(KEY_FILE).unwrap().into());
    let url = std::env::var(URL).unwrap().parse().unwrap();
    let store = Store::open(&url, kek).await.unwrap_or_else(|e| panic!("{e}"));
    add(&store, "c1", chosen("s1-Z7")).await;
    store.add_key(&key("k1")).await.unwrap();
    store.revoke(&revocation()).await.unwrap();
    assert!(store.use_once("jti of c1", "a", at(60)).await.unwrap());
    println!("\nacknowledged");
    std::thread::sleep(Duration::from_secs(600));
}

#[tokio::test]
async fn rv_06_acknowledged_changes_survive_kill_9() {
    let Some(world) = World::of_either_kind() else { return };
    let path = concat!(module_path!(), "::the_process_that_is_killed");
    let mut process = world.process(path);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "acknowledged"));
    process.kill().unwrap();
    process.wait().unwrap();

    let store = world.open().await;
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    assert!(is_authenticated(&moment, "c1", "s1-Z7", at(0)));
    assert_eq!(moment.signing_keys().0, ["k1"]);
    assert!(moment.snapshot().revoked(&token("c1", 0, "jti-1", "s")).is_some());
    assert!(!store.use_once("jti of c1", "a", at(60)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn op_20_exactly_one_of_sixteen_concurrent_uses_succeeds() {
    let Some(world) = World::of_either_kind() else { return };
    let nodes = [world.open().await, world.open().await];
    for round in 0..5 {
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let node = nodes[n % 2].clone();
                tokio::spawn(
                    async move { node.use_once("jti", &format!("id {round}"), at(60)).await.unwrap() },
                )
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
    assert!(nodes[0].use_once("jti of another issuer", "id 0", at(60)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn op_20_two_stores_that_write_to_one_database_lose_nothing() {
    let Some(world) = World::of_either_kind() else { return };
    let nodes = [world.open().await, world.open().await];
    let watched = nodes[0].watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let node = nodes[n % 2].clone();
            tokio::spawn(async move {
                add(&node, &format!("c{n}"), NewSecret::Generate).await;
                let id = TokenId::parse(&format!("jti-{n}")).unwrap();
                node.revoke(&NewRevocation::Token { id, until: at(60) }).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    watched.refresh().await.unwrap();
    assert_eq!(watched.now().snapshot().clients(), 40);
    assert_eq!(watched.now().snapshot().revocations(), 40);
    if is_postgres() {
        return;
    }
    let mut connection =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&world.url().to_string()).await.unwrap();
    let intact: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(intact, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn op_12_one_of_the_servers_that_start_on_an_empty_store_creates_the_root() {
    let Some(world) = World::of_either_kind() else { return };
    let starts: Vec<_> = (0..6)
        .map(|n| {
            let (url, kek) = (world.url(), world.key());
            tokio::spawn(async move {
                let store = Store::open(&url, kek).await.unwrap_or_else(|e| panic!("{e}"));
                let key = key(&format!("k{n}"));
                let made = store.bootstrap(at(0), &key, &id("root"), &rights(), NewSecret::Generate).await;
                let made = made.unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(made.key_added, made.root.is_some());
                let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
                (made.root.map(|r| r.secret.unwrap()), moment)
            })
        })
        .collect();
    let mut moments = Vec::new();
    let mut secrets = Vec::new();
    for start in starts {
        let (secret, moment) = start.await.unwrap();
        secrets.extend(secret);
        moments.push(moment);
    }
    assert_eq!(secrets.len(), 1);
    for moment in &moments {
        assert!(is_authenticated(moment, "root", secrets[0].expose(), at(0)));
        assert_eq!(moment.signing_keys().0, moments[0].signing_keys().0);
        assert_eq!(moment.signing_keys().0.len(), 1);
    }
}

#[tokio::test]
async fn bootstrap_adds_a_missing_key_but_no_root_beside_other_clients() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    let boot = async |name: &str| {
        let made = store.bootstrap(at(0), &key(name), &id("root"), &rights(), NewSecret::Generate).await;
        made.map(|made| (made.key_added, made.root.is_some())).unwrap_or_else(|e| panic!("{e}"))
    };
    assert_eq!(boot("k1").await, (true, false));
    assert_eq!(boot("k2").await, (false, false));
    store.remove_client(at(0), &id("c1")).await.unwrap();
    assert_eq!(boot("k2").await, (false, false));
    store.remove_key(&key("k1").id).await.unwrap();
    // A store without keys that had some was tampered with, or restored in part.
    let again = store.bootstrap(at(0), &key("k2"), &id("root"), &rights(), NewSecret::Generate).await;
    assert_eq!(fault(again), OpeningError::KeysLost.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_10_a_cancelled_request_leaves_the_store_usable_and_consistent() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for n in 0..200_u64 {
        let other = store.clone();
        let task = tokio::spawn(async move { other.use_once("jti", &format!("{n}"), at(60)).await });
        tokio::time::sleep(Duration::from_micros(n * 7)).await;
        task.abort();
        if let Ok(acknowledged) = task.await {
            assert!(acknowledged.unwrap());
            assert!(!store.use_once("jti", &format!("{n}"), at(60)).await.unwrap());
        }
    }
    assert!(store.use_once("jti", "last", at(60)).await.unwrap());
}
