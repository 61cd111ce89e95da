//! `tokenberg client secret`: rotates a client's secret without downtime. Add one, hand it out, expire the other: conformance CA-21.

use super::add::{new_secret, shown_once, value, warn_if_weak};
use crate::clock;
use crate::failure::wrong_usage;
use crate::moment_text;
use crate::output::{Output, facts};
use crate::store_access::StoreLocation;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::{AuthMethod, ClientId};

/// `tokenberg client secret …`
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Add a second secret and print it once; the first secret stays valid
    Add(Add),
    /// Expire a secret, now or at a given time
    Expire(Expire),
}

/// `tokenberg client secret add`
#[derive(Debug, Args)]
#[command(after_help = "\
To rotate a secret without downtime:
  tokenberg client secret add spark
      prints the new secret; both secrets are valid now. Configure the client with the new one
  tokenberg client show spark
      lists the IDs of the secrets, and when each was last used, to the minute
  tokenberg client secret expire spark 1f3a90c2
      expires the old secret

A running server applies the change within one second.")]
pub(crate) struct Add {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// Read the secret from this file (`-`: standard input) instead of generating one; one trailing newline is ignored
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// `tokenberg client secret expire`
#[derive(Debug, Args)]
pub(crate) struct Expire {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// ID of the secret, as `tokenberg client show` lists it
    #[arg(value_name = "SECRET_ID")]
    secret_id: String,

    /// Time of expiry: 2026-11-21T21:58:00Z, now, or +15m
    #[arg(long, value_name = "TIME", default_value = "now")]
    at: String,
}

/// Runs the command.
///
/// # Errors
/// If the client or the secret does not exist, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: Secret, output: Output) -> anyhow::Result<()> {
    match arguments {
        Secret::Add(arguments) => add(location, arguments, output).await,
        Secret::Expire(arguments) => expire(location, arguments, output).await,
    }
}

async fn add(location: StoreLocation, arguments: Add, output: Output) -> anyhow::Result<()> {
    let secret = new_secret(arguments.secret_file)?;
    let store = location.open_existing().await?;
    let method = store.client(&arguments.id).await?.rights.auth_method;
    anyhow::ensure!(
        method == AuthMethod::ClientSecret,
        "the client {} authenticates with {}, so it cannot use a secret",
        arguments.id,
        method.as_str()
    );
    let added = store.add_secret(clock::now()?, &arguments.id, secret).await?;
    store.close().await;
    warn_if_weak(added.strength);
    output.show(
        || value(&arguments.id, Some(&added.secret_id), added.secret.as_ref()),
        || {
            facts(&[
                ("client id", arguments.id.to_string()),
                ("secret id", added.secret_id.to_string()),
                ("client secret", shown_once(added.secret.as_ref())),
            ])
        },
    )?;
    Ok(())
}

async fn expire(location: StoreLocation, arguments: Expire, output: Output) -> anyhow::Result<()> {
    let now = clock::now()?;
    let at = moment_text::parse(&arguments.at, now).map_err(wrong_usage)?;
    let store = location.open_existing().await?;
    store.expire_secret(&arguments.id, &arguments.secret_id, at).await?;
    // An earlier expiry is never postponed, so the expiry is read from the store.
    let record = store.client(&arguments.id).await?;
    store.close().await;
    let end = record
        .secrets
        .iter()
        .find(|s| *s.id == *arguments.secret_id)
        .and_then(|s| s.expires_at)
        .unwrap_or(at);
    output.show(
        || json!({"client_id": arguments.id, "secret_id": arguments.secret_id, "expires_at": moment_text::written(end)}),
        || {
            let when = moment_text::with_distance(end, now);
            let verb = if end <= now { "expired" } else { "expires" };
            format!("secret {} of client {} {verb} at {when}", arguments.secret_id, arguments.id)
        },
    )?;
    Ok(())
}
