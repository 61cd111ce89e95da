//! `tokenberg restore FILE`: puts a backup in the place of the store; conformance OP-10.

use super::restored::{self, Done};
use crate::common::Common;
use crate::failure::{note, warn};
use crate::output::Output;
use crate::store_access::{StoreLocation, operator, wait_for};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tokenberg_store::{Restoration, Store};

/// `tokenberg restore`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg restore nightly.db
  tokenberg restore nightly.db --replay exported-audit.jsonl

First stop every program that has the store open (servers, catalogs with an embedded Tokenberg, a shell
of SQLite): the command refuses while one has. It copies and
checks the backup, opens it with the key-encryption key, does what `tokenberg restored` does, and
then puts it in the place of the store. Until that last step, nothing is changed. The store of
before is kept beside it under another name, which the command prints; remove it when you do not
need it any more. The files whose names end with -wal and -shm go with it.

Clients have to request new tokens, and users have to sign in again.")]
pub(crate) struct Restore {
    /// Backup that `tokenberg backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    replay: restored::Replay,
}

/// Runs the command.
///
/// # Errors
/// If the store is in use, the backup is none or has another key, or a file cannot be written.
pub(crate) fn run(common: &Common, arguments: &Restore, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let replay = arguments.replay.read()?;
    let (done, kept) = wait_for(async {
        let restoration = Restoration::begin(&location.url, &arguments.file).await?;
        Store::migrate(&restoration.url()).await?;
        let store = Store::open_existing(&restoration.url(), location.key.clone()).await?;
        let store = store.changed_by(&operator());
        // What no server could read must not take the place of a store that one reads.
        let readable = store.snapshot().await;
        let readable = readable.context("the backup is damaged, so it was not put in the place of the store");
        let done = match readable {
            Ok(_) => restored::invalidate(&store, replay).await,
            Err(damaged) => Err(damaged),
        };
        let audit = store.verify_audit().await;
        store.close().await;
        let done = done?;
        if !audit?.is_whole() {
            warn("the audit in the backup is not whole: run `tokenberg audit verify`");
        }
        anyhow::Ok((done, restoration.finish().await?))
    })?;
    let Done { value, text } = done;
    output.show(
        || {
            let mut value = value;
            value["file"] = json!(arguments.file);
            value["kept"] = json!(kept);
            value
        },
        || format!("{} is the store at {} now\n{text}", arguments.file.display(), location.url),
    )?;
    if let Some(kept) = kept {
        note(&format!(
            "the store of before is kept in {}; remove it when you do not need it any more",
            kept.display()
        ));
    }
    Ok(())
}
