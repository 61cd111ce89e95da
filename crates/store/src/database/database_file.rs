//! Is the database still the file that was opened? One that was replaced or removed goes on being read, and is nobody's.

use crate::error::StoreError;
use std::path::{Path, PathBuf};

/// A database file, by its path and by what the file system calls it.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    /// To be called when the database has just been opened.
    pub(crate) fn opened(path: &Path) -> Result<Self, StoreError> {
        let identity =
            identity(path).ok_or_else(|| StoreError::Missing { store: path.display().to_string() })?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Fails if another file, or none, stands at the path now. Costs one system call.
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
