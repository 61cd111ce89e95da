//! An open database of either kind. One SQL text serves both: `$n`, `ON CONFLICT`, seconds as BIGINT.

use crate::database::activity::{Activity, StoreConnections};
use crate::database::change_notifier::ChangeNotifier;
#[cfg(feature = "postgres")]
use crate::database::postgres::Postgres;
#[cfg(feature = "sqlite")]
use crate::database::sqlite::Sqlite;
use crate::database::store_url::{Location, StoreUrl};
use crate::error::StoreError;

/// A database of either kind.
pub(crate) enum Db {
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
    /// PostgreSQL, or a database that speaks its protocol.
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
}

impl Db {
    /// Connects to the database of a test.
    #[cfg(all(test, feature = "postgres"))]
    pub(crate) async fn connect(url: &StoreUrl) -> Result<Self, StoreError> {
        Self::connect_for(url, true).await
    }

    /// Connects to the database, which must exist. A file of SQLite that is only read keeps every byte.
    #[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only a file needs it"))]
    pub(crate) async fn connect_for(url: &StoreUrl, writes: bool) -> Result<Self, StoreError> {
        match &url.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => Ok(Self::Sqlite(Sqlite::connect(path, writes).await?)),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => Ok(Self::Postgres(Box::new(Postgres::connect(url).await?))),
        }
    }

    /// The database without a connection to it, which may be read once it can be reached, and changed after [`Db::allow_changes`]. `None`
    /// for SQLite, whose file is there or is not.
    pub(crate) fn unreached(url: &StoreUrl) -> Result<Option<Self>, StoreError> {
        match &url.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => Ok(Some(Self::Postgres(Box::new(Postgres::unreached(url)?)))),
        }
    }

    /// Allows changes of a database that was not reached at first.
    pub(crate) fn allow_changes(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {}
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.allow_changes(),
        }
    }

    /// Whether a database server answers, which has its own clock and may be replaced by another one.
    pub(crate) fn has_server(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }

    /// How long transactions take.
    pub(crate) fn activity(&self) -> &Activity {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => &sqlite.activity,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => &postgres.activity,
        }
    }

    /// The open connections.
    pub(crate) fn connections(&self) -> StoreConnections {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.connections(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.connections.count(),
        }
    }

    /// When a watch should check for changes.
    pub(crate) fn change_notifier(&self) -> ChangeNotifier {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => ChangeNotifier::of_sqlite(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => ChangeNotifier::of_postgres(postgres.notifications().clone()),
        }
    }

    /// Waits for running statements and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.close().await,
        }
    }

    /// The connection of SQLite that writes.
    #[cfg(all(test, feature = "sqlite"))]
    pub(crate) fn sqlite_writer(&self) -> Option<&sqlx::SqlitePool> {
        match self {
            Self::Sqlite(sqlite) => Some(&sqlite.write),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }
}
