//! Notices that the database file was replaced or removed: SQLite would go on reading the old file, which nothing writes any
//! more.

use crate::error::StoreError;
use std::path::{Path, PathBuf};

/// A database file: its path, and its identity in the file system.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    /// The file of a database that was just opened.
    pub(crate) fn opened(path: &Path) -> Result<Self, StoreError> {
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

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.exists().then_some((0, 0))
}
