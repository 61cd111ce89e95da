//! Backs the store up, and puts a backup in its place; conformance OP-10.

use crate::database::Db;
#[cfg(feature = "sqlite")]
use crate::database::{Replacing, Sqlite, StoreUrl, replace};
use crate::error::StoreError;
#[cfg(feature = "sqlite")]
use crate::opening::OpeningError;
#[cfg(feature = "sqlite")]
use crate::private_file::sibling;
use crate::store::Store;
use std::path::Path;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;

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

/// A copy of a backup beside the store, which is prepared there before it takes the place of the store. Dropping it removes the copy.
#[derive(Debug)]
#[cfg(feature = "sqlite")]
pub struct Restoration {
    store: PathBuf,
    copy: PathBuf,
}

#[cfg(feature = "sqlite")]
impl Restoration {
    /// Copies a backup, an SQLite file, to a new file beside the store at `url`, and checks that it is a store.
    ///
    /// # Errors
    /// If `url` is not of SQLite, another process has the store open, the backup is damaged or no store, or the copy cannot be written.
    pub async fn begin(url: &StoreUrl, backup: &Path) -> Result<Self, StoreError> {
        let no_backup = |reason: String| OpeningError::NoBackup { path: backup.to_owned(), reason };
        let Some(store) = url.path() else {
            let reason =
                "a database of PostgreSQL is restored with its own tools; then run `tokenberg restored`"
                    .to_owned();
            return Err(no_backup(reason).into());
        };
        let metadata = std::fs::metadata(backup).map_err(|error| no_backup(error.to_string()))?;
        if metadata.len() == 0 {
            return Err(no_backup("it is empty".to_owned()).into());
        }
        if std::fs::canonicalize(backup).ok() == std::fs::canonicalize(store).ok() {
            return Err(no_backup("it is the store itself".to_owned()).into());
        }
        // A link stays, and what it leads to is replaced.
        let store = &std::fs::canonicalize(store).unwrap_or_else(|_| store.to_owned());
        // Before a long copy; the lock is taken again at the end.
        drop(Replacing::lock(store)?);
        let tag = std::process::id();
        let restoration =
            Self { store: store.to_owned(), copy: sibling(store, &format!(".{tag}.restoring")) };
        restoration.remove();
        let source = Sqlite::connect(backup, false).await.map_err(|error| no_backup(error.to_string()))?;
        let copied = source.back_up(&restoration.copy).await;
        source.close().await;
        copied.map_err(|error| no_backup(error.to_string()))?;
        match Store::migration(&restoration.url()).await {
            Ok(_) => Ok(restoration),
            Err(StoreError::Missing { .. }) => Err(no_backup("it has none of the tables".to_owned()).into()),
            Err(error) => Err(error),
        }
    }

    /// Where the copy is.
    #[must_use]
    pub fn url(&self) -> StoreUrl {
        StoreUrl::sqlite(&self.copy)
    }

    /// Puts the copy, which no process may have open, in the place of the store. Returns where the store of before is kept, with its own
    /// `-wal` file if it has one.
    ///
    /// # Errors
    /// If another process has the store open, or the files cannot be renamed; then the store of before is in its place.
    pub async fn finish(self) -> Result<Option<PathBuf>, StoreError> {
        let log = sibling(&self.copy, "-wal");
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let reason = format!("the changes in {} are not in the copy yet", log.display());
            return Err(OpeningError::NotReplaced { path: self.store.clone(), reason }.into());
        }
        replace(&self.store, &self.copy).await
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm"] {
            // They may not exist, and if they stay, only their owner can read them.
            let _ = std::fs::remove_file(sibling(&self.copy, end));
        }
    }
}

#[cfg(feature = "sqlite")]
impl Drop for Restoration {
    fn drop(&mut self) {
        self.remove();
    }
}
