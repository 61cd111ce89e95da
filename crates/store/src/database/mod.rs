//! SQLite and PostgreSQL: addresses, connections, transactions and the schema. All SQL that differs between them is here.

mod activity;
mod change_notifier;
#[cfg(feature = "postgres")]
mod connections;
#[cfg(feature = "postgres")]
mod connector;
mod database_file;
mod db;
mod dialect;
#[cfg(feature = "postgres")]
mod inline;
mod nodes_table;
#[cfg(feature = "postgres")]
mod notifications;
mod part;
mod poll;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_parameters;
#[cfg(feature = "postgres")]
mod postgres_password;
#[cfg(feature = "postgres")]
mod postgres_url;
mod probe;
#[cfg(feature = "postgres")]
mod runtime_thread;
pub(crate) mod schema;
mod schema_differences;
mod segments_step;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_backup;
#[cfg(feature = "sqlite")]
mod sqlite_restore;
mod store_url;
mod timeout;
mod transactions;
mod tx;
mod url_error;

pub use activity::{StoreConnections, TransactionTimes};
pub(crate) use change_notifier::ChangeNotifier;
pub(crate) use database_file::{DatabaseFile, of_foreign_log, with_log_beside};
pub(crate) use db::Db;
pub(crate) use part::{Numbers, Part, Progress, Recorded, SELECT_PROGRESS};
pub(crate) use poll::{Instance, Poller, ServerState};
pub use schema_differences::{SchemaDeviation, SchemaDifference};
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::Sqlite;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite_restore::{Replacing, replace};
pub use store_url::StoreUrl;
pub(crate) use timeout::{TIMEOUT, within};
pub(crate) use tx::{Statement, Tx, Value, time, values};
pub use url_error::StoreUrlError;
