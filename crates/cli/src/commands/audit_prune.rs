//! `tokenberg audit prune` and `audit size`: what the audit takes, and removing the beginning of it; conformance SE-06.

use super::confirming::Confirming;
use crate::failure::wrong_usage;
use crate::moment_text;
use crate::output::{Output, counted, facts};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_core::Timestamp;
use tokenberg_store::Store;

/// `tokenberg audit prune`
#[derive(Debug, Args)]
#[command(after_help = "\
Servers remove records in the same way when --audit-retention ends. What was tampered with is not
removed. What remains still verifies, and the record \"audit pruned\" says who removed what. The
database reuses the room; SQLite returns it to the file system with `VACUUM`.")]
pub(super) struct Prune {
    /// Remove records from before this time: 30d (ago), 2026-11-21T21:58:00Z, 2026-11-21, or seconds since 1970
    #[arg(long, visible_alias = "older-than", value_name = "TIME", allow_hyphen_values = true)]
    before: String,

    #[command(flatten)]
    confirming: Confirming,
}

/// Removes records, after asking.
///
/// # Errors
/// If the time is wrong, the answer is no, the store fails, or a chain was tampered with.
pub(super) async fn prune(
    store: &Store,
    arguments: &Prune,
    now: Timestamp,
    output: Output,
) -> anyhow::Result<()> {
    let before = moment_text::parse_past(&arguments.before, now)
        .map_err(|sentence| wrong_usage(format!("--before: {sentence}")))?;
    if before > now {
        return Err(wrong_usage(format!("--before {before} is in the future")));
    }
    let (records, chains) = store.expired_audit(before).await?;
    let until = moment_text::with_distance(before, now);
    let effects = [
        format!(
            "to be removed: {} of {} from before {until}; to keep them, first run `tokenberg audit --until {} > FILE`",
            counted(records, "record"),
            counted(chains as u64, "chain"),
            moment_text::written(before)
        ),
        "refusals, grants and changes of that time can no longer be explained".to_owned(),
    ];
    if !arguments.confirming.allows("remove audit records", &effects, output)? {
        return Ok(());
    }
    let removed = store.prune_audit(before).await?;
    output.show(
        || json!({"removed": removed, "before": moment_text::written(before)}),
        || format!("removed {} from before {until}", counted(removed, "record")),
    )?;
    Ok(())
}

/// Prints the size.
///
/// # Errors
/// If the store fails.
pub(super) async fn size(store: &Store, output: Output) -> anyhow::Result<()> {
    let size = store.audit_size().await?;
    let time = |at: Option<i64>| {
        let time = at.and_then(|at| Timestamp::from_seconds(at.div_euclid(1000)).ok());
        time.map(moment_text::written)
    };
    output.show(
        || {
            json!({"records": size.records, "chains": size.chains, "rows": size.rows, "bytes": size.bytes,
                "oldest": time(size.oldest).map_or(Value::Null, Value::from),
                "youngest": time(size.youngest).map_or(Value::Null, Value::from)})
        },
        || {
            facts(&[
                ("records", size.records.to_string()),
                ("chains", size.chains.to_string()),
                ("rows", size.rows.to_string()),
                ("bytes", format!("{} (without rows and indexes of the database)", size.bytes)),
                ("oldest", time(size.oldest).unwrap_or_default()),
                ("youngest", time(size.youngest).unwrap_or_default()),
            ])
        },
    )?;
    Ok(())
}
