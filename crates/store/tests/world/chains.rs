//! Helpers for tests of the audit: nodes that have recorded something, and what is found of their chains.

use super::{granted, until_written};
use std::time::Duration;
use tokenberg_core::audit::Recorder;
use tokenberg_store::{AuditTrail, Break, ChainReport, Store, TrailOptions, WhenFull};

/// A node that has recorded so many decisions and ended.
pub async fn node(store: &Store, decisions: usize) {
    let trail = store.audit_trail(WhenFull::Drop);
    (0..decisions).for_each(|n| trail.record(&granted(n)));
    trail.end().await;
}

/// The same, with each decision written in a separate transaction.
pub async fn slow_node(store: &Store, decisions: u64) {
    let trail = store.audit_trail(WhenFull::Drop);
    for n in 0..decisions {
        trail.record(&granted(n as usize));
        until_written(&trail, n + 1).await;
    }
    trail.end().await;
}

/// Copies the audit in the database, and restores the copy.
pub const KEEP: &str = "CREATE TABLE kept_records AS SELECT * FROM audit_records; \
    CREATE TABLE kept_heads AS SELECT * FROM audit_heads";
pub const RESTORE: &str = "DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM kept_records; \
    DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads";

/// The first damage that is found.
pub async fn broken(store: &Store) -> Option<(String, i64, Break)> {
    let report = store.verify_audit().await.unwrap();
    let first =
        report.chains.iter().find_map(|c| c.broken.map(|(number, what)| (c.chain.clone(), number, what)));
    assert_eq!(first.is_none(), report.is_whole(), "{report:?}");
    first
}

/// A trail that compares and witnesses chains often.
pub fn watching(store: &Store) -> AuditTrail {
    store.audit_trail_with(TrailOptions {
        look_every: Duration::from_millis(20),
        witness_every: Duration::from_millis(100),
        ..TrailOptions::default()
    })
}

/// A copy of the audit as it is in the middle, which an attacker may have kept.
pub const MIDDLE: &str = "CREATE TABLE mid_records AS SELECT * FROM audit_records; \
    CREATE TABLE mid_heads AS SELECT * FROM audit_heads";

/// Puts a chain back to the middle, with its head.
pub fn put_back(chain: &str) -> String {
    format!(
        "DELETE FROM audit_records WHERE chain = {chain}; DELETE FROM audit_heads WHERE chain = {chain}; \
         INSERT INTO audit_records SELECT * FROM mid_records WHERE chain = {chain}; \
         INSERT INTO audit_heads SELECT * FROM mid_heads WHERE chain = {chain}"
    )
}

/// All damage that is found in chains.
pub async fn found(store: &Store) -> Vec<ChainReport> {
    let report = store.verify_audit().await.unwrap();
    report.chains.into_iter().filter(|chain| chain.broken.is_some()).collect()
}
