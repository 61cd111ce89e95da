//! Finds records of the audit, the youngest first, and looks at no more of them than a page can wait for.

use crate::record::{Kind, Record};
use serde::Deserialize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tokenberg_store::{AuditPosition, Store, StoreError};

/// The most records that a page shows.
pub(crate) const SCREEN: usize = 50;
/// How long a page looks for more records before it offers to go on.
const PATIENCE: Duration = Duration::from_millis(60);

/// What is looked for; an empty member matches everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) client: String,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) outcome: String,
    /// Part of the reason.
    pub(crate) reason: String,
    pub(crate) request: String,
    /// `decisions` (as with an empty text), `refusals`, `changes`, `events` or `all`.
    pub(crate) show: String,
    /// Only records before this time: RFC 3339.
    pub(crate) until: String,
    /// Where the page before this one ended.
    pub(crate) after: String,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    /// Where to go on; `None` if there is nothing older.
    pub(crate) next: Option<AuditPosition>,
    /// The time of the oldest record that was looked at.
    pub(crate) back_to: Option<i64>,
}

impl Filter {
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &str, names: &[&str]| {
            wanted.is_empty() || names.iter().any(|name| record.shown(name) == wanted)
        };
        let is_kind = match (self.show.as_str(), record.kind) {
            ("all", _) | ("changes", Kind::Change) | ("events", Kind::Event) => true,
            ("refusals", Kind::Decision) => record.is_refusal(),
            ("changes" | "events" | "refusals", _) => false,
            (_, kind) => kind == Kind::Decision,
        };
        is_kind
            && is(&self.client, &["client"])
            && is(&self.subject, &["subject", "issuer_subject"])
            && is(&self.issuer, &["issuer", "subject_issuer"])
            && is(&self.outcome, &["outcome"])
            && is(&self.request, &["request_id"])
            && (self.reason.is_empty() || record.shown("reason").contains(&self.reason))
    }

    /// Where the search begins.
    ///
    /// # Errors
    /// A sentence, if the time is none.
    pub(crate) fn begin(&self) -> Result<AuditPosition, String> {
        if self.until.is_empty() {
            return Ok(AuditPosition::default().went_on(&self.after));
        }
        let time: jiff::Timestamp =
            self.until.parse().map_err(|_| "The time is written as 2026-11-21T21:58:00Z.".to_owned())?;
        Ok(AuditPosition::before(time.as_millisecond()).went_on(&self.after))
    }
}

/// Looks for at most `most` records from a position on.
///
/// # Errors
/// If the store fails.
pub(crate) async fn search(
    store: &Store,
    filter: &Filter,
    mut position: AuditPosition,
    most: usize,
    patience: Option<Duration>,
) -> Result<Found, StoreError> {
    let (mut records, mut back_to, mut is_broken_off) = (Vec::new(), None, false);
    let (begun, patience) = (Instant::now(), patience.unwrap_or(PATIENCE));
    let take = |entry: tokenberg_store::AuditEntry| {
        back_to = Some(entry.at);
        let record = Record::of(entry);
        if filter.matches(&record) {
            records.push(record);
        }
        is_broken_off = records.len() == most || begun.elapsed() > patience;
        if is_broken_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.read_audit_backwards(&mut position, take).await?;
    Ok(Found { records, next: is_broken_off.then_some(position), back_to })
}
