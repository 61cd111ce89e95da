//! Reads the chains backwards: the youngest records first.

use crate::audit::matching::Matcher;
use crate::audit::read::{AuditEntry, WAITED, WINDOW, entries};
use crate::audit::row::count;
use crate::audit::selection::AuditSelection;
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How many records of a chain are read at first, and at most: most readers want one screen. A row has up to 256.
const PAGE: i64 = 64;
const LONGEST_PAGE: i64 = 2048;

/// The most chains that the text of a position names. More than so many servers at work at one time are read again in part.
const MOST_NAMED: usize = 64;

/// The next record of a chain that has no more selected ones.
const FINISHED: i64 = 0;

/// How far a reader has read backwards, and what it reads.
///
/// Its text can be part of an address, and is bounded: of the chains that were begun, it names those that have older records than the
/// time that was reached, which are those of the servers at work at that time. Which were not begun yet is known by the last time of
/// their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPosition {
    /// Milliseconds since 1970.
    until: Option<i64>,
    selection: AuditSelection,
    deadline: Option<Instant>,
    reached: Option<Reached>,
}

/// Where a reader was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reached {
    /// The time that it had reached: what was not passed on counts as this old, or older. It never grows from one position to the
    /// next, because it decides what was skipped for good.
    at: i64,
    /// The chain that was begun last: the time of its last record, and its name.
    last_begun: (i64, String),
    /// The next record of each chain that was begun and has more; [`FINISHED`] of one that was skipped to its end, and has older
    /// records.
    next: BTreeMap<String, i64>,
}

impl AuditPosition {
    /// The position before all records of this time and later, in milliseconds since 1970.
    #[must_use]
    pub fn before(at: i64) -> Self {
        Self { until: Some(at), ..Self::default() }
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

    /// Goes on from a position that [`Display`](fmt::Display) wrote. A text that is none is the position of which nothing was read.
    #[must_use]
    pub fn went_on(self, text: &str) -> Self {
        Self { reached: Reached::read(text), ..self }
    }

    /// The time, in milliseconds since 1970, that was reached; `None` before anything was read.
    #[must_use]
    pub fn reached(&self) -> Option<i64> {
        self.reached.as_ref().map(|reached| reached.at)
    }
}

impl Reached {
    /// `TIME:TIME:CHAIN,NUMBER:CHAIN,…`
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut first = parts.next()?.splitn(3, ':');
        let (at, last_at, last) = (first.next()?.parse().ok()?, first.next()?.parse().ok()?, first.next()?);
        let next = parts.filter_map(|part| part.split_once(':'));
        let next = next.filter_map(|(number, chain)| Some((chain.to_owned(), number.parse().ok()?)));
        Some(Self { at, last_begun: (last_at, last.to_owned()), next: next.collect() })
    }
}

impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Reached { at, last_begun: (last_at, last), next }) = &self.reached else { return Ok(()) };
        write!(f, "{at}:{last_at}:{last}")?;
        next.iter().try_for_each(|(chain, number)| write!(f, ",{number}:{chain}"))
    }
}

/// A chain that is read backwards, and its records that were read and not passed on yet, the youngest first.
struct Backwards {
    chain: String,
    /// As old as this, or older, counts what is still to be passed on. A chain's records can be out of order in time, and none counts
    /// as younger than those that were passed on before it.
    at: i64,
    /// The time of its first row.
    begin: i64,
    entries: VecDeque<AuditEntry>,
    /// The youngest record that was not read.
    from: i64,
    /// Only records from before this time.
    until: Option<i64>,
    /// What may have selected records, as far as the summaries were read; the youngest last.
    readable: Vec<(i64, i64)>,
    /// The number before everything whose summaries were read.
    known_from: i64,
    /// The number before the first record that is kept.
    before_first: i64,
    page: i64,
}

impl Backwards {
    fn has_more(&self) -> bool {
        !self.entries.is_empty() || !self.readable.is_empty() || self.known_from > self.before_first
    }

    /// The number of the next record, or of one behind which nothing is selected.
    fn next(&self) -> i64 {
        let unread = self.readable.last().map_or(self.known_from, |(_, to)| *to);
        self.entries.front().map_or(unread.min(self.from), |entry| entry.number)
    }

    /// The time as which the next record counts, or one that it does not count as younger than.
    fn at(&self) -> i64 {
        self.entries.front().map_or(self.at, |entry| entry.at.min(self.at))
    }
}

