//! Opens connections to PostgreSQL: the first host that suits, with the password as it is now.

use crate::database::postgres_password::Account;
use crate::database::postgres_url::{PostgresUrl, is_local};
use crate::database::timeout::within;
use crate::error::StoreError;
use crate::private_file::open_to_others;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The limit for connecting, and for waiting for a free connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// How long the server is left alone after it has refused a password: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// A setting that a connection brings along. Behind a pooler it is missing, because the pooler has refused or dropped it.
const MARK: (&str, &str) = ("tokenberg.direct", "on");

/// Whether this is a direct connection, whether the server can be written, and which of its processes serves the connection.
const ASK: &str = "SELECT COALESCE(current_setting('tokenberg.direct', true), '') = 'on', \
                   current_setting('transaction_read_only') = 'off', CAST(pg_backend_pid() AS BIGINT)";

/// A connection, and what is known about it.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    /// Whether all statements reach the same session of the server. Behind a pooler in transaction mode each transaction may reach
    /// another one.
    pub(crate) is_direct: bool,
    /// The process of the server that serves the connection, if it is direct.
    pub(crate) process: i64,
    pub(crate) since: Instant,
}

/// Opens connections to one database.
pub(crate) struct Connector {
    url: PostgresUrl,
    /// The host that was connected to last.
    last: AtomicUsize,
    /// By host.
    refused: Mutex<HashMap<usize, Refused>>,
}

/// The password that the server has refused.
struct Refused {
    password: Option<Zeroizing<String>>,
    error: StoreError,
    pause: Duration,
    until: Instant,
}

impl Connector {
    /// A connector to the hosts of this address.
    pub(crate) fn new(url: PostgresUrl) -> Self {
        Self { url, last: AtomicUsize::new(0), refused: Mutex::default() }
    }

