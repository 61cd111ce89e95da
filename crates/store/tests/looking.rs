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

/// Chains whose records were made at these times, a row for each or a block of three.
fn chains_made_at(times: &[Vec<i64>], are_blocks: bool) -> String {
    let mut sql = String::from("DELETE FROM audit_records; DELETE FROM audit_heads;");
    let empty = if is_postgres() { "''" } else { "x''" };
    for (chain, times) in times.iter().enumerate() {
        let rows = times.chunks(if are_blocks { 3 } else { 1 });
        for (n, row) in rows.enumerate() {
            let number = if are_blocks { n * 3 + row.len() } else { n + 1 };
            let text: String = match row {
                [_] => "{}".to_owned(),
                row => row.iter().map(|at| format!("{at} {{}}\n")).collect(),
            };
            let at = row.iter().max().unwrap();
            sql +=
                &format!("INSERT INTO audit_records VALUES ('c{chain}', {number}, {at}, '{text}', {empty});");
        }
        let (last, at) = (times.len(), times.last().unwrap());
        sql += &format!(
            "INSERT INTO audit_heads VALUES ('c{chain}', {last}, {empty}, {at}, 0, 0, {empty}, 1, {empty}, {empty});"
        );
    }
    sql
}

/// Records of one node are not always in the order of time: they are queued by several threads, and clocks are set back.
#[tokio::test]
async fn se_06_records_out_of_order_are_read_backwards_once() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let mut state = 1_u64;
    let mut below = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for round in 0..20 {
        let times: Vec<Vec<i64>> = (0..1 + below(6))
            .map(|_| {
                let begin = below(40);
                (0..1 + below(12)).map(|n| (begin + n + below(30)).try_into().unwrap()).collect()
            })
            .collect();
        world.execute_alone(&chains_made_at(&times, round % 2 == 0)).await;
        let mut expected: Vec<(String, i64)> = Vec::new();
        for (chain, times) in times.iter().enumerate() {
            expected.extend((1..).zip(times).map(|(number, _)| (format!("c{chain}"), number)));
        }
        for page in [1, 2, 7] {
            let read = backwards(&store, AuditPosition::default(), page).await;
            let read: Vec<_> = named(&read).into_iter().map(|(chain, n)| (chain.to_owned(), n)).collect();
            assert_eq!(read, expected, "pages of {page}: {times:?}");
        }
    }
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
