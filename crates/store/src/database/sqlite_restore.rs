//! Puts another file in the place of an SQLite store, while no process has it open, and keeps the store of before.

use crate::error::StoreError;
use crate::opening::OpeningError;
use crate::private_file::{sibling, sync_directory};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the merge of the `-wal` file waits for another process.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The lock of a store that is about to be replaced. While it is held, SQLite opens the file in no process.
pub(crate) struct Replacing {
    /// Closing it releases the lock. `None` if there is no store.
    _file: Option<File>,
}

impl Replacing {
    /// Locks the whole file, whatever it contains. An SQLite connection in WAL mode holds a lock on a part of it as long as it is open.
    pub(crate) fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| not_replaced(path, &error);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { _file: None }),
            Err(error) => return Err(failed(error)),
        };
        #[cfg(unix)]
        if let Err(error) =
            rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        {
            let error = io::Error::from(error);
            let is_held =
                [io::ErrorKind::WouldBlock, io::ErrorKind::PermissionDenied].contains(&error.kind());
            let in_use = || OpeningError::InUse { path: path.to_owned() }.into();
            return Err(if is_held { in_use() } else { failed(error) });
        }
        Ok(Self { _file: Some(file) })
    }
}

/// Puts `fresh`, which is on the same file system, in the place of `store`. Returns the path at which the store of before is kept.
///
/// The store of before is linked to another name first, with its `-wal` file, and loses its own name when the new one takes it.
pub(crate) async fn replace(store: &Path, fresh: &Path) -> Result<Option<PathBuf>, StoreError> {
    if store.exists() {
        merge_wal(store).await?;
    }
    let _lock = Replacing::lock(store)?;
    let failed = |error: io::Error| not_replaced(store, &error);
    File::open(fresh).and_then(|file| file.sync_all()).map_err(failed)?;
    let kept = kept(store);
    let has_store = link(store, &kept).map_err(failed)?;
    for end in ["-wal", "-shm"] {
        link(&sibling(store, end), &sibling(&kept, end)).map_err(failed)?;
    }
    // All names are on disk before any is taken away.
    sync_directory(store).map_err(failed)?;
    for end in ["-wal", "-shm"] {
        match fs::remove_file(sibling(store, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(fresh, store).and_then(|()| sync_directory(store)).map_err(failed)?;
    Ok(has_store.then_some(kept))
}

fn not_replaced(path: &Path, error: &io::Error) -> StoreError {
    OpeningError::NotReplaced { path: path.to_owned(), reason: error.to_string() }.into()
}

/// Links a file, if it exists, to a second name. Returns whether it exists.
fn link(path: &Path, second: &Path) -> io::Result<bool> {
    match fs::hard_link(path, second) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where the store of before is kept: a free name with the time.
fn kept(store: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let named = (now..).map(|seconds| sibling(store, &format!(".before-restore-{seconds}")));
    let mut free = named.filter(|path| fs::symlink_metadata(path).is_err());
    free.next().unwrap_or_else(|| sibling(store, ".before-restore"))
}

/// Moves what is in the `-wal` file of the store into the store, and removes that file. A damaged store stays as it is.
async fn merge_wal(store: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(store)
        .create_if_missing(false)
        .busy_timeout(LOCK_TIMEOUT)
        .disable_statement_logging();
    let merge = async {
        let mut connection = options.connect().await?;
        let merged = sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut connection).await;
        connection.close().await?;
        merged.map(drop)
    };
    match merge.await.map_err(StoreError::from) {
        Err(error) if error.is_lock() => Err(OpeningError::InUse { path: store.to_owned() }.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
