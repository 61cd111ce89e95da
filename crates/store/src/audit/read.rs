//! What do the chains say? All of it in the order of time, or what is new since it was last asked.

use crate::audit::{Head, Row};
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{HashMap, VecDeque};
use tokenberg_core::Timestamp;

/// A record as it stands in the store. Whether it is genuine, [`Store::verify_audit`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The chain: the name of a node, or `installation`.
    pub chain: String,
    /// Its number in the chain.
    pub number: i64,
    /// When it was made, in milliseconds since 1970, by the clock of whoever made it.
    pub at: i64,
    /// What it says: a JSON object.
    pub record: String,
}

/// How far somebody has read.
#[derive(Debug, Default)]
pub struct AuditCursor {
    /// Milliseconds since 1970.
    since: i64,
    read: HashMap<String, i64>,
}

/// How many records of a chain are read at once.
const PAGE: i64 = 200;

/// Chain, number, hash, time, beginning, end, seal.
pub(crate) type HeadRow = (String, i64, Vec<u8>, i64, i64, i64, Vec<u8>);
pub(crate) const SELECT_HEADS: &str =
    "SELECT chain, number, hash, at, begun, ended, seal FROM audit_heads ORDER BY begun, chain";

pub(crate) const SELECT_RECORDS: &str = "SELECT number, at, record, hash FROM audit_records WHERE chain = $1 AND number > $2 ORDER BY number LIMIT $3";

/// The head, if its seal is right.
pub(crate) fn read_head(store: &Store, row: HeadRow) -> Option<Head> {
    let (chain, number, hash, at, begun, ended, seal) = row;
    let head = Head { chain, number, hash: hash.try_into().ok()?, at, begun, ended: ended != 0 };
    (ended == i64::from(head.ended) && store.0.links.seal(&head).as_slice() == seal).then_some(head)
}

impl AuditCursor {
    /// At what was recorded at this time and later; `None` is the beginning.
    #[must_use]
    pub fn since(time: Option<Timestamp>) -> Self {
        Self { since: time.map_or(0, |time| time.as_seconds() * 1000), read: HashMap::new() }
    }
}

/// What was read of a chain and not handed on yet.
struct Page {
    chain: String,
    rows: VecDeque<Row>,
    may_have_more: bool,
}

impl Store {
    /// Hands on what there is beyond the cursor, in the order of time as far as the chains are, and moves the cursor on.
    ///
    /// # Errors
    /// If the store fails, or whoever takes the records does.
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
            pages.push(Page { chain, rows: VecDeque::new(), may_have_more: true });
        }
        loop {
            for page in &mut pages {
                if page.rows.is_empty() && page.may_have_more {
                    let read = cursor.read.get(&page.chain).copied().unwrap_or(0);
                    page.rows = self.audit_page(&page.chain, read, PAGE).await?.into();
                    page.may_have_more = page.rows.len() as i64 == PAGE;
                }
            }
            let oldest = pages.iter_mut().filter(|page| !page.rows.is_empty());
            let Some(page) = oldest.min_by_key(|page| page.rows.front().map(|row| row.1)) else {
                return Ok(());
            };
            let Some((number, at, record, _)) = page.rows.pop_front() else { return Ok(()) };
            cursor.read.insert(page.chain.clone(), number);
            if at >= cursor.since {
                take(AuditEntry { chain: page.chain.clone(), number, at, record })?;
            }
        }
    }

    /// Names of all chains of which there is a head or a record.
    pub(crate) async fn audit_chains(&self) -> Result<Vec<String>, StoreError> {
        let read =
            "SELECT chain FROM audit_heads UNION SELECT DISTINCT chain FROM audit_records ORDER BY chain";
        read!(&self.0.db, connection => sqlx::query_scalar(read).fetch_all(connection).await)
    }

    /// The number of the record before the first that is as young as that.
    pub(crate) async fn before(&self, chain: &str, since: i64) -> Result<i64, StoreError> {
        let read =
            "SELECT number FROM audit_records WHERE chain = $1 AND at >= $2 ORDER BY at, number LIMIT 1";
        let first: Option<i64> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).bind(since).fetch_optional(connection).await
        })?;
        if let Some(first) = first {
            return Ok(first - 1);
        }
        let read = "SELECT MAX(number) FROM audit_records WHERE chain = $1";
        let last: Option<i64> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).fetch_one(connection).await
        })?;
        Ok(last.unwrap_or(0))
    }

    pub(crate) async fn audit_page(
        &self,
        chain: &str,
        after: i64,
        most: i64,
    ) -> Result<Vec<Row>, StoreError> {
        read!(&self.0.db, connection => {
            sqlx::query_as(SELECT_RECORDS).bind(chain).bind(after).bind(most).fetch_all(connection).await
        })
    }
}
