//! Why the file with the last known state is not used, or cannot be written.

use crate::keys::KekError;
use tokenberg_core::Timestamp;

/// Why a [`SnapshotFile`](crate::SnapshotFile) is not used, or cannot be written. Contains nothing of its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It does not exist.
    #[error("it does not exist")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {reason}")]
    Unreadable {
        /// The error of the operating system.
        reason: String,
    },
    /// Others may read or write it, see [`open_to_others`](crate::open_to_others).
    #[error("it is open to others (mode {mode:04o})")]
    OpenToOthers {
        /// Its permissions.
        mode: u32,
    },
    /// It exists and is no snapshot, so it is not replaced.
    #[error("it exists and is no snapshot, so it is not replaced; name another file, or remove this one")]
    NotOurs,
    /// It is no snapshot, or one of another version.
    #[error("it is no snapshot of this version")]
    Unknown,
    /// The key-encryption key cannot be read.
    #[error(transparent)]
    Key(#[from] KekError),
    /// It was sealed with another key-encryption key.
    #[error("it was sealed with another key-encryption key")]
    AnotherKey,
    /// It was changed, or its end is missing.
    #[error("it was changed, or is incomplete")]
    Changed,
    /// It is of another store.
    #[error("it is of the store {found}, not of {expected}")]
    AnotherStore {
        /// The store in the file, without a password.
        found: String,
        /// The store of this server.
        expected: String,
    },
    /// It is of a server with another issuer.
    #[error("it is of a server with the issuer {found}, not {expected}")]
    AnotherIssuer {
        /// The issuer in the file.
        found: String,
        /// The issuer of this server.
        expected: String,
    },
    /// It is too old.
    #[error("its state is of {contact}, {age} s ago, of {most} s at most")]
    TooOld {
        /// When the state was last known to equal the store.
        contact: Timestamp,
        /// How long ago, in seconds.
        age: u64,
        /// The limit, in seconds.
        most: u64,
    },
    /// Its state is of the future.
    #[error("its state is of {contact}, which is in the future: is the clock of this machine behind?")]
    InTheFuture {
        /// When the state was last known to equal the store.
        contact: Timestamp,
    },
    /// A SQLite store needs no such file.
    #[error("the store is on SQLite, whose file is on this machine")]
    Needless,
    /// It cannot be written.
    #[error("it cannot be written: {reason}")]
    NotWritten {
        /// The error.
        reason: String,
    },
}
