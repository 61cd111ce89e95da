//! `tokenberg backup FILE`: copies the store, with or without a server running.

use crate::common::Common;
use crate::failure::note;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// `tokenberg backup`
#[derive(Debug, Args)]
#[command(after_help = "\
The copy is of one moment, and whoever writes to the store meanwhile is not held up. It never
replaces a file. The key file is not in it: keep that elsewhere, for neither is of use alone.
To restore: end all servers, put the copy in the place of the store, remove the files beside it
that end with -wal and -shm, and start. What was revoked since the copy was made works again
until it is revoked once more: see docs/operations.md.")]
pub(crate) struct Backup {
    /// The file that is to be made; it must not be there
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copies the store.
///
/// # Errors
/// If the file exists already or cannot be written, or the store fails.
pub(crate) fn run(common: &Common, asked: &Backup, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let key_file = location.key_file();
    let bytes = wait_for(async {
        let store = location.open_existing().await?;
        let written = store.back_up(&asked.file).await;
        store.close().await;
        Ok(written?)
    })?;
    output.show(
        || json!({"file": asked.file, "bytes": bytes}),
        || format!("the store was copied to {} ({bytes} bytes)", asked.file.display()),
    )?;
    if let Some(path) = key_file {
        note(&format!("the copy is of use only with the key in {}, which is not in it", path.display()));
    }
    Ok(())
}
