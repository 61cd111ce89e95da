//! The report of `audit verify`.

use crate::audit::{AcknowledgedRestore, Difference, StoreLoss};
use crate::database::SchemaDifference;
use std::fmt;

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "those who print it make it in their tests")]
pub struct AuditReport {
    /// Each chain; that of the installation first, if it exists.
    pub chains: Vec<ChainReport>,
    /// Differences between the configuration and the installation's chain. Empty if that chain is broken: nothing is compared
    /// then.
    pub differences: Vec<Difference>,
    /// Differences between the schema of the database and the one that the migrations create.
    pub schema: Vec<SchemaDifference>,
    /// The restores that were acknowledged, the oldest first. What they lost is no finding.
    pub restores: Vec<AcknowledgedRestore>,
    /// How many clients, issuers, keys, disabled subjects and revocations were not compared, because the chain was begun by a
    /// version that did not record them. A server of this version records them when it starts.
    pub uncompared: u64,
    /// What servers recorded of a store that had lost changes.
    pub losses: Vec<StoreLoss>,
}

/// The result for one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "those who print it make it in their tests")]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// The number of the first record that is kept.
    pub first: i64,
    /// The number of the last record.
    pub last: i64,
    /// The hash of the last record. Noted elsewhere, it shows later whether this is still the same chain.
    pub hash: [u8; 32],
    /// When the first record that is kept was made, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Whether its process ended in order.
    pub ended: bool,
    /// The greatest number at which another chain witnessed it; 0 if none did. Records behind it can be cut off unnoticed.
    pub witnessed: i64,
    /// The first record that is not right, and why. Of records that were written together, the first of them.
    pub broken: Option<(i64, Break)>,
}

/// A kind of damage.
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
    /// The whole chain is gone, its head and all its records.
    Gone,
    /// The statement where the chain begins was not written by this store.
    Anchor,
    /// The chain of a node is not named by the installation, or not as it is.
    Unnamed,
    /// The chain ends before a record at which another chain, or its own node, witnessed it.
    TurnedBack,
    /// The record is not the one that another chain witnessed here: the chain was turned back, and went on with other records.
    Rewritten,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "the record was removed",
            Self::Changed => "the record was changed, moved or put in",
            Self::Added => "the record was added behind the end of the chain",
            Self::Head => "the head of the chain was removed or changed",
            Self::Gone => "the whole chain was removed",
            Self::Anchor => "where the chain begins was changed",
            Self::Unnamed => "the installation does not name this chain as it is",
            Self::TurnedBack => "the chain was turned back: its end was cut off",
            Self::Rewritten => "the chain was turned back and went on with other records",
        })
    }
}

impl AuditReport {
    /// Whether everything is as it was written, and configured as it was recorded, in tables that the migrations created.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let are_whole = self.chains.iter().all(|chain| chain.broken.is_none());
        let is_ours = !self.schema.iter().any(SchemaDifference::affects_servers);
        !self.chains.is_empty() && are_whole && is_ours && self.differences.is_empty()
    }

    /// Whether everything that is wrong is what a failover or a restore leaves: chains that end earlier or went on otherwise.
    #[must_use]
    pub fn only_went_back(&self) -> bool {
        let went_back = |what| matches!(what, Break::TurnedBack | Break::Rewritten | Break::Gone);
        self.chains.iter().filter_map(|chain| chain.broken).all(|(_, what)| went_back(what))
            && self.differences.is_empty()
            && !self.schema.iter().any(SchemaDifference::affects_servers)
    }

    /// How many records were read.
    #[must_use]
    pub fn records(&self) -> i64 {
        let kept = |chain: &ChainReport| chain.last.saturating_sub(chain.first).saturating_add(1).max(0);
        self.chains.iter().map(kept).fold(0, i64::saturating_add)
    }
}

impl ChainReport {
    pub(crate) fn broken(chain: &str, broken: Option<(i64, Break)>) -> Self {
        Self {
            chain: chain.to_owned(),
            first: 1,
            last: 0,
            hash: [0; 32],
            since: None,
            ended: false,
            witnessed: 0,
            broken,
        }
    }

    /// How many records are known to be missing at the end.
    #[must_use]
    pub fn missing(&self) -> i64 {
        self.witnessed.saturating_sub(self.last).max(0)
    }
}
