//! Notices that the database file was replaced or removed: SQLite would go on reading the old file, which nothing writes any
//! more. Names files of another store beside it.

use crate::database::store_url::StoreUrl;
use crate::error::StoreError;
use crate::opening::OpeningError;
use crate::private_file::sibling;
use std::path::{Path, PathBuf};

/// A database file: its path, and its identity in the file system.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    /// The file that is at the path now.
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        let identity =
            identity(path).ok_or_else(|| StoreError::Missing { store: path.display().to_string() })?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Fails if there is another file at the path now, or none. Costs one system call.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if identity(&self.path) == Some(self.identity) {
            return Ok(());
        }
        Err(StoreError::Replaced { path: self.path.clone() })
    }
}

/// The path of an SQLite store, if a file of SQLite's write-ahead log lies beside it. SQLite may remove the file when it opens the store.
pub(crate) fn with_log_beside(url: &StoreUrl) -> Option<&Path> {
    url.path().filter(|path| ["-wal", "-shm"].iter().any(|end| sibling(path, end).exists()))
}

/// The error of opening the store at the path, beside which lay files of another store perhaps, which may be the cause.
pub(crate) fn of_foreign_log(path: &Path, error: StoreError) -> StoreError {
    let is_of_content = matches!(error, StoreError::Damaged { .. })
        || matches!(&error, StoreError::CannotOpen { reason, .. } if reason.contains("damaged"));
    let reason = error.to_string();
    if is_of_content { OpeningError::ForeignLog { path: path.to_owned(), reason }.into() } else { error }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.exists().then_some((0, 0))
}
