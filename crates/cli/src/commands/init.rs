//! `tokenberg init`: makes a store; conformance OP-12.

use crate::common::Common;
use crate::device::DeviceOptions;
use crate::failure::{note, warn};
use crate::output::{Output, facts};
use crate::server::first_start::{self, Given};
use crate::store_access::{StoreLocation, wait_for};
use clap::Args;
use serde_json::json;
use tokenberg_core::KeyDevice;
use tokenberg_core::jws::Algorithm;
use tokenberg_store::{Store, StoreError};

/// `tokenberg init`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg init --store postgres://tokenberg@db.example/tokenberg --key-file tokenberg.key
  TOKENBERG_BOOTSTRAP_CREDENTIAL=root:… tokenberg init

Run it once for an empty PostgreSQL database, before the servers start. It creates the tables, the
key file if it does not exist, a signing key, and the client `root`, whose secret it prints once;
with the variable, it uses that credential and prints nothing. On a store that exists already, it
changes nothing and exits with 0, so that a job can repeat it. SQLite needs no such step: the first
`tokenberg serve` makes the store.")]
pub(crate) struct Init {
    /// Algorithm of the first signing key: ES256, ES384 or EdDSA; in a device, RS256 or PS256 as well
    #[arg(long, value_name = "ALG", env = "TOKENBERG_ALG", default_value = "ES256", value_parser = Algorithm::for_signing)]
    alg: Algorithm,

    #[command(flatten)]
    device: DeviceOptions,
}

/// Runs the command.
///
/// # Errors
/// If the store cannot be made, or exists with an older schema.
pub(crate) fn run(common: &Common, arguments: &Init, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let (url, key_file, given) = (location.url.clone(), location.key_file(), Given::read()?);
    let device = arguments.device.open()?;
    let had_key = key_file.as_ref().is_none_or(|path| path.exists());
    let (is_new, first) = wait_for(async {
        let store = match Store::open_existing(&url, location.key.clone()).await {
            Err(StoreError::Missing { .. }) => Store::open(&url, location.key.clone()).await?,
            opened => opened?,
        };
        let store = store.changed_by(&crate::store_access::operator());
        let as_read = store.snapshot().await?;
        let is_new = as_read.keys().is_empty();
        let device = device.as_ref().map(|device| device as &dyn KeyDevice);
        let first = first_start::prepare(&store, device, &as_read, given, arguments.alg, warn).await?;
        store.close().await;
        Ok((is_new, first))
    })?;
    output.show(
        || {
            let mut value = json!({"store": url.to_string(), "made": is_new});
            if let Some(first) = &first {
                value["client_id"] = json!(first.client_id);
                value["client_secret"] = first.secret.expose().into();
            }
            value
        },
        || match (&first, is_new) {
            (_, false) => format!("there is a store at {url} already; nothing was changed"),
            (None, true) => format!("the store {url} was made"),
            (Some(first), true) => {
                let credential = facts(&[
                    ("client id", first.client_id.to_string()),
                    ("client secret", first.secret.expose().to_owned()),
                ]);
                format!(
                    "the store {url} was made. Its first client may request every scope. Its secret is shown only once:\n\n{credential}"
                )
            }
        },
    )?;
    if let Some(path) = key_file.filter(|_| is_new && !had_key) {
        note(&format!(
            "the key-encryption key was created in {}: every server needs this file, and the store is lost without it",
            path.display()
        ));
    }
    Ok(())
}
