//! `tokenberg issuer …`: manages trusted issuers; RFC 8693 §2.1, RFC 7523 §3, conformance KS-06.

mod add;
mod change;
pub(crate) mod naming;
mod show;
mod terms;
mod trying;

use super::foreign_issuer::foreign;
use crate::clock;
use crate::common::Common;
use crate::failure::note;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::Issuer;

/// `tokenberg issuer …`
#[derive(Debug, Subcommand)]
pub(crate) enum Issuers {
    /// Trust an issuer: where its keys are, and what its tokens are worth here
    Add(Box<add::Add>),
    /// Change what the tokens of an issuer are worth; what is not named stays
    Change(Box<change::Change>),
    /// List all issuers
    List,
    /// Show what the tokens of an issuer are worth, and which clients it vouches for
    Show(Url),
    /// Refuse the issuer's tokens, and all that was got with them, until it is enabled again
    Disable(Url),
    /// Take back what `disable` did
    Enable(Url),
    /// Trust the issuer no more; its tokens from before, and what was obtained with them, stay refused even if it is added again
    Remove(Url),
}

/// One issuer.
#[derive(Debug, Args)]
pub(crate) struct Url {
    /// The issuer, exactly as its tokens name it
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, asked: Issuers, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    // Done before any change, so that a file that cannot be read changes nothing.
    let trial = match &asked {
        Issuers::Add(asked) => asked.trying.trial()?,
        Issuers::Change(asked) => asked.trying.trial()?,
        Issuers::List | Issuers::Show(_) | Issuers::Disable(_) | Issuers::Enable(_) | Issuers::Remove(_) => {
            None
        }
    };
    wait_for(async {
        match asked {
            Issuers::Add(asked) => add::run(location, *asked, trial.as_ref(), output).await,
            Issuers::Change(asked) => change::run(location, *asked, trial.as_ref(), output).await,
            Issuers::List => show::list(location, output).await,
            Issuers::Show(asked) => show::one(location, &asked.issuer, output).await,
            Issuers::Disable(asked) => set_enabled(location, &asked.issuer, false, output).await,
            Issuers::Enable(asked) => set_enabled(location, &asked.issuer, true, output).await,
            Issuers::Remove(asked) => remove(location, &asked.issuer, output).await,
        }
    })
}

async fn set_enabled(
    location: StoreLocation,
    issuer: &Issuer,
    enabled: bool,
    output: Output,
) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
    store.set_issuer_enabled(issuer, enabled).await?;
    if enabled {
        naming::warn_of_others(&store, issuer).await;
    }
    store.close().await;
    let done = if enabled {
        "enabled"
    } else {
        "disabled; its tokens and what was got with them are good for nothing now"
    };
    output.show(|| json!({"issuer": issuer, "enabled": enabled}), || format!("issuer {issuer} is {done}"))?;
    Ok(())
}

async fn remove(location: StoreLocation, issuer: &Issuer, output: Output) -> anyhow::Result<()> {
    let store = location.open_existing().await?;
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
            "it vouched for clients, who cannot authenticate by it any more: {}",
            names.join(", ")
        ));
    }
    output.show(
        || json!({"issuer": issuer, "removed": true}),
        || format!("issuer {issuer} is trusted no more"),
    )?;
    Ok(())
}
