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
    /// Seal the store with another key; the present one opens nothing any more
    Change(Change),
}

/// `tokenberg key-encryption-key change`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tokenberg key-encryption-key change --new-key-file new.key
  mv new.key tokenberg.db.key

All is sealed anew or nothing, whenever the command ends. Running servers go on, and follow the store in all but its
signing keys until the new key is where they read the old one; they look for it there, without a restart. A server that
has the key from TOKENBERG_KEY is to be started again with the new one. A backup of before needs the old key.")]
pub(crate) struct Change {
    /// The file of the new key; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    new_key_file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If the present key is wrong, the new one is missing, or the store fails.
pub(crate) fn run(common: &Common, asked: KeyEncryptionKey, output: Output) -> anyhow::Result<()> {
    let KeyEncryptionKey::Change(asked) = asked;
    let location = StoreLocation::of(common)?;
    let old = location.key_file();
    wait_for(async {
        let store = location.open_existing().await?;
        let keys = store.change_key_encryption_key(&KekSource::File(asked.new_key_file.clone())).await?;
        store.close().await;
        let new = asked.new_key_file.display();
        output.show(
            || json!({"key_file": new.to_string(), "signing_keys": keys}),
            || {
                let next = match &old {
                    Some(old) => format!("put it where servers read the old one: mv {new} {}", old.display()),
                    None => "put what is in it into TOKENBERG_KEY, and start the servers again".to_owned(),
                };
                format!("the store is sealed with the key from {new}; {next}")
            },
        )?;
        Ok(())
    })
}
