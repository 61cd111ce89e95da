//! A PostgreSQL store: its connections, how transactions begin and end, and its notifications.

use crate::database::activity::Activity;
use crate::database::connections::{Connections, Lent, Purpose, Sent};
use crate::database::connector::{CONNECT, Connector, reason};
use crate::database::inline::inline;
use crate::database::notifications::{CHANNEL, Notifications};
use crate::database::part::Part;
use crate::database::postgres_url::PostgresUrl;
use crate::database::runtime_thread::RuntimeThread;
use crate::database::timeout::{TIMEOUT, within};
use crate::database::tx::{Row, Statement};
use crate::error::StoreError;
use sqlx::Row as _;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The connections to one database.
pub(crate) struct Postgres {
    pub(super) connections: Connections,
    pub(super) activity: Activity,
    pub(super) connector: Arc<Connector>,
    runtime: RuntimeThread,
    notifications: OnceLock<Notifications>,
    /// Whether the database supports NOTIFY.
    has_notify: AtomicBool,
    /// Whether it may be changed. One that was not reached at a start is compared first.
    may_change: AtomicBool,
}

impl Postgres {
    /// Connects. Fails with the reason if it cannot.
    pub(crate) async fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let cannot = |reason: String| StoreError::CannotOpen { store: url.to_string(), reason };
        let postgres = Self::unreached(url)?;
        postgres.allow_changes();
        let others = u32::try_from(url.hosts().len()).unwrap_or(u32::MAX).saturating_sub(1);
        let first = within(TIMEOUT + CONNECT.saturating_mul(others), postgres.begin_read(TIMEOUT));
        first.await.map_err(|error| cannot(reason(error)))?;
        Ok(postgres)
    }

    /// Prepares connections and makes none. Changes are refused until they are allowed.
    pub(crate) fn unreached(url: &PostgresUrl) -> Result<Self, StoreError> {
        let runtime = RuntimeThread::start().map_err(|error| {
            let (store, reason) = (url.to_string(), error.to_string());
            StoreError::CannotOpen { store, reason }
        })?;
        let connector = Arc::new(Connector::new(url.clone()));
        let connections = Connections::new(connector.clone(), runtime.handle());
        let (notifications, has_notify) = (OnceLock::new(), AtomicBool::new(true));
        let (activity, may_change) = (Activity::default(), AtomicBool::new(false));
        Ok(Self { connections, activity, connector, runtime, notifications, has_notify, may_change })
    }

    pub(crate) fn allow_changes(&self) {
        self.may_change.store(true, Ordering::Relaxed);
    }

    /// Begins a transaction that reads one moment. The caller waits for at most this long.
    pub(crate) async fn begin_read(&self, patience: Duration) -> Result<Lent, StoreError> {
        let (begin, limit) = begin("REPEATABLE READ, READ ONLY", patience);
        self.connections.begin(Purpose::Read, limit, &begin).await
    }

    /// Begins a transaction that writes, and raises the numbers of the parts by `count`.
    pub(crate) async fn begin_change(
        &self,
        patience: Duration,
        parts: &[Part],
        count: i64,
    ) -> Result<Lent, StoreError> {
        self.must_be_changeable()?;
        let (mut begin, limit) = begin_durable(patience);
        // Always in the same order, so that no two transactions wait for each other.
        for (part, times) in Part::counted(parts) {
            // Writing to a string does not fail. The name is the program's own text.
            let _ = write!(
                begin,
                "; UPDATE revisions SET number = number + {} WHERE part = '{}'",
                times * count,
                part.name()
            );
        }
        self.connections.begin(Purpose::Write, limit, &begin).await
    }

    /// Makes a change in one message: locks the number of the part as [`Postgres::begin_change`] does, runs the statement, reads a
    /// row with `read`, commits, and notifies the other nodes. The statement must change nothing if it has been run already, because
    /// the message may be sent twice. Returns the row, if there is one.
    pub(crate) async fn change_at_once<R: Row>(
        &self,
        patience: Duration,
        part: Part,
        statement: Statement<'_>,
        read: Statement<'_>,
    ) -> Result<Option<R>, StoreError> {
        const COMMITTED: &str = "committed";
        self.must_be_changeable()?;
        let (begin, limit) = begin_durable(patience);
        let [change, read] = [statement, read].map(|(sql, values)| inline(sql, values));
        let mut message = format!(
            "{begin}; SELECT number FROM revisions WHERE part = '{}' FOR UPDATE; {change}; {read}; COMMIT; SELECT '{COMMITTED}'",
            part.name()
        );
        if self.has_notify.load(Ordering::Relaxed) {
            // Writing to a string does not fail.
            let _ = write!(message, "; {}", notify());
        }
        let Sent { lent, mut rows, outcome } = self.connections.send(Purpose::Write, limit, &message).await?;
        let last = rows.pop().and_then(|row| row.try_get::<String, _>(0).ok());
        match outcome {
            Ok(()) => lent.give_back(),
            // The change is committed in any case.
            Err(error) if last.as_deref() == Some(COMMITTED) => {
                if matches!(error, sqlx::Error::Database(_)) {
                    self.has_notify.store(false, Ordering::Relaxed);
                }
            }
            Err(error) => {
                let error = StoreError::from(error);
                if error.is_read_only() {
                    // The next connection may lead to a server that can be written.
                    lent.discard();
                }
                return Err(error);
            }
        }
        // The rows before it have fewer columns.
        Ok(rows.pop().and_then(|row| R::from_row(&row).ok()))
    }

    fn must_be_changeable(&self) -> Result<(), StoreError> {
        if self.may_change.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(StoreError::unavailable("the database was not reached since the server started"))
    }

    /// Commits, and notifies the other nodes if parts were changed. Without a notification they see the change later.
    pub(crate) async fn commit(&self, lent: Lent, parts: &[Part]) -> Result<(), StoreError> {
        let has_news = !parts.is_empty() && self.has_notify.load(Ordering::Relaxed);
        if !lent.commit(has_news.then(notify).as_deref()).await? {
            self.has_notify.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The notifications of changes by other nodes. The first call begins to listen.
    pub(crate) fn notifications(&self) -> &Notifications {
        self.notifications
            .get_or_init(|| Notifications::listen(self.connector.clone(), self.runtime.handle()))
    }

    pub(crate) async fn close(&self) {
        self.connections.close().await;
    }
}

/// The statements that begin a transaction, and the limit of the server for each statement in it.
///
/// All settings end with the transaction, so that they apply whichever session of the server a pooler gives us, and to nothing
/// else. The database enforces limits, so that a node that froze keeps no lock for ever. A statement ends before the patience of
/// the caller does; for a commit there is no limit.
fn begin(mode: &str, patience: Duration) -> (String, Duration) {
    let limit = patience.saturating_sub(Duration::from_millis(500));
    let begin = format!(
        "BEGIN ISOLATION LEVEL {mode}; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = '4s'; \
         SET LOCAL idle_in_transaction_session_timeout = '10s'",
        limit.as_millis()
    );
    (begin, limit)
}

/// [`begin`] for a change. Acknowledged changes have to survive, however the database is configured. Other databases have no such
/// setting.
fn begin_durable(patience: Duration) -> (String, Duration) {
    let (mut begin, limit) = begin("READ COMMITTED", patience);
    begin.push_str(
        "; SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit', true) = 'off'",
    );
    (begin, limit)
}

/// The statements that notify the other nodes: in a separate transaction, because a database that does not know the statement would
/// abort it; and one that waits for no standby, since nothing depends on it.
fn notify() -> String {
    let (begin, _) = begin("READ COMMITTED", TIMEOUT);
    format!("{begin}; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}; COMMIT")
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
    use crate::database::db::Db;
    use crate::database::tx::values;
    use sqlx::{Connection, PgConnection};

    #[tokio::test]
    async fn rv_06_op_21_transactions_are_durable_and_bounded_whatever_the_database_is_configured_for() {
        let Some(postgres) = tokenberg_testkit::Postgres::shared() else { return };
        let url = postgres.url(&postgres.database());
        let mut other = PgConnection::connect(&url).await.unwrap();
        let settings = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
        sqlx::raw_sql(settings).execute(&mut other).await.unwrap();
        let db = Db::connect(&url.parse().unwrap()).await.unwrap_or_else(|e| panic!("{e}"));
        for (setting, value) in [
            ("synchronous_commit", "on"),
            ("lock_timeout", "4s"),
            ("statement_timeout", "4500ms"),
            ("idle_in_transaction_session_timeout", "10s"),
        ] {
            let read = "SELECT current_setting($1)";
            let found = db
                .change(&[], |tx| Box::pin(async move { tx.value::<String>(read, values![setting]).await }));
            assert_eq!(found.await.unwrap(), value, "{setting}");
        }
    }
}
