//! What was decided and changed, and was it tampered with? `tokenberg audit`; conformance SE-05, SE-06.

use crate::arguments::Common;
use crate::output::{Output, in_sight, print, table};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;
use tokenberg_core::Timestamp;
use tokenberg_store::{AuditCursor, AuditEntry, AuditReport, ChainReport, Store};

/// `tokenberg audit`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tokenberg audit --since 2026-11-21T00:00:00Z | jq 'select(.outcome == \"granted\")'
  tokenberg audit --since now --follow
      goes on until it is interrupted
  tokenberg audit verify
      exit code 1, and the first record that is not right, if anything was removed or changed

One JSON object a line: when, in which chain, its number there, and what happened."
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: Option<What>,

    /// Only what was recorded at this time or later: 2026-11-21T21:58:00Z, or now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Go on with what is recorded from now on, until interrupted
    #[arg(long)]
    follow: bool,
}

/// What else can be done with it.
#[derive(Debug, Subcommand)]
enum What {
    /// Look at every record: is it the one that was written, and are all there?
    Verify(Verify),
}

/// `tokenberg audit verify`
#[derive(Debug, Args)]
struct Verify {
    /// A record that was noted elsewhere, as `audit verify` prints it: CHAIN/NUMBER/HASH. It has to be there still, unless it
    /// is too old; may be given several times
    #[arg(long, value_name = "NOTE")]
    noted: Vec<String>,
}

/// How often `--follow` looks.
const EVERY: Duration = Duration::from_millis(250);

/// Prints or verifies.
///
/// # Errors
/// If the store fails, or the audit was tampered with.
pub(crate) fn run(common: &Common, asked: Audit, output: Output) -> anyhow::Result<()> {
    let since = match &asked.since {
        Some(text) => Some(moment_text::parse(text, clock::now()?).map_err(crate::failure::wrong_usage)?),
        None => None,
    };
    let location = StoreLocation::of(common)?;
    wait_for(async {
        let store = location.open_existing().await?;
        let done = match asked.what {
            Some(What::Verify(verify_asked)) => verify(&store, &verify_asked.noted, output).await,
            None => show(&store, since, asked.follow).await,
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
            // Neither a write for each line, nor all of it in memory.
            if lines.len() > 1 << 16 { Ok(print(&std::mem::take(&mut lines))?) } else { anyhow::Ok(()) }
        });
        printed.await?;
        print(&lines)?;
        if !follow || tokio::time::timeout(EVERY, &mut interrupted).await.is_ok() {
            return Ok(());
        }
    }
}

/// One line, in which no character can steer a terminal, whoever has written what stands in the store.
fn line(entry: &AuditEntry) -> String {
    let record = entry.record.strip_prefix('{').unwrap_or("\"damaged\":true}");
    let mut line = format!(
        "{{\"time\":{},\"chain\":{},\"number\":{},",
        Value::from(written(entry.at)),
        Value::from(entry.chain.as_str()),
        entry.number
    );
    line.push_str(record);
    // Only who has written into the store himself has put one there.
    let mut line = in_sight(&line.replace('\n', "\\n"));
    line.push('\n');
    line
}

fn written(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |time| format!("{time:.3}"))
}

async fn verify(store: &Store, noted: &[String], output: Output) -> anyhow::Result<()> {
    let report = store.verify_audit().await?;
    let missing = missing(store, noted).await?;
    output.show(|| value(&report), || text(&report))?;
    if let Some(broken) = report.chains.iter().find_map(|chain| chain.broken.map(|broken| (chain, broken))) {
        let (chain, (number, what)) = broken;
        anyhow::bail!("the audit was tampered with: {what}: number {number} of the chain {}", chain.chain);
    }
    if let Some(note) = missing {
        anyhow::bail!("the audit was tampered with: there is no record {note} any more");
    }
    anyhow::ensure!(
        report.is_whole(),
        "nothing is recorded; a store that was ever used by this version has records, so somebody has removed them all"
    );
    Ok(())
}

/// The first of the noted records that is not there as it was noted.
async fn missing(store: &Store, noted: &[String]) -> anyhow::Result<Option<String>> {
    for note in noted {
        let wrong = || crate::failure::wrong_usage(format!("{note:?} is no note; write CHAIN/NUMBER/HASH"));
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

fn note(chain: &ChainReport) -> String {
    let hash: String = chain.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/{}/{hash}", chain.chain, chain.last)
}

fn value(report: &AuditReport) -> Value {
    let chain = |chain: &ChainReport| {
        json!({
            "chain": chain.chain,
            "first": chain.first,
            "last": chain.last,
            "since": chain.since.map(written),
            "ended": chain.ended,
            "note": note(chain),
            "broken": chain.broken.map(|(number, what)| json!({"number": number, "what": what.to_string()})),
        })
    };
    let chains: Vec<Value> = report.chains.iter().map(chain).collect();
    json!({"whole": report.is_whole(), "records": report.records(), "chains": chains})
}

fn text(report: &AuditReport) -> String {
    let heading = ["CHAIN", "FIRST", "LAST", "SINCE", "STATE"].map(str::to_owned).to_vec();
    let row = |chain: &ChainReport| {
        let state = match chain.broken {
            Some((number, what)) => format!("BROKEN at {number}: {what}"),
            None if chain.ended => "whole, ended".to_owned(),
            None => "whole".to_owned(),
        };
        let since = chain.since.map(written).unwrap_or_default();
        vec![chain.chain.clone(), chain.first.to_string(), chain.last.to_string(), since, state]
    };
    let rows: Vec<_> = std::iter::once(heading).chain(report.chains.iter().map(row)).collect();
    let notes: Vec<String> =
        report.chains.iter().filter(|chain| chain.last > 0 && !chain.ended).map(note).collect();
    format!(
        "{}\n{} records. To be noted elsewhere, for --noted:\n{}\n",
        table(&rows),
        report.records(),
        notes.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_05_a_line_stays_one_line_whatever_stands_in_the_store() {
        for record in ["{\"reason\":\"a\u{202e}\u{1b}[2J\"}", "{\"a\":1}\n{\"forged\":1}", "", "no object"] {
            let entry = AuditEntry {
                chain: "a\nb".to_owned(),
                number: 7,
                at: 1_795_298_280_123,
                record: record.to_owned(),
            };
            let line = line(&entry);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(!line.trim_end().chars().any(tokenberg_core::deceives), "{line}");
            assert!(
                line.starts_with("{\"time\":\"2026-11-21T21:58:00.123Z\",\"chain\":\"a\\nb\",\"number\":7,"),
                "{line}"
            );
        }
    }
}
