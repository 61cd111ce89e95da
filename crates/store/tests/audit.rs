//! Everything is recorded, and a changed record is found; conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use tokenberg_core::audit::Recorder;
use tokenberg_core::{Timestamp, TokenId};
use tokenberg_store::{
    AuditCursor, AuditEntry, Break, NewRevocation, NewSecret, Store, StoreError, WhenFull,
};
use world::chains::*;
use world::*;

async fn entries(store: &Store) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    let mut cursor = AuditCursor::default();
    let take = |entry| -> Result<(), StoreError> {
        entries.push(entry);
        Ok(())
    };
    store.read_audit(&mut cursor, take).await.unwrap();
    entries
}

/// The value under this name in each record that has it.
async fn recorded(store: &Store, name: &str) -> Vec<String> {
    let entries = entries(store).await;
    let of = |entry: AuditEntry| {
        serde_json::from_str::<Value>(&entry.record).unwrap()[name].as_str().map(str::to_owned)
    };
    entries.into_iter().filter_map(of).collect()
}

fn in_an_hour() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Timestamp::from_seconds(i64::try_from(now).unwrap() + 3600).unwrap()
}

#[tokio::test]
async fn se_06_every_change_has_a_record_and_a_refused_one_has_none() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await.changed_by("the test");
    let secret = add(&store, "c1", NewSecret::Generate).await.secret_id;
    let c1 = id("c1");
    assert!(store.add_client(at(0), &c1, &rights(), None).await.is_err());
    store.add_secret(at(0), &c1, NewSecret::Generate).await.map(drop).unwrap();
    store.expire_secret(&c1, &secret, at(0)).await.unwrap();
    store.set_enabled(&c1, false).await.unwrap();
    store.set_enabled(&c1, true).await.unwrap();
    store.set_jwks(&c1, "{}").await.unwrap();
    assert!(store.set_enabled(&id("c2"), false).await.is_err());
    store.add_key(&key("k1")).await.unwrap();
    assert!(store.add_key(&key("k1")).await.is_err());
    store.remove_key(&key("k1").id).await.unwrap();
    assert!(store.remove_key(&key("k1").id).await.is_err());
    let alice = "alice".parse().unwrap();
    store.disable_subject(at(0), None, &alice).await.unwrap();
    store.disable_subject(at(0), None, &alice).await.unwrap();
    store.enable_subject(None, &alice).await.unwrap();
    store.revoke(&NewRevocation::Token { id: TokenId::parse("j").unwrap(), until: at(60) }).await.unwrap();
    store.revoke(&NewRevocation::Client { id: c1.clone(), before: at(0) }).await.unwrap();
    store.remove_client(at(0), &c1).await.unwrap();
    let changes = [
        "client added",
        "secret added",
        "secret end set",
        "client disabled",
        "client enabled",
        "client changed",
        "key added",
        "key removed",
        "subject disabled",
        "subject enabled",
        "revoked",
        "revoked",
        "client removed",
    ];
    assert_eq!(recorded(&store, "change").await, changes);
    assert_eq!(recorded(&store, "source").await, vec!["the test"; changes.len()]);
    assert_eq!(broken(&store).await, None);
}

