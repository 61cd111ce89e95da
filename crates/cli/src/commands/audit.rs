//! `tokenberg audit`: prints and verifies what was decided and changed; conformance SE-05, SE-06.

use crate::common::Common;
use crate::failure::without_controls;
use crate::output::{Output, in_sight, print, table};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;
use tokenberg_core::Timestamp;
use tokenberg_store::{AuditCursor, AuditEntry, AuditReport, Break, ChainReport, Difference, Store};

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
      exit code 1 if a record was removed or changed, a chain was cut, removed or turned back, or a client, issuer, key,
      disabled user or revocation is not as it was recorded

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
    /// Verify every record, and compare what is configured with what was recorded; writes nothing
    Verify(Verify),
}

/// `tokenberg audit verify`
#[derive(Debug, Args)]
struct Verify {
    /// A record that was noted elsewhere, as `audit verify` and the log of a server print it: CHAIN/NUMBER/HASH. It must still
    /// exist, unless it has expired; may be repeated
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
    let broken = report.chains.iter().filter_map(|chain| Some((chain, chain.broken?))).map(
        |(chain, (number, what))| {
            format!("{}: number {number} of the chain {}", finding(chain, what), chain.chain)
        },
    );
    let differences = report.differences.iter().map(ToString::to_string);
    let findings: Vec<String> = broken.chain(differences).collect();
    if let [first, others @ ..] = &findings[..] {
        let more =
            if others.is_empty() { String::new() } else { format!(" (and {} more, above)", others.len()) };
        anyhow::bail!("the audit or the store was tampered with: {first}{more}");
    }
    if let Some(note) = missing {
        anyhow::bail!("the audit was tampered with: the record {note} does not exist any more");
    }
    anyhow::ensure!(
        report.is_whole(),
        "the store has no audit records; every store that this version has written to has some, so all of them were removed"
    );
    Ok(())
}

/// What is wrong with a chain, and how many records it has lost, as far as that is known.
fn finding(chain: &ChainReport, what: Break) -> String {
    match chain.missing() {
        0 => what.to_string(),
        1 => format!("{what}, 1 record is missing"),
        missing => format!("{what}, {missing} records are missing"),
    }
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
            "witnessed": chain.witnessed,
            "missing": chain.missing(),
            "since": chain.since.map(written),
            "ended": chain.ended,
            "note": note(chain),
            "broken": chain.broken.map(|(number, what)| json!({"number": number, "what": what.to_string()})),
        })
    };
    let difference = |difference: &Difference| json!({"thing": difference.thing, "record": difference.record, "what": difference.to_string()});
    let chains: Vec<Value> = report.chains.iter().map(chain).collect();
    let differences: Vec<Value> = report.differences.iter().map(difference).collect();
    json!({
        "whole": report.is_whole(),
        "records": report.records(),
        "chains": chains,
        "differences": differences,
        "uncompared": report.uncompared,
    })
}

fn text(report: &AuditReport) -> String {
    let heading = ["CHAIN", "FIRST", "LAST", "WITNESSED", "SINCE", "STATE"].map(str::to_owned).to_vec();
    let row = |chain: &ChainReport| {
        let state = match chain.broken {
            Some((number, what)) => format!("BROKEN at {number}: {}", finding(chain, what)),
            None if chain.ended => "whole, ended".to_owned(),
            None => "whole".to_owned(),
        };
        let since = chain.since.map(written).unwrap_or_default();
        let numbers = [chain.first, chain.last, chain.witnessed].map(|number| number.to_string());
        let [first, last, witnessed] = numbers;
        vec![chain.chain.clone(), first, last, witnessed, since, state]
    };
    let rows: Vec<_> = std::iter::once(heading).chain(report.chains.iter().map(row)).collect();
    let mut text = format!("{}\n", table(&rows));
    for difference in &report.differences {
        // Names come from the store, where anyone with access to it may have written them.
        text.push_str(&without_controls(&format!("DIFFERENT: {difference}").replace('\n', "\\n")));
        text.push('\n');
    }
    if report.uncompared > 0 {
        text.push_str(&format!(
            "{} clients, issuers, keys, disabled users or revocations are older than the audit and were not compared; a server of \
             this version records them when it starts.\n",
            report.uncompared
        ));
    }
    let unwitnessed = report.chains.iter().filter(|chain| chain.witnessed == 0 && chain.last > 0).count();
    if unwitnessed > 0 {
        text.push_str(&format!(
            "{unwitnessed} chains have no witness, because only versions before this one wrote to them or nothing has witnessed \
             them yet: records cut off at their ends would not be found.\n"
        ));
    }
    let notes: Vec<String> =
        report.chains.iter().filter(|chain| chain.last > 0 && !chain.ended).map(note).collect();
    text.push_str(&format!(
        "{} records. Keep these notes outside of the store, and check them later with --noted:\n{}\n",
        report.records(),
        notes.join("\n")
    ));
    text
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
