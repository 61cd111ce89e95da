//! Counts the tokens that were issued according to the audit, to say what a command ends and whether a name is known.

use super::audit_filter::Filter;
use super::confirming::Confirming;
use crate::output::Output;
use crate::{clock, moment_text};
use serde_json::{Value, json};
use std::time::Duration;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{AuditCursor, AuditEntry, AuditSelection, Store, StoreError};

/// The period that is counted first.
const DAY: Lifetime = Lifetime::from_hours(24);
/// The longest session, so that a name which issued nothing since then has no token that is still valid.
const LONGEST: Lifetime = Lifetime::from_hours(30 * 24);
/// The longest time that counting may take; an operator in an incident does not wait for millions of records.
const LONGEST_COUNT: Duration = Duration::from_secs(2);

/// Tokens that were issued since a time.
pub(super) struct Issued {
    /// Their number; at least that, if the count is not complete.
    tokens: u64,
    /// The beginning of the period.
    since: Timestamp,
    last: Option<i64>,
    is_complete: bool,
}

/// What a revocation ends, counted before it if that is shown or asked, and after it otherwise: it must not wait.
pub(super) struct Counted<'a> {
    store: &'a Store,
    filter: Filter,
    /// As in `1 token was issued to it`.
    to: &'static str,
    found: Option<Issued>,
}

impl<'a> Counted<'a> {
    /// Shows what is affected and asks, as the options say. `None` if the command is to change nothing.
    ///
    /// # Errors
    /// If the answer is no, or the store fails.
    pub(super) async fn ask(
        store: &'a Store,
        (filter, to): (Filter, &'static str),
        action: &str,
        confirming: Confirming,
        output: Output,
    ) -> anyhow::Result<Option<Self>> {
        let mut counted = Self { store, filter, to, found: None };
        if confirming.shows_effects() {
            let now = clock::now()?;
            let found = issued(store, counted.filter.clone(), now).await?;
            let effects = [found.sentence(to, now)];
            counted.found = Some(found);
            if !confirming.allows(action, &effects, output)? {
                return Ok(None);
            }
        }
        Ok(Some(counted))
    }

    /// The count. `None` if the audit cannot be read; the revocation is done by then.
    pub(super) async fn count(&mut self, now: Timestamp) -> Option<&Issued> {
        if self.found.is_none() {
            self.found = issued(self.store, self.filter.clone(), now).await.ok();
        }
        self.found.as_ref()
    }

    /// The sentence about the count, to be appended to another one.
    pub(super) fn sentence(&self, now: Timestamp) -> String {
        self.found.as_ref().map_or_else(String::new, |found| format!("; {}", found.sentence(self.to, now)))
    }

    /// The count as JSON; `null` if the audit cannot be read.
    pub(super) fn value(&self) -> Value {
        self.found.as_ref().map_or(Value::Null, |found| {
            json!({"tokens": found.tokens, "since": moment_text::written(found.since), "complete": found.is_complete})
        })
    }
}

/// Counts the granted requests that the filter selects: of the last 24 h, or of the last 30 days if there were none.
///
/// # Errors
/// If the store fails.
pub(super) async fn issued(store: &Store, filter: Filter, now: Timestamp) -> Result<Issued, StoreError> {
    let selection = filter.granted().selection();
    let day = count(store, &selection, now, DAY).await?;
    if day.tokens > 0 || !day.is_complete { Ok(day) } else { count(store, &selection, now, LONGEST).await }
}

async fn count(
    store: &Store,
    selection: &AuditSelection,
    now: Timestamp,
    period: Lifetime,
) -> Result<Issued, StoreError> {
    let since = moment_text::ago(period, now);
    let mut found = Issued { tokens: 0, since, last: None, is_complete: true };
    let mut cursor = AuditCursor::since(Some(since)).selecting(selection.clone()).within(LONGEST_COUNT);
    let count = |entry: AuditEntry| -> Result<(), StoreError> {
        // A damaged row may have been anything.
        if entry.record.starts_with('{') {
            found.tokens += 1;
            found.last = Some(entry.at);
        }
        Ok(())
    };
    store.read_audit(&mut cursor, count).await?;
    found.is_complete = !cursor.is_late();
    Ok(found)
}

impl Issued {
    /// Whether the audit was read completely and has no token.
    pub(super) fn is_unknown(&self) -> bool {
        self.tokens == 0 && self.is_complete
    }

    /// The number with its period: `3 tokens were issued since … (1d ago), the last at …`.
    pub(super) fn sentence(&self, to: &str, now: Timestamp) -> String {
        let since = moment_text::with_distance(self.since, now);
        let tokens = match (self.tokens, self.is_complete) {
            (0, true) => return format!("according to the audit, no token was issued {to} since {since}"),
            (0, false) => {
                return format!("the audit since {since} has too many records to be searched within 2s");
            }
            (1, true) => "1 token was issued".to_owned(),
            (many, true) => format!("{many} tokens were issued"),
            (many, false) => format!("at least {many} tokens were issued"),
        };
        let last = self.last.and_then(|at| Timestamp::from_seconds(at.div_euclid(1000)).ok());
        let last =
            last.map_or_else(String::new, |at| format!(", the last one at {}", moment_text::written(at)));
        format!("{tokens} {to} since {since}{last}")
    }
}
