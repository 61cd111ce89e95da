//! Which database, and how is it spoken to? One SQL text for every kind: `$n`, `ON CONFLICT`, seconds as BIGINT.

use crate::error::StoreError;
use crate::notifications::News;
use crate::postgres::Postgres;
use crate::store_url::{Place, StoreUrl};
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

/// The number of each part, in the order of [`Part::ALL`].
pub(crate) type Numbers = [i64; Part::ALL.len()];

pub(crate) const SELECT_NUMBERS: &str = "SELECT part, number FROM revisions";

pub(crate) fn numbers(rows: &[(String, i64)]) -> Result<Numbers, StoreError> {
    let mut numbers = [0; Part::ALL.len()];
    for part in Part::ALL {
        let row = rows.iter().find(|(name, _)| name == part.name());
        numbers[part as usize] = row.ok_or_else(|| StoreError::damaged("the table of revisions"))?.1;
    }
    Ok(numbers)
}

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
