//! The connections of a node. There are never more than eight, whatever becomes of a statement: a connection keeps its place until
//! the server has answered.

use crate::database::activity::StoreConnections;
use crate::database::connector::{CONNECT, Connector, Session};
use crate::database::timeout::{TIMEOUT, within};
use crate::database::tx::{Tx, values};
use crate::error::StoreError;
use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections of a node, beside the one that listens.
const CONNECTIONS: u32 = 8;
/// How many of them may write. The others are left for reads while writes wait, as for a synchronous standby.
const WRITING: u32 = 6;
/// How long a connection may be unused.
const IDLE: Duration = Duration::from_secs(60);
/// How much longer than the limit of a statement its connection waits for the answer.
const GRACE: Duration = Duration::from_secs(2);

/// What a connection is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// The connections to one database.
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    connector: Arc<Connector>,
    /// The runtime that drives the connections. The runtime of a request may end before the connection that was opened for it.
    runtime: Handle,
    places: Arc<Semaphore>,
    writing: Arc<Semaphore>,
    idle: Mutex<Vec<(Session, Instant)>>,
}

impl Connections {
    pub(crate) fn new(connector: Arc<Connector>, runtime: &Handle) -> Self {
        Self::with(connector, runtime, IDLE)
    }

    fn with(connector: Arc<Connector>, runtime: &Handle, most_idle: Duration) -> Self {
        let semaphore = |permits: u32| Arc::new(Semaphore::new(permits as usize));
        let shared = Arc::new(Shared {
            connector,
            runtime: runtime.clone(),
            places: semaphore(CONNECTIONS),
            writing: semaphore(WRITING),
            idle: Mutex::default(),
        });
        runtime.spawn(close_idle(Arc::downgrade(&shared), most_idle));
        Self(shared)
    }

    /// Takes a connection and runs `begin` on it, which begins a transaction. `limit` is the limit of the server for each of its
    /// statements.
    pub(crate) async fn begin(
        &self,
        purpose: Purpose,
        limit: Duration,
        begin: &str,
    ) -> Result<Lent, StoreError> {
        let Sent { lent, outcome, .. } = self.send(purpose, limit, begin).await?;
        outcome?;
        Ok(lent)
    }

