//! The tables. Each version of the schema adds a step to the one before; opening an older store runs the missing steps.

use crate::database::db::Db;
use crate::database::timeout::LONG_TIMEOUT;
use crate::database::tx::{Tx, values};
use crate::error::StoreError;
use std::time::{Duration, Instant};

/// The steps; after the n-th, the schema has version n.
const STEPS: [&str; 5] = [FIRST, SECOND, THIRD, FOURTH, FIFTH];

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

/// The version of the schema; `None` if the database has none yet.
pub(crate) async fn version(db: &Db) -> Result<Option<i64>, StoreError> {
    match db.value::<Option<i64>>("SELECT MAX(version) FROM schema_version", &[]).await {
        Ok(found) => Ok(found.filter(|version| *version > 0)),
        // The table does not exist: SQLITE_ERROR of SQLite, undefined_table of PostgreSQL.
        Err(StoreError::Database { code, .. }) if code == "1" || code == "42P01" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Migrates the database to the newest schema, all steps or none. Of several processes, one does it while the others wait.
pub(crate) async fn migrate(db: &Db) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    // An ordinary start changes nothing, and needs no permission to.
    match version(db).await? {
        Some(found) if found == known => return Ok(()),
        Some(found) if found > known => return Err(StoreError::NewerSchema { found, known }),
        Some(_) | None => {}
    }
    let begun = Instant::now();
    loop {
        match take_steps(db, known).await {
            // A lock, or another process that creates the first table at the same moment, is gone soon.
            Err(error) if may_pass(&error) && begun.elapsed() < MIGRATION_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}

fn may_pass(error: &StoreError) -> bool {
    // PostgreSQL's `IF NOT EXISTS` first checks and then creates.
    let is_race = |code: &str| ["23505", "42P07", "42710", "XX000"].contains(&code);
    error.is_lock() || matches!(error, StoreError::Database { code, .. } if is_race(code))
}

async fn take_steps(db: &Db, known: i64) -> Result<(), StoreError> {
    let make = db.change(&[], |tx| {
        Box::pin(async move {
            for statement in VERSIONS {
                tx.execute(statement, &[]).await?;
            }
            Ok(())
        })
    });
    make.await?;
    let take = db.change_within(LONG_TIMEOUT, &[], |tx| Box::pin(take_steps_in(tx, known)));
    take.await
}

async fn take_steps_in(tx: &mut Tx<'_>, known: i64) -> Result<(), StoreError> {
    // Locks the row until the end, in either database.
    let lock = "INSERT INTO schema_version (version) VALUES (0) ON CONFLICT (version) DO UPDATE SET version = excluded.version";
    tx.execute(lock, &[]).await?;
    let found: Option<i64> = tx.value("SELECT MAX(version) FROM schema_version", &[]).await?;
    let found = found.unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        tx.execute_all(step).await?;
        tx.execute("INSERT INTO schema_version (version) VALUES ($1)", values![version]).await?;
    }
    Ok(())
}

/// Creates the newest schema in an empty database.
#[cfg(feature = "sqlite")]
pub(crate) async fn create_newest(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for statements in VERSIONS.into_iter().chain(STEPS) {
        tx.execute_all(statements).await?;
    }
    Ok(())
}

/// The statements that create something, each from `TABLE` or `INDEX` on.
fn created() -> impl Iterator<Item = &'static str> {
    let statements = VERSIONS.into_iter().chain(STEPS).flat_map(|step| step.split(';'));
    statements.filter_map(|statement| statement.trim().strip_prefix("CREATE "))
}

/// The tables of the newest schema.
pub(crate) fn tables() -> Vec<&'static str> {
    created().filter_map(|statement| name_after(statement, "TABLE ")).collect()
}

/// The tables that have a primary key.
#[cfg(feature = "postgres")]
pub(crate) fn primary_keys() -> Vec<&'static str> {
    let with_key = created().filter(|statement| statement.contains("PRIMARY KEY"));
    with_key.filter_map(|statement| name_after(statement, "TABLE ")).collect()
}

/// The indexes that are created by name, with their tables.
#[cfg(feature = "postgres")]
pub(crate) fn indexes() -> Vec<(&'static str, &'static str)> {
    let index = |statement: &'static str| {
        let name = name_after(statement.strip_prefix("UNIQUE ").unwrap_or(statement), "INDEX ")?;
        let (_, on) = statement.split_once(" ON ")?;
        Some((name, on.split(' ').next()?))
    };
    created().filter_map(index).collect()
}

fn name_after(statement: &'static str, kind: &str) -> Option<&'static str> {
    let rest = statement.strip_prefix(kind)?;
    rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest).split(' ').next()
}
