//! Backs the store up; conformance OP-10.

use crate::database::Db;
use crate::error::StoreError;
use crate::store::Store;
use std::path::Path;

impl Store {
    /// Writes a copy of the database, as of one moment, to a new file with mode 0600. Returns its length in bytes.
    ///
    /// Writers are not blocked meanwhile. The file appears when all of it is on disk, and never replaces another one. It does not
    /// contain the key-encryption key, without which the copy is useless.
    ///
    /// # Errors
    /// If the file exists already, it cannot be written, the store is not on SQLite, or the store fails.
    pub async fn back_up(&self, to: &Path) -> Result<u64, StoreError> {
        match &self.0.db {
            #[cfg(feature = "sqlite")]
            Db::Sqlite(sqlite) => sqlite.back_up(to).await,
            #[cfg(feature = "postgres")]
            Db::Postgres(_) => {
                let reason = "a database of PostgreSQL is copied with pg_dump".to_owned();
                Err(StoreError::Backup { path: to.to_owned(), reason })
            }
        }
    }
}
