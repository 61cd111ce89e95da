//! Which database, and how is it spoken to? One SQL text for every kind: `$n`, `ON CONFLICT`, seconds as BIGINT.

use crate::database::notifications::News;
use crate::database::postgres::Postgres;
use crate::database::store_url::{Place, StoreUrl};
use crate::error::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::time::{Duration, Instant};

/// A database of one kind or the other.
pub(crate) enum Db {
    /// SQLite: one connection writes, so that the writers of one process queue up instead of polling for the lock.
    Lite { read: SqlitePool, write: SqlitePool },
    /// PostgreSQL, or what speaks its protocol.
    Postgres(Box<Postgres>),
}

/// How long a writer waits for the lock of another process.
const PATIENCE: Duration = Duration::from_secs(5);

impl Db {
    /// Connects to the database, which must be there.
    pub(crate) async fn connect(url: &StoreUrl) -> Result<Self, StoreError> {
        match &url.0 {
            Place::Sqlite(path) => Self::sqlite(path).await,
            Place::Postgres(url) => Ok(Self::Postgres(Box::new(Postgres::connect(url).await?))),
        }
    }

    async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode only FULL makes a commit survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Half a megabyte for each connection instead of two: what is read again and again is in the snapshot.
            .pragma("cache_size", "-512")
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
                    return Err(StoreError::CannotOpen { store: path.display().to_string(), reason });
                }
            }
        };
        Ok(Self::Lite { read: pool(4).connect_lazy_with(options), write })
    }

    /// When a watch should look. SQLite has nobody who calls, and looking costs it nothing.
    pub(crate) fn news(&self) -> News {
        match self {
            Self::Lite { .. } => News::every(Duration::from_millis(100)),
            // The calls come in milliseconds, but may get lost; a second has to be enough also then.
            Self::Postgres(postgres) => {
                News::heard(postgres.notifications().clone(), Duration::from_millis(500))
            }
        }
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Lite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}
