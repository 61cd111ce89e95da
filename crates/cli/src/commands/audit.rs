//! `tokenberg audit`: prints and verifies what was decided and changed; conformance SE-05, SE-06.

use super::audit_filter::Filter;
use super::audit_prune::{self, Prune};
use super::audit_text::{finding, line, loss_text, text, value};
use super::{audit_ocsf, audit_table};
use crate::common::Common;
use crate::failure::{warn, wrong_usage};
use crate::output::{Output, on_one_line, print};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand, ValueEnum};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::Duration;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{AuditCursor, AuditEntry, AuditPosition, AuditSelection, Store};

/// `tokenberg audit`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tokenberg audit --since 1h --client etl --outcome refused
      why requests of etl were refused in the last hour
  tokenberg audit --since 2026-11-17 --until 2026-11-18 --subject alice --outcome granted
      tokens for alice on one day, in UTC; `secret` names the client secret that was used
  tokenberg audit --client etl --last 20
      the newest 20 records of etl
  tokenberg audit --request 0f02ab13
  tokenberg audit --since 7d --json | jq -r 'select(.outcome == \"granted\") | .scope_out'
  tokenberg audit --since now --follow
      prints new records until it is interrupted
  tokenberg audit --since 1h --format ocsf
      the same records as OCSF events, for a SIEM
  tokenberg audit prune --before 30d --dry-run
      how many records would be removed before the retention of the servers ends
  tokenberg audit verify
      exit code 1 if a record was removed or changed; if a chain was truncated, removed or restored
      to an earlier state; if a client, issuer, key, disabled user or revocation differs from its
      record; or if a table has a trigger or a different definition

On a terminal, the records are a table. Otherwise, or with --json, each line is a JSON object: the
time, the chain, the number in the chain, and the event; this is the one command whose --json prints
several values. A database row that is not a valid record is printed with \"damaged\":true and its
text in \"record\". Filters do not read rows that cannot have such records; `audit verify` reads all."
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: Option<What>,

    /// Only records of this time or later: 2026-11-21T21:58:00Z, 2026-11-21, 1h (ago), now, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// Only records from before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<String>,

    #[command(flatten)]
    filter: Filter,

    /// Only the newest of these records, the oldest of them first
    #[arg(long, value_name = "NUMBER", conflicts_with = "follow")]
    last: Option<NonZeroU32>,

    /// Keep printing new records until interrupted
    #[arg(long)]
    follow: bool,

    /// Lines of JSON, also on a terminal: the records, or events of the Open Cybersecurity Schema Framework
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,
}

/// What the lines of JSON are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The record as it is stored
    Json,
    /// An event of the Open Cybersecurity Schema Framework, for a SIEM
    Ocsf,
}

/// What else can be done with it.
#[derive(Debug, Subcommand)]
enum What {
    /// Verify every record, and compare the registrations in the store with the records; writes nothing
    Verify(Verify),
    /// Print how many records there are, how old they are, and how much room they take
    Size,
    /// Remove records from before a time, as servers do when the retention ends; a record says so
    Prune(Prune),
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
    let now = clock::now()?;
    let time = |flag: &str, text: &Option<String>| {
        let wrong = |sentence| wrong_usage(format!("{flag}: {sentence}"));
        text.as_ref().map(|text| moment_text::parse_past(text, now).map_err(wrong)).transpose()
    };
    let (since, until) = (time("--since", &arguments.since)?, time("--until", &arguments.until)?);
    // A record of the present second is not after now.
    let until = until.map(|until| if until == now { until.plus(Lifetime::from_seconds(1)) } else { until });
    if let Some(since) = since.filter(|since| *since > now && !arguments.follow) {
        warn(&format!("--since {since} is in the future; the last hour is written `--since 1h`"));
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(wrong_usage(format!("--since {since} is not before --until {until}")));
    }
    let location = StoreLocation::of(common)?;
    wait_for(async {
        let store = match &arguments.what {
            // Also with --dry-run, so that it fails where the command would.
            Some(What::Prune(_)) => location.open_existing().await?,
            Some(What::Verify(_) | What::Size) | None => location.open_to_read().await?,
        };
        let done = match arguments.what {
            Some(What::Verify(verify_arguments)) => verify(&store, &verify_arguments.noted, output).await,
            Some(What::Size) => audit_prune::size(&store, output).await,
            Some(What::Prune(prune)) => audit_prune::prune(&store, &prune, now, output).await,
            None => {
                let printed = Printed::new(arguments.format, output);
                let selection = arguments.filter.selection();
                match arguments.last {
                    Some(most) => show_last(&store, most, (since, until), selection, printed).await,
                    None => {
                        let cursor = AuditCursor::since(since).until(until).selecting(selection);
                        show(&store, cursor, printed, arguments.follow).await
                    }
                }
            }
        };
        store.close().await;
        done
    })
}

