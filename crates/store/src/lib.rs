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

// In the order in which their macros are used.
#[macro_use]
mod db;
#[macro_use]
mod audit;
#[macro_use]
mod revocations;
#[macro_use]
mod secrets;
#[macro_use]
mod federations;
#[macro_use]
mod clients;
#[macro_use]
mod reseal;
#[macro_use]
mod keys;

mod at_once;
mod backup;
mod client_secret;
mod database_file;
mod digest;
mod error;
mod hex;
mod issuers;
mod key_encryption_key;
mod key_succession;
mod known_rights;
mod moment;
mod nonces;
mod notifications;
mod postgres;
mod postgres_url;
mod registered;
mod remembered;
mod runtime_thread;
mod schema;
mod seal;
mod secret_file;
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
