//! SQLite and PostgreSQL: addresses, connections, transactions and the schema. All SQL that differs between them is here.

mod database_file;
mod db;
mod dialect;
mod notifications;
mod part;
mod patience;
mod postgres;
mod postgres_url;
mod runtime_thread;
pub(crate) mod schema;
mod store_url;
mod transactions;
mod tx;
mod url_error;

pub(crate) use database_file::DatabaseFile;
pub(crate) use db::Db;
pub(crate) use notifications::News;
pub(crate) use part::{Numbers, Part, SELECT_NUMBERS, numbers};
pub(crate) use patience::within;
pub use store_url::StoreUrl;
pub(crate) use tx::{Tx, Value, time, values};
pub use url_error::StoreUrlError;
