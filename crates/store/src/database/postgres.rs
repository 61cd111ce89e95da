//! The connections to PostgreSQL. A server that is gone, paused or cut off delays no caller for long.

use crate::database::notifications::{CHANNEL, Notifications};
use crate::database::part::Part;
use crate::database::postgres_url::PostgresUrl;
use crate::database::runtime_thread::RuntimeThread;
use crate::database::timeout::{TIMEOUT, within};
use crate::error::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The limit for connecting, and for waiting for a connection of the pool.
const CONNECT: Duration = Duration::from_secs(3);
/// The most connections of a node, beside the one that listens.
const CONNECTIONS: u32 = 8;

/// Limits that the server enforces: a node that froze in the middle of a transaction must not keep its locks for ever.
const SETTINGS: &str = "SET statement_timeout = '60s'; SET lock_timeout = '4s'; \
     SET idle_in_transaction_session_timeout = '10s'";

/// The connections to one database.
pub(crate) struct Postgres {
    pool: PgPool,
    pub(super) options: PgConnectOptions,
    /// The runtime that drives the connections. The runtime of a request may end before the connection that was opened for it.
    runtime: RuntimeThread,
    notifications: OnceLock<Notifications>,
    /// Whether the database supports NOTIFY.
    has_notify: AtomicBool,
}

impl Postgres {
    /// Connects. Fails with the reason if it cannot.
    pub(crate) async fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let cannot = |reason: String| StoreError::CannotOpen { store: url.to_string(), reason };
        let options = url.options().clone();
        let runtime = RuntimeThread::start().map_err(|error| cannot(error.to_string()))?;
        // The pool would retry a refused connection without reporting why.
        let trial = within(TIMEOUT, async {
            let mut connection = PgConnection::connect_with(&options).await?;
            sqlx::raw_sql(SETTINGS).execute(&mut connection).await?;
            Ok(connection.close().await?)
        });
        trial.await.map_err(|error| cannot(reason(error)))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .after_connect(|connection, _| Box::pin(settle(connection)))
            .connect_lazy_with(options.clone());
        let has_notify = AtomicBool::new(true);
        Ok(Self { pool, options, runtime, notifications: OnceLock::new(), has_notify })
    }

    /// Takes a connection from the pool.
    pub(crate) async fn lend(&self) -> Result<Lent, StoreError> {
        let pool = self.pool.clone();
        let acquired = self.runtime.handle().spawn(async move { pool.acquire().await });
        let connection = acquired.await.map_err(|_| StoreError::unavailable("the store is closing"))??;
        Ok(Lent { connection, is_in_order: false })
    }

    /// Notifies the other nodes of a change. Without it they see the change later.
    ///
    /// Runs after the transaction, because a database that does not know the statement would abort it.
    pub(crate) async fn announce(&self, mut lent: Lent, parts: &[Part]) {
        if !parts.is_empty() && self.has_notify.load(Ordering::Relaxed) {
            let notify = AssertSqlSafe(format!("NOTIFY {CHANNEL}"));
            let sent = within(CONNECT, async { Ok(sqlx::raw_sql(notify).execute(&mut **lent).await?) });
            match sent.await {
                Ok(_) => {}
                Err(StoreError::Database { .. }) => self.has_notify.store(false, Ordering::Relaxed),
                // The change is committed in any case. The connection is not given back, which closes it.
                Err(_) => return,
            }
        }
        lent.give_back();
    }

    /// The notifications of changes by other nodes. The first call begins to listen.
    pub(crate) fn notifications(&self) -> &Notifications {
        self.notifications.get_or_init(|| Notifications::listen(self.options.clone(), self.runtime.handle()))
    }

    pub(crate) async fn close(&self) {
        // Does not wait for a server that does not answer.
        let _ = tokio::time::timeout(CONNECT, self.pool.close()).await;
    }
}

async fn settle(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SETTINGS).execute(&mut *connection).await?;
    // Acknowledged changes have to survive, however the database is configured. Other databases have no such setting.
    let read = "SELECT current_setting('synchronous_commit')";
    let commit: Result<String, _> = sqlx::query_scalar(read).fetch_one(&mut *connection).await;
    if commit.is_ok_and(|setting| setting == "off") {
        sqlx::raw_sql("SET synchronous_commit = on").execute(&mut *connection).await?;
    }
    Ok(())
}

fn reason(error: StoreError) -> String {
    if let StoreError::Unavailable { reason } | StoreError::Refused { reason } = error {
        reason
    } else {
        error.to_string()
    }
}

/// A connection of the pool. It returns to the pool if it was given back, and is closed if its use was interrupted.
pub(crate) struct Lent {
    connection: PoolConnection<sqlx::Postgres>,
    is_in_order: bool,
}

impl Lent {
    pub(crate) fn give_back(mut self) {
        self.is_in_order = true;
    }
}

impl Deref for Lent {
    type Target = PoolConnection<sqlx::Postgres>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_in_order {
            // Returning it would wait for an answer that may never come, and occupy its place in the pool meanwhile.
            self.connection.close_on_drop();
        }
    }
}

/// Counts how often a change was repeated that the database rolled back because of a conflict.
pub(crate) struct Attempts(u32);

impl Attempts {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) async fn may_go_on(&mut self, error: &StoreError) -> bool {
        const MOST: u32 = 5;
        if !error.is_conflict() || self.0 == MOST {
            return false;
        }
        self.0 += 1;
        tokio::time::sleep(Duration::from_millis(10 << self.0)).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::db::Db;
    use crate::database::tx::values;

    #[tokio::test]
    async fn rv_06_op_21_sessions_are_durable_and_bounded_whatever_the_database_is_configured_for() {
        let Some(postgres) = tokenberg_testkit::Postgres::shared() else { return };
        let url = postgres.url(&postgres.database());
        let mut other = PgConnection::connect(&url).await.unwrap();
        let settings = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
        sqlx::raw_sql(settings).execute(&mut other).await.unwrap();
        let db = Db::connect(&url.parse().unwrap()).await.unwrap_or_else(|e| panic!("{e}"));
        for (setting, value) in [
            ("synchronous_commit", "on"),
            ("lock_timeout", "4s"),
            ("statement_timeout", "1min"),
            ("idle_in_transaction_session_timeout", "10s"),
        ] {
            let found: String = db.value("SELECT current_setting($1)", values![setting]).await.unwrap();
            assert_eq!(found, value, "{setting}");
        }
    }
}