#[tokio::test]
async fn se_06_tampering_is_found_and_named() {
    const NODE: &str =
        "(SELECT chain FROM audit_heads WHERE begun = (SELECT MIN(begun) FROM audit_heads WHERE begun > 0))";
    const OTHER: &str = "(SELECT chain FROM audit_heads WHERE begun = (SELECT MAX(begun) FROM audit_heads))";
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    slow_node(&store, 9).await;
    slow_node(&store, 9).await;
    world.execute(KEEP).await;
    assert_eq!(broken(&store).await, None);
    let records = "UPDATE audit_records SET";
    let remove = "DELETE FROM audit_records WHERE";
    let swap = format!(
        "{records} number = -1 WHERE chain = {NODE} AND number = 4; {records} number = 4 WHERE chain = {NODE} AND number = 5; \
         {records} number = 5 WHERE chain = {NODE} AND number = -1"
    );
    let cut = format!(
        "{remove} chain = {NODE} AND number > 6; UPDATE audit_heads SET number = 6, hash = \
         (SELECT hash FROM audit_records r WHERE r.chain = audit_heads.chain AND r.number = 6) WHERE chain = {NODE}"
    );
    let whole = format!("{remove} chain = {NODE}; DELETE FROM audit_heads WHERE chain = {NODE}");
    let table: Vec<(String, i64, Break)> = vec![
        (format!("{records} record = '{{}}' WHERE chain = {NODE} AND number = 3"), 3, Break::Changed),
        (format!("{records} at = at + 1 WHERE chain = {NODE} AND number = 3"), 3, Break::Changed),
        (
            format!("{records} record = record || ' ' WHERE chain = {NODE} AND number = 11"),
            11,
            Break::Changed,
        ),
        (format!("{remove} chain = {NODE} AND number = 1"), 1, Break::Removed),
        (format!("{remove} chain = {NODE} AND number = 5"), 5, Break::Removed),
        (format!("{remove} chain = {NODE} AND number = 11"), 11, Break::Removed),
        (format!("{remove} chain = {NODE} AND number > 6"), 7, Break::Removed),
        (cut, 6, Break::Head),
        (swap, 4, Break::Changed),
        (
            format!(
                "INSERT INTO audit_records SELECT chain, 12, at, record, hash FROM audit_records WHERE chain = {NODE} AND number = 11"
            ),
            12,
            Break::Added,
        ),
        (
            format!(
                "INSERT INTO audit_records SELECT chain, 0, at, record, hash FROM audit_records WHERE chain = {NODE} AND number = 1"
            ),
            0,
            Break::Changed,
        ),
        (
            format!(
                "INSERT INTO audit_records SELECT chain, -9223372036854775807 - 1, at, record, hash \
                 FROM audit_records WHERE chain = {NODE} AND number = 1"
            ),
            i64::MIN,
            Break::Changed,
        ),
        (
            format!(
                "{remove} chain = {NODE} AND number = 5; INSERT INTO audit_records SELECT {NODE}, number, at, record, hash \
                 FROM audit_records WHERE chain = {OTHER} AND number = 5"
            ),
            5,
            Break::Changed,
        ),
        (format!("UPDATE audit_heads SET begun = begun + 1 WHERE chain = {NODE}"), 11, Break::Head),
        (format!("UPDATE audit_heads SET ended = 0 WHERE chain = {NODE}"), 11, Break::Head),
        (format!("UPDATE audit_heads SET first = 2 WHERE chain = {NODE}"), 2, Break::Anchor),
        (format!("DELETE FROM audit_heads WHERE chain = {NODE}"), 1, Break::Head),
        (whole, 1, Break::Gone),
        (format!("{records} record = '{{}}' WHERE chain = 'installation' AND number = 1"), 1, Break::Changed),
        ("DELETE FROM audit_heads WHERE chain = 'installation'".to_owned(), 1, Break::Head),
    ];
    for (sql, number, what) in table {
        world.execute(sql.clone().leak()).await;
        let found = broken(&store).await;
        assert_eq!(found.map(|(_, number, what)| (number, what)), Some((number, what)), "{sql}");
        world.execute(RESTORE).await;
    }
    assert_eq!(broken(&store).await, None);
    // A complete removal: no record is left that names the others, but a store that was used has records.
    world.execute("DELETE FROM audit_records; DELETE FROM audit_heads").await;
    assert!(!store.verify_audit().await.unwrap().is_whole());
}

