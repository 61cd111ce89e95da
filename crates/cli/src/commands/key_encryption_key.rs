//! `tokenberg key-encryption-key change`: changes the key that seals the store; conformance SE-03, KS-07.

use crate::common::Common;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_store::KekSource;

/// `tokenberg key-encryption-key …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyEncryptionKey {
    /// Encrypt the secret keys in the store with a new key-encryption key; the old one can no longer open the store
    Change(Change),
}

/// `tokenberg key-encryption-key change`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tokenberg key-encryption-key change --new-key-file new.key
  mv new.key tokenberg.db.key

The change is atomic: an interrupted command leaves the store with either the old or the new key.
Running servers continue. Until the new key is in the place of the old one, they apply all changes
of the store except those of signing keys; they read the new key there without a restart. Servers
with --next-key-file new.key apply those as well, and can be restarted meanwhile. A server with the
key in TOKENBERG_KEY must be restarted with the new key. Backups from before the change need the
old key.")]
pub(crate) struct Change {
    /// File with the new key; it is created if it does not exist
    #[arg(long, value_name = "FILE")]
    new_key_file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If the present key is wrong, the new one is missing, or the store fails.
pub(crate) fn run(common: &Common, arguments: KeyEncryptionKey, output: Output) -> anyhow::Result<()> {
    let KeyEncryptionKey::Change(arguments) = arguments;
    let location = StoreLocation::of(common)?;
    let old = location.key_file();
    wait_for(async {
        let store = location.open_existing().await?;
        let keys = store.change_key_encryption_key(&KekSource::File(arguments.new_key_file.clone())).await?;
        store.close().await;
        let new = arguments.new_key_file.display();
        output.show(
            || json!({"key_file": new.to_string(), "signing_keys": keys}),
            || {
                let next = match &old {
                    Some(old) => {
                        format!("put this file in the place of the old key: mv {new} {}", old.display())
                    }
                    None => {
                        "set TOKENBERG_KEY to the content of this file, and restart the servers".to_owned()
                    }
                };
                format!("the store is encrypted with the key in {new}; {next}")
            },
        )?;
        Ok(())
    })
}
