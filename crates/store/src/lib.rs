//! What does Tokenberg remember? Clients, trusted issuers, signing keys, revocations and used identifiers, in a database that survives `kill -9`.
//!
//! ```text
//! Store ── open, administer, use_once: each change is one durable transaction that raises a revision
//!   └─ watch ─> Watched ── now() ─> Moment: a Snapshot in memory, and the Keys built from it; it answers the flow of the core
//! ```
//!
//! A token is answered from a [`Moment`] and costs no I/O; [`Watched`] follows the revision, whoever raised it.
//! Signing keys and the pepper are sealed with a [`KeyEncryptionKey`] that is not in the database; of client secrets there
//! are digests only.
#![forbid(unsafe_code)]

mod at_once;
mod audit;
mod backup;
mod client_secret;
mod clients;
mod database_file;
mod db;
mod dialect;
mod digest;
mod error;
mod federations;
mod hex;
mod issuers;
mod key_encryption_key;
mod key_succession;
mod keys;
mod known_rights;
mod moment;
mod nonces;
mod notifications;
mod postgres;
mod postgres_url;
mod read_snapshot;
mod registered;
mod remembered;
mod reseal;
mod revocations;
mod runtime_thread;
mod schema;
mod seal;
mod secret_file;
mod secrets;
mod shards;
mod snapshot;
mod store;
mod store_url;
mod subjects;
mod transactions;
mod tx;
mod used_ids;
mod used_secrets;
mod watch;

pub use audit::{
    AuditCursor, AuditEntry, AuditFigures, AuditReport, AuditTrail, Break, ChainReport, Difference,
    Discrepancy, TrailOptions, USUAL_QUEUE, WhenFull,
};
pub use client_secret::{NewSecret, SecretFault, SecretStrength};
pub use clients::{ClientRecord, SecretRecord};
pub use error::StoreError;
pub use issuers::IssuerRecord;
pub use key_encryption_key::{KekError, KekSource, KeyEncryptionKey};
pub use key_succession::{IntroducedKey, NowSigning, RevokedKey};
pub use moment::Moment;
pub use revocations::NewRevocation;
pub use secret_file::open_to_others;
pub use secrets::AddedSecret;
pub use snapshot::Snapshot;
pub use store::{Bootstrap, Store};
pub use store_url::{StoreUrl, StoreUrlError};
pub use subjects::DisabledSubject;
pub use watch::{Health, Watched};
