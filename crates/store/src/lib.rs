//! The state of Tokenberg: clients, trusted issuers, signing keys, revocations and used identifiers, in a database that
//! survives `kill -9`.
//!
//! ```text
//! Store ── open, administer, use_once: each change is one durable transaction that raises a revision
//!   └─ watch ─> Watched ── now() ─> Moment: a Snapshot in memory and the Keys built from it, which answers the core's questions
//! ```
//!
//! A token request is answered from a [`Moment`], without I/O. [`Watched`] follows the revision, whichever process raised it.
//! Signing keys and the pepper are sealed with a [`KeyEncryptionKey`] that is not in the database. Client secrets are stored as
//! digests.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("tokenberg-store needs the feature `sqlite` or `postgres`");

mod audit;
mod backup;
mod clock;
mod database;
mod debug;
mod digest;
mod error;
mod fault_codes;
mod group;
mod heartbeat;
mod hex;
mod kept_issuer;
mod keys;
mod measures;
mod nodes;
mod nonces;
mod opening;
mod page_codes;
mod page_opening;
mod private_file;
mod registrations;
mod restored;
mod revocations;
mod revoked_family;
mod shards;
mod single_use;
mod snapshot;
mod snapshot_file;
mod store;
mod write_failures;

pub use audit::{
    AcknowledgedRestore, AuditCursor, AuditEntry, AuditKind, AuditMetrics, AuditPosition, AuditReport,
    AuditSelection, AuditSize, AuditTrail, Break, ChainReport, Difference, Discrepancy, StoreLoss,
    TrailOptions, USUAL_QUEUE, WhenFull,
};
#[cfg(feature = "sqlite")]
pub use backup::Restoration;
pub use clock::ClockOffset;
pub use database::schema::Migration;
pub use database::{
    SchemaDeviation, SchemaDifference, StoreConnections, StoreUrl, StoreUrlError, TransactionTimes,
};
pub use digest::{CopiedSecretFault, NewSecret, SecretFault, SecretStrength, copy_fault};
pub use error::StoreError;
pub use kept_issuer::KeptIssuer;
pub use keys::{IntroducedKey, KekError, KekSource, KeyEncryptionKey, NowSigning, RevokedKey, SealedSince};
pub use measures::StoreMeasures;
pub use nodes::{Node, Position};
pub use opening::{Opening, OpeningError};
pub use private_file::open_to_others;
pub use registrations::{
    AddedSecret, Bootstrap, ClientRecord, DisabledSubject, EndingSecret, EnsuredClient, IssuerRecord,
    RegistrationChange, SecretRecord,
};
pub use restored::Restored;
pub use revocations::NewRevocation;
pub use snapshot::{Health, Moment, Snapshot, Watched};
pub use snapshot_file::{LastKnown, Opened, SnapshotError, SnapshotFile};
pub use store::Store;
pub use write_failures::Write;
