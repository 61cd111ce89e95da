//! Reads the chains in the order of time: all records, or those since the last read.

use crate::audit::row::{count, records};
use crate::audit::{INSTALLATION, Row};
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{HashMap, VecDeque};
use tokenberg_core::Timestamp;

/// A record as it is stored. [`Store::verify_audit`] checks whether it is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "those who print it make it in their tests")]
pub struct AuditEntry {
    /// The chain: the name of a node, or `installation`.
    pub chain: String,
    /// Its number in the chain.
    pub number: i64,
    /// When it was made, in milliseconds since 1970, by the clock of its node.
    pub at: i64,
    /// What it says: a JSON object.
    pub record: String,
}

/// How far a reader has read.
#[derive(Debug, Default)]
pub struct AuditCursor {
    /// Milliseconds since 1970.
    since: i64,
    read: HashMap<String, i64>,
}

/// How many records of a chain are read at once.
const PAGE: i64 = 200;

/// The rows of a chain behind one number and up to another, but one row in any case.
pub(crate) const SELECT_RECORDS: &str = "SELECT number, at, record, hash FROM audit_records WHERE chain = $1 AND number > $2 AND number <= \
    COALESCE((SELECT MAX(number) FROM audit_records WHERE chain = $1 AND number > $2 AND number <= $3), \
    (SELECT MIN(number) FROM audit_records WHERE chain = $1 AND number > $2)) ORDER BY number";

impl AuditCursor {
    /// A cursor at the records of this time and later; `None` is the beginning.
    #[must_use]
    pub fn since(time: Option<Timestamp>) -> Self {
        Self { since: time.map_or(0, |time| time.as_seconds() * 1000), read: HashMap::new() }
    }
}

/// Records of a chain that were read and not passed on yet.
struct Page {
    chain: String,
    entries: VecDeque<AuditEntry>,
    may_have_more: bool,
}

/// The records of a row.
pub(crate) fn entries<'a>(
    chain: &'a str,
    (number, at, text, _): &'a Row,
) -> impl Iterator<Item = AuditEntry> + 'a {
    let first = number.saturating_sub(count(text)).saturating_add(1);
    records(*at, text).zip(0_i64..).map(move |((at, record), n)| AuditEntry {
        chain: chain.to_owned(),
        number: first.saturating_add(n),
        at,
        record: record.to_owned(),
    })
}

impl Store {
    /// Passes on the records behind the cursor, in the order of time as far as the chains are, and moves the cursor.
    ///
    /// # Errors
    /// If the store or `take` fails.
    pub async fn read_audit<E: From<StoreError>>(
        &self,
        cursor: &mut AuditCursor,
        mut take: impl FnMut(AuditEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pages = Vec::new();
        for chain in self.audit_chains().await? {
            let before = match cursor.read.get(&chain) {
                Some(read) => *read,
                None => self.before(&chain, cursor.since).await?,
            };
            cursor.read.insert(chain.clone(), before);
            pages.push(Page { chain, entries: VecDeque::new(), may_have_more: true });
        }
        loop {
            for page in &mut pages {
                if page.entries.is_empty() && page.may_have_more {
                    let read = cursor.read.get(&page.chain).copied().unwrap_or(0);
                    let rows = self.audit_page(&page.chain, read, PAGE).await?;
                    page.may_have_more = !rows.is_empty();
                    page.entries = rows.iter().flat_map(|row| entries(&page.chain, row)).collect();
                    // The cursor may be inside of a row.
                    page.entries.retain(|entry| entry.number > read);
                }
            }
            let oldest = pages.iter_mut().filter(|page| !page.entries.is_empty());
            let Some(page) = oldest.min_by_key(|page| page.entries.front().map(|entry| entry.at)) else {
                return Ok(());
            };
            let Some(entry) = page.entries.pop_front() else { return Ok(()) };
            cursor.read.insert(page.chain.clone(), entry.number);
            if entry.at >= cursor.since {
                take(entry)?;
            }
        }
    }

    /// Whether the chain `installation` has a record with this number that was made at this time, in milliseconds since 1970; or has
    /// removed that record for its age.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_change(&self, number: i64, at: i64) -> Result<bool, StoreError> {
        let read = "SELECT COUNT(*) FROM audit_records WHERE chain = $1 AND number = $2 AND at = $3";
        let found: i64 = self.0.db.value(read, values![INSTALLATION, number, at]).await?;
        Ok(found > 0 || self.audit_first(INSTALLATION).await?.is_some_and(|first| number < first))
    }

    /// Names of all chains of which there is a head or a record.
    pub(crate) async fn audit_chains(&self) -> Result<Vec<String>, StoreError> {
        let read =
            "SELECT chain FROM audit_heads UNION SELECT DISTINCT chain FROM audit_records ORDER BY chain";
        let chains: Vec<(String,)> = self.0.db.all(read, &[]).await?;
        Ok(chains.into_iter().map(|(chain,)| chain).collect())
    }

    /// The number of the first record of a chain that is kept, if the chain has a head.
    pub(crate) async fn audit_first(&self, chain: &str) -> Result<Option<i64>, StoreError> {
        self.0.db.find_value("SELECT first FROM audit_heads WHERE chain = $1", values![chain]).await
    }

    /// The number of the last record before the first row that is as young as that.
    ///
    /// Rows are in the order of time as far as the clock was: the first in number is looked for among thousands that are the first in
    /// time, by their index, and not among all.
    async fn before(&self, chain: &str, since: i64) -> Result<i64, StoreError> {
        let first = self.first_row_since(chain, since).await?;
        self.number_before(chain, first).await
    }

    /// The number of the first row of a chain that is as young as that; see [`Store::before`].
    pub(crate) async fn first_row_since(&self, chain: &str, since: i64) -> Result<Option<i64>, StoreError> {
        let read = "SELECT MIN(number) FROM (SELECT number FROM audit_records WHERE chain = $1 AND at >= $2 \
                    ORDER BY at LIMIT 5000) AS young";
        self.0.db.value(read, values![chain, since]).await
    }

    /// The number of the last record before a row; without one, of all.
    pub(crate) async fn number_before(&self, chain: &str, first: Option<i64>) -> Result<i64, StoreError> {
        let read = "SELECT MAX(number) FROM audit_records WHERE chain = $1 AND number < $2";
        let end = first.unwrap_or(i64::MAX);
        let last: Option<i64> = self.0.db.value(read, values![chain, end]).await?;
        Ok(last.unwrap_or(0))
    }

    /// Rows after a number, with at most so many records, but one row in any case.
    pub(crate) async fn audit_page(
        &self,
        chain: &str,
        after: i64,
        most: i64,
    ) -> Result<Vec<Row>, StoreError> {
        let to = after.saturating_add(most);
        self.0.db.all(SELECT_RECORDS, values![chain, after, to]).await
    }
}
