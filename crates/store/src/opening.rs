//! What opening a store may do to it, and why it is refused.

use std::path::PathBuf;
use tokenberg_core::Issuer;

/// What opening a store may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing: the store is only read, also with an older schema.
    Read,
    /// Nothing: the store must exist, and have the schema of this version or a newer one that allows it.
    Use,
    /// Migrate an older schema, and make a store where that is deliberate: on SQLite; and on PostgreSQL if the key file does not exist
    /// yet, so that this is a first start, or if `may_be_new` says that the operator expects a new store. There, a node with the key of
    /// a store that finds an empty database is in the wrong database, or early in a restore.
    Start {
        /// Whether the operator expects that there is no store yet.
        may_be_new: bool,
    },
    /// Migrate an older schema, and make what is missing: the SQLite file with mode 0600, the tables, and the key file.
    Make,
}

/// Why a store is not made, migrated, used or replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The database has no store, and none may be made without a word of the operator.
    #[error(
        "there is no store at {store}, and the key-encryption key exists already, so this is no first start: is it another database, \
         another search_path, or a restore that is not complete? To make a new store there, run `tokenberg init`, or start \
         `tokenberg serve --create`"
    )]
    NotMade {
        /// The URL without the password.
        store: String,
    },
    /// The database is not empty, so no store is made in it.
    #[error("no store is made in this database: {reason}")]
    NotEmpty {
        /// What is there.
        reason: String,
    },
    /// The store has to be migrated first.
    #[error(
        "the store has schema {found}, and this version needs schema {known}: back the store up, then run `tokenberg migrate` (or start \
         a server of this version), which brings it there"
    )]
    OlderSchema {
        /// The schema of the database.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// The steps to the newest schema failed; none was taken.
    #[error(
        "the store has schema {found}, and cannot be brought to schema {known}: {reason}; run `tokenberg migrate` with the role that \
         owns the tables"
    )]
    NotMigrated {
        /// The schema of the database.
        found: i64,
        /// The newest that this version knows.
        known: i64,
        /// The error of the database.
        reason: String,
    },
    /// The store has no signing key, although its audit has records of keys.
    #[error(
        "the store has no signing key, although its audit has records of keys: it was restored in part, or they were deleted; restore all of it, or make a \
         new key with `tokenberg key rotate --now`"
    )]
    KeysLost,
    /// The servers of the store have another issuer.
    #[error(
        "the issuer of this store is {kept}, not {issuer}: tokens of one would be refused by servers of the other; start with \
         --issuer {kept}, or, to change it, stop all other servers and start with --change-issuer-from {kept}"
    )]
    AnotherIssuer {
        /// The issuer that the store keeps.
        kept: Issuer,
        /// The issuer of this server.
        issuer: Issuer,
    },
    /// Servers with the issuer that is to be changed run still.
    #[error(
        "the issuer of this store cannot be changed to {issuer} while servers with the present one run: {running}; stop them first"
    )]
    OthersRun {
        /// The issuer of this server.
        issuer: Issuer,
        /// The servers that were seen within the last 30 s, as text, and how long to wait for those that were killed.
        running: String,
    },
    /// The database has another store than the one that this process has read.
    #[error(
        "the database has another store than the one that this process has read: is it another database, or was a new store made in it? \
         Restart the server to use what is there now"
    )]
    AnotherStore,
    /// Another process has the store open.
    #[error("the store {path} is in use: stop every program that has it open (servers, catalogs with an embedded Tokenberg, other commands, a shell of \
         SQLite)", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no backup of a store.
    #[error("{path} is no backup of a store: {reason}", path = path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Files of another store lie beside the store, which is damaged.
    #[error(
        "{reason}; {path}-wal or {path}-shm lies beside it: if the file was copied there, these belong to the store before, and \
         `tokenberg restore FILE` puts a backup in place without them", path = path.display()
    )]
    ForeignLog {
        /// The file.
        path: PathBuf,
        /// What is wrong with the store.
        reason: String,
    },
    /// The backup cannot be put in the place of the store.
    #[error("{path} cannot be replaced: {reason}", path = path.display())]
    NotReplaced {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: String,
    },
}
