//! Finds out why the database cannot be reached.

use crate::database::db::Db;
#[cfg(feature = "postgres")]
use crate::database::timeout::{TIMEOUT, within};
use crate::error::StoreError;
#[cfg(feature = "postgres")]
use sqlx::Connection;

impl Db {
    /// Opens a connection beside those that are in use, and closes it. The error is the one of the network or of the server.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let probe = async {
                    let (session, _) = postgres.connector.connect().await?;
                    Ok(session.connection.close().await?)
                };
                within(TIMEOUT, probe).await
            }
        }
    }
}
