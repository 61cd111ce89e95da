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
    /// Counts the rights of other roles on the audit, and gives them the same on the tables that were added since; if there are roles.
    pub(crate) rights_of_others: Option<[&'static str; 2]>,
    /// The time of the database in milliseconds since 1970. On PostgreSQL the transaction does not wait for its commit to reach a disk
    /// or a standby from then on.
    pub(crate) now_and_relaxed: &'static str,
    /// Identifier, enabled, rights.
    pub(crate) all_clients: &'static str,
    /// Client, name, digest in hexadecimal digits, end or nothing.
    pub(crate) all_secrets: &'static str,
    /// Kind, identifier.
    pub(crate) all_revoked_ids: &'static str,
    /// Inserts the revocations of a JSON array of kind, identifier and end, under the present number of `revoked_ids`.
    pub(crate) revoke_ids: &'static str,
    /// Inserts the rows of a JSON array of number, time, record and hexadecimal hash into the chain `installation`.
    pub(crate) insert_records: &'static str,
    /// Number, time and records of the rows of a chain after one number and up to another that contain a text.
    pub(crate) find_rows: &'static str,
}

/// SQLite puts the rows of 256 neighboring numbers into one text.
#[cfg(feature = "sqlite")]
const SQLITE: Dialect = Dialect {
    bytes: "BLOB",
    // The transaction has the lock of the file already.
    lock_versions: "SELECT version FROM schema_version WHERE version = 0",
    rights_of_others: None,
    now_and_relaxed: "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER), NULL",
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
    revoke_ids: "INSERT INTO revoked_ids (kind, id, until, revision) \
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), number \
        FROM revisions, json_each($1) WHERE part = 'revoked_ids' \
        ON CONFLICT (kind, id) DO UPDATE SET until = excluded.until WHERE excluded.until > revoked_ids.until",
    insert_records: "INSERT INTO audit_records (chain, number, at, record, hash) \
        SELECT 'installation', json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), \
        unhex(json_extract(value, '$[3]')) FROM json_each($1)",
    find_rows: "SELECT number, at, record FROM audit_records \
        WHERE chain = $1 AND number > $2 AND number <= $3 AND instr(record, $4) > 0 ORDER BY number",
};

/// PostgreSQL sends rows ahead, and one of a single column is cheap: each is a text of one record.
#[cfg(feature = "postgres")]
const POSTGRES: Dialect = Dialect {
    bytes: "BYTEA",
    lock_versions: "SELECT version FROM schema_version WHERE version = 0 FOR UPDATE",
    rights_of_others: Some([
        "SELECT COUNT(*) FROM information_schema.table_privileges WHERE table_schema = current_schema() \
         AND table_name = 'audit_records' AND grantee::text <> current_user::text",
        "DO $$ DECLARE granted record; BEGIN FOR granted IN SELECT CASE grantee WHEN 'PUBLIC' THEN 'PUBLIC' \
         ELSE quote_ident(grantee) END AS role, string_agg(DISTINCT privilege_type, ', ') AS rights \
         FROM information_schema.table_privileges WHERE table_schema = current_schema() \
         AND table_name = 'audit_records' AND grantee::text <> current_user::text \
         AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') GROUP BY grantee \
         LOOP EXECUTE format('GRANT %s ON nodes, audit_segments TO %s', granted.rights, granted.role); END LOOP; END $$",
    ]),
    now_and_relaxed: "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), \
        CASE WHEN current_setting('synchronous_commit', true) IS NULL THEN NULL \
        ELSE set_config('synchronous_commit', 'off', true) END",
    all_clients: "SELECT id || '\u{1f}' || CAST(enabled AS TEXT) || '\u{1f}' || rights FROM clients",
    all_secrets: "SELECT client_id || '\u{1f}' || id || '\u{1f}' || encode(digest, 'hex') || '\u{1f}' || \
        COALESCE(CAST(expires_at AS TEXT), '') FROM client_secrets",
    all_revoked_ids: "SELECT kind || '\u{1f}' || id FROM revoked_ids",
    revoke_ids: "INSERT INTO revoked_ids (kind, id, until, revision) \
        SELECT entry ->> 0, entry ->> 1, CAST(entry ->> 2 AS BIGINT), number \
        FROM revisions, json_array_elements(CAST($1 AS JSON)) AS entries (entry) WHERE part = 'revoked_ids' \
        ON CONFLICT (kind, id) DO UPDATE SET until = excluded.until WHERE excluded.until > revoked_ids.until",
    insert_records: "INSERT INTO audit_records (chain, number, at, record, hash) \
        SELECT 'installation', CAST(entry ->> 0 AS BIGINT), CAST(entry ->> 1 AS BIGINT), entry ->> 2, \
        decode(entry ->> 3, 'hex') FROM json_array_elements(CAST($1 AS JSON)) AS entries (entry)",
    find_rows: "SELECT number, at, record FROM audit_records \
        WHERE chain = $1 AND number > $2 AND number <= $3 AND strpos(record, $4) > 0 ORDER BY number",
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
