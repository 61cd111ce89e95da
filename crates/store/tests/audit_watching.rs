//! A running node notices chains that are cut, removed or turned back, and other nodes see how it ended: conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokenberg_core::audit::Recorder;
use tokenberg_store::{AuditCursor, AuditEntry, Break, ChainReport, NewSecret, StoreError, WhenFull};
use world::chains::*;
use world::*;

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn se_06_an_idle_node_detects_and_reports_that_the_store_was_turned_back() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    node(&store, 2).await;
    let trail = watching(&store);
    trail.record(&granted(0));
    until_written(&trail, 1).await;
    world.execute_alone(MIDDLE).await;
    add(&store, "c2", NewSecret::Generate).await;
    node(&store, 3).await;
    trail.record(&granted(1));
    until_written(&trail, 2).await;
    until("all is witnessed", async || {
        store.verify_audit().await.unwrap().chains.iter().all(|chain| chain.witnessed > 0)
    })
    .await;
    assert_eq!(trail.metrics().went_back, 0);
    // An older copy of everything, while the node runs.
    world
        .execute_alone(
            "DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM mid_records; \
             DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM mid_heads; \
             DELETE FROM client_secrets WHERE client_id = 'c2'; DELETE FROM clients WHERE id = 'c2'",
        )
        .await;
    // The installation, the node that had ended, and its own.
    until("it is noticed", async || trail.metrics().went_back >= 3).await;
    until("it is written", async || found(&store).await.len() >= 3).await;
    trail.end().await;
    let found = found(&store).await;
    let of: Vec<_> = found.iter().map(|chain| (chain.broken.unwrap().1, chain.missing() > 0)).collect();
    assert!(found[0].chain == "installation", "{found:#?}");
    for (what, _) in &of {
        assert!([Break::TurnedBack, Break::Rewritten, Break::Gone].contains(what), "{found:#?}");
    }
    assert_eq!(trail.metrics().went_back, 3, "each is reported once");
}

#[tokio::test]
async fn se_06_a_node_that_sees_the_installation_turned_back_names_it_and_not_its_own_chain() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    let trail = watching(&store);
    trail.record(&granted(0));
    until_written(&trail, 1).await;
    world.execute_alone(MIDDLE).await;
    add(&store, "c2", NewSecret::Generate).await;
    trail.record(&granted(1));
    until_written(&trail, 2).await;
    until("all is witnessed", async || {
        store.verify_audit().await.unwrap().chains.iter().all(|chain| chain.witnessed > 3)
    })
    .await;
    world.execute_alone(&put_back("'installation'")).await;
    let mut evidence = Vec::new();
    until("it is written", async || {
        let take = |entry: AuditEntry| {
            if entry.record.contains("chain went back") {
                evidence.push(entry);
            }
            Ok::<_, StoreError>(())
        };
        store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
        !evidence.is_empty()
    })
    .await;
    trail.end().await;
    assert_eq!(trail.metrics().went_back, 1);
    assert_ne!(evidence[0].chain, "installation", "it stands in the chain of the node");
    let record: serde_json::Value = serde_json::from_str(&evidence[0].record).unwrap();
    assert_eq!(record["went_back"], serde_json::json!(["installation"]));
    let found = found(&store).await;
    assert_eq!(found.iter().map(|chain| chain.chain.as_str()).collect::<Vec<_>>(), ["installation"]);
}

#[tokio::test]
async fn se_06_the_last_records_of_a_killed_node_are_witnessed_by_the_others_and_by_the_next_one() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    // Killed: its task is gone, and nothing of its end is written.
    let killed = || async {
        let other = world.open().await;
        let trail = other.audit_trail(WhenFull::Drop);
        trail.record(&granted(0));
        until_written(&trail, 1).await;
    };
    // Chains of the nodes that were killed contain a decision, maybe followed by a witness of the installation's chain.
    let witnessed = async || {
        let mut decisions = HashMap::new();
        let take = |entry: AuditEntry| {
            if entry.record.contains("jti-0") {
                decisions.insert(entry.chain, entry.number);
            }
            Ok::<_, StoreError>(())
        };
        store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
        let report = store.verify_audit().await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        let is_seen = |chain: &&ChainReport| {
            let decision = decisions.get(&chain.chain);
            !chain.ended && decision.is_some_and(|number| chain.witnessed >= *number)
        };
        report.chains.iter().filter(is_seen).count()
    };
    let trail = watching(&store);
    killed().await;
    until("a node that runs sees it", async || witnessed().await == 1).await;
    trail.end().await;
    killed().await;
    node(&store, 0).await;
    assert_eq!(witnessed().await, 2, "the next node sees it when it begins");
}

#[tokio::test]
async fn se_06_idle_nodes_do_not_grow_the_audit() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let trails = [watching(&store), watching(&store), watching(&store)];
    trails[0].record(&granted(0));
    until_written(&trails[0], 1).await;
    let records = async || store.verify_audit().await.unwrap().records();
    let (mut last, mut same) = (0, 0);
    // Quiet for twenty times the interval of witnesses.
    until("it is quiet", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = records().await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same == 20
    })
    .await;
    for trail in trails {
        trail.end().await;
    }
    assert_eq!(broken(&store).await, None);
}