impl Store {
    /// Passes on the records before the position, the youngest first, until `take` breaks or the time is up, and moves the position.
    /// Returns whether there may be more.
    ///
    /// The order is that of time as far as the clocks of the nodes agree.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn read_audit_backwards(
        &self,
        position: &mut AuditPosition,
        mut take: impl FnMut(AuditEntry) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        let mut chains: Vec<Backwards> = Vec::new();
        let mut finished: Vec<(String, i64)> = Vec::new();
        let mut waiting: Vec<(i64, String)> = Vec::new();
        let mut last_begun = (i64::MAX, String::new());
        for (at, chain, begin) in self.heads_by_time().await? {
            let until = position.until;
            let Some(reached) = &position.reached else {
                waiting.push((at, chain));
                continue;
            };
            last_begun = reached.last_begun.clone();
            if reached.next.get(&chain) == Some(&FINISHED) {
                finished.extend(begin.map(|begin| (chain, begin)));
            } else if let Some(next) = reached.next.get(&chain) {
                chains.extend(self.backwards(chain, reached.at, Some(*next), until).await?);
            } else if (at, &chain) < (last_begun.0, &last_begun.1) {
                waiting.push((at, chain));
            } else if begin.is_some_and(|begin| begin <= reached.at) {
                // It was not begun, and has gone on since then. What was read to its end has nothing as old as that.
                let until = Some(until.unwrap_or(i64::MAX).min(reached.at.saturating_add(1)));
                chains.extend(self.backwards(chain, reached.at, None, until).await?);
            }
        }
        let mut has_more = true;
        loop {
            // A chain is read when its turn may come: a store has one for each start of a server.
            let youngest = chains.iter().filter(|chain| chain.has_more()).map(Backwards::at).max();
            let is_due = |(at, _): &mut (i64, String)| youngest.is_none_or(|youngest| *at >= youngest);
            if let Some((at, chain)) = waiting.pop_if(is_due) {
                last_begun = (at, chain.clone());
                let before = [position.until, position.reached()];
                let at = before.into_iter().flatten().fold(at, i64::min);
                chains.extend(self.backwards(chain, at, None, position.until).await?);
                continue;
            }
            let unread = chains.iter_mut().filter(|chain| chain.has_more());
            let Some(chain) = unread.max_by_key(|chain| (chain.at(), !chain.entries.is_empty())) else {
                has_more = false;
                break;
            };
            let next = chain.next();
            match chain.entries.pop_front() {
                None => self.fill_backwards(chain, &position.selection).await?,
                Some(entry) => {
                    chain.at = entry.at.min(chain.at);
                    if take(entry).is_break() {
                        break;
                    }
                }
            }
            // However little time there is, a reader who goes on gets further.
            let is_further = chain.next() < next;
            if is_further && position.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
        }
        position.reached = Some(reached(chains, finished, last_begun));
        Ok(has_more)
    }

    /// One record; `None` if the chain has no such number.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn audit_record(&self, chain: &str, number: i64) -> Result<Option<AuditEntry>, StoreError> {
        let read = "SELECT number, at, record FROM audit_records WHERE chain = $1 AND number >= $2 ORDER BY number LIMIT 1";
        let row: Option<(i64, i64, String)> = self.0.db.find(read, values![chain, number]).await?;
        let found = row.and_then(|row| entries(chain, &row, |found, _, _| found == number).next());
        Ok(found)
    }

    /// The times of the heads with their chains and the times of their first rows, the youngest head last. A chain whose head was
    /// removed counts with its rows.
    async fn heads_by_time(&self) -> Result<Vec<(i64, String, Option<i64>)>, StoreError> {
        let read = "WITH RECURSIVE known (chain) AS (SELECT MIN(chain) FROM audit_records UNION ALL \
            SELECT (SELECT MIN(chain) FROM audit_records WHERE chain > known.chain) FROM known WHERE known.chain IS NOT NULL) \
            SELECT at, chain, (SELECT MIN(at) FROM audit_records r WHERE r.chain = h.chain) AS begin_at FROM audit_heads h \
            UNION ALL SELECT (SELECT MAX(at) FROM audit_records r WHERE r.chain = known.chain), chain, \
            (SELECT MIN(at) FROM audit_records r WHERE r.chain = known.chain) FROM known \
            WHERE chain IS NOT NULL AND chain NOT IN (SELECT chain FROM audit_heads) ORDER BY 1, 2";
        self.0.db.all(read, &[]).await
    }

    /// Begins to read a chain at a record, or else at the first row that may have records from before a time. `None` if there is
    /// nothing to read.
    async fn backwards(
        &self,
        chain: String,
        at: i64,
        from: Option<i64>,
        until: Option<i64>,
    ) -> Result<Option<Backwards>, StoreError> {
        let first = match (from, until) {
            (Some(from), _) => Some(from),
            (None, Some(until)) => self.first_row_since(&chain, until.saturating_add(WAITED)).await?,
            (None, None) => None,
        };
        let from = first.unwrap_or(i64::MAX);
        let read = "SELECT (SELECT MIN(number) FROM audit_records WHERE chain = $1), \
                    (SELECT MIN(at) FROM audit_records WHERE chain = $1), \
                    COALESCE((SELECT MIN(number) FROM audit_records WHERE chain = $1 AND number >= $2), \
                    (SELECT MAX(number) FROM audit_records WHERE chain = $1))";
        let ends: Option<(Option<i64>, Option<i64>, Option<i64>)> =
            self.0.db.find(read, values![&chain, from]).await?;
        let Some((Some(first), Some(begin), Some(last))) = ends else { return Ok(None) };
        Ok(Some(Backwards {
            chain,
            at,
            begin,
            entries: VecDeque::new(),
            from,
            until,
            readable: Vec::new(),
            known_from: last,
            before_first: first.saturating_sub(1),
            page: PAGE,
        }))
    }

    /// Reads on in a chain, which may bring no record.
    async fn fill_backwards(
        &self,
        chain: &mut Backwards,
        selection: &AuditSelection,
    ) -> Result<(), StoreError> {
        let Some((after, to)) = chain.readable.pop() else {
            // Before a gap of numbers, which a changed row can make as long as the numbers go.
            let next = "SELECT MAX(number) FROM audit_records WHERE chain = $1 AND number <= $2";
            let next: Option<i64> = self.0.db.value(next, values![&chain.chain, chain.known_from]).await?;
            let to = next.unwrap_or(chain.before_first).clamp(chain.before_first, chain.known_from);
            chain.known_from = to.saturating_sub(WINDOW).max(chain.before_first);
            chain.readable = self.readable(&chain.chain, (chain.known_from, to), selection).await?;
            let is_skipped = chain.readable.last().is_none_or(|(_, last)| *last < to);
            return if is_skipped { self.find_time(chain).await } else { Ok(()) };
        };
        let begin = to.saturating_sub(chain.page).max(after);
        chain.page = (2 * chain.page).min(LONGEST_PAGE);
        if begin > after {
            chain.readable.push((after, begin));
        }
        let (from, until) = (chain.from, chain.until);
        let matcher = Matcher::new(selection);
        let is_wanted = |number, at, record: &str| {
            number <= from && until.is_none_or(|until| at < until) && matcher.selects(record)
        };
        let rows = self.rows(&chain.chain, (begin, to), selection).await?;
        for row in rows.iter().rev() {
            chain.entries.extend(entries(&chain.chain, row, is_wanted).rev());
        }
        // A row that was read reaches below the numbers that were asked for.
        if let Some((number, _, text)) = rows.first() {
            chain.from = chain.from.min(number.saturating_sub(count(text)));
        }
        if chain.entries.is_empty() { self.find_time(chain).await } else { Ok(()) }
    }

    /// Reads how young the next record may be, after records were skipped.
    async fn find_time(&self, chain: &mut Backwards) -> Result<(), StoreError> {
        let read =
            "SELECT at FROM audit_records WHERE chain = $1 AND number <= $2 ORDER BY number DESC LIMIT 1";
        let next: Option<i64> = self.0.db.find_value(read, values![&chain.chain, chain.next()]).await?;
        chain.at = next.map_or(chain.at, |next| next.min(chain.at));
        Ok(())
    }
}

fn reached(chains: Vec<Backwards>, mut finished: Vec<(String, i64)>, last_begun: (i64, String)) -> Reached {
    let last_at = chains.iter().map(|chain| chain.at).min();
    let (mut unread, ended): (Vec<_>, Vec<_>) = chains.into_iter().partition(Backwards::has_more);
    unread.sort_by_key(|chain| std::cmp::Reverse(chain.at()));
    let at = unread.first().map(Backwards::at).or(last_at).unwrap_or(i64::MAX);
    finished.extend(ended.into_iter().map(|chain| (chain.chain, chain.begin)));
    // Of chains that are not named, what is as old as the time that was reached is read again. So a chain that has nothing so old
    // needs no name.
    let of_unread = unread.into_iter().map(|chain| (chain.next(), chain.chain));
    let of_finished =
        finished.into_iter().filter(|(_, begin)| *begin <= at).map(|(chain, _)| (FINISHED, chain));
    let next = of_unread.chain(of_finished).take(MOST_NAMED).map(|(next, chain)| (chain, next)).collect();
    Reached { at, last_begun, next }
}
