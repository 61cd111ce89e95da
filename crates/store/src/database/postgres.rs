//! How is PostgreSQL spoken to, so that a server that is gone, paused or cut off delays nobody for long?

use crate::database::notifications::{CHANNEL, Notifications};
use crate::database::part::Part;
use crate::database::patience::{PATIENCE, within};
use crate::database::postgres_url::PostgresUrl;
use crate::database::runtime_thread::RuntimeThread;
use crate::error::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long connecting may take, or waiting for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How many connections a node has at most, beside the one that listens.
const CONNECTIONS: u32 = 8;

/// The server frees itself of us, too: a node that froze in the middle of a transaction must not hold its locks for ever.
const SETTINGS: &str = "SET statement_timeout = '60s'; SET lock_timeout = '4s'; \
     SET idle_in_transaction_session_timeout = '10s'";

/// The connections to one database.
pub(crate) struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
    /// Where connections live. A runtime of a request may end before the connection that was made for it.
    runtime: RuntimeThread,
    notifications: OnceLock<Notifications>,
    /// Whether the engine has NOTIFY.
    has_notify: AtomicBool,
}

impl Postgres {
    /// Connects, and fails with the reason if it cannot.
    pub(crate) async fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let cannot = |reason: String| StoreError::CannotOpen { store: url.to_string(), reason };
        let options = url.options().clone();
        let runtime = RuntimeThread::start().map_err(|error| cannot(error.to_string()))?;
        // The pool would go on trying where nobody listens, and not tell why.
        let trial = within(PATIENCE, async {
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

    /// A connection that works.
    pub(crate) async fn lend(&self) -> Result<Lent, StoreError> {
        let pool = self.pool.clone();
        let acquired = self.runtime.handle().spawn(async move { pool.acquire().await });
        let connection = acquired.await.map_err(|_| StoreError::unavailable("the store is closing"))??;
        Ok(Lent { connection, is_in_order: false })
    }

    /// Tells the other nodes that something has changed. They find out anyway, only later.
    ///
    /// After the transaction, because an engine that does not know the statement would end it.
    pub(crate) async fn announce(&self, mut lent: Lent, parts: &[Part]) {
        if !parts.is_empty() && self.has_notify.load(Ordering::Relaxed) {
            let notify = AssertSqlSafe(format!("NOTIFY {CHANNEL}"));
            let said = within(CONNECT, async { Ok(sqlx::raw_sql(notify).execute(&mut **lent).await?) });
            match said.await {
                Ok(_) => {}
                Err(StoreError::Database { .. }) => self.has_notify.store(false, Ordering::Relaxed),
                // Whatever it is, the change is made; and the connection is closed, as nobody gives it back.
                Err(_) => return,
            }
        }
        lent.give_back();
    }

    /// What tells that others have changed something; it begins to listen when this is first asked.
    pub(crate) fn notifications(&self) -> &Notifications {
        self.notifications.get_or_init(|| Notifications::listen(self.options.clone(), self.runtime.handle()))
    }

    pub(crate) async fn close(&self) {
        // A server that does not answer is not waited for.
        let _ = tokio::time::timeout(CONNECT, self.pool.close()).await;
    }
}

async fn settle(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SETTINGS).execute(&mut *connection).await?;
    // What was acknowledged has to survive, whatever the database is configured for. Other engines have no such choice.
    let read = "SELECT current_setting('synchronous_commit')";
    let commit: Result<String, _> = sqlx::query_scalar(read).fetch_one(&mut *connection).await;
    if commit.is_ok_and(|setting| setting == "off") {
        sqlx::raw_sql("SET synchronous_commit = on").execute(&mut *connection).await?;
    }
    Ok(())
}

fn reason(error: StoreError) -> String {
    if let StoreError::Unavailable { reason } = error { reason } else { error.to_string() }
}

/// A connection that goes back when its conversation has come to an end, and is closed when it was broken off.
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
            // Returning it would wait for an answer that may never come, and keep its place in the pool as long.
            self.connection.close_on_drop();
        }
    }
}

/// How often a change that the database undid for the sake of others is tried again.
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
