//! The tables. Each version of the schema adds a step to the one before; a migration runs the missing steps.

use crate::database::db::Db;
use crate::database::nodes_table::NODES;
use crate::database::segments_step::SEGMENTS;
use crate::database::timeout::LONG_TIMEOUT;
use crate::database::tx::{Tx, values};
use crate::error::StoreError;
use crate::opening::OpeningError;
use std::time::{Duration, Instant};

/// The steps, each with a description; after the n-th, the schema has version n.
const STEPS: [(&str, &str); 7] = [
    (FIRST, "clients, signing keys, revocations and used identifiers"),
    (SECOND, "trusted issuers, federations and disabled subjects"),
    (THIRD, "when a secret was last used"),
    (FOURTH, "the audit"),
    (FIFTH, "several audit records in a row; adds no table and no column"),
    (NODES, "the running servers"),
    (SEGMENTS, "summaries of audit records, and an index of them by time"),
];

/// The newest schema that this version knows.
const KNOWN: i64 = STEPS.len() as i64;

/// The oldest schema whose versions may open a store of the newest one. A step that they cannot live with sets it to its own number.
/// The store keeps it, so that an older version need not know the step.
const OLDEST: i64 = 5;

/// The oldest schema that this version can read without migrating it: before it, there is no audit.
const READABLE: i64 = 4;

/// The row of `meta` with [`OLDEST`], in decimal digits.
const OLDEST_ROW: &str = "oldest_schema";

/// The table of the versions, which exists before the first step.
const VERSIONS: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS schema_versions ON schema_version (version)",
];

/// How long a start waits for the migration of another process.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

// A step only adds, so that nodes of the version before can use the store during and after the migration.
// changed_clients holds the number of 'clients' under which a client changed last or was removed; revoked_ids has its own
// column.
// Times are seconds since 1970. TEXT is compared byte for byte: SQLite's BINARY collation, PostgreSQL's equality.
const FIRST: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
);
CREATE TABLE revisions (
    part TEXT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL
);
INSERT INTO revisions (part, number) VALUES
    ('clients', 1), ('keys', 1), ('revoked_ids', 1), ('forgotten_ids', 1), ('revoked_before', 1);
