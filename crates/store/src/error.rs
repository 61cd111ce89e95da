//! The errors of the store: facts and a hint for the operator. They contain no secret, and no values of a statement.

use crate::clock::ClockOffset;
use crate::digest::SecretFault;
use crate::keys::{KekError, SealedSince};
use crate::opening::OpeningError;
use std::path::PathBuf;
use std::time::Duration;
use tokenberg_core::jws::KeyId;
use tokenberg_core::key_schedule::AnotherWaits;
use tokenberg_core::registration::RegistrationError;
use tokenberg_core::{ClientId, Issuer, Subject};

/// Why an operation of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached or written now: it is locked, an I/O error, a full disk. A retry may succeed.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// The cause.
        reason: String,
    },
    /// The database answered that it serves this to no client now: it starts, stops, recovers, or takes no connections or no
    /// changes. A retry may succeed.
    #[error("the store is unavailable: {reason}")]
    Refused {
        /// The answer.
        reason: String,
    },
    /// The open database file is not the one at its path any more.
    #[error("the store {path} was replaced or removed while it was in use: put its file back, or restart the server to use what is there now; if nothing is there, \
         that is a new store without clients", path = path.display())]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// The store does not exist.
    #[error(
        "there is no store at {store}; `tokenberg init` makes one (on SQLite, so does the first `tokenberg serve`), or name another with --store"
    )]
    Missing {
        /// The file, or the URL without the password.
        store: String,
    },
    /// The database can be neither opened nor created.
    #[error("the store {store} cannot be opened: {reason}")]
    CannotOpen {
        /// The file, or the URL without the password.
        store: String,
        /// The error of the operating system or the database.
        reason: String,
    },
    /// A newer version of Tokenberg wrote the store, and states that this one may not open it.
    #[error(
        "the store has schema {found}, and this version knows schemas up to {known}: a newer tokenberg is needed"
    )]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// The store is not made, migrated, used or replaced, because that would not be what the operator means.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// The key-encryption key is missing or malformed.
    #[error(transparent)]
    KeyEncryptionKey(#[from] KekError),
    /// The store was sealed with another key-encryption key.
    #[error("the key from {from} is not the one that the store was sealed with; {}", SealedSince::advice(since.as_ref()))]
    WrongKey {
        /// Where the key comes from.
        from: String,
        /// When the key was changed, if it ever was.
        since: Option<SealedSince>,
    },
    /// The new key-encryption key is the present one.
    #[error(
        "the key from {from} is the one that the store is sealed with already: nothing was changed; name a file that does not exist yet, \
         and a new key is created in it"
    )]
    SameKey {
        /// Where the key comes from.
        from: String,
    },
    /// The store was sealed with another key while it was open, and the new key is not where the old one was read.
    #[error(
        "the store was sealed with another key, and the key from {from} is not it: put the new one there; until then the \
         server uses the keys that it has read"
    )]
    Resealed {
        /// Where the key comes from.
        from: String,
    },
    /// A row does not contain what was written.
    #[error("the store is damaged: {what} cannot be read")]
    Damaged {
        /// The part.
        what: String,
    },
    /// The audit was changed.
    #[error("the audit is broken at number {number} of the chain {chain}: {what}")]
    AuditBroken {
        /// The chain.
        chain: String,
        /// The number of the first broken record.
        number: i64,
        /// What is wrong with it.
        what: String,
    },
    /// The identifier is taken.
    #[error("the client {id} exists already")]
    ClientExists {
        /// The identifier.
        id: ClientId,
    },
    /// No client has the identifier.
    #[error("there is no client {id}")]
    NoSuchClient {
        /// The identifier.
        id: ClientId,
    },
    /// A value that cannot be registered.
    #[error(transparent)]
    Unregistrable(#[from] RegistrationError),
    /// The client has no secret of that name.
    #[error("the client {client} has no secret {secret}")]
    NoSuchSecret {
        /// The client.
        client: ClientId,
        /// The name.
        secret: Box<str>,
    },
    /// The client has two live secrets, which is the most.
    #[error("the client {client} has two live secrets already; expire {} or {} first", live[0], live[1])]
    TooManySecrets {
        /// The client.
        client: ClientId,
        /// The names of the two, the older first.
        live: [Box<str>; 2],
    },
    /// The secret cannot be registered.
    #[error(transparent)]
    Secret(#[from] SecretFault),
    /// The issuer is trusted already.
    #[error("the issuer {issuer} is trusted already")]
    IssuerExists {
        /// The issuer.
        issuer: Issuer,
    },
    /// The issuer is not trusted.
    #[error(
        "the issuer {issuer} is not trusted; `tokenberg issuer list` shows the exact identifiers of those that are"
    )]
    NoSuchIssuer {
        /// The issuer.
        issuer: Issuer,
    },
    /// A registration is not as it was read.
    #[error("another process changed the {what} meanwhile: nothing was changed, so repeat the command")]
    ChangedMeanwhile {
        /// The client or issuer.
        what: String,
    },
    /// Another issuer has the prefix, or one that overlaps with it.
    #[error(
        "the prefix {prefix:?} overlaps with {taken:?}, the prefix of users of {by}: catalogs would take users of both for one"
    )]
    PrefixTaken {
        /// The prefix that was asked for.
        prefix: Box<str>,
        /// The prefix of the other issuer.
        taken: Box<str>,
        /// The other issuer, which may be disabled.
        by: Issuer,
    },
    /// Another client has the identity, or one that overlaps with it.
    #[error(
        "{subject} of {issuer} stands for the client {client} already, and an identity stands for one client"
    )]
    FederatedAlready {
        /// The issuer of the subject.
        issuer: Issuer,
        /// The subject as it is registered.
        subject: Box<str>,
        /// The client.
        client: Box<str>,
    },
    /// The client does not have the identity.
    #[error("{subject} of {issuer} does not stand for the client {client}")]
    NoSuchFederation {
        /// The client.
        client: ClientId,
        /// The issuer of the subject.
        issuer: Issuer,
        /// The subject.
        subject: Box<str>,
    },
    /// The subject is not disabled.
    #[error("{subject}{} is not disabled", issuer.as_ref().map_or_else(String::new, |issuer| format!(" of {issuer}")))]
    NotDisabled {
        /// The issuer of the subject; `None` for the user of an unsecured JWT.
        issuer: Option<Issuer>,
        /// The subject.
        subject: Subject,
    },
    /// The key exists already.
    #[error("the key {id} is in the store already")]
    KeyExists {
        /// The key.
        id: KeyId,
    },
    /// No key has that name.
    #[error("there is no key {id} in the store")]
    NoSuchKey {
        /// The name.
        id: KeyId,
    },
    /// Another published key does not sign yet.
    #[error(transparent)]
    AnotherKeyWaits(#[from] AnotherWaits),
    /// The keys of the store can be read, but the signer refuses them.
    #[error("the signing keys of the store cannot be used: {reason}")]
    KeysRejected {
        /// The error of the signer.
        reason: String,
    },
    /// The file of a backup exists already.
    #[error("{path} is there already; a backup never replaces a file", path = path.display())]
    BackupExists {
        /// The file.
        path: PathBuf,
    },
    /// The file of a backup cannot be written.
    #[error("the backup {path} cannot be written: {reason}", path = path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: String,
    },
    /// The clock of this machine is too far from that of the database for a change.
    #[error(
        "{offset}, {} s at most for a change; nothing was changed: correct the clock, or run the command on another machine",
        most.as_secs()
    )]
    WrongClock {
        /// How far.
        offset: ClockOffset,
        /// The limit.
        most: Duration,
    },
    /// The operating system returned no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// Any other error of the database; a bug in Tokenberg.
    #[error("the database refused: {message} (code {code})")]
    Database {
        /// The code of the database.
        code: String,
        /// Its message, without values.
        message: String,
    },
}

