//! The SQL that differs between the databases. All other SQL is the same for both.

use crate::database::tx::Tx;

/// The SQL of one kind of database that differs from that of the other.
///
/// The statements that read a whole table return texts of records, in the order in which the rows are stored: each row that a
/// database returns separately costs microseconds. Between records stands U+001E, between the fields of a record U+001F.
pub(crate) struct Dialect {
    /// The type of a column with bytes, which the schema calls `BLOB`.
    pub(crate) bytes: &'static str,
    /// Locks the row 0 of the table of versions until the end of the transaction, without an update.
    pub(crate) lock_versions: &'static str,
    /// Identifier, enabled, rights.
    pub(crate) all_clients: &'static str,
    /// Client, name, digest in hexadecimal digits, end or nothing.
    pub(crate) all_secrets: &'static str,
    /// Kind, identifier.
    pub(crate) all_revoked_ids: &'static str,
}

/// SQLite puts the rows of 256 neighboring numbers into one text.
#[cfg(feature = "sqlite")]
const SQLITE: Dialect = Dialect {
    bytes: "BLOB",
    // The transaction has the lock of the file already.
    lock_versions: "SELECT version FROM schema_version WHERE version = 0",
    all_clients: "WITH RECURSIVE page (first) AS (SELECT MIN(rowid) FROM clients UNION ALL \
        SELECT (SELECT MIN(rowid) FROM clients WHERE rowid >= first + 256) FROM page WHERE first IS NOT NULL) \
        SELECT (SELECT string_agg(id || '\u{1f}' || CAST(enabled AS TEXT) || '\u{1f}' || rights, '\u{1e}') \
        FROM clients WHERE rowid >= first AND rowid < first + 256) FROM page WHERE first IS NOT NULL",
    all_secrets: "WITH RECURSIVE page (first) AS (SELECT MIN(rowid) FROM client_secrets UNION ALL \
        SELECT (SELECT MIN(rowid) FROM client_secrets WHERE rowid >= first + 256) FROM page WHERE first IS NOT NULL) \
        SELECT (SELECT string_agg(client_id || '\u{1f}' || id || '\u{1f}' || hex(digest) || '\u{1f}' || \
        COALESCE(CAST(expires_at AS TEXT), ''), '\u{1e}') \
        FROM client_secrets WHERE rowid >= first AND rowid < first + 256) FROM page WHERE first IS NOT NULL",
    all_revoked_ids: "WITH RECURSIVE page (first) AS (SELECT MIN(rowid) FROM revoked_ids UNION ALL \
        SELECT (SELECT MIN(rowid) FROM revoked_ids WHERE rowid >= first + 256) FROM page WHERE first IS NOT NULL) \
        SELECT (SELECT string_agg(kind || '\u{1f}' || id, '\u{1e}') \
        FROM revoked_ids WHERE rowid >= first AND rowid < first + 256) FROM page WHERE first IS NOT NULL",
};

/// PostgreSQL sends rows ahead, and one of a single column is cheap: each is a text of one record.
#[cfg(feature = "postgres")]
const POSTGRES: Dialect = Dialect {
    bytes: "BYTEA",
    lock_versions: "SELECT version FROM schema_version WHERE version = 0 FOR UPDATE",
    all_clients: "SELECT id || '\u{1f}' || CAST(enabled AS TEXT) || '\u{1f}' || rights FROM clients",
    all_secrets: "SELECT client_id || '\u{1f}' || id || '\u{1f}' || encode(digest, 'hex') || '\u{1f}' || \
        COALESCE(CAST(expires_at AS TEXT), '') FROM client_secrets",
    all_revoked_ids: "SELECT kind || '\u{1f}' || id FROM revoked_ids",
};

impl Tx<'_> {
    pub(crate) fn dialect(&self) -> &'static Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => &SQLITE,
            #[cfg(feature = "postgres")]
            Self::Postgres { .. } => &POSTGRES,
        }
    }
}
