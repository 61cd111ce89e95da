//! `tokenberg client …`: registers, shows and changes clients; registration, RFC 6749 §2.

mod add;
mod certificate_name;
mod change;
mod federate;
mod jwks;
mod key;
mod new_key;
mod proof;
mod secret;
mod show;
mod terms;

pub(super) use add::new_id;
pub(super) use terms::check;

use super::audit_filter::Filter;
use super::confirming::Confirming;
use super::followers::{Waiting, as_json, ending};
use super::issued::issued;
use crate::common::Common;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::ClientId;
use tokenberg_core::explanation::about;
use tokenberg_store::Store;

/// `tokenberg client …`
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Register a client and print its secret once
    Add(Box<add::Add>),
    /// Change the rights of a client; its secrets stay valid
    Change(Box<change::Change>),
    /// List all clients
    List(show::List),
    /// Show the rights of a client, and its secrets without their values
    Show(Id),
    /// Disable a client: refuse it and all its tokens until it is enabled again
    Disable(Disable),
    /// Enable a client that was disabled
    Enable(Id),
    /// Remove a client; its tokens stay revoked, even if a client with the same ID is added later
    Remove(Remove),
    /// Add or expire a secret; two secrets may be valid at a time, for rotation
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Map an identity of another issuer to a client: a Kubernetes service account, a CI job, a SPIFFE ID
    Federate(federate::Federate),
    /// Create a key pair for a client that authenticates with private_key_jwt
    #[command(subcommand)]
    Key(key::Key),
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

/// `tokenberg client disable`
#[derive(Debug, Args)]
pub(crate) struct Disable {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    #[command(flatten)]
    waiting: Waiting,
}

/// `tokenberg client remove`
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    #[command(flatten)]
    confirming: Confirming,
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
            Client::List(arguments) => show::list(location, &arguments, output).await,
            Client::Show(arguments) => show::one(location, &arguments.id, output).await,
            Client::Disable(arguments) => disable(location, &arguments, output).await,
            Client::Enable(arguments) => enable(location, &arguments.id, output).await,
            Client::Remove(arguments) => remove(location, &arguments, output).await,
            Client::Secret(arguments) => secret::run(location, arguments, output).await,
            Client::Federate(arguments) => federate::run(location, arguments, output).await,
            Client::Key(key::Key::New(arguments)) => key::run(location, arguments, output).await,
            Client::Jwks(arguments) => jwks::run(location, arguments, output).await,
        }
    })
}

async fn disable(location: StoreLocation, arguments: &Disable, output: Output) -> anyhow::Result<()> {
    let Disable { id, waiting } = arguments;
    let store = location.open_existing().await?;
    store.set_enabled(id, false).await?;
    let followers = waiting.followers(&store).await;
    store.close().await;
    output.show(
        || json!({"client_id": id, "enabled": false, "nodes": as_json(followers.as_ref())}),
        || {
            let ending = ending(followers.as_ref());
            format!("client {id} is disabled; its requests and all its tokens are refused{ending}")
        },
    )?;
    Ok(())
}

async fn enable(location: StoreLocation, id: &ClientId, output: Output) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
    store.set_enabled(id, true).await?;
    store.close().await;
    output.show(|| json!({"client_id": id, "enabled": true}), || format!("client {id} is enabled"))?;
    Ok(())
}

async fn remove(location: StoreLocation, arguments: &Remove, output: Output) -> anyhow::Result<()> {
    let Remove { id, confirming } = arguments;
    let store = location.open_existing().await?;
    if confirming.shows_effects() {
        let effects = removal(&store, id).await?;
        if !confirming.allows(&format!("remove the client {id}"), &effects, output)? {
            store.close().await;
            return Ok(());
        }
    }
    let before = clock::next_second().await?;
    store.remove_client(before, id).await?;
    store.close().await;
    output.show(
        || json!({"client_id": id, "removed": true, "before": moment_text::written(before)}),
        || format!("client {id} was removed"),
    )?;
    Ok(())
}

/// What the removal of the client ends.
async fn removal(store: &Store, id: &ClientId) -> anyhow::Result<Vec<String>> {
    let now = clock::now()?;
    let client = store.client(id).await?;
    let live = client.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| now < end)).count();
    let filter = Filter { client: Some(id.to_string()), ..Filter::default() };
    let mut effects = vec![
        "its tokens, and tokens that others hold for it, are revoked for good".to_owned(),
        issued(store, filter, now).await?.sentence("to it", now),
    ];
    if live > 0 {
        effects.push(format!("its live secrets stop working: {live}"));
    }
    if !client.rights.federations.is_empty() {
        effects.push(format!(
            "its identities of other issuers stop working: {}",
            client.rights.federations.len()
        ));
    }
    if !client.rights.serves.is_empty() {
        effects.push(format!("it can no longer introspect tokens for {}", client.rights.serves.join(", ")));
    }
    effects.push(format!(
        "`{}` refuses it and its tokens as well, and can be undone",
        about("tokenberg client disable", id.as_str(), "")
    ));
    Ok(effects)
}
