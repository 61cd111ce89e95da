//! `tokenberg client …`: registers, shows and changes clients; registration, RFC 6749 §2.

mod add;
mod certificate_name;
mod change;
mod federate;
mod jwks;
mod proof;
mod secret;
mod show;
mod terms;

use crate::common::Common;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::ClientId;

/// `tokenberg client …`
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Register a client and print its secret once
    Add(Box<add::Add>),
    /// Change the rights of a client; its secrets stay valid
    Change(Box<change::Change>),
    /// List all clients
    List,
    /// Show the rights of a client, and its secrets without their values
    Show(Id),
    /// Disable a client: refuse it and all its tokens until it is enabled again
    Disable(Id),
    /// Enable a client that was disabled
    Enable(Id),
    /// Remove a client; its tokens stay revoked, even if a client with the same ID is added later
    Remove(Id),
    /// Add or expire a secret; two secrets may be valid at a time, for rotation
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Map an identity of another issuer to a client: a Kubernetes service account, a CI job, a SPIFFE ID
    Federate(federate::Federate),
    /// Replace the public keys of a client that authenticates with private_key_jwt
    Jwks(jwks::Jwks),
}

/// One client.
#[derive(Debug, Args)]
pub(crate) struct Id {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, asked: Client, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    wait_for(async {
        match asked {
            Client::Add(asked) => add::run(location, *asked, output).await,
            Client::Change(asked) => change::run(location, *asked, output).await,
            Client::List => show::list(location, output).await,
            Client::Show(asked) => show::one(location, &asked.id, output).await,
            Client::Disable(asked) => set_enabled(location, &asked.id, false, output).await,
            Client::Enable(asked) => set_enabled(location, &asked.id, true, output).await,
            Client::Remove(asked) => remove(location, &asked.id, output).await,
            Client::Secret(asked) => secret::run(location, asked, output).await,
            Client::Federate(asked) => federate::run(location, asked, output).await,
            Client::Jwks(asked) => jwks::run(location, asked, output).await,
        }
    })
}

async fn set_enabled(
    location: StoreLocation,
    id: &ClientId,
    enabled: bool,
    output: Output,
) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
    store.set_enabled(id, enabled).await?;
    store.close().await;
    let done = if enabled { "enabled" } else { "disabled; its requests and all its tokens are refused" };
    output.show(|| json!({"client_id": id, "enabled": enabled}), || format!("client {id} is {done}"))?;
    Ok(())
}

async fn remove(location: StoreLocation, id: &ClientId, output: Output) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
    let before = clock::next_second().await?;
    store.remove_client(before, id).await?;
    store.close().await;
    output.show(
        || json!({"client_id": id, "removed": true, "before": moment_text::written(before)}),
        || format!("client {id} was removed"),
    )?;
    Ok(())
}
