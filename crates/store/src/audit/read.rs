//! Reads the chains in the order of time: all records, selected ones, or those since the last read.

use crate::audit::matching::Matcher;
use crate::audit::row::{Record, records};
use crate::audit::selection::AuditSelection;
use crate::audit::{INSTALLATION, Row};
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
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

/// How far a reader has read, and what it reads.
#[derive(Debug, Default)]
pub struct AuditCursor {
    /// Milliseconds since 1970.
    since: i64,
    /// The time before which records are read.
    until: Option<i64>,
    selection: AuditSelection,
    /// When reading ends.
    deadline: Option<Instant>,
    read: HashMap<String, i64>,
}

/// How many records of a chain are read at once: some rows of 256.
const PAGE: i64 = 4096;
/// For how many records the summaries are read at once.
pub(super) const WINDOW: i64 = 131_072;
/// How long, in milliseconds, a record may have waited in memory before it was written: the time of a row is that of its youngest
/// record.
pub(super) const WAITED: i64 = 60_000;

/// The rows of a chain behind one number and up to another, but one row in any case.
pub(crate) const SELECT_RECORDS: &str = "SELECT number, at, record, hash FROM audit_records WHERE chain = $1 AND number > $2 AND number <= \
    COALESCE((SELECT MAX(number) FROM audit_records WHERE chain = $1 AND number > $2 AND number <= $3), \
    (SELECT MIN(number) FROM audit_records WHERE chain = $1 AND number > $2)) ORDER BY number";

/// The chains that have records, each with a step into the index instead of all of its entries: a chain has millions.
const SELECT_CHAINS: &str = "WITH RECURSIVE known (chain) AS (SELECT MIN(chain) FROM audit_records UNION ALL \
    SELECT (SELECT MIN(chain) FROM audit_records WHERE chain > known.chain) FROM known WHERE known.chain IS NOT NULL) \
    SELECT chain FROM known WHERE chain IS NOT NULL UNION SELECT chain FROM audit_heads ORDER BY chain";

/// The same with the number of the last record and the time of the first row that is as young as `$1`.
const SELECT_YOUNG: &str = "WITH RECURSIVE known (chain) AS (SELECT MIN(chain) FROM audit_records UNION ALL \
    SELECT (SELECT MIN(chain) FROM audit_records WHERE chain > known.chain) FROM known WHERE known.chain IS NOT NULL) \
    SELECT chain, last, at FROM (SELECT chain, \
    (SELECT MAX(number) FROM audit_records r WHERE r.chain = known.chain) AS last, \
    (SELECT MIN(at) FROM audit_records r WHERE r.chain = known.chain AND r.at >= $1) AS at \
    FROM known WHERE chain IS NOT NULL) AS young WHERE at IS NOT NULL ORDER BY at DESC, chain";

impl AuditCursor {
    /// How far, in milliseconds, records of one chain may be out of order, because the clock of its node was set back.
    pub const DISORDER: i64 = 300_000;

    /// A cursor at the records of this time and later; `None` is the beginning.
    #[must_use]
    pub fn since(time: Option<Timestamp>) -> Self {
        Self { since: time.map_or(0, |time| time.as_seconds() * 1000), ..Self::default() }
    }

    /// Only records from before this time.
    #[must_use]
    pub fn until(self, time: Option<Timestamp>) -> Self {
        Self { until: time.map(|time| time.as_seconds().saturating_mul(1000)), ..self }
    }

    /// Only these records. Rows that have none of them according to a summary are not read.
    #[must_use]
    pub fn selecting(self, selection: AuditSelection) -> Self {
        Self { selection, ..self }
    }

    /// Reads for so long at most.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(time), ..self }
    }

    /// Whether reading has ended, or would end, because its time is up.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_in_time(&self, at: i64) -> bool {
        at >= self.since && self.until.is_none_or(|until| at < until)
    }

    fn has_read(&mut self, chain: &str, number: i64) {
        match self.read.get_mut(chain) {
            Some(read) => *read = number,
            None => drop(self.read.insert(chain.to_owned(), number)),
        }
    }
}

/// A chain that is read, and its records that were read and not passed on yet.
struct Page {
    chain: String,
    entries: VecDeque<AuditEntry>,
    /// The number of the last record that was passed on before.
    read: i64,
    /// The number of the last record that is read.
    last: i64,
    /// What may have selected records, as far as the summaries were read.
    readable: VecDeque<(i64, i64)>,
    /// Up to which number that is.
    known_to: i64,
}