#[cfg(feature = "postgres")]
pub(crate) const READ_ONLY: &str = "the database is read-only; is it a standby?";
pub(crate) const CONFLICT: &str = "another process changed the same data at the same time";
pub(crate) const LOCKED: &str = "the database is locked by another process";

impl StoreError {
    /// Whether a retry may succeed: the adapter answers 503 with `Retry-After`, never 401.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }

    /// Whether the database server itself gave this answer, which every other node gets as well.
    #[must_use]
    pub fn is_answer_of_database(&self) -> bool {
        // A SQLSTATE has five characters, a code of SQLite at most four.
        matches!(self, Self::Refused { .. }) || matches!(self, Self::Database { code, .. } if code.len() == 5)
    }

    /// Whether the store was read, but its keys were not opened, because it was sealed with another key.
    #[must_use]
    pub fn is_of_the_seal(&self) -> bool {
        matches!(self, Self::Resealed { .. } | Self::KeyEncryptionKey(_))
    }

    /// Whether another process has locked the database.
    pub(crate) fn is_lock(&self) -> bool {
        matches!(self, Self::Unavailable { reason } if reason == LOCKED)
    }

    /// Whether the database rolled the transaction back because of another one, so that it may be repeated as a whole.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Unavailable { reason } if reason == CONFLICT)
    }

    /// Whether the server cannot be written, so that another one may have taken over.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Refused { reason } if reason == READ_ONLY)
    }

    pub(crate) fn unavailable(reason: &str) -> Self {
        Self::Unavailable { reason: reason.to_owned() }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused { reason: reason.to_owned() }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

impl From<ring::error::Unspecified> for StoreError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::NoRandomness
    }
}
