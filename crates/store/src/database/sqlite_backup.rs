//! Copies an SQLite file while it is in use: a whole and consistent copy, or none.

use crate::database::sqlite::Sqlite;
use crate::error::StoreError;
use crate::private_file::{owners_only, sync_directory};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

impl Sqlite {
    /// Writes a copy, as of one moment, to a new file. Returns its length in bytes.
    pub(crate) async fn back_up(&self, to: &Path) -> Result<u64, StoreError> {
        let taken = || StoreError::BackupExists { path: to.to_owned() };
        let failed = |e: io::Error| StoreError::Backup { path: to.to_owned(), reason: e.to_string() };
        if fs::symlink_metadata(to).is_ok() {
            return Err(taken());
        }
        let mut tag = [0; 8];
        SystemRandom::new().fill(&mut tag)?;
        let aside = Aside::make(to, u64::from_be_bytes(tag)).map_err(failed)?;
        let name = aside.0.to_str().ok_or_else(|| {
            failed(io::Error::new(io::ErrorKind::InvalidInput, "the name of the file is not UTF-8"))
        })?;
        let mut connection = self.read.acquire().await?;
        // It would forbid to write the copy, too.
        sqlx::query("PRAGMA query_only = OFF").execute(&mut *connection).await?;
        connection.close_on_drop();
        // Copying the files does not do: there are two, and a commit may come between reading one and the other.
        sqlx::query("VACUUM INTO $1").bind(name).execute(&mut *connection).await?;
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

/// A temporary file beside the final one. Dropping it removes the file.
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
        // If it stays, only its owner can read it.
        let _ = fs::remove_file(&self.0);
    }
}