    /// Connects to the first host that suits, beginning with the last one that did. Returns the options that led there as well.
    pub(crate) async fn connect(&self) -> Result<(Session, PgConnectOptions), StoreError> {
        let hosts = self.url.hosts();
        let limit = self.url.connect_timeout().map_or(CONNECT, |limit| limit.min(CONNECT));
        let (last, mut reasons) = (self.last.load(Ordering::Relaxed), Vec::new());
        for index in (0..hosts.len()).map(|n| (last + n) % hosts.len()) {
            let Some(host) = hosts.get(index) else { continue };
            match within(limit, self.connect_to(index, host)).await {
                Ok(found) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(found);
                }
                Err(error) if hosts.len() == 1 => return Err(error),
                Err(error) => reasons.push(format!("{}: {}", host.get_host(), reason(error))),
            }
        }
        Err(StoreError::unavailable(&reasons.join("; ")))
    }

    async fn connect_to(
        &self,
        index: usize,
        host: &PgConnectOptions,
    ) -> Result<(Session, PgConnectOptions), StoreError> {
        self.check_files()?;
        let user = host.get_username();
        let socket = host.get_socket().is_some();
        let found = self.url.password().read(&Account {
            host: if socket { "localhost" } else { host.get_host() },
            port: host.get_port(),
            database: host.get_database().unwrap_or(user),
            user,
        });
        if let Some(error) = self.refusal(index, found.password.as_ref()) {
            return Err(error);
        }
        let options = host.clone().password(found.password.as_deref().map_or("", String::as_str));
        let (mut connection, options) = match open(options).await {
            Ok(opened) => opened,
            Err(error) if is_refusal(&error) => {
                let is_given = found.password.is_some();
                let note = if is_given { String::new() } else { format!("; {}", found.why_none) };
                let error = StoreError::unavailable(&format!("{}{note}", reason(error.into())));
                self.leave_alone(index, found.password, error.clone());
                return Err(error);
            }
            Err(error) => return Err(explained(error, is_local(host))),
        };
        self.refused().remove(&index);
        let row = sqlx::raw_sql(ASK).fetch_one(&mut connection).await?;
        let (is_direct, is_writable, process) =
            (row.try_get(0)?, row.try_get::<bool, _>(1)?, row.try_get(2)?);
        if self.url.is_read_write() && !is_writable {
            // The server ends the session when the connection is closed, also without a message that it is over.
            let _ = connection.close().await;
            return Err(StoreError::unavailable("the server is read-only"));
        }
        Ok((Session { connection, is_direct, process, since: Instant::now() }, options))
    }

    /// Names a file that cannot be used. sqlx reads it again, and its errors name none.
    fn check_files(&self) -> Result<(), StoreError> {
        for (parameter, path) in self.url.files() {
            let path_text = path.display();
            let fault = |what: String| StoreError::unavailable(&format!("{parameter}: {path_text} {what}"));
            let text = std::fs::read(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
            let text = Zeroizing::new(text);
            let has = |what: &[u8]| text.windows(what.len()).any(|window| window == what);
            if !has(b"-----BEGIN ") {
                return Err(fault("is not a PEM file".to_owned()));
            }
            if *parameter != "sslkey" {
                continue;
            }
            if has(b"ENCRYPTED") {
                return Err(fault(
                    "is encrypted; write the decrypted key to a file with mode 0600".to_owned(),
                ));
            }
            let about = std::fs::metadata(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
            if let Some(mode) = open_to_others(&about) {
                return Err(fault(format!(
                    "has mode {mode:04o} and other users may read it; run: chmod 600 {path_text}"
                )));
            }
        }
        Ok(())
    }

    /// The error of this password, if the server refused it a moment ago.
    fn refusal(&self, index: usize, password: Option<&Zeroizing<String>>) -> Option<StoreError> {
        let refused = self.refused();
        let refused = refused.get(&index).filter(|it| it.password.as_ref() == password);
        refused.filter(|it| Instant::now() < it.until).map(|it| it.error.clone())
    }

    /// Does not try this password again for a while, because servers lock accounts and addresses. Another password is tried
    /// immediately.
    fn leave_alone(&self, index: usize, password: Option<Zeroizing<String>>, error: StoreError) {
        let mut refused = self.refused();
        let before = refused.get(&index).filter(|it| it.password == password).map(|it| it.pause);
        let pause = before.map_or(PAUSES.0, |pause| (2 * pause).min(PAUSES.1));
        refused.insert(index, Refused { password, error, pause, until: Instant::now() + pause });
    }

    fn refused(&self) -> MutexGuard<'_, HashMap<usize, Refused>> {
        // It is changed by single calls, so a panic elsewhere leaves it consistent.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects with the mark, or without it to a pooler that refuses it.
async fn open(options: PgConnectOptions) -> Result<(PgConnection, PgConnectOptions), sqlx::Error> {
    let marked = options.clone().options([MARK]);
    match PgConnection::connect_with(&marked).await {
        Ok(connection) => Ok((connection, marked)),
        Err(sqlx::Error::Database(fault)) if fault.message().contains("startup parameter") => {
            Ok((PgConnection::connect_with(&options).await?, options))
        }
        Err(error) => Err(error),
    }
}

/// Whether the server refused the user or the password. PgBouncer has no code of its own for that.
fn is_refusal(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(fault) = error else { return false };
    fault.code().is_some_and(|code| code.starts_with("28"))
        || fault.message().contains("authentication failed")
}

/// The reason of an error without the words that the store cannot be reached.
pub(crate) fn reason(error: StoreError) -> String {
    if let StoreError::Unavailable { reason } | StoreError::Refused { reason } = error {
        reason
    } else {
        error.to_string()
    }
}

/// A machine that refuses the port has no database there, for any node. One on a loopback address may be a proxy of this node.
fn explained(error: sqlx::Error, is_local: bool) -> StoreError {
    let is_refused = matches!(&error, sqlx::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused);
    if is_refused && !is_local { StoreError::refused(&error.to_string()) } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn s_13_a_machine_without_a_database_concerns_every_node() {
        for (kind, is_local, is_answer) in [
            (ErrorKind::ConnectionRefused, false, true),
            (ErrorKind::ConnectionRefused, true, false),
            (ErrorKind::HostUnreachable, false, false),
        ] {
            let explained = explained(sqlx::Error::Io(Error::from(kind)), is_local);
            assert!(explained.is_unavailable());
            assert_eq!(explained.is_answer_of_database(), is_answer, "{kind} {is_local}");
        }
    }
}
