//! Is all there that was written, as it was written? Every chain from its first record that is kept to its head.

use crate::audit::read::{HeadRow, SELECT_HEADS, read_head};
use crate::audit::row::{count, records};
use crate::audit::{Head, INSTALLATION};
use crate::error::StoreError;
use crate::hex::to_hex;
use crate::store::Store;
use std::collections::HashMap;
use std::fmt;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Each chain; that of the installation first, if it is there.
    pub chains: Vec<ChainReport>,
}

/// What was found of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// The number of the first record that is kept.
    pub first: i64,
    /// The number of the last record.
    pub last: i64,
    /// The hash of the last record, by which it can be told elsewhere whether this is still the same chain.
    pub hash: [u8; 32],
    /// When the first record that is kept was made, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Whether its process ended in order.
    pub ended: bool,
    /// The first record that is not right, and why. Of records that were written together, the first of them.
    pub broken: Option<(i64, Break)>,
}

/// What is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The record, or one that should be before it, was removed.
    Removed,
    /// The record is not the one that was written here.
    Changed,
    /// There are records behind the end of the chain.
    Added,
    /// The head is gone, or is not one of ours.
    Head,
    /// What says where the chain begins is not ours.
    Anchor,
    /// The chain of a node is not named by the installation, or not as it is.
    Unnamed,
    /// A node found its own chain shorter than it had left it.
    TurnedBack,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "the record was removed",
            Self::Changed => "the record was changed, moved or put in",
            Self::Added => "the record was added behind the end of the chain",
            Self::Head => "the head of the chain was removed or changed",
            Self::Anchor => "where the chain begins was changed",
            Self::Unnamed => "the installation does not name this chain as it is",
            Self::TurnedBack => "the chain was turned back while its node ran",
        })
    }
}

impl AuditReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.chains.is_empty() && self.chains.iter().all(|chain| chain.broken.is_none())
    }

    /// How many records were looked at.
    #[must_use]
    pub fn records(&self) -> i64 {
        self.chains.iter().map(|chain| (chain.last - chain.first + 1).max(0)).sum()
    }
}

/// How many records are read at once.
const PAGE: i64 = 1000;

/// Chain, number of its first record that is kept, hash before it, seal of both.
type AnchorRow = (String, i64, Vec<u8>, Vec<u8>);

/// What the installation says of the chains of nodes.
#[derive(Default)]
struct Named {
    /// The number of the record that names it.
    begun: HashMap<String, i64>,
    /// How far it had been, by the node that then found it otherwise.
    left_at: HashMap<String, i64>,
}

impl Store {
    /// Looks at every record. Those that are written meanwhile are not looked at.
    ///
    /// # Errors
    /// If the store fails. What was tampered with is no error but in the report.
    pub async fn verify_audit(&self) -> Result<AuditReport, StoreError> {
        let mut report = self.verify_once().await?;
        // Retention may have moved a beginning while it was read.
        for _ in 0..2 {
            if report.is_whole() {
                break;
            }
            report = self.verify_once().await?;
        }
        Ok(report)
    }