/// The records of a row that are wanted, by number, time and text: most rows have few of them.
pub(super) fn entries<'a>(
    chain: &'a str,
    (number, at, text): &'a (i64, i64, String),
    is_wanted: impl Fn(i64, i64, &str) -> bool + 'a,
) -> impl DoubleEndedIterator<Item = AuditEntry> + 'a {
    let all: Vec<Record<'_>> = records(*at, text).collect();
    let first = number.saturating_sub(i64::try_from(all.len()).unwrap_or(i64::MAX)).saturating_add(1);
    all.into_iter().enumerate().filter_map(move |(n, (at, record))| {
        let number = first.saturating_add(i64::try_from(n).ok()?);
        is_wanted(number, at, record).then(|| AuditEntry {
            chain: chain.to_owned(),
            number,
            at,
            record: record.to_owned(),
        })
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
        let mut waiting: Vec<(String, i64, i64)> = self.0.db.all(SELECT_YOUNG, values![cursor.since]).await?;
        waiting.retain(|(chain, last, _)| cursor.read.get(chain).is_none_or(|read| read < last));
        let mut pages: Vec<Page> = Vec::new();
        loop {
            for page in &mut pages {
                while page.entries.is_empty() && page.has_more() && !cursor.is_late() {
                    self.fill(page, cursor).await?;
                }
            }
            if cursor.is_late() {
                return Ok(());
            }
            for page in pages.iter().filter(|page| page.entries.is_empty()) {
                cursor.has_read(&page.chain, page.last);
            }
            pages.retain(|page| !page.entries.is_empty());
            let oldest = pages.iter().filter_map(|page| page.entries.front()).map(|entry| entry.at).min();
            // A chain is read when its turn may come: a store has one for each start of a server.
            let is_due = |(_, _, at): &mut (String, i64, i64)| {
                oldest.is_none_or(|oldest| at.saturating_sub(WAITED) <= oldest)
            };
            if let Some((chain, last, _)) = waiting.pop_if(is_due) {
                pages.push(self.page(chain, last, cursor).await?);
                continue;
            }
            let Some(page) = pages.iter_mut().min_by_key(|page| page.entries.front().map(|entry| entry.at))
            else {
                return Ok(());
            };
            let Some(entry) = page.entries.pop_front() else { return Ok(()) };
            cursor.has_read(&page.chain, entry.number);
            take(entry)?;
        }
    }

    async fn page(&self, chain: String, last: i64, cursor: &AuditCursor) -> Result<Page, StoreError> {
        let read = match cursor.read.get(&chain) {
            Some(read) => *read,
            None => {
                let first = self.first_row_since(&chain, cursor.since).await?;
                self.number_before(&chain, first).await?
            }
        };
        // The first row that is younger may have older records in it.
        let end = match cursor.until {
            Some(until) => self.first_row_since(&chain, until.saturating_add(AuditCursor::DISORDER)).await?,
            None => None,
        };
        let last = end.map_or(last, |end| end.min(last));
        Ok(Page { chain, entries: VecDeque::new(), read, last, readable: VecDeque::new(), known_to: read })
    }

    /// Reads on in a chain, which may bring no record.
    async fn fill(&self, page: &mut Page, cursor: &AuditCursor) -> Result<(), StoreError> {
        let Some((after, to)) = page.readable.pop_front() else {
            // Behind a gap of numbers, which a changed row can make as long as the numbers go.
            let next = "SELECT MIN(number) FROM audit_records WHERE chain = $1 AND number > $2";
            let next: Option<i64> = self.0.db.value(next, values![&page.chain, page.known_to]).await?;
            let from = next.map_or(page.last, |next| next - 1).clamp(page.known_to, page.last);
            let to = from.saturating_add(WINDOW).min(page.last);
            page.readable = self.readable(&page.chain, (from, to), &cursor.selection).await?.into();
            page.known_to = to;
            return Ok(());
        };
        let end = after.saturating_add(PAGE).min(to);
        if end < to {
            page.readable.push_front((end, to));
        }
        let matcher = Matcher::new(&cursor.selection);
        for row in &self.rows(&page.chain, (after, end), &cursor.selection).await? {
            // The cursor may be inside of a row.
            let is_wanted = |number, at, record: &str| {
                number > page.read && cursor.is_in_time(at) && matcher.selects(record)
            };
            page.entries.extend(entries(&page.chain, row, is_wanted));
        }
        Ok(())
    }

    /// The rows after one number and up to another that contain the longest text of the selection.
    pub(super) async fn rows(
        &self,
        chain: &str,
        (after, to): (i64, i64),
        selection: &AuditSelection,
    ) -> Result<Vec<(i64, i64, String)>, StoreError> {
        let text = selection.longest_text();
        self.0.db.all_of(|dialect| dialect.find_rows, values![chain, after, to, &*text]).await
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
        let chains: Vec<(String,)> = self.0.db.all(SELECT_CHAINS, &[]).await?;
        Ok(chains.into_iter().map(|(chain,)| chain).collect())
    }

    /// The number of the first record of a chain that is kept, if the chain has a head.
    pub(crate) async fn audit_first(&self, chain: &str) -> Result<Option<i64>, StoreError> {
        self.0.db.find_value("SELECT first FROM audit_heads WHERE chain = $1", values![chain]).await
    }

    /// The number of the first row of a chain that is as young as that.
    ///
    /// Rows are in the order of time as far as the clock was: the first in number is looked for among thousands that are the first in
    /// time, by their index, and not among all.
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

impl Page {
    fn has_more(&self) -> bool {
        !self.readable.is_empty() || self.known_to < self.last
    }
}
