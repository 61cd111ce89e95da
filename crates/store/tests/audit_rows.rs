//! Records that were written together are read one by one, and a changed or hidden one is found; conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::Timestamp;
use tokenberg_store::{AuditCursor, AuditEntry, StoreError};
use world::chains::*;
use world::*;

#[tokio::test]
async fn se_06_records_of_a_batch_are_read_one_by_one_and_a_change_of_any_is_found() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    node(&store, 600).await;
    world.execute(KEEP).await;
    let mut cursor = AuditCursor::default();
    let mut read = Vec::new();
    // A reader that stops in the middle continues there.
    for stop in [301, 302, 1000] {
        let take = |entry: AuditEntry| -> Result<(), Box<dyn std::error::Error>> {
            if entry.chain != "installation" {
                read.push(entry);
            }
            if read.len() == stop { Err("enough".into()) } else { Ok(()) }
        };
        let _ = store.read_audit(&mut cursor, take).await;
    }
    let numbers: Vec<i64> = read.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=602).collect::<Vec<_>>());
    // The first says how far the installation had come.
    let read = &read[1..];
    for (n, entry) in read[..600].iter().enumerate() {
        assert!(entry.record.contains(&format!("\"jti-{n}\"")), "{n}: {entry:?}");
    }
    assert!(read.is_sorted_by_key(|entry| entry.at));
    for (n, block) in [(0, 2), (255, 2), (256, 258), (599, 514)] {
        let number = n + 2;
        for (old, new) in [
            (format!("\"jti-{n}\""), "\"x\"".to_owned()),
            (format!("{} {}\n", read[n].at, read[n].record), String::new()),
            (format!("{} {}", read[n].at, read[n].record), format!("{} {}", read[n].at + 1, read[n].record)),
        ] {
            let change = format!(
                "UPDATE audit_records SET record = replace(record, '{old}', '{new}') WHERE number = {}",
                (block + 255).min(602)
            );
            world.execute(change.clone().leak()).await;
            let (_, found, _) = broken(&store).await.unwrap_or_else(|| panic!("{change}"));
            assert!((block..=number as i64).contains(&found), "{found}: {change}");
            world.execute(RESTORE).await;
        }
    }
    assert_eq!(broken(&store).await, None);
}

#[tokio::test]
async fn se_06_a_clock_that_was_set_back_hides_no_record() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    slow_node(&store, 3).await;
    world.execute("DELETE FROM audit_records WHERE chain = 'installation' OR number IN (1, 5)").await;
    for time in [
        "UPDATE audit_records SET at = 1000000 WHERE number = 2",
        "UPDATE audit_records SET at = 950000 WHERE number = 3",
        "UPDATE audit_records SET at = 1100000 WHERE number = 4",
    ] {
        world.execute(time).await;
    }
    for (since, expected) in
        [(0, vec![2, 3, 4]), (940, vec![2, 3, 4]), (960, vec![2, 4]), (1050, vec![4]), (1101, vec![])]
    {
        let mut read = Vec::new();
        let take = |entry: AuditEntry| -> Result<(), StoreError> {
            read.push(entry.number);
            Ok(())
        };
        let since = Timestamp::from_seconds(since).unwrap();
        store.read_audit(&mut AuditCursor::since(Some(since)), take).await.unwrap();
        assert_eq!(read, expected, "{since:?}");
    }
}
