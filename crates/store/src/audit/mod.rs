//! The audit: chains of records that show what happened, and whether a record was changed; conformance SE-06.
//!
//! ```text
//! a change ── record_change ───────> the chain `installation`: changes by the operator, and which nodes began
//! AuditTrail ── queue ── batches ──> a chain for each node: what it decided
//!                 witnesses          each says how far the other had come
//! ```
//!
//! Each record has a number. Each row, of one record or of several that were written together, has a keyed hash over itself and
//! the hash before it. The head of a chain holds its last number and hash, which shows that an end was cut off. The
//! installation's chain names the chains of nodes, which shows that a chain was removed with its head. The key is derived from
//! the pepper: an attacker who can write the tables, but does not have the key-encryption key, can compute none of these
//! hashes.

mod append;
mod chain_monitor;
mod change;
mod claims;
pub(crate) mod complete;
mod differences;
mod facts;
mod head;
mod installation;
mod inventory;
mod latest;
mod ledger;
mod link;
mod load;
mod matching;
mod observed;
mod queue;
mod read;
mod readable;
mod report;
pub(crate) mod restores;
mod retention;
mod row;
mod segment;
mod selection;
mod shared;
mod size;
mod stated;
mod store_loss;
mod trail;
mod unreadable;
mod verify;
mod walk;
mod witness;
mod writer;

pub(crate) use append::{Appended, append_and_revoke, append_to_installation, append_with};
pub(crate) use change::{Change, FOREIGN_HEAD, STORE_MADE};
pub use differences::{Difference, Discrepancy};
pub(crate) use facts::tag_of_text;
pub(crate) use inventory::tag_of_digest;
pub use latest::AuditPosition;
pub(crate) use link::{Head, Links, NOTHING};
pub use queue::{USUAL_QUEUE, WhenFull};
pub use read::{AuditCursor, AuditEntry};
pub use report::{AuditReport, Break, ChainReport};
pub use restores::AcknowledgedRestore;
pub(crate) use row::{Block, Row};
pub use selection::{AuditKind, AuditSelection};
pub use shared::TrailOptions;
pub use size::AuditSize;
pub use store_loss::StoreLoss;
pub use trail::{AuditMetrics, AuditTrail};

pub(crate) use crate::clock::now;

/// The name of the chain of the operator's changes, one for all processes on the store.
pub(crate) const INSTALLATION: &str = "installation";