CREATE TABLE clients (
    id TEXT PRIMARY KEY NOT NULL,
    enabled BIGINT NOT NULL,
    rights TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE changed_clients (
    id TEXT PRIMARY KEY NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX changed_clients_revision ON changed_clients (revision);
CREATE TABLE client_secrets (
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (client_id, id)
);
CREATE TABLE signing_keys (
    id TEXT PRIMARY KEY NOT NULL,
    algorithm TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL,
    verifies_until BIGINT
);
CREATE TABLE revoked_ids (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    until BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX revoked_ids_revision ON revoked_ids (revision);
CREATE INDEX revoked_ids_until ON revoked_ids (until);
CREATE TABLE revoked_before (
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    before BIGINT NOT NULL,
    PRIMARY KEY (kind, issuer, name)
);
CREATE TABLE used_ids (
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (namespace, id)
);
CREATE INDEX used_ids_until ON used_ids (until);
";

// Trusted issuers, the foreign identities of clients, and disabled subjects. The issuer of an unsecured user is ''. The rights of
// the clients contain their federations as well; this table lets the database refuse an identity of two clients.
const SECOND: &str = "
CREATE TABLE issuers (
    issuer TEXT PRIMARY KEY NOT NULL,
    enabled BIGINT NOT NULL,
    trust TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE federations (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX federations_client_id ON federations (client_id);
CREATE TABLE disabled_subjects (
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (issuer, name)
);
INSERT INTO revisions (part, number) VALUES ('issuers', 1), ('disabled_subjects', 1);
";

// When a secret was last used, to the minute; not part of a snapshot.
const THIRD: &str = "
ALTER TABLE client_secrets ADD COLUMN last_used_at BIGINT;
";

// The audit: records, and for each chain its end and its beginning. Times are milliseconds since 1970.
const FOURTH: &str = "
CREATE TABLE audit_records (
    chain TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    record TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_records_at ON audit_records (chain, at);
CREATE TABLE audit_heads (
    chain TEXT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL,
    hash BLOB NOT NULL,
    at BIGINT NOT NULL,
    begun BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    seal BLOB NOT NULL,
    first BIGINT NOT NULL,
    before BLOB NOT NULL,
    anchor BLOB NOT NULL
);
";

// From here on a row of audit_records may hold several records, with the number of the last and the time of the youngest; the
// version before would report it as tampered with.
const FIFTH: &str = "";

/// The schema of a store, and what a migration by this version adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "readers take it apart, so that they overlook no member")]
pub struct Migration {
    /// The schema of the store.
    pub from: i64,
    /// The newest schema that this version knows. It is smaller than `from` if a newer version has migrated the store.
    pub to: i64,
    /// The steps that are missing: the schema that each leads to, and what it adds.
    pub steps: Vec<(i64, &'static str)>,
    /// The oldest schema whose versions may open the store after the migration.
    pub oldest: i64,
}

impl Migration {
    /// The schema that this version knows, which a store is taken to have until it is reached.
    pub(crate) fn assumed() -> Self {
        Self { from: KNOWN, to: KNOWN, steps: Vec::new(), oldest: OLDEST }
    }

    /// Whether a step is missing.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Fails if this version cannot read the store before it is migrated.
    pub(crate) fn must_be_readable(&self) -> Result<(), StoreError> {
        if self.from >= READABLE { Ok(()) } else { self.must_be_migrated() }
    }

    /// Fails if a step is missing.
    pub(crate) fn must_be_migrated(&self) -> Result<(), StoreError> {
        let (found, known) = (self.from, self.to);
        if self.is_due() { Err(OpeningError::OlderSchema { found, known }.into()) } else { Ok(()) }
    }
}

/// The schema of the database; `None` if it has none yet.
///
/// # Errors
/// If a newer version wrote the schema and this version may not open it, or the database fails.
pub(crate) async fn migration(db: &Db) -> Result<Option<Migration>, StoreError> {
    let Some(from) = version(db).await? else { return Ok(None) };
    let mut oldest = OLDEST;
    if from > KNOWN {
        let read = "SELECT value FROM meta WHERE name = $1";
        let row: Option<Vec<u8>> = db.find_value(read, values![OLDEST_ROW]).await?;
        let stated = row.and_then(|digits| String::from_utf8(digits).ok()?.parse().ok());
        oldest = stated.unwrap_or(from);
        if oldest > KNOWN {
            return Err(StoreError::NewerSchema { found: from, known: KNOWN });
        }
    }
    let missing = (1..).zip(STEPS).filter(|(version, _)| *version > from);
    let steps = missing.map(|(version, (_, what))| (version, what)).collect();
    Ok(Some(Migration { from, to: KNOWN, steps, oldest }))
}

/// The version of the schema; `None` if the database has none yet.
async fn version(db: &Db) -> Result<Option<i64>, StoreError> {
    match db.value::<Option<i64>>("SELECT MAX(version) FROM schema_version", &[]).await {
        Ok(found) => Ok(found.filter(|version| *version > 0)),
        // The table does not exist: SQLITE_ERROR of SQLite, undefined_table of PostgreSQL.
        Err(StoreError::Database { code, .. }) if code == "1" || code == "42P01" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Migrates the database to the newest schema, all steps or none. Of several processes, one does it while the others wait. Returns
/// the schema before.
pub(crate) async fn migrate(db: &Db) -> Result<Option<Migration>, StoreError> {
    let before = migration(db).await?;
    // An ordinary start changes nothing, and needs no permission to.
    if before.as_ref().is_some_and(|before| !before.is_due()) {
        return Ok(before);
    }
    let begun = Instant::now();
    loop {
        match take_steps(db).await {
            Ok(()) => return Ok(before),
            // A lock, or another process that creates the first table at the same moment, is gone soon.
            Err(error) if may_pass(&error) && begun.elapsed() < MIGRATION_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => {
                let reason = error.to_string();
                return Err(before.map_or(error, |before| {
                    OpeningError::NotMigrated { found: before.from, known: KNOWN, reason }.into()
                }));
            }
        }
    }
}

/// Fails if a new store would hide another one, or stand in the remains of one: PostgreSQL has several schemas, and restores table
/// after table. A `deliberate` store may stand beside others.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "a file is one schema, and is copied as a whole")
)]
pub(crate) async fn must_be_empty(db: &Db, deliberate: bool) -> Result<(), StoreError> {
    #[cfg(feature = "postgres")]
    if matches!(db, Db::Postgres(_)) {
        let ours = tables(KNOWN)
            .into_iter()
            .filter(|table| *table != "schema_version")
            .collect::<Vec<_>>()
            .join(",");
        let here = "SELECT t.name FROM unnest(string_to_array($1, ',')) AS t (name) WHERE to_regclass(t.name) IS NOT NULL LIMIT 1";
        let here = db.find_value::<String>(here, values![&ours]).await?;
        let beside = "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                      WHERE c.relname = 'changed_clients' AND c.relkind = 'r' LIMIT 1";
        let beside = db.find_value::<String>(beside, &[]).await?.filter(|_| !deliberate);
        let reason = match (here, beside) {
            (Some(table), _) => format!(
                "it has the table {table} of a store and no schema version, so a store was restored in part"
            ),
            (None, Some(schema)) => format!(
                "its schema \"{schema}\" has a store, and is not in the search_path; `tokenberg init` makes another one all the same"
            ),
            (None, None) => return Ok(()),
        };
        // Another process may have made the store meanwhile.
        if version(db).await?.is_none() {
            return Err(OpeningError::NotEmpty { reason }.into());
        }
    }
    Ok(())
}

fn may_pass(error: &StoreError) -> bool {
    // PostgreSQL's `IF NOT EXISTS` first checks and then creates.
    let is_race = |code: &str| ["23505", "42P07", "42710", "XX000"].contains(&code);
    error.is_lock() || matches!(error, StoreError::Database { code, .. } if is_race(code))
}

async fn take_steps(db: &Db) -> Result<(), StoreError> {
    let make = db.change(&[], |tx| {
        Box::pin(async move {
            for statement in VERSIONS {
                tx.execute(statement, &[]).await?;
            }
            Ok(())
        })
    });
    make.await?;
    let take = db.change_within(LONG_TIMEOUT, &[], 1, |tx| Box::pin(take_steps_in(tx)));
    take.await
}

async fn take_steps_in(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    // A row to lock until the end. It is not updated: the table has no primary key, and a publication for all tables would refuse that.
    let row = "INSERT INTO schema_version (version) VALUES (0) ON CONFLICT (version) DO NOTHING";
    tx.execute(row, &[]).await?;
    tx.execute(tx.dialect().lock_versions, &[]).await?;
    let found: Option<i64> = tx.value("SELECT MAX(version) FROM schema_version", &[]).await?;
    let found = found.unwrap_or(0);
    // Another process was faster; whether this version may open the store is decided by the next read.
    if found >= KNOWN {
        return Ok(());
    }
    for (version, (step, _)) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        tx.execute_all(step).await?;
        tx.execute("INSERT INTO schema_version (version) VALUES ($1)", values![version]).await?;
    }
    // Servers whose role owns no table go on after the steps.
    if let Some([count, share]) = tx.dialect().rights_of_others
        && tx.value::<i64>(count, &[]).await? > 0
    {
        tx.execute(share, &[]).await?;
    }
    let put = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(put, values![OLDEST_ROW, OLDEST.to_string().as_bytes()]).await.map(drop)
}

/// Creates a schema in an empty database.
#[cfg(feature = "sqlite")]
pub(crate) async fn create(tx: &mut Tx<'_>, version: i64) -> Result<(), StoreError> {
    for statements in statements(version) {
        tx.execute_all(statements).await?;
    }
    Ok(())
}

/// The statements of all steps up to a schema.
fn statements(version: i64) -> impl Iterator<Item = &'static str> {
    let steps = STEPS.into_iter().take(usize::try_from(version).unwrap_or_default());
    VERSIONS.into_iter().chain(steps.map(|(step, _)| step))
}

/// The statements that create something, each from `TABLE` or `INDEX` on.
fn created(version: i64) -> impl Iterator<Item = &'static str> {
    let statements = statements(version).flat_map(|step| step.split(';'));
    statements.filter_map(|statement| statement.trim().strip_prefix("CREATE "))
}

/// The tables of a schema.
pub(crate) fn tables(version: i64) -> Vec<&'static str> {
    created(version).filter_map(|statement| name_after(statement, "TABLE ")).collect()
}

/// The tables that have a primary key.
#[cfg(feature = "postgres")]
pub(crate) fn primary_keys(version: i64) -> Vec<&'static str> {
    let with_key = created(version).filter(|statement| statement.contains("PRIMARY KEY"));
    with_key.filter_map(|statement| name_after(statement, "TABLE ")).collect()
}

/// The indexes that are created by name, with their tables.
#[cfg(feature = "postgres")]
pub(crate) fn indexes(version: i64) -> Vec<(&'static str, &'static str)> {
    let index = |statement: &'static str| {
        let name = name_after(statement.strip_prefix("UNIQUE ").unwrap_or(statement), "INDEX ")?;
        let (_, on) = statement.split_once(" ON ")?;
        Some((name, on.split(' ').next()?))
    };
    created(version).filter_map(index).collect()
}

fn name_after(statement: &'static str, kind: &str) -> Option<&'static str> {
    let rest = statement.strip_prefix(kind)?;
    rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest).split(' ').next()
}
