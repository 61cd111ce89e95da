//! Records are found without reading all: by the summaries of rows, which hide nothing whatever becomes of them; conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::ops::ControlFlow;
use std::time::Duration;
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokenberg_core::{Outcome, Timestamp};
use tokenberg_store::{
    AuditCursor, AuditEntry, AuditKind, AuditPosition, AuditSelection, Store, StoreError, WhenFull,
};
use world::chains::*;
use world::*;

/// Records grants in a chain of its own: of `rare` every thousandth, of `often` the others. It ends in order.
async fn filled(store: &Store, records: usize) {
    let trail = store.audit_trail(WhenFull::Drop);
    for n in 0..records {
        let request = format!("{n:016x}");
        let mut record = AuditRecord::new("/v1/oauth/tokens", Outcome::Granted);
        record.request_id = Some(&request);
        record.client = Some(if n % 1000 == 500 { "rare" } else { "often" }.into());
        trail.record(&record);
    }
    until_written(&trail, records as u64).await;
    trail.end().await;
}

fn client(name: &str) -> AuditSelection {
    AuditSelection { client: Some(name.into()), ..AuditSelection::default() }
}

async fn forwards(store: &Store, mut cursor: AuditCursor) -> Vec<AuditEntry> {
    let mut read = Vec::new();
    let take = |entry| -> Result<(), StoreError> {
        read.push(entry);
        Ok(())
    };
    store.read_audit(&mut cursor, take).await.unwrap();
    read
}

async fn backwards(store: &Store, mut position: AuditPosition) -> Vec<AuditEntry> {
    let mut read = Vec::new();
    let take = |entry| {
        read.push(entry);
        ControlFlow::Continue(())
    };
    assert!(!store.read_audit_backwards(&mut position, take).await.unwrap());
    read.reverse();
    read
}

/// How many records of the client are found, in either direction.
async fn found(store: &Store, name: &str) -> usize {
    let one_way = forwards(store, AuditCursor::default().selecting(client(name))).await;
    let back = backwards(store, AuditPosition::default().selecting(client(name))).await;
    assert_eq!(one_way, back, "{name}");
    assert!(one_way.iter().all(|entry| entry.record.contains(&format!("\"client\":\"{name}\""))));
    one_way.len()
}

#[tokio::test]
async fn se_06_summaries_find_what_reading_all_finds_and_hide_nothing() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    filled(&store, 5000).await;
    // A chain that goes on, with records behind its last summary.
    let trail = store.audit_trail(WhenFull::Drop);
    let mut record = AuditRecord::new("/v1/oauth/tokens", Outcome::Granted);
    record.client = Some("rare".into());
    trail.record(&record);
    until_written(&trail, 1).await;
    assert_eq!((found(&store, "rare").await, found(&store, "often").await), (6, 4995));
    assert_eq!(found(&store, "absent").await, 0);
    assert!(store.verify_audit().await.unwrap().is_whole());
    // What no summary excludes is read: without the rows that hold them, only the others are found.
    world.execute(KEEP).await;
    world.execute("UPDATE audit_records SET record = replace(record, '\"client\":\"often\"', '\"client\":\"rare\"')").await;
    assert!(found(&store, "rare").await < 2000, "rows of which a summary says no are skipped");
    // A summary from before a restore, when other records had the numbers.
    world.execute("UPDATE audit_records SET at = at + 1").await;
    assert_eq!(found(&store, "rare").await, 5001);
    world.execute("UPDATE audit_records SET at = at - 1").await;
    assert!(found(&store, "rare").await < 2000);
    // Forged, cut and removed summaries, and those of other records, are ignored.
    for change in [
        "UPDATE audit_segments SET names = hash_of_nothing",
        "UPDATE audit_segments SET first = first - 1",
        "UPDATE audit_segments SET number = number + 100000, first = first + 1",
        "UPDATE audit_segments SET chain = 'installation'",
        "DELETE FROM audit_segments",
    ] {
        let nothing = if is_postgres() { "decode('00', 'hex')" } else { "x'00'" };
        world.execute(change.replace("hash_of_nothing", nothing).leak()).await;
        assert_eq!(found(&store, "rare").await, 5001, "{change}");
    }
    world.execute(RESTORE).await;
    assert_eq!((found(&store, "rare").await, found(&store, "often").await), (6, 4995));
    assert!(store.verify_audit().await.unwrap().is_whole());
    // Neither does a removed head hide the records of its chain.
    world.execute("DELETE FROM audit_heads WHERE chain <> 'installation'").await;
    assert_eq!((found(&store, "rare").await, found(&store, "often").await), (6, 4995));
    assert!(!store.verify_audit().await.unwrap().is_whole());
}

#[tokio::test]
async fn se_06_every_member_of_a_selection_counts_in_both_directions() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    filled(&store, 2100).await;
    let one = |request: &str| AuditSelection { request: Some(request.into()), ..AuditSelection::default() };
    let kind = |kind| AuditSelection { kind: Some(kind), ..AuditSelection::default() };
    for (selection, expected) in [
        (one("0000000000000007"), 1),
        (one("00000000000000"), 256),
        (AuditSelection { outcome: Some("granted".into()), ..client("rare") }, 2),
        (AuditSelection { outcome: Some("refused".into()), ..client("rare") }, 0),
        (kind(AuditKind::Decision), 2100),
        (kind(AuditKind::Change), 0),
    ] {
        let read = forwards(&store, AuditCursor::default().selecting(selection.clone())).await;
        let back = backwards(&store, AuditPosition::default().selecting(selection.clone())).await;
        assert_eq!((read.len(), back.len()), (expected, expected), "{selection:?}");
    }
    let events = forwards(&store, AuditCursor::default().selecting(kind(AuditKind::Event))).await;
    assert!(events.iter().any(|entry| entry.record.contains("node began")), "{events:?}");
    // A time that is up ends the search, and the reader goes on where it was.
    let mut position = AuditPosition::default().selecting(client("absent")).within(Duration::ZERO);
    let mut parts = 0;
    while store.read_audit_backwards(&mut position, |_| ControlFlow::Continue(())).await.unwrap() {
        let text = position.to_string();
        position = AuditPosition::default().selecting(client("absent")).within(Duration::ZERO).went_on(&text);
        parts += 1;
        assert!(parts < 100, "{text}");
    }
    assert!(parts > 1, "{parts}");
    let mut cursor = AuditCursor::default().within(Duration::ZERO);
    let take = |entry| -> Result<(), StoreError> { panic!("{entry:?}") };
    store.read_audit(&mut cursor, take).await.unwrap();
    assert!(cursor.is_late());
}

