//! The connections to an SQLite file.

use crate::database::activity::{Activity, StoreConnections};
use crate::error::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a writer waits for the lock of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections that read.
const READING: u32 = 4;

/// The connections to one file. One connection writes, so that the writers of a process queue up instead of polling for the lock.
pub(crate) struct Sqlite {
    pub(crate) read: SqlitePool,
    pub(crate) write: SqlitePool,
    pub(super) activity: Activity,
}

impl Sqlite {
    /// Opens the file, which must exist. Without `writes`, a backup, which is not in WAL mode, stays as it is.
    pub(crate) async fn connect(path: &Path, writes: bool) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .foreign_keys(true)
            // Half a megabyte for each connection instead of two: what is read again and again is in the snapshot.
            .pragma("cache_size", "-512")
            .busy_timeout(LOCK_TIMEOUT)
            .thread_name(|number| format!("tokenberg-store-{number}"))
            .disable_statement_logging();
        let options = if writes {
            // In WAL mode only FULL makes a commit survive a power cut.
            options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
        } else {
            options.pragma("query_only", "ON")
        };
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(2 * LOCK_TIMEOUT)
                // SQLite ends a transaction on its own when the disk is full, and sqlx then counts it as open for ever. Such a
                // connection is closed, or one full disk would mean no more writes until a restart.
                .test_before_acquire(true)
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        };
        let started = Instant::now();
        // Two processes that change a new file to WAL at the same time disturb each other, and SQLite does not wait there.
        let write = loop {
            match pool(1).connect_with(options.clone()).await.map_err(StoreError::from) {
                Ok(write) => break write,
                Err(error) if error.is_lock() && started.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    return Err(StoreError::CannotOpen { store: path.display().to_string(), reason });
                }
            }
        };
        Ok(Self { read: pool(READING).connect_lazy_with(options), write, activity: Activity::default() })
    }

    pub(super) fn connections(&self) -> StoreConnections {
        let pools = [&self.read, &self.write];
        let open: u32 = pools.iter().map(|pool| pool.size()).sum();
        let idle = pools.iter().map(|pool| u32::try_from(pool.num_idle()).unwrap_or(u32::MAX)).sum();
        StoreConnections { busy: open.saturating_sub(idle), idle, limit: READING + 1 }
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}
