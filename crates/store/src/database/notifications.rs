//! Receives PostgreSQL's notifications that another node has changed something. They may get lost, so a watch also polls.

use crate::database::connector::{Connector, reason};
use crate::database::timeout::within;
use crate::error::StoreError;
use sqlx::Connection;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The channel. Notifications have no payload: the receiver reads the revision.
pub(crate) const CHANNEL: &str = "tokenberg_changed";

/// How long notifications are gathered before the watch acts on them.
const GATHERING: Duration = Duration::from_millis(20);
/// How long to listen before testing the connection: a network may drop one without a sign.
const SILENCE: Duration = Duration::from_secs(10);
/// The limit for connecting, and for that test.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait before connecting again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Receives the notifications. A clone receives the same ones.
#[derive(Clone)]
pub(crate) struct Notifications(watch::Receiver<()>);

impl Notifications {
    /// Listens in the background for as long as the runtime lasts.
    pub(crate) fn listen(connector: Arc<Connector>, runtime: &Handle) -> Self {
        let (changed, receiver) = watch::channel(());
        runtime.spawn(listen(connector, changed));
        Self(receiver)
    }

    /// Returns when a notification has arrived since the last call, or when the time has passed.
    pub(crate) async fn changed_within(&mut self, time: Duration) {
        let begun = tokio::time::Instant::now();
        match tokio::time::timeout(time, self.0.changed()).await {
            // Changes that come together are read together.
            Ok(Ok(())) => tokio::time::sleep(GATHERING).await,
            Ok(Err(_ended)) => tokio::time::sleep_until(begun + time).await,
            Err(_silence) => {}
        }
    }
}

async fn listen(connector: Arc<Connector>, changed: watch::Sender<()>) {
    let mut pause = PAUSES.0;
    let mut is_reported = false;
    loop {
        let (was_listening, error) = listen_once(&connector, &changed).await;
        if was_listening {
            (pause, is_reported) = (PAUSES.0, false);
        } else if !is_reported {
            is_reported = true;
            tracing::warn!(
                error = reason(error),
                "the store sends no notifications; the server polls for changes twice a second"
            );
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(PAUSES.1);
    }
}

/// Listens until the connection fails. Returns whether it had been established, and the error.
async fn listen_once(connector: &Connector, changed: &watch::Sender<()>) -> (bool, StoreError) {
    let mut listener = match timely(begin(connector)).await {
        Ok(listener) => listener,
        Err(error) => return (false, error),
    };
    // A notification may have been sent before.
    changed.send_replace(());
    loop {
        let outcome = match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // One check covers all notifications that have arrived by now.
                while listener.next_buffered().is_some() {}
                changed.send_replace(());
                Ok(())
            }
            Ok(Ok(None)) => Err(sqlx::Error::PoolClosed.into()),
            Ok(Err(error)) => Err(error.into()),
            Err(_silence) => {
                timely(async { Ok(sqlx::raw_sql("SELECT 1").execute(&mut listener).await?) }).await.map(drop)
            }
        };
        if let Err(error) = outcome {
            return (true, error);
        }
    }
}

async fn begin(connector: &Connector) -> Result<PgListener, StoreError> {
    let (session, options) = connector.connect().await?;
    let is_direct = session.is_direct;
    // The server ends the session in any case.
    let _ = session.connection.close().await;
    if !is_direct {
        return Err(StoreError::unavailable("a connection pooler is between, and it forwards none"));
    }
    // A separate pool, so that a connection that hangs takes no place of the others.
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(RESPONSE_TIMEOUT).max_lifetime(None);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn timely<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(RESPONSE_TIMEOUT, work).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::postgres_url::PostgresUrl;
    use sqlx::{Executor, PgConnection};
    use tokenberg_testkit::{Line, Postgres, Wire, url_at};

    /// A limit that a working machine does not reach.
    const LONG: Duration = Duration::from_secs(60);

    fn connector(url: &str) -> Arc<Connector> {
        Arc::new(Connector::new(PostgresUrl::parse(url.strip_prefix("postgres:").unwrap()).unwrap()))
    }

    #[tokio::test]
    async fn op_20_notifications_also_arrive_after_the_connection_was_lost() {
        let Some(postgres) = Postgres::shared() else { return };
        let database = postgres.database();
        let wire = Wire::to(postgres.port());
        let mut other = PgConnection::connect(&postgres.url(&database)).await.unwrap();
        let mut notifications =
            Notifications::listen(connector(&url_at(wire.port(), &database)), &Handle::current());
        for _ in 0..2 {
            let changed = async {
                // One because it began to listen, and one because of the notification.
                notifications.0.changed().await.unwrap();
                other.execute("NOTIFY tokenberg_changed").await.unwrap();
                notifications.0.changed().await.unwrap();
            };
            tokio::time::timeout(LONG, changed).await.unwrap();
            wire.set(Line::Cut);
            wire.set(Line::Open);
        }
    }

    #[tokio::test]
    async fn op_20_without_notifications_the_watch_polls() {
        let mut unreachable = Notifications::listen(connector(&url_at(1, "nothing")), &Handle::current());
        for _ in 0..3 {
            let silence = unreachable.changed_within(Duration::from_millis(20));
            tokio::time::timeout(LONG, silence).await.unwrap();
        }
        assert_eq!(CHANNEL, "tokenberg_changed", "nodes of all versions have to agree on it");
    }
}
