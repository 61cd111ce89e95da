//! How is the store copied while it is in use? A whole and consistent file, or none; conformance OP-10.

use crate::database::Db;
use crate::error::StoreError;
use crate::private_file::{owners_only, sync_directory};
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

impl Store {
    /// Writes a copy of the database, as of one moment, to a new file with mode 0600, and says how many bytes it has.
    ///
    /// Whoever writes to the store meanwhile is not held up. The file appears when all of it is on disk, and never replaces
    /// another. The key-encryption key is not in it, and without it the copy is of no use.
    ///
    /// # Errors
    /// If there is such a file already, it cannot be written, or the store fails.
    pub async fn back_up(&self, to: &Path) -> Result<u64, StoreError> {
        let taken = || StoreError::BackupExists { path: to.to_owned() };
        let failed = |e: io::Error| StoreError::Backup { path: to.to_owned(), reason: e.to_string() };
        let read = match &self.0.db {
            Db::Lite { read, .. } => read,
            Db::Postgres(_) => {
                let reason = "a database of PostgreSQL is copied with pg_dump".to_owned();
                return Err(StoreError::Backup { path: to.to_owned(), reason });
            }
        };
        if fs::symlink_metadata(to).is_ok() {
            return Err(taken());
        }
        let mut tag = [0; 8];
        SystemRandom::new().fill(&mut tag)?;
        let aside = Aside::make(to, u64::from_be_bytes(tag)).map_err(failed)?;
        let name = aside.0.to_str().ok_or_else(|| {
            failed(io::Error::new(io::ErrorKind::InvalidInput, "the name of the file is not UTF-8"))
        })?;
        // Not a copy of the files: those are two, and between reading the one and the other there may be a commit.
        sqlx::query("VACUUM INTO $1").bind(name).execute(read).await?;
        let file = OpenOptions::new().read(true).write(true).open(&aside.0).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // A link fails where a file stands; renaming would replace it.
        match fs::hard_link(&aside.0, to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
            Err(error) => return Err(failed(error)),
        }
        drop(aside);
        sync_directory(to).map_err(failed)?;
        Ok(length)
    }
}

/// A file beside the one that is to come, which is removed again.
struct Aside(PathBuf);

impl Aside {
    fn make(beside: &Path, tag: u64) -> io::Result<Self> {
        let mut name = beside.as_os_str().to_owned();
        name.push(format!(".{tag:016x}.tmp"));
        let path = PathBuf::from(name);
        owners_only(OpenOptions::new().write(true).create_new(true)).open(&path).map(drop)?;
        Ok(Self(path))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // If it stays, nobody else can read it.
        let _ = fs::remove_file(&self.0);
    }
}
