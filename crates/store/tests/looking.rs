//! What is shown of a store a screen at a time: its clients, its records from the youngest on, and who may look.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::ops::ControlFlow;
use tokenberg_core::audit::Recorder;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{AuditCursor, AuditEntry, AuditPosition, NewSecret, Store, StoreError, WhenFull};
use world::*;

/// All records from a position on, read in pages, the text of the position being all that one page knows of the one before.
async fn backwards(store: &Store, from: AuditPosition, page: usize) -> Vec<AuditEntry> {
    let mut all = Vec::new();
    let mut position = from.clone();
    loop {
        let mut read: Vec<AuditEntry> = Vec::new();
        let take = |entry| {
            read.push(entry);
            if read.len() == page { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.read_audit_backwards(&mut position, take).await.unwrap();
        let is_end = read.len() < page;
        all.extend(read);
        if is_end {
            return all;
        }
        position = from.clone().went_on(&position.to_string());
    }
}

fn named(entries: &[AuditEntry]) -> Vec<(&str, i64)> {
    let mut names: Vec<_> = entries.iter().map(|entry| (&*entry.chain, entry.number)).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn se_06_records_are_read_backwards_page_by_page_and_none_is_missing() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let trails = [store.audit_trail(WhenFull::Drop), store.audit_trail(WhenFull::Drop)];
    for n in 0..600 {
        trails[n % 2].record(&granted(n));
    }
    for trail in &trails {
        until_written(trail, 300).await;
        trail.end().await;
    }
    let mut forwards = Vec::new();
    let take = |entry| -> Result<(), StoreError> {
        forwards.push(entry);
        Ok(())
    };
    store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
    let all = named(&forwards);
    for page in [7, 100, 5000] {
        let read = backwards(&store, AuditPosition::default(), page).await;
        let differs = named(&read).iter().zip(&all).position(|(a, b)| a != b);
        assert_eq!((read.len(), differs), (all.len(), None), "pages of {page}");
    }
    let middle = forwards[forwards.len() - 3].at;
    let older = backwards(&store, AuditPosition::before(middle), 64).await;
    let expected: Vec<_> = forwards.iter().filter(|entry| entry.at < middle).cloned().collect();
    assert!(named(&older) == named(&expected), "{} of {}", older.len(), expected.len());
}

#[tokio::test]
async fn clients_and_secrets_that_end_are_found_without_reading_all() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let now = Timestamp::from_seconds(NOW).unwrap();
    for name in ["etl-1", "etl-2", "spark", "a%b"] {
        add(&store, name, NewSecret::Generate).await;
    }
    let ids = |part: &'static str, after: &'static str, most| {
        let store = store.clone();
        async move {
            let clients = store.clients_after(part, after, most).await.unwrap();
            assert!(clients.iter().all(|client| client.secrets.len() == 1));
            clients.iter().map(|client| client.id.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids("", "", 9).await.len(), 4);
    assert_eq!(ids("etl", "", 9).await, ["etl-1", "etl-2"]);
    assert_eq!(ids("etl", "", 1).await, ["etl-1"]);
    assert_eq!(ids("etl", "etl-1", 9).await, ["etl-2"]);
    assert_eq!(ids("%", "", 9).await, ["a%b"]);
    let client = id("spark");
    let added = store.add_secret(now, &client, NewSecret::Generate).await.unwrap();
    let day = Lifetime::from_seconds(86_400);
    assert_eq!(store.ending_secrets(now, day, 9).await.unwrap(), []);
    store.expire_secret(&client, &added.secret_id, now.plus(Lifetime::from_seconds(60))).await.unwrap();
    let ending = store.ending_secrets(now, day, 9).await.unwrap();
    assert_eq!(ending.iter().map(|found| &found.secret_id).collect::<Vec<_>>(), [&added.secret_id]);
    assert_eq!(store.ending_secrets(now.plus(day), day, 9).await.unwrap(), []);
}

#[tokio::test]
async fn se_07_audit_secrets_and_transactions_are_measured() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let now = Timestamp::from_seconds(NOW).unwrap();
    let after = |seconds| now.plus(Lifetime::from_seconds(seconds));
    let trail = store.audit_trail(WhenFull::Drop);
    for n in 0..600 {
        trail.record(&granted(n));
    }
    until_written(&trail, 600).await;
    trail.end().await;
    let mut records: Vec<i64> = Vec::new();
    let take = |entry: AuditEntry| -> Result<(), StoreError> {
        records.push(entry.at);
        Ok(())
    };
    store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
    let measures = store.measures(now).await.unwrap();
    assert_eq!(measures.audit_records, u64::try_from(records.len()).unwrap());
    let oldest = records.iter().min().unwrap() / 1000;
    assert!((measures.audit_since.unwrap().as_seconds() - oldest).abs() <= 1);
    // PostgreSQL compresses long rows.
    assert!(measures.audit_bytes.unwrap() > 16_000, "{measures:?}");
    assert_eq!(measures.first_secret_end, None);

    // Of each enabled client, the last live secret counts.
    let end = async |name: &str, seconds: &[u32]| {
        for (n, seconds) in seconds.iter().enumerate() {
            let secret = match n {
                0 => add(&store, name, NewSecret::Generate).await,
                _ => store.add_secret(now, &id(name), NewSecret::Generate).await.unwrap(),
            };
            store.expire_secret(&id(name), &secret.secret_id, after(*seconds)).await.unwrap();
        }
    };
    end("two", &[100, 900]).await;
    end("endless", &[50]).await;
    store.add_secret(now, &id("endless"), NewSecret::Generate).await.unwrap();
    let first = async |at: u32| store.measures(after(at)).await.unwrap().first_secret_end;
    assert_eq!(first(0).await, Some(after(900)));
    end("one", &[300]).await;
    assert_eq!(
        [first(0).await, first(300).await, first(900).await],
        [Some(after(300)), Some(after(900)), None]
    );
    store.set_enabled(&id("one"), false).await.unwrap();
    assert_eq!(first(0).await, Some(after(900)));

    let connections = store.connections();
    assert!(connections.busy + connections.idle <= connections.limit, "{connections:?}");
    let before = store.transaction_times();
    store.clients().await.unwrap();
    store.set_enabled(&id("one"), true).await.unwrap();
    for (before, after) in before.iter().zip(store.transaction_times()) {
        assert!(after.count > before.count && after.sum > before.sum, "{before:?} {after:?}");
        assert!(after.buckets.iter().all(|(_, up_to)| *up_to <= after.count));
    }
}

#[tokio::test]
async fn a_page_code_works_once_on_one_of_all_nodes_and_is_recorded() {
    let Some(world) = World::of_either_kind() else { return };
    let (node, other) = (world.open().await, world.open().await);
    let now = Timestamp::from_seconds(NOW).unwrap();
    let code = node.page_code(now).unwrap();
    assert!(other.use_page_code(code.expose(), now, "192.0.2.7").await.unwrap());
    for store in [&node, &other] {
        assert!(!store.use_page_code(code.expose(), now, "192.0.2.8").await.unwrap());
        assert!(!store.use_page_code("wrong", now, "192.0.2.8").await.unwrap());
    }
    let opened: Vec<_> = backwards(&node, AuditPosition::default(), 9).await;
    let opened = opened.iter().filter(|entry| entry.record.contains("page opened")).collect::<Vec<_>>();
    assert_eq!(opened.len(), 1);
    assert!(opened[0].record.contains("192.0.2.7") && !opened[0].record.contains(code.expose()));
    assert!(node.verify_audit().await.unwrap().is_whole());
}
