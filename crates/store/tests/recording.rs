//! Records are written after an outage of the store and after the process was killed; conformance SE-06, OP-10 and OP-21.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use tokenberg_core::audit::Recorder;
use tokenberg_store::{AuditCursor, KekSource, Store, StoreError, WhenFull};
use world::*;

#[tokio::test]
async fn op_21_se_06_without_the_store_records_wait_and_lost_ones_are_counted_and_recorded() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let (drops, refuses) = (store.audit_trail(WhenFull::Drop), store.audit_trail(WhenFull::Refuse));
    for trail in [&drops, &refuses] {
        trail.record(&granted(0));
        until_written(trail, 1).await;
        assert!(trail.has_room());
    }
    world.execute("ALTER TABLE audit_records RENAME TO away").await;
    for n in 0..70_000 {
        drops.record(&granted(n));
        if refuses.has_room() {
            refuses.record(&granted(n));
        }
    }
    assert!(drops.has_room() && !refuses.has_room());
    assert!(drops.metrics().lag > Duration::ZERO);
    let lost = drops.metrics().lost;
    assert!((1000..5000).contains(&lost), "{lost}");
    world.execute("ALTER TABLE away RENAME TO audit_records").await;
    until_written(&drops, 70_001 - lost).await;
    drops.end().await;
    refuses.end().await;
    assert_eq!((refuses.metrics().lost, drops.metrics().lost), (0, lost));
    let mut reported = Vec::new();
    let take = |entry: tokenberg_store::AuditEntry| -> Result<(), StoreError> {
        reported.extend(serde_json::from_str::<Value>(&entry.record).unwrap()["records"].as_u64());
        Ok(())
    };
    store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
    assert_eq!(reported.iter().sum::<u64>(), lost);
    assert!(store.verify_audit().await.unwrap().is_whole());
}

/// The process that the test below kills; not a test itself.
#[tokio::test]
#[ignore = "it is started by op_10 and waits to be killed"]
async fn the_recording_process_that_is_killed() {
    let kek = KekSource::File(std::env::var(KEY_FILE).unwrap().into());
    let store = Store::open(&std::env::var(URL).unwrap().parse().unwrap(), kek)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let trail = store.audit_trail(WhenFull::Drop);
    println!();
    for n in 0.. {
        trail.record(&granted(n));
        if n % 50 == 0 {
            println!("written {}", trail.metrics().written);
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

#[tokio::test]
async fn op_10_se_06_the_chain_of_a_killed_process_is_complete() {
    let Some(world) = World::of_either_kind() else { return };
    let path = concat!(module_path!(), "::the_recording_process_that_is_killed");
    let store = world.open().await;
    for round in 1..=4_usize {
        let mut process = world.process(path);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut counts = lines
            .filter_map(|line| line.unwrap().strip_prefix("written ").map(|n| n.parse::<u64>().unwrap()));
        // No more is read, but the pipe stays open: only the kill may end the process.
        let last = counts.find(|count| *count >= 100 * round as u64).unwrap();
        std::thread::sleep(Duration::from_millis(17 * round as u64));
        process.kill().unwrap();
        process.wait().unwrap();
        let report = store.verify_audit().await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.chains.len(), 1 + round);
        let killed = report.chains.last().unwrap();
        assert!(u64::try_from(killed.last).unwrap() >= last && !killed.ended, "{killed:?}");
    }
}
