//! `tokenberg issuer …`: manages trusted issuers; RFC 8693 §2.1, RFC 7523 §3, conformance KS-06.

mod add;
mod change;
pub(crate) mod naming;
mod show;
mod terms;
mod trying;

pub(super) use add::key_address;
pub(super) use terms::check;

use super::audit_filter::Filter;
use super::confirming::Confirming;
use super::followers::{Waiting, as_json, ending};
use super::foreign_issuer::foreign;
use super::issued::issued;
use crate::clock;
use crate::common::Common;
use crate::failure::note;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::{ClientId, Issuer};
use tokenberg_store::{Store, StoreError};

/// `tokenberg issuer …`
#[derive(Debug, Subcommand)]
pub(crate) enum Issuers {
    /// Register a trusted issuer: where its keys are, and what its tokens are accepted as
    Add(Box<add::Add>),
    /// Change a trusted issuer; properties without an option keep their values
    Change(Box<change::Change>),
    /// List all trusted issuers
    List,
    /// Show a trusted issuer, and the clients that its identities are mapped to
    Show(Url),
    /// Disable an issuer: refuse its tokens, and all tokens obtained with them, until it is enabled again
    Disable(Disable),
    /// Enable an issuer that was disabled
    Enable(Url),
    /// Remove an issuer; its present tokens, and tokens obtained with them, stay revoked even if it is added again
    Remove(Remove),
}

/// One issuer.
#[derive(Debug, Args)]
pub(crate) struct Url {
    /// Issuer, exactly as in `iss` of its tokens
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,
}

/// `tokenberg issuer disable`
#[derive(Debug, Args)]
pub(crate) struct Disable {
    /// Issuer, exactly as in `iss` of its tokens
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    #[command(flatten)]
    waiting: Waiting,
}

/// `tokenberg issuer remove`
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Issuer, exactly as in `iss` of its tokens
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    #[command(flatten)]
    confirming: Confirming,
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, arguments: Issuers, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    // Done before any change, so that a file that cannot be read changes nothing.
    let trial = match &arguments {
        Issuers::Add(arguments) => arguments.trying.trial()?,
        Issuers::Change(arguments) => arguments.trying.trial()?,
        Issuers::List | Issuers::Show(_) | Issuers::Disable(_) | Issuers::Enable(_) | Issuers::Remove(_) => {
            None
        }
    };
    wait_for(async {
        match arguments {
            Issuers::Add(arguments) => add::run(location, *arguments, trial.as_ref(), output).await,
            Issuers::Change(arguments) => change::run(location, *arguments, trial.as_ref(), output).await,
            Issuers::List => show::list(location, output).await,
            Issuers::Show(arguments) => show::one(location, &arguments.issuer, output).await,
            Issuers::Disable(arguments) => disable(location, &arguments, output).await,
            Issuers::Enable(arguments) => enable(location, &arguments.issuer, output).await,
            Issuers::Remove(arguments) => remove(location, &arguments, output).await,
        }
    })
}

async fn disable(location: StoreLocation, arguments: &Disable, output: Output) -> anyhow::Result<()> {
    let Disable { issuer, waiting } = arguments;
    let store = location.open_existing().await?;
    store.set_issuer_enabled(issuer, false).await?;
    let followers = waiting.followers(&store).await;
    store.close().await;
    output.show(
        || json!({"issuer": issuer, "enabled": false, "nodes": as_json(followers.as_ref())}),
        || {
            let ending = ending(followers.as_ref());
            format!(
                "issuer {issuer} is disabled; its tokens, and all tokens obtained with them, are refused{ending}"
            )
        },
    )?;
    Ok(())
}

async fn enable(location: StoreLocation, issuer: &Issuer, output: Output) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
    store.set_issuer_enabled(issuer, true).await?;
    naming::warn_of_others(&store, issuer).await;
    store.close().await;
    note(&format!(
        "sessions that began with tokens of the issuer before it was disabled go on; `tokenberg revoke --issuer {issuer}` ends them"
    ));
    output.show(|| json!({"issuer": issuer, "enabled": true}), || format!("issuer {issuer} is enabled"))?;
    Ok(())
}

async fn remove(location: StoreLocation, arguments: &Remove, output: Output) -> anyhow::Result<()> {
    let Remove { issuer, confirming } = arguments;
    let store = location.open_existing().await?;
    if confirming.shows_effects() {
        let effects = removal(&store, issuer).await?;
        if !confirming.allows(&format!("remove the issuer {issuer}"), &effects, output)? {
            store.close().await;
            return Ok(());
        }
    }
    // The prefix of an issuer that a newer version wrote is unknown; the issuer can be removed all the same.
    let known = store.issuer(issuer).await.ok();
    store.remove_issuer(clock::next_second().await?, issuer).await?;
    let clients = store.federated_with(issuer).await?;
    store.close().await;
    if let Some(prefix) = known.and_then(|known| known.trusted.trust.subject_prefix) {
        note(&naming::given_up(&prefix));
    }
    if !clients.is_empty() {
        let names: Vec<&str> = clients.iter().map(|id| id.as_str()).collect();
        note(&format!(
            "these clients can no longer authenticate with identities of the issuer: {}",
            names.join(", ")
        ));
    }
    output.show(
        || json!({"issuer": issuer, "removed": true}),
        || format!("issuer {issuer} was removed; it is no longer trusted"),
    )?;
    Ok(())
}

/// What the removal of the issuer ends.
async fn removal(store: &Store, issuer: &Issuer) -> anyhow::Result<Vec<String>> {
    let now = clock::now()?;
    // One that a newer version wrote cannot be read, but removed.
    if let Err(error @ StoreError::NoSuchIssuer { .. }) = store.issuer(issuer).await {
        return Err(error.into());
    }
    let filter = Filter { issuer: Some(issuer.to_string()), ..Filter::default() };
    let mut effects = vec![
        "all tokens and sessions that were obtained with its tokens are revoked for good, also if it is added again".to_owned(),
        issued(store, filter, now).await?.sentence("for its users", now),
    ];
    let clients = store.federated_with(issuer).await?;
    if !clients.is_empty() {
        let names: Vec<&str> = clients.iter().map(ClientId::as_str).collect();
        effects.push(format!(
            "these clients can no longer authenticate with its identities: {}",
            names.join(", ")
        ));
    }
    effects
        .push(format!("`tokenberg issuer disable {issuer}` refuses its tokens as well, and can be undone"));
    Ok(effects)
}