    /// Takes a connection and sends statements in one message, which has to have the same effect if the server gets it twice.
    pub(crate) async fn send(
        &self,
        purpose: Purpose,
        limit: Duration,
        message: &str,
    ) -> Result<Sent, StoreError> {
        let mut places = Vec::new();
        if purpose == Purpose::Write {
            places.push(place(&self.0.writing).await?);
        }
        places.push(place(&self.0.places).await?);
        let mut lent = Lent { session: None, state: State::Clean, limit, shared: self.0.clone(), places };
        loop {
            let idle = self.0.idle().pop();
            let was_idle = idle.is_some();
            match idle {
                Some((session, _)) => lent.session = Some(session),
                None => lent = self.connected(lent).await?,
            }
            lent.state = State::InTransaction;
            let (mut rows, mut answers) =
                (Vec::new(), sqlx::raw_sql(AssertSqlSafe(message)).fetch(lent.connection()?));
            let outcome = loop {
                match answers.try_next().await {
                    Ok(Some(row)) => rows.push(row),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(answers);
            match outcome {
                // The server was restarted since the connection was used last.
                Err(error) if was_idle && is_gone(&error) => lent.session = None,
                outcome => return Ok(Sent { lent, rows, outcome }),
            }
        }
    }

    /// Opens a connection, in a task that goes on if the caller does not wait: the connection has its place and is used by others.
    async fn connected(&self, mut lent: Lent) -> Result<Lent, StoreError> {
        let connector = self.0.connector.clone();
        let connected = self.0.runtime.spawn(async move {
            let (session, _) = connector.connect().await?;
            (lent.session, lent.state) = (Some(session), State::Clean);
            Ok(lent)
        });
        connected.await.map_err(|_| StoreError::unavailable("the store is closing"))?
    }

    /// The number of connections. One that is being opened, or waits for its last answer, is in use.
    pub(crate) fn count(&self) -> StoreConnections {
        let free = u32::try_from(self.0.places.available_permits()).unwrap_or(CONNECTIONS);
        let idle = u32::try_from(self.0.idle().len()).unwrap_or(CONNECTIONS);
        StoreConnections { busy: CONNECTIONS.saturating_sub(free), idle, limit: CONNECTIONS }
    }

    /// Closes the connections that are not in use, and waits for the others for a while.
    pub(crate) async fn close(&self) {
        // Does not wait for a server that does not answer.
        let _ = tokio::time::timeout(CONNECT, self.0.places.acquire_many(CONNECTIONS)).await;
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle());
        close_all(idle).await;
    }
}

async fn place(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    let waiting = || StoreError::unavailable("no connection to the database was available in time");
    let place = tokio::time::timeout(CONNECT, of.clone().acquire_owned()).await.map_err(|_| waiting())?;
    place.map_err(|_| StoreError::unavailable("the store is closed"))
}

/// Whether the connection has been closed by the server or on the way.
fn is_gone(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(fault) = error else { return matches!(error, sqlx::Error::Io(_)) };
    let code = fault.code().unwrap_or_default();
    code.starts_with("57P") || code.starts_with("08") || code == "25P03"
}

async fn close_idle(shared: Weak<Shared>, most_idle: Duration) {
    loop {
        tokio::time::sleep(most_idle / 4).await;
        let Some(shared) = shared.upgrade() else { return };
        let unused = |(_, since): &mut (Session, Instant)| since.elapsed() >= most_idle;
        let unused: Vec<_> = shared.idle().extract_if(.., unused).collect();
        drop(shared);
        close_all(unused).await;
    }
}

async fn close_all(idle: Vec<(Session, Instant)>) {
    for (session, _) in idle {
        // The server ends the session in any case.
        let _ = tokio::time::timeout(CONNECT, session.connection.close()).await;
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<(Session, Instant)>> {
        // It is changed by single calls, so a panic elsewhere leaves it consistent.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer to what was sent, ends the transaction, and returns the connection.
    ///
    /// A commit may wait for a standby for any time, and its process takes a connection of the server until then. If there is no
    /// answer although the server has answered, or no way to the server, the connection is dropped.
    async fn settle(self: Arc<Self>, mut session: Session, state: State, limit: Duration) {
        loop {
            match tokio::time::timeout(limit + GRACE, answer(&mut session, state)).await {
                Ok(Ok(())) => return self.idle().push((session, Instant::now())),
                Ok(Err(_)) => return,
                Err(_) if session.is_direct && self.is_at_work(&session).await.unwrap_or(false) => {}
                Err(_) => return,
            }
        }
    }

    /// Whether the process of the server is still at work. Ends it if it is not: its answer has got lost.
    async fn is_at_work(self: &Arc<Self>, session: &Session) -> Result<bool, StoreError> {
        // A process of another server may have the same number, but it did not begin at the same time.
        let ask = "SELECT CASE WHEN state = 'active' THEN true ELSE NOT pg_terminate_backend(pid) END \
                   FROM pg_stat_activity WHERE pid = $1 AND usename = current_user \
                   AND ABS(EXTRACT(EPOCH FROM clock_timestamp() - backend_start) - $2) < 5";
        let connections = Connections(self.clone());
        within(TIMEOUT, async {
            let mut lent = connections.begin(Purpose::Read, TIMEOUT, "BEGIN READ ONLY").await?;
            let age = i64::try_from(session.since.elapsed().as_secs()).unwrap_or(i64::MAX);
            let found: Option<bool> = lent.tx()?.find_value(ask, values![session.process, age]).await?;
            Ok(found.unwrap_or(false))
        })
        .await
    }
}

/// Waits for the answers to what was sent, and ends the transaction.
async fn answer(session: &mut Session, state: State) -> Result<(), sqlx::Error> {
    loop {
        let answer = match state {
            State::Committing => session.connection.ping().await,
            State::Clean | State::InTransaction => {
                sqlx::raw_sql("ROLLBACK").execute(&mut session.connection).await.map(drop)
            }
        };
        match answer {
            // The answer to an earlier statement.
            Err(error @ sqlx::Error::Database(_)) if !is_gone(&error) => {}
            answer => return answer,
        }
    }
}

/// How far a transaction has come.
#[derive(Clone, Copy)]
enum State {
    Clean,
    InTransaction,
    Committing,
}

/// The answers to a message.
pub(crate) struct Sent {
    pub(crate) lent: Lent,
    /// The rows of all statements, in their order.
    pub(crate) rows: Vec<PgRow>,
    pub(crate) outcome: Result<(), sqlx::Error>,
}

/// A connection in a transaction. Dropping it rolls the transaction back, in the background.
pub(crate) struct Lent {
    session: Option<Session>,
    state: State,
    limit: Duration,
    shared: Arc<Shared>,
    places: Vec<OwnedSemaphorePermit>,
}

impl Lent {
    /// The connection for statements.
    pub(crate) fn tx(&mut self) -> Result<Tx<'_>, StoreError> {
        let is_direct = self.session.as_ref().is_some_and(|session| session.is_direct);
        Ok(Tx::Postgres { connection: self.connection()?, is_direct })
    }

    /// Commits, and then runs the statements `after`. Returns whether the database knows them.
    pub(crate) async fn commit(mut self, after: Option<&str>) -> Result<bool, StoreError> {
        self.state = State::Committing;
        let sql = after.map_or_else(|| "COMMIT".to_owned(), |after| format!("COMMIT; {after}"));
        let mut outcomes = sqlx::raw_sql(AssertSqlSafe(sql)).execute_many(self.connection()?);
        outcomes.try_next().await?;
        // The change is committed in any case.
        let rest: Result<Vec<_>, _> = outcomes.try_collect().await;
        self.state = if rest.is_ok() { State::Clean } else { State::InTransaction };
        Ok(!matches!(rest, Err(sqlx::Error::Database(_))))
    }

    /// Returns the connection, whose transactions have ended.
    pub(crate) fn give_back(mut self) {
        self.state = State::Clean;
    }

    /// Closes the connection instead of using it again.
    pub(crate) fn discard(mut self) {
        self.session = None;
    }

    fn connection(&mut self) -> Result<&mut sqlx::PgConnection, StoreError> {
        let session =
            self.session.as_mut().ok_or_else(|| StoreError::unavailable("the connection is closed"))?;
        Ok(&mut session.connection)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if matches!(self.state, State::Clean) {
            self.shared.idle().push((session, Instant::now()));
            return;
        }
        let (shared, state, limit) = (self.shared.clone(), self.state, self.limit);
        let places = std::mem::take(&mut self.places);
        self.shared.runtime.spawn(async move {
            shared.settle(session, state, limit).await;
            drop(places);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::postgres_url::PostgresUrl;
    use sqlx::PgConnection;

    #[tokio::test]
    async fn op_21_connections_that_are_not_used_are_closed() {
        let Some(postgres) = tokenberg_testkit::Postgres::shared() else { return };
        let url = postgres.url(&postgres.database());
        let connector = Connector::new(PostgresUrl::parse(url.strip_prefix("postgres:").unwrap()).unwrap());
        let connections =
            Connections::with(Arc::new(connector), &Handle::current(), Duration::from_millis(200));
        let begin = || connections.begin(Purpose::Read, Duration::from_secs(5), "BEGIN");
        let lent = futures_util::future::join_all((0..5).map(|_| begin())).await;
        assert!(lent.iter().all(Result::is_ok));
        drop(lent);
        let mut other = PgConnection::connect(&url).await.unwrap();
        let count = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let begun = Instant::now();
        while sqlx::query_scalar::<_, i64>(count).fetch_one(&mut other).await.unwrap() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "they stay");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(begin().await.is_ok());
    }
}