#[tokio::test]
async fn se_06_the_records_of_a_time_are_read_and_no_others() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    slow_node(&store, 4).await;
    let all = forwards(&store, AuditCursor::default()).await;
    let last = Timestamp::from_seconds(all.last().unwrap().at / 1000).unwrap();
    let later = last.plus(tokenberg_core::Lifetime::from_seconds(1));
    assert_eq!(forwards(&store, AuditCursor::since(None).until(Some(later))).await, all);
    let before = forwards(&store, AuditCursor::since(None).until(Some(last))).await;
    let since = forwards(&store, AuditCursor::since(Some(last))).await;
    assert_eq!((before.len() + since.len(), before.iter().all(|e| !since.contains(e))), (all.len(), true));
}

#[tokio::test]
async fn the_text_of_a_position_stays_short_however_many_servers_have_started() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for _ in 0..40 {
        node(&store, 3).await;
    }
    let all = forwards(&store, AuditCursor::default()).await;
    let mut position = AuditPosition::default();
    let (mut read, mut longest) = (Vec::new(), 0);
    loop {
        let mut page = Vec::new();
        let take = |entry: AuditEntry| {
            page.push(entry);
            if page.len() == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let has_more = store.read_audit_backwards(&mut position, take).await.unwrap();
        read.extend(page);
        let text = position.to_string();
        longest = longest.max(text.len());
        position = AuditPosition::default().went_on(&text);
        // What is recorded while a person reads on is not among the older records.
        if read.len() < 15 {
            node(&store, 1).await;
        }
        if !has_more {
            break;
        }
    }
    read.sort_by_key(|entry| (entry.chain.clone(), entry.number));
    let mut expected = all;
    expected.sort_by_key(|entry| (entry.chain.clone(), entry.number));
    assert_eq!(read.len(), expected.len());
    assert!(read == expected);
    assert!(longest < 250, "{longest}");
    for hostile in ["", "x", "1:2", "1:2:c,", "1:2:c,x:y,3", "9:9:<b>,1:a:b", &"1,".repeat(9000)] {
        let mut position = AuditPosition::default().went_on(hostile);
        store.read_audit_backwards(&mut position, |_| ControlFlow::Break(())).await.unwrap();
    }
}

#[tokio::test]
async fn op_20_se_06_pruning_leaves_a_record_and_what_verifies() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    filled(&store, 700).await;
    let youngest = store.audit_size().await.unwrap().youngest.unwrap();
    let later = Timestamp::from_seconds(youngest / 1000 + 1).unwrap();
    while Timestamp::try_from(std::time::SystemTime::now()).unwrap() < later {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (records, chains) = store.expired_audit(later).await.unwrap();
    assert!(records >= 700 && chains >= 1, "{records} {chains}");
    let size = store.audit_size().await.unwrap();
    assert!(size.records >= 702 && size.rows < 20 && size.bytes > 60_000, "{size:?}");
    let removed = store.prune_audit(later).await.unwrap();
    assert!(removed >= 700, "{removed}");
    assert!(store.verify_audit().await.unwrap().is_whole());
    let left = forwards(&store, AuditCursor::default()).await;
    let record = left.iter().find(|entry| entry.record.contains("\"audit pruned\"")).unwrap();
    assert!(record.record.contains(&format!("\"records\":{records}")), "{record:?}");
    assert!(store.audit_size().await.unwrap().records < 10);
    // Without the record, the installation's chain is broken.
    let delete =
        format!("DELETE FROM audit_records WHERE number = {} AND chain = 'installation'", record.number);
    world.execute(delete.leak()).await;
    assert!(broken(&store).await.is_some());
}

#[tokio::test]
async fn se_06_a_row_with_an_extreme_number_holds_no_reader_up() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    filled(&store, 3).await;
    let all = forwards(&store, AuditCursor::default()).await.len();
    world.execute("CREATE TABLE kept AS SELECT * FROM audit_records").await;
    for number in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let change = format!(
            "UPDATE audit_records SET number = {number} WHERE chain <> 'installation' \
             AND number = (SELECT MAX(number) FROM audit_records WHERE chain <> 'installation')"
        );
        world.execute_alone(&change).await;
        for selection in [AuditSelection::default(), client("often"), client("absent")] {
            let cursor = AuditCursor::default().selecting(selection.clone());
            let position = AuditPosition::default().selecting(selection);
            let both = async { [forwards(&store, cursor).await, backwards(&store, position).await] };
            let read = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
            assert!(read.iter().all(|entries| entries.len() <= all), "{number}: {read:?}");
        }
        world.execute("DELETE FROM audit_records").await;
        world.execute("INSERT INTO audit_records SELECT * FROM kept").await;
    }
}