#[tokio::test]
async fn se_06_any_single_change_of_any_record_or_head_is_found() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    slow_node(&store, 3).await;
    node(&store, 2).await;
    world.execute(KEEP).await;
    let blob = if is_postgres() { "CAST('\\x00' AS BYTEA)" } else { "X'00'" };
    // Never the same value, however the bytes are.
    let turned = |column: &str| {
        if is_postgres() {
            format!("substring({column} from 2) || CAST('\\x01' AS BYTEA)")
        } else {
            format!("CAST(substr({column}, 2) || X'01' AS BLOB)")
        }
    };
    let (turned_hash, turned_seal, turned_before) = (turned("hash"), turned("seal"), turned("before"));
    let of_records = [
        "chain = chain || 'x'",
        "number = number + 100",
        "number = -number",
        "at = at - 1",
        "at = 0",
        "record = ''",
        "record = replace(record, 'e', 'E')",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("hash = {blob}"), format!("hash = {turned_hash}")]);
    let of_heads = [
        "number = number + 1",
        "number = number - 1",
        "at = at + 1",
        "begun = begun - 1",
        "ended = 1 - ended",
        "ended = 2",
        "first = 2",
        "first = 0",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("hash = {turned_hash}"),
        format!("seal = {turned_seal}"),
        format!("before = {turned_before}"),
        format!("anchor = {blob}"),
    ]);
    let mut changes = Vec::new();
    for (entry, change) in
        entries(&store).await.into_iter().flat_map(|e| of_records.clone().map(move |c| (e.clone(), c)))
    {
        // In the row that holds it.
        let chain = format!("chain = '{}'", entry.chain);
        let number =
            format!("SELECT MIN(number) FROM audit_records WHERE {chain} AND number >= {}", entry.number);
        let place = format!("{chain} AND number = ({number})");
        changes.push(format!("UPDATE audit_records SET {change} WHERE {place}"));
        changes.push(format!("DELETE FROM audit_records WHERE {place}"));
    }
    for chain in store.verify_audit().await.unwrap().chains {
        let place = format!("chain = '{}'", chain.chain);
        changes
            .extend(of_heads.clone().map(|change| format!("UPDATE audit_heads SET {change} WHERE {place}")));
        changes.push(format!("DELETE FROM audit_heads WHERE {place}"));
    }
    assert!(changes.len() > 150, "{}", changes.len());
    for change in changes {
        world.execute(format!("{RESTORE}; {change}").leak()).await;
        assert!(broken(&store).await.is_some(), "{change}");
    }
}

#[tokio::test]
async fn se_06_a_node_that_finds_its_chain_turned_back_reports_it_and_continues() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let trail = store.audit_trail(WhenFull::Drop);
    (0..5).for_each(|n| trail.record(&granted(n)));
    until_written(&trail, 5).await;
    // An attack without the key: an older head is restored.
    world
        .execute("CREATE TABLE kept AS SELECT * FROM audit_heads; CREATE TABLE kept_records AS SELECT * FROM audit_records")
        .await;
    trail.record(&granted(5));
    until_written(&trail, 6).await;
    world
        .execute(
            "DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept; \
             DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM kept_records",
        )
        .await;
    assert_eq!(broken(&store).await, None, "without a note elsewhere nothing is missed");
    trail.record(&granted(6));
    trail.end().await;
    let (_, number, what) = broken(&store).await.unwrap();
    assert_eq!((number, what), (7, Break::TurnedBack));
    assert!(recorded(&store, "jti").await.contains(&"jti-6".to_owned()));
}

#[tokio::test]
async fn se_06_expired_records_are_removed_and_the_rest_verifies_and_names_its_first() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    node(&store, 1500).await;
    let trail = store.audit_trail(WhenFull::Drop);
    trail.record(&granted(0));
    until_written(&trail, 1).await;
    assert_eq!(store.expire_audit(at(-1_000_000_000)).await, Ok(0));
    let removed = store.expire_audit(in_an_hour()).await.unwrap();
    // The store, the client, two nodes that began and one that ended; 1500 decisions, one, and further records of the nodes.
    assert_eq!(removed, 5 + 1502 + 2);
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    // The configuration, repeated.
    assert_eq!(report.records(), 1);
    let chains: Vec<_> = report.chains.iter().map(|chain| (chain.chain.as_str(), chain.first)).collect();
    assert_eq!(chains, [("installation", 6)]);
    // The chain of the running node expired with the others, so it begins another.
    trail.record(&granted(1));
    trail.end().await;
    add(&store, "c2", NewSecret::Generate).await;
    assert_eq!(broken(&store).await, None);
    assert_eq!(trail.metrics().went_back, 0, "it had expired");
    assert_eq!(recorded(&store, "jti").await, ["jti-1"]);
    assert_eq!(store.expire_audit(in_an_hour()).await.unwrap(), 4 + 3);

    slow_node(&store, 3).await;
    world.execute("UPDATE audit_records SET at = at + 1 WHERE number = 2 AND chain <> 'installation'").await;
    let tampered = fault(store.expire_audit(in_an_hour()).await);
    assert!(matches!(tampered, StoreError::AuditBroken { number: 2, .. }), "{tampered}");
    assert_eq!(broken(&store).await.map(|(_, number, what)| (number, what)), Some((2, Break::Changed)));
}
