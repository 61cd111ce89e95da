//! `tokenberg audit`: prints and verifies what was decided and changed; conformance SE-05, SE-06.

use super::audit_text::{finding, line, text, value};
use crate::common::Common;
use crate::output::{Output, on_one_line, print};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand};
use std::time::Duration;
use tokenberg_core::Timestamp;
use tokenberg_store::{AuditCursor, Store};

/// `tokenberg audit`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tokenberg audit --since 2026-11-21T00:00:00Z | jq 'select(.outcome == \"granted\")'
  tokenberg audit --since now --follow
      prints new records until it is interrupted
  tokenberg audit verify
      exit code 1 if a record was removed or changed; if a chain was truncated, removed or restored
      to an earlier state; if a client, issuer, key, disabled user or revocation differs from its
      record; or if a table has a trigger or a different definition

Each line is a JSON object: the time, the chain, the number in the chain, and the event. A database
row that is not a valid record is printed with \"damaged\":true and its text in \"record\"."
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: Option<What>,

    /// Only records of this time or later: 2026-11-21T21:58:00Z, or now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Keep printing new records until interrupted
    #[arg(long)]
    follow: bool,
}

/// What else can be done with it.
#[derive(Debug, Subcommand)]
enum What {
    /// Verify every record, and compare the registrations in the store with the records; writes nothing
    Verify(Verify),
}

/// `tokenberg audit verify`
#[derive(Debug, Args)]
struct Verify {
    /// Note of a record, CHAIN/NUMBER/HASH, as `audit verify` and the log of a server print it, kept outside of the store;
    /// repeatable. The record must still exist, unless it has expired
    #[arg(long, value_name = "NOTE")]
    noted: Vec<String>,
}

/// The interval between the reads of `--follow`.
const EVERY: Duration = Duration::from_millis(250);

/// Prints or verifies the audit.
///
/// # Errors
/// If the store fails, or the audit was tampered with.
pub(crate) fn run(common: &Common, arguments: Audit, output: Output) -> anyhow::Result<()> {
    let since = match &arguments.since {
        Some(text) => Some(moment_text::parse(text, clock::now()?).map_err(crate::failure::wrong_usage)?),
        None => None,
    };
    let location = StoreLocation::of(common)?;
    wait_for(async {
        let store = location.open_existing().await?;
        let done = match arguments.what {
            Some(What::Verify(verify_arguments)) => verify(&store, &verify_arguments.noted, output).await,
            None => show(&store, since, arguments.follow).await,
        };
        store.close().await;
        done
    })
}

async fn show(store: &Store, since: Option<Timestamp>, follow: bool) -> anyhow::Result<()> {
    let mut cursor = AuditCursor::since(since);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let mut lines = String::new();
        let printed = store.read_audit(&mut cursor, |entry| {
            lines.push_str(&line(&entry));
            // The lines are written in batches, so that neither each line is a write, nor all of them are in memory.
            if lines.len() > 1 << 16 { Ok(print(&std::mem::take(&mut lines))?) } else { anyhow::Ok(()) }
        });
        printed.await?;
        print(&lines)?;
        if !follow || tokio::time::timeout(EVERY, &mut interrupted).await.is_ok() {
            return Ok(());
        }
    }
}

async fn verify(store: &Store, noted: &[String], output: Output) -> anyhow::Result<()> {
    let report = store.verify_audit().await?;
    let missing = missing(store, noted).await?;
    output.show(|| value(&report), || text(&report))?;
    let broken = report.chains.iter().filter_map(|chain| Some((chain, chain.broken?))).map(
        |(chain, (number, what))| {
            format!("{}: number {number} of the chain {}", finding(chain, what), chain.chain)
        },
    );
    let differences = report.differences.iter().map(ToString::to_string);
    let schema = report.schema.iter().filter(|found| found.affects_servers()).map(ToString::to_string);
    let findings: Vec<String> =
        broken.chain(differences).chain(schema).map(|finding| on_one_line(&finding)).collect();
    if let [first, others @ ..] = &findings[..] {
        let more =
            if others.is_empty() { String::new() } else { format!(" (and {} more, above)", others.len()) };
        anyhow::bail!("the audit or the store was tampered with: {first}{more}");
    }
    if let Some(note) = missing {
        anyhow::bail!("the audit was tampered with: the record {note} does not exist anymore");
    }
    anyhow::ensure!(
        report.is_whole(),
        "the store has no audit records; this version writes some to every store, so all of them were removed"
    );
    Ok(())
}

/// The first of the noted records that is missing or differs.
async fn missing(store: &Store, noted: &[String]) -> anyhow::Result<Option<String>> {
    for note in noted {
        let wrong =
            || crate::failure::wrong_usage(format!("{note:?} is not a note; expected CHAIN/NUMBER/HASH"));
        let mut parts = note.splitn(3, '/');
        let (Some(chain), Some(number), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let number: i64 = number.parse().map_err(|_| wrong())?;
        if !store.has_audit_record(chain, number, hash).await? {
            return Ok(Some(note.clone()));
        }
    }
    Ok(None)
}