/// How records are printed.
#[derive(Clone, Copy)]
enum Printed {
    /// For a terminal of so many columns.
    Table(usize),
    Lines(fn(&AuditEntry) -> String),
}

impl Printed {
    fn new(format: Option<Format>, output: Output) -> Self {
        match (format, output.table_width()) {
            (Some(Format::Ocsf), _) => Self::Lines(audit_ocsf::line),
            (None, Some(width)) => Self::Table(width),
            (Some(Format::Json), _) | (None, None) => Self::Lines(line),
        }
    }

    fn text(self, entry: &AuditEntry) -> String {
        match self {
            Self::Table(width) => audit_table::lines(entry, width),
            Self::Lines(line) => line(entry),
        }
    }
}

async fn show(store: &Store, mut cursor: AuditCursor, printed: Printed, follow: bool) -> anyhow::Result<()> {
    if let Printed::Table(_) = printed {
        print(&audit_table::heading())?;
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let mut lines = String::new();
        let read = store.read_audit(&mut cursor, |entry| {
            lines.push_str(&printed.text(&entry));
            // The lines are written in batches, so that neither each line is a write, nor all of them are in memory.
            if lines.len() > 1 << 16 {
                print(&std::mem::take(&mut lines))?;
            }
            anyhow::Ok(())
        });
        let read = read.await;
        print(&lines)?;
        read?;
        if !follow || tokio::time::timeout(EVERY, &mut interrupted).await.is_ok() {
            return Ok(());
        }
    }
}

/// Prints the newest records. They are read backwards, so that this takes no longer where there are millions.
async fn show_last(
    store: &Store,
    most: NonZeroU32,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    selection: AuditSelection,
    printed: Printed,
) -> anyhow::Result<()> {
    let milliseconds = |time: Timestamp| time.as_seconds().saturating_mul(1000);
    let since = since.map_or(i64::MIN, milliseconds);
    let mut position =
        until.map_or_else(AuditPosition::default, |until| AuditPosition::before(milliseconds(until)));
    position = position.selecting(selection);
    let mut newest = Vec::new();
    let take = |entry: AuditEntry| {
        let is_older = entry.at < since.saturating_sub(AuditCursor::DISORDER);
        if entry.at >= since {
            newest.push(entry);
        }
        if is_older || newest.len() >= most.get() as usize {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    store.read_audit_backwards(&mut position, take).await?;
    if let Printed::Table(_) = printed {
        print(&audit_table::heading())?;
    }
    let lines: String = newest.iter().rev().map(|entry| printed.text(entry)).collect();
    Ok(print(&lines)?)
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
        if let Some(loss) = report.losses.last().filter(|_| report.only_went_back()) {
            anyhow::bail!("the store lost records: {}; {first}{more}", on_one_line(&loss_text(loss)));
        }
        anyhow::bail!("the audit or the store was tampered with: {first}{more}");
    }
    if let Some(note) = missing {
        anyhow::bail!(
            "the audit was tampered with: the record {note} does not exist anymore, unless it was removed for its age or by `audit prune`"
        );
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
        let wrong = || wrong_usage(format!("{note:?} is not a note; expected CHAIN/NUMBER/HASH"));
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
