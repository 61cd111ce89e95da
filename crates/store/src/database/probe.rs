//! Finds out why the database cannot be reached: the pool reports only that no connection was available in time.

use crate::database::db::Db;
#[cfg(feature = "postgres")]
use crate::database::postgres_url::is_local;
#[cfg(feature = "postgres")]
use crate::database::timeout::{TIMEOUT, within};
use crate::error::StoreError;
#[cfg(feature = "postgres")]
use sqlx::{Connection, postgres::PgConnection};
#[cfg(feature = "postgres")]
use std::io::ErrorKind;

impl Db {
    /// Opens a connection outside of the pool, and closes it. The error is the one of the network or of the server.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let connected =
                    within(TIMEOUT, async { Ok(PgConnection::connect_with(&postgres.options).await) });
                match connected.await? {
                    Ok(connection) => Ok(connection.close().await?),
                    Err(error) => Err(explained(error, is_local(&postgres.options))),
                }
            }
        }
    }
}

/// A machine that refuses the port has no database there, for any node. One on a loopback address may be a proxy of this node.
#[cfg(feature = "postgres")]
fn explained(error: sqlx::Error, is_local: bool) -> StoreError {
    let is_refused = matches!(&error, sqlx::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused);
    if is_refused && !is_local { StoreError::refused(&error.to_string()) } else { error.into() }
}

#[cfg(all(test, feature = "postgres"))]
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
