//! Reads the chains backwards: the youngest records first.

use crate::audit::Row;
use crate::audit::read::{AuditEntry, entries};
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

/// How many rows of a chain are read at once: few, because most readers want one screen of records. A row has up to 256 records.
const PAGE: i64 = 16;

/// How long, in milliseconds, a record may have waited in memory so that it is found by the time of its row, which is that of the
/// youngest.
const WAITED: i64 = 60_000;

/// How far a reader has read backwards.
///
/// A position is the number of the last record of each chain that was passed on: the times of a chain need not be in order. Its
/// text, as in `0123456789abcdef:17,installation:4`, can be part of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPosition {
    /// Milliseconds since 1970.
    until: Option<i64>,
    passed: BTreeMap<String, i64>,
}

impl AuditPosition {
    /// The position before all records of this time and later, in milliseconds since 1970.
    #[must_use]
    pub fn before(at: i64) -> Self {
        Self { until: Some(at), passed: BTreeMap::new() }
    }

    /// Goes on from a position that [`Display`](fmt::Display) wrote. A text that is none is the position of which nothing was read.
    #[must_use]
    pub fn went_on(mut self, text: &str) -> Self {
        let pairs = text.split(',').filter_map(|pair| pair.rsplit_once(':'));
        self.passed =
            pairs.filter_map(|(chain, number)| Some((chain.to_owned(), number.parse().ok()?))).collect();
        self
    }
}

impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.passed.iter().map(|(chain, number)| format!("{chain}:{number}")).collect();
        f.write_str(&pairs.join(","))
    }
}

/// A chain that is read backwards, and its records that were read and not passed on yet, the youngest first.
struct Backwards {
    chain: String,
    entries: VecDeque<AuditEntry>,
    /// The number of the next record; `None` if there is none.
    next: Option<i64>,
}

impl Store {
    /// Passes on the records before the position, the youngest first, until `take` breaks, and moves the position.
    ///
    /// The order is that of time as far as the clocks of the nodes agree.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn read_audit_backwards(
        &self,
        position: &mut AuditPosition,
        mut take: impl FnMut(AuditEntry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut waiting = self.heads_by_time().await?;
        let mut chains: Vec<Backwards> = Vec::new();
        loop {
            for chain in &mut chains {
                self.fill(chain, position.until).await?;
            }
            // A chain is read when its turn may have come: a store has one for each start of a server.
            let youngest =
                chains.iter().filter_map(|chain| chain.entries.front()).map(|entry| entry.at).max();
            if let Some((chain, _)) =
                waiting.pop_if(|(_, at)| youngest.is_none_or(|youngest| *at >= youngest))
            {
                let first = match (position.passed.get(&chain), position.until) {
                    (Some(passed), _) => Some(*passed - 1),
                    (None, Some(until)) => self.first_row_since(&chain, until.saturating_add(WAITED)).await?,
                    (None, None) => None,
                };
                let next = Some(first.unwrap_or(i64::MAX));
                chains.push(Backwards { chain, entries: VecDeque::new(), next });
                continue;
            }
            let youngest = chains.iter_mut().filter(|chain| !chain.entries.is_empty());
            let Some(chain) = youngest.max_by_key(|chain| chain.entries.front().map(|entry| entry.at)) else {
                return Ok(());
            };
            let Some(entry) = chain.entries.pop_front() else { return Ok(()) };
            position.passed.insert(entry.chain.clone(), entry.number);
            if take(entry).is_break() {
                return Ok(());
            }
        }
    }

    /// One record; `None` if the chain has no such number.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn audit_record(&self, chain: &str, number: i64) -> Result<Option<AuditEntry>, StoreError> {
        let rows = self.rows_around(chain, number).await?;
        Ok(rows.first().and_then(|row| entries(chain, row).find(|entry| entry.number == number)))
    }

    /// The chains with the times of their heads, the youngest last.
    async fn heads_by_time(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.0.db.all("SELECT chain, at FROM audit_heads ORDER BY at, chain", &[]).await
    }

    /// Reads on, if everything that was read has been passed on.
    async fn fill(&self, chain: &mut Backwards, until: Option<i64>) -> Result<(), StoreError> {
        while let (true, Some(next)) = (chain.entries.is_empty(), chain.next) {
            self.read_from(chain, next, until).await?;
        }
        Ok(())
    }

    /// Reads the record of that number and some before it.
    async fn read_from(
        &self,
        chain: &mut Backwards,
        number: i64,
        until: Option<i64>,
    ) -> Result<(), StoreError> {
        chain.next = None;
        for row in &self.rows_around(&chain.chain, number).await? {
            let records: Vec<AuditEntry> = entries(&chain.chain, row).collect();
            chain.next =
                records.first().map(|record| record.number - 1).filter(|next| (1..number).contains(next));
            let is_wanted =
                |entry: &AuditEntry| entry.number <= number && until.is_none_or(|until| entry.at < until);
            chain.entries.extend(records.into_iter().rev().filter(is_wanted));
        }
        Ok(())
    }

    /// The row that holds the number, and those before it, backwards.
    async fn rows_around(&self, chain: &str, number: i64) -> Result<Vec<Row>, StoreError> {
        let read = "SELECT number, at, record, hash FROM audit_records WHERE chain = $1 AND number <= \
                    COALESCE((SELECT MIN(number) FROM audit_records WHERE chain = $1 AND number >= $2), $2) \
                    ORDER BY number DESC LIMIT $3";
        self.0.db.all(read, values![chain, number, PAGE]).await
    }
}
