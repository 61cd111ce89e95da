//! Running servers record themselves in the store, and how far they have followed it; conformance OP-20, OP-21.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::future::Future;
use std::time::{Duration, Instant};
use tokenberg_store::{NewSecret, Node, Store, Watched};
use world::*;

/// A server of the store.
async fn server(world: &World, host: &str) -> Watched<Names> {
    let facts =
        [("host", host.to_owned()), ("version", "9.9".to_owned()), ("address", format!("http://{host}"))];
    let store = world.open().await.on_node(&facts);
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    watched.appear();
    watched
}

/// Reads the servers until this holds for them, for a minute at most.
async fn until_nodes(store: &Store, what: impl AsyncFn(&[Node]) -> bool) -> Vec<Node> {
    let begun = Instant::now();
    loop {
        let nodes = store.nodes().await.unwrap();
        if what(&nodes).await {
            return nodes;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not happen: {nodes:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn have_followed(store: &Store, count: usize) -> Vec<Node> {
    until_nodes(store, async |nodes| {
        let position = store.position().await.unwrap();
        nodes.len() == count && nodes.iter().all(|node| node.followed.behind(&position) == 0)
    })
    .await
}

/// Fails unless it ends within this many seconds.
async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), what).await.unwrap()
}

#[tokio::test]
async fn op_20_servers_record_themselves_and_how_far_they_have_followed() {
    let Some(world) = World::of_either_kind() else { return };
    let admin = world.open().await;
    assert_eq!(admin.nodes().await.unwrap(), []);
    let (one, other) = (server(&world, "one").await, server(&world, "other").await);
    let nodes = have_followed(&admin, 2).await;
    let facts = nodes.iter().map(|node| (node.host.as_str(), node.version.as_str(), node.address.as_str()));
    assert_eq!(facts.collect::<Vec<_>>(), [("one", "9.9", "http://one"), ("other", "9.9", "http://other")]);
    for node in &nodes {
        assert!(node.is_seen() && node.fault.is_none() && node.since <= node.seen_at, "{node:?}");
        assert_eq!(node.clock.is_some(), is_postgres(), "{node:?}");
    }
    until_nodes(&admin, async |_| [&one, &other].iter().all(|node| node.nodes_seen() == Some(2))).await;

    // A change of any kind is followed, and recorded before the next interval.
    let begun = Instant::now();
    for change in 0..3 {
        match change {
            0 => drop(add(&admin, "c1", NewSecret::Generate).await),
            1 => admin.set_enabled(&id("c1"), false).await.unwrap(),
            _ => admin.add_key(&key("k1")).await.unwrap(),
        }
        let position = admin.position().await.unwrap();
        assert!(nodes.iter().all(|node| node.followed.behind(&position) > 0));
        have_followed(&admin, 2).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(28), "{:?}", begun.elapsed());

    // None of it is a change that servers would have to read, or a record of the audit.
    let before = admin.snapshot().await.unwrap();
    let first = have_followed(&admin, 2).await;
    let seen_again = async |nodes: &[Node]| {
        nodes.len() == 2 && nodes.iter().zip(&first).all(|(now, then)| now.seen_at > then.seen_at)
    };
    until_nodes(&admin, seen_again).await;
    assert_eq!(admin.snapshot().await.unwrap().revision(), before.revision());

    one.leave().await;
    other.refresh().await.unwrap();
    let nodes = until_nodes(&admin, async |nodes| nodes.len() == 1).await;
    assert_eq!(nodes[0].host, "other");
    // What was on its way does not record it again.
    add(&admin, "c2", NewSecret::Generate).await;
    have_followed(&admin, 1).await;
}

#[tokio::test]
async fn op_20_a_server_that_is_not_seen_any_more_is_listed_for_a_day() {
    let Some(world) = World::of_either_kind() else { return };
    let admin = world.open().await;
    drop(server(&world, "gone").await);
    let running = server(&world, "running").await;
    // The first one may have ended before it was recorded.
    have_followed(&admin, 1).await;
    world
        .execute(
            "INSERT INTO nodes SELECT 'killed', 'gone', version, address, began_at - 90000000, seen_at - 31000, clock, fault, \
             followed FROM nodes WHERE host = 'running'",
        )
        .await;
    let nodes = admin.nodes().await.unwrap();
    let gone = nodes.iter().find(|node| node.id == "killed").unwrap();
    assert!(!gone.is_seen() && gone.since < gone.seen_at, "{gone:?}");
    assert!(nodes.iter().any(|node| node.host == "running" && node.is_seen()));
    assert_eq!(admin.remove_old_nodes().await, Ok(0));
    world.execute("UPDATE nodes SET seen_at = seen_at - 86400000 WHERE id = 'killed'").await;
    assert_eq!(admin.remove_old_nodes().await, Ok(1));
    assert!(admin.nodes().await.unwrap().iter().all(|node| node.id != "killed"));
    // A row that no server writes hides no other, says nothing of what was followed, and goes as well.
    world
        .execute(
            "INSERT INTO nodes SELECT 'forged', host, version, address, -62135596800000, seen_at + 31536000000, clock, fault, 'x' \
             FROM nodes WHERE host = 'running'",
        )
        .await;
    let (nodes, store) = (admin.nodes().await.unwrap(), admin.position().await.unwrap());
    let forged = nodes.iter().find(|node| node.id == "forged").unwrap();
    assert!(!forged.is_seen() && forged.followed.behind(&store) == store.revision(), "{forged:?}");
    assert_eq!((nodes.len(), admin.remove_old_nodes().await), (2, Ok(1)));
    running.leave().await;
}

#[tokio::test]
async fn op_21_a_store_in_which_servers_cannot_record_themselves_has_no_effect_on_them() {
    let Some(world) = World::of_either_kind() else { return };
    let admin = world.open().await;
    let watched = server(&world, "one").await;
    have_followed(&admin, 1).await;
    world.execute("ALTER TABLE nodes RENAME TO hidden").await;
    for n in 0..3 {
        add(&admin, &format!("c{n}"), NewSecret::Generate).await;
        until(&watched, |w| w.now().snapshot().clients() == n + 1).await;
    }
    let health = watched.health();
    assert!(health.fault.is_none() && health.not_writable.is_none(), "{health:?}");
    assert!(health.write_failures.iter().all(|(_, failures)| *failures == 0), "{health:?}");
    assert_eq!(admin.nodes().await.unwrap(), [], "a store of an earlier version has no such table");
    // Its end does not wait either.
    let other = server(&world, "other").await;
    within(30, other.leave()).await;
    world.execute("ALTER TABLE hidden RENAME TO nodes").await;
    add(&admin, "last", NewSecret::Generate).await;
    let nodes = have_followed(&admin, 1).await;
    assert_eq!(nodes[0].host, "one");
}
