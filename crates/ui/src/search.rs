//! Finds records of the audit, the youngest first, and reads no more of them than a page can wait for.

use crate::record::Record;
use serde::Deserialize;
use std::ops::ControlFlow;
use std::time::Duration;
use tokenberg_store::{AuditKind, AuditPosition, AuditSelection, Store, StoreError};

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
    /// The beginning of its identifier.
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
    /// The time, in milliseconds since 1970, that the search has reached.
    pub(crate) back_to: Option<i64>,
}

impl Filter {
    /// The records that are looked for.
    fn selection(&self) -> AuditSelection {
        let given = |text: &str| (!text.is_empty()).then(|| text.into());
        let (kind, outcome) = match self.show.as_str() {
            "all" => (None, ""),
            "changes" => (Some(AuditKind::Change), ""),
            "events" => (Some(AuditKind::Event), ""),
            "refusals" => (Some(AuditKind::Decision), AuditSelection::REFUSED),
            _ => (Some(AuditKind::Decision), ""),
        };
        AuditSelection {
            client: given(&self.client),
            subject: given(&self.subject),
            issuer: given(&self.issuer),
            outcome: given(&self.outcome).or_else(|| given(outcome)),
            request: given(&self.request),
            reason: given(&self.reason),
            kind,
        }
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
    position: AuditPosition,
    most: usize,
    patience: Option<Duration>,
) -> Result<Found, StoreError> {
    let mut position = position.selecting(filter.selection()).within(patience.unwrap_or(PATIENCE));
    let mut records = Vec::new();
    let take = |entry: tokenberg_store::AuditEntry| {
        let record = Record::of(entry);
        if filter.show != "refusals" || record.is_refusal() {
            records.push(record);
        }
        if records.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let has_more = store.read_audit_backwards(&mut position, take).await?;
    let back_to = position.reached();
    Ok(Found { records, next: has_more.then_some(position), back_to })
}
