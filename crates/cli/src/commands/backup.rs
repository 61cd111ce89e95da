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
The copy is a consistent snapshot; servers and commands can write to the store meanwhile. The
command never replaces a file. The copy does not contain the key file: keep both, in different
places, because neither is useful without the other.

To restore: stop all servers, run `tokenberg restore FILE`, and start them. Do not copy the file
yourself: the files of the old store beside it, whose names end with -wal and -shm, would be taken
for those of the copy.")]
pub(crate) struct Backup {
    /// File to create; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copies the store.
///
/// # Errors
/// If the file exists already or cannot be written, or the store fails.
pub(crate) fn run(common: &Common, arguments: &Backup, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let key_file = location.key_file();
    let bytes = wait_for(async {
        let store = location.open_to_read().await?;
        let written = store.back_up(&arguments.file).await;
        store.close().await;
        Ok(written?)
    })?;
    output.show(
        || json!({"file": arguments.file, "bytes": bytes}),
        || format!("the store was copied to {} ({bytes} bytes)", arguments.file.display()),
    )?;
    if let Some(path) = key_file {
        note(&format!(
            "the copy can be opened only with the key in {}, which it does not contain",
            path.display()
        ));
    }
    Ok(())
}
