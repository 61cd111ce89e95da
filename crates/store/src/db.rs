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

/// The kinds of databases. The macros below expand their body once for each.
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

/// Reads, by one statement: `read!(db, connection => …)`; the body is a `Result`.
macro_rules! read {
    ($db:expr, $connection:ident => $body:expr) => {
        match $db {
            $crate::db::Db::Lite { read: $connection, .. } => {
                let outcome: Result<_, $crate::error::StoreError> =
                    async { $body.map_err($crate::error::StoreError::from) }.await;
                outcome
            }
            $crate::db::Db::Postgres(postgres) => {
                $crate::postgres::within($crate::postgres::PATIENCE, async {
                    let mut lent = postgres.lend().await?;
                    let $connection = &mut **lent;
                    let outcome: Result<_, $crate::error::StoreError> =
                        async { $body.map_err($crate::error::StoreError::from) }.await;
                    let outcome = outcome?;
                    lent.give_back();
                    Ok(outcome)
                })
                .await
            }
        }
    };
}

/// Reads by several statements that all see one moment; the body is a `Result<_, StoreError>`.
macro_rules! read_moment {
    ($db:expr, $connection:ident => $body:block) => {
        match $db {
            $crate::db::Db::Lite { read, .. } => {
                let mut transaction = read.begin().await?;
                let outcome: Result<_, $crate::error::StoreError> = async {
                    let $connection = &mut *transaction;
                    $body
                }
                .await;
                transaction.rollback().await?;
                outcome
            }
            $crate::db::Db::Postgres(postgres) => {
                $crate::postgres::within($crate::postgres::LONG_PATIENCE, async {
                    let mut lent = postgres.lend().await?;
                    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
                    let mut transaction = sqlx::Connection::begin_with(&mut **lent, begin).await?;
                    let outcome: Result<_, $crate::error::StoreError> = async {
                        let $connection = &mut *transaction;
                        $body
                    }
                    .await;
                    transaction.rollback().await?;
                    lent.give_back();
                    outcome
                })
                .await
            }
        }
    };
}

/// Changes: the numbers of the parts and the body, a `Result<_, StoreError>` on `$connection`, in one durable transaction.
///
/// The numbers are raised first. On SQLite the transaction starts as a writer, so that nothing that the body has read can
/// change before it writes. On PostgreSQL raising a number locks its row until the end: writers of a part queue up, what they
/// read is what the one before has left, and a number is seen only with all that was noted under it and under smaller ones.
/// A body that reads before it writes therefore has to name a part. It may run more than once.
macro_rules! change {
    ($db:expr, $parts:expr, $connection:ident => $body:block) => {
        change!($db, $crate::postgres::PATIENCE, $parts, $connection => $body)
    };
    ($db:expr, $patience:expr, $parts:expr, $connection:ident => $body:block) => {{
        let parts: &[$crate::db::Part] = &$parts;
        match $db {
            $crate::db::Db::Lite { write, .. } => {
                let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                raise!(transaction, parts);
                let outcome: Result<_, $crate::error::StoreError> = async {
                    let $connection = &mut *transaction;
                    $body
                }
                .await;
                let outcome = outcome?;
                transaction.commit().await?;
                Ok::<_, $crate::error::StoreError>(outcome)
            }
            $crate::db::Db::Postgres(postgres) => {
                let mut attempts = $crate::postgres::Attempts::new();
                loop {
                    let outcome = $crate::postgres::within($patience, async {
                        let mut lent = postgres.lend().await?;
                        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                        let mut transaction = sqlx::Connection::begin_with(&mut **lent, begin).await?;
                        raise!(transaction, parts);
                        let outcome: Result<_, $crate::error::StoreError> = async {
                            let $connection = &mut *transaction;
                            $body
                        }
                        .await;
                        match outcome {
                            Ok(outcome) => {
                                transaction.commit().await?;
                                Ok((outcome, lent))
                            }
                            Err(error) => {
                                transaction.rollback().await?;
                                lent.give_back();
                                Err(error)
                            }
                        }
                    })
                    .await;
                    match outcome {
                        Ok((outcome, lent)) => {
                            postgres.announce(lent, parts).await;
                            break Ok::<_, $crate::error::StoreError>(outcome);
                        }
                        Err(error) if attempts.may_go_on(&error).await => {}
                        Err(error) => break Err(error),
                    }
                }
            }
        }
    }};
}

/// Raises the numbers of the parts, always in the same order, so that no two wait for each other.
macro_rules! raise {
    ($transaction:expr, $parts:expr) => {
        for part in $crate::db::Part::ALL.iter().filter(|part| $parts.contains(part)) {
            sqlx::query("UPDATE revisions SET number = number + 1 WHERE part = $1")
                .bind(part.name())
                .execute(&mut *$transaction)
                .await?;
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
