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
pub(crate) fn run(common: &Common, arguments: Client, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    wait_for(async {
        match arguments {
            Client::Add(arguments) => add::run(location, *arguments, output).await,
            Client::Change(arguments) => change::run(location, *arguments, output).await,
            Client::List => show::list(location, output).await,
            Client::Show(arguments) => show::one(location, &arguments.id, output).await,
            Client::Disable(arguments) => set_enabled(location, &arguments.id, false, output).await,
            Client::Enable(arguments) => set_enabled(location, &arguments.id, true, output).await,
            Client::Remove(arguments) => remove(location, &arguments.id, output).await,
            Client::Secret(arguments) => secret::run(location, arguments, output).await,
            Client::Federate(arguments) => federate::run(location, arguments, output).await,
            Client::Jwks(arguments) => jwks::run(location, arguments, output).await,
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
