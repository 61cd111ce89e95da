//! Reads a chain from its first record that is kept to its head, and checks each row against the one before it.

use crate::audit::complete::{COMPLETE, Complete, SELECT_COMPLETE, opened};
use crate::audit::facts::Name;
use crate::audit::head::{HeadRow, SELECT_HEADS, read_head};
use crate::audit::inventory::{Inventory, inventory};
use crate::audit::row::count;
use crate::audit::{Break, Head, INSTALLATION, Row};
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{BTreeSet, HashMap};

/// How many records are read at once.
const PAGE: i64 = 1000;

/// Chain, number of its first record that is kept, hash before it, seal of both.
pub(crate) type AnchorRow = (String, i64, Vec<u8>, Vec<u8>);
pub(crate) const SELECT_ANCHORS: &str = "SELECT chain, first, before, anchor FROM audit_heads";

/// All chains and all that is configured, as of one moment. Records up to the heads never change; they expire.
pub(crate) struct AuditMoment {
    /// In the order in which they began, that of the installation first.
    pub(crate) chains: Vec<Extent>,
    /// Chains that have records, but no head.
    pub(crate) headless: Vec<String>,
    pub(crate) inventory: Inventory,
    /// The part of it that no server could read.
    pub(crate) unreadable: BTreeSet<Name>,
    /// The row about the installation's chain that is stored outside of it.
    pub(crate) complete: Option<Complete>,
}

/// The extent of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) chain: String,
    /// `None` if the seal of the head is wrong.
    pub(crate) head: Option<Head>,
    /// The number of the first record that is kept.
    pub(crate) first: i64,
    before: Vec<u8>,
    is_anchored: bool,
    /// The numbers of the first and the last row, if there is one.
    rows: Option<(i64, i64)>,
}

impl Extent {
    /// The number of the last row, 0 if there is none.
    pub(crate) fn last_row(&self) -> i64 {
        self.rows.map_or(0, |(_, last)| last)
    }

    /// The number of the first record, if the seal of the anchor is right.
    pub(crate) fn anchored_first(&self) -> Option<i64> {
        self.is_anchored.then_some(self.first)
    }
}

impl AuditMoment {
    /// The chain of the installation.
    pub(crate) fn installation(&self) -> Option<&Extent> {
        self.chains.iter().find(|extent| extent.chain == INSTALLATION)
    }
}

impl Store {
    pub(crate) async fn audit_moment(&self) -> Result<AuditMoment, StoreError> {
        let read = self.0.db.moment(|tx| {
            Box::pin(async {
                let heads: Vec<HeadRow> = tx.all(SELECT_HEADS, &[]).await?;
                let anchors: Vec<AnchorRow> = tx.all(SELECT_ANCHORS, &[]).await?;
                let ends = "SELECT chain, MIN(number), MAX(number) FROM audit_records GROUP BY chain";
                let ends: Vec<(String, i64, i64)> = tx.all(ends, &[]).await?;
                let complete: Option<Vec<u8>> = tx.find_value(SELECT_COMPLETE, values![COMPLETE]).await?;
                let inventory = inventory(tx, &self.0.links).await?;
                Ok((heads, anchors, ends, complete, inventory, self.unreadable(tx).await?))
            })
        });
        let (heads, anchors, ends, complete, inventory, unreadable) = read.await?;
        let mut anchors: HashMap<String, AnchorRow> =
            anchors.into_iter().map(|row| (row.0.clone(), row)).collect();
        let mut rows: HashMap<String, (i64, i64)> =
            ends.into_iter().map(|(chain, least, last)| (chain, (least, last))).collect();
        let extent = |row: HeadRow| {
            let chain = row.0.clone();
            let (_, first, before, seal) = anchors.remove(&chain).unwrap_or_default();
            Extent {
                head: read_head(&self.0.links, row),
                is_anchored: self.0.links.anchor(&chain, first, &before).as_slice() == seal,
                rows: rows.remove(&chain),
                first,
                before,
                chain,
            }
        };
        let chains = heads.into_iter().map(extent).collect();
        let complete = complete.and_then(|value| opened(&self.0.links, &value));
        Ok(AuditMoment { chains, headless: rows.into_keys().collect(), inventory, unreadable, complete })
    }

    /// Reads a chain, and passes each intact row on. Returns the first broken record, and why it is broken.
    pub(crate) async fn walk(
        &self,
        extent: &Extent,
        mut right: impl FnMut(&Row),
    ) -> Result<Option<(i64, Break)>, StoreError> {
        let (chain, first) = (extent.chain.as_str(), extent.first);
        let Some(head) = &extent.head else {
            return Ok(Some((extent.last_row(), Break::Head)));
        };
        if !extent.is_anchored {
            return Ok(Some((first, Break::Anchor)));
        }
        if let Some((least, _)) = extent.rows.filter(|(least, _)| *least < first) {
            return Ok(Some((least, Break::Changed)));
        }
        let (mut number, mut hash) = (first - 1, extent.before.clone());
        while number < head.number {
            let page = self.audit_page(chain, number, PAGE.min(head.number - number)).await?;
            if page.is_empty() {
                return Ok(Some((number + 1, Break::Removed)));
            }
            for row in page {
                let (found, at, text, stored) = &row;
                let first = found.saturating_sub(count(text)).saturating_add(1);
                if first > number + 1 {
                    return Ok(Some((number + 1, Break::Removed)));
                }
                hash = self.0.links.link(chain, *found, *at, text, &hash).to_vec();
                if first <= number || hash != *stored {
                    return Ok(Some((first, Break::Changed)));
                }
                number = *found;
                right(&row);
            }
        }
        if number > head.number {
            // The records that are kept begin behind the head, so the head is an old one.
            return Ok(Some((head.number + 1, Break::TurnedBack)));
        }
        if hash != head.hash {
            return Ok(Some((number, Break::Changed)));
        }
        let added = extent.rows.is_some_and(|(_, last)| last > head.number);
        Ok(added.then_some((head.number + 1, Break::Added)))
    }

    /// The hash of the row that ends with this record.
    pub(crate) async fn audit_hash(&self, chain: &str, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = "SELECT hash FROM audit_records WHERE chain = $1 AND number = $2";
        self.0.db.find_value(read, values![chain, number]).await
    }
}