    /// Whether the record that has this number in the chain has this hash, in hexadecimal digits; or has been removed for its age.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_audit_record(&self, chain: &str, number: i64, hash: &str) -> Result<bool, StoreError> {
        let read = "SELECT hash FROM audit_records WHERE chain = $1 AND number = $2";
        let found: Option<Vec<u8>> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).bind(number).fetch_optional(connection).await
        })?;
        if let Some(found) = found {
            return Ok(to_hex(&found) == hash);
        }
        let read = "SELECT first FROM audit_heads WHERE chain = $1";
        let first: Option<i64> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).fetch_optional(connection).await
        })?;
        Ok(first.is_some_and(|first| first > number))
    }

    async fn verify_once(&self) -> Result<AuditReport, StoreError> {
        let ends = "SELECT chain, MIN(number), MAX(number) FROM audit_records GROUP BY chain";
        // The last numbers and the heads of one moment; the chain of the installation comes first, with the heads that it names.
        let (heads, anchors, ends) = read_moment!(&self.0.db, connection => {
            let heads: Vec<HeadRow> = sqlx::query_as(SELECT_HEADS).fetch_all(&mut *connection).await?;
            let read = "SELECT chain, first, before, anchor FROM audit_heads";
            let anchors: Vec<AnchorRow> = sqlx::query_as(read).fetch_all(&mut *connection).await?;
            let ends: Vec<(String, i64, i64)> = sqlx::query_as(ends).fetch_all(&mut *connection).await?;
            Ok((heads, anchors, ends))
        })?;
        let mut anchors: HashMap<String, AnchorRow> =
            anchors.into_iter().map(|row| (row.0.clone(), row)).collect();
        let mut ends: HashMap<String, (i64, i64)> =
            ends.into_iter().map(|(chain, least, last)| (chain, (least, last))).collect();
        let mut named = Named::default();
        let mut chains = Vec::new();
        let mut seen = Vec::new();
        for row in heads {
            let chain = row.0.clone();
            let ends = ends.remove(&chain);
            let anchor = anchors.remove(&chain);
            let head = read_head(self, row);
            let mut report = self.verify_chain(&chain, head.as_ref(), anchor, ends, &mut named).await?;
            if let Some(head) = &head
                && chain != INSTALLATION
                && report.broken.is_none()
            {
                report.broken = check_name(head, &named);
            }
            seen.push(chain);
            chains.push(report);
        }
        let is_there = |chain: &String| seen.contains(chain);
        let headless = ends.into_keys().chain(named.begun.into_keys().filter(|chain| !is_there(chain)));
        let mut headless: Vec<String> = headless.collect();
        headless.sort();
        headless.dedup();
        if !seen.iter().any(|chain| chain == INSTALLATION) && (!seen.is_empty() || !headless.is_empty()) {
            headless.push(INSTALLATION.to_owned());
            headless.dedup();
        }
        chains.extend(headless.into_iter().map(|chain| report(&chain, Some((1, Break::Head)))));
        Ok(AuditReport { chains })
    }

    async fn verify_chain(
        &self,
        chain: &str,
        head: Option<&Head>,
        anchor: Option<AnchorRow>,
        ends: Option<(i64, i64)>,
        named: &mut Named,
    ) -> Result<ChainReport, StoreError> {
        let (least, last) = ends.unwrap_or_default();
        let Some(head) = head else { return Ok(report(chain, Some((last, Break::Head)))) };
        let mut report =
            ChainReport { last: head.number, hash: head.hash, ended: head.ended, ..report(chain, None) };
        let Some((_, first, before, seal)) = anchor else { return Ok(report) };
        report.first = first;
        if self.0.links.anchor(chain, first, &before).as_slice() != seal {
            report.broken = Some((first, Break::Anchor));
            return Ok(report);
        }
        let (mut number, mut hash) = (first - 1, before);
        if ends.is_some() && least < first {
            report.broken = Some((least, Break::Changed));
            return Ok(report);
        }
        while number < head.number {
            let page = self.audit_page(chain, number, PAGE.min(head.number - number)).await?;
            if page.is_empty() {
                report.broken = Some((number + 1, Break::Removed));
                return Ok(report);
            }
            for (found, at, text, stored) in page {
                let first = found.saturating_sub(count(&text)).saturating_add(1);
                if first > number + 1 {
                    report.broken = Some((number + 1, Break::Removed));
                    return Ok(report);
                }
                hash = self.0.links.link(chain, found, at, &text, &hash).to_vec();
                if first <= number || hash != stored {
                    report.broken = Some((first, Break::Changed));
                    return Ok(report);
                }
                number = found;
                if report.since.is_none() {
                    report.since = records(at, &text).next().map(|(at, _)| at);
                }
                // Its rows are of one record each.
                if chain == INSTALLATION {
                    named.read(number, &text);
                }
            }
        }
        if hash != head.hash {
            report.broken = Some((number, Break::Changed));
        } else if last > head.number {
            report.broken = Some((head.number + 1, Break::Added));
        }
        Ok(report)
    }
}

fn report(chain: &str, broken: Option<(i64, Break)>) -> ChainReport {
    ChainReport {
        chain: chain.to_owned(),
        first: 1,
        last: 0,
        hash: [0; 32],
        since: None,
        ended: false,
        broken,
    }
}

fn check_name(head: &Head, named: &Named) -> Option<(i64, Break)> {
    if named.begun.get(&head.chain) != Some(&head.begun) {
        return Some((1, Break::Unnamed));
    }
    let left_at = named.left_at.get(&head.chain).filter(|left_at| **left_at > head.number);
    left_at.map(|_| (head.number + 1, Break::TurnedBack))
}

impl Named {
    fn read(&mut self, number: i64, text: &str) {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(text) else { return };
        if record["event"] != "node began" {
            return;
        }
        if let Some(node) = record["node"].as_str() {
            self.begun.insert(node.to_owned(), number);
        }
        if let (Some(other), Some(left_at)) = (record["instead_of"].as_str(), record["left_at"].as_i64()) {
            self.left_at.insert(other.to_owned(), left_at);
        }
    }
}
