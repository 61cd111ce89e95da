//! Which database, and how is it spoken to? One SQL text for every kind: `$n`, `ON CONFLICT`, seconds as BIGINT.

use crate::error::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::time::{Duration, Instant};

/// The kinds of databases. The macros below expand their body once for each.
pub(crate) enum Db {
    /// SQLite: one connection writes, so that the writers of one process queue up instead of polling for the lock.
    Lite { read: SqlitePool, write: SqlitePool },
}

/// What a watcher follows, each by itself. Each has a number that every change to it raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Clients,
    Keys,
    /// Tokens and sessions that were revoked.
    RevokedIds,
    /// Those of them that were forgotten again.
    ForgottenIds,
    /// "Revoke all before".
    RevokedBefore,
    /// Other issuers whose tokens are taken.
    Issuers,
    /// Users who were shut out.
    DisabledSubjects,
}

impl Part {
    pub(crate) const ALL: [Self; 7] = [
        Self::Clients,
        Self::Keys,
        Self::RevokedIds,
        Self::ForgottenIds,
        Self::RevokedBefore,
        Self::Issuers,
        Self::DisabledSubjects,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Keys => "keys",
            Self::RevokedIds => "revoked_ids",
            Self::ForgottenIds => "forgotten_ids",
            Self::RevokedBefore => "revoked_before",
            Self::Issuers => "issuers",
            Self::DisabledSubjects => "disabled_subjects",
        }
    }
}

/// How long a writer waits for the lock of another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads: `read!(db, pool => …)`.
macro_rules! read {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::db::Db::Lite { read: $pool, .. } => $body,
        }
    };
}

/// Changes: the numbers of the parts and the body, a `Result<_, StoreError>` on `$connection`, in one durable transaction.
///
/// It starts as a writer, so that nothing that the body has read can change before it writes. The numbers are raised first,
/// so that what the body notes under the new number belongs to it, also where the database lets writers run side by side.
macro_rules! change {
    ($db:expr, $parts:expr, $connection:ident => $body:block) => {
        match $db {
            $crate::db::Db::Lite { write, .. } => {
                let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                let parts: &[$crate::db::Part] = &$parts;
                for part in parts {
                    sqlx::query("UPDATE revisions SET number = number + 1 WHERE part = $1")
                        .bind(part.name())
                        .execute(&mut *transaction)
                        .await?;
                }
                let outcome: Result<_, $crate::error::StoreError> = async {
                    let $connection = &mut *transaction;
                    $body
                }
                .await;
                let outcome = outcome?;
                transaction.commit().await?;
                Ok::<_, $crate::error::StoreError>(outcome)
            }
        }
    };
}

/// Notes that the client is to be read again, or is gone.
macro_rules! note_client {
    ($connection:expr, $id:expr) => {
        sqlx::query(
            "INSERT INTO changed_clients (id, revision) SELECT $1, number FROM revisions WHERE part = 'clients' \
             ON CONFLICT (id) DO UPDATE SET revision = excluded.revision",
        )
        .bind($id.as_str())
        .execute(&mut *$connection)
        .await?
    };
}

impl Db {
    /// Connects to the file, which must be there.
    pub(crate) async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode only FULL makes a commit survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .thread_name(|number| format!("tokenberg-store-{number}"))
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(2 * PATIENCE)
                // SQLite ends a transaction by itself when the disk is full, and sqlx then counts it as open for ever. Such a
                // connection is closed, or one full disk would mean no more writes until a restart.
                .test_before_acquire(true)
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        };
        let started = Instant::now();
        // Two processes that turn a new file to WAL at once get in each other's way, and there SQLite does not wait by itself.
        let write = loop {
            match pool(1).connect_with(options.clone()).await.map_err(StoreError::from) {
                Ok(write) => break write,
                Err(error) if error.is_lock() && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    return Err(StoreError::CannotOpen { path: path.to_owned(), reason });
                }
            }
        };
        Ok(Self::Lite { read: pool(4).connect_lazy_with(options), write })
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Lite { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }
}
