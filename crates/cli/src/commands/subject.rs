//! `tokenberg subject …`: disables and enables users of other issuers, and unsecured users; conformance TX-37.

use crate::clock;
use crate::commands::followers::{Waiting, as_json, ending};
use crate::commands::foreign_issuer::foreign;
use crate::commands::issued::issued;
use crate::commands::subject_names;
use crate::common::Common;
use crate::failure::{note, warn};
use crate::moment_text;
use crate::output::{self, Output};
use crate::store_access::{StoreLocation, wait_for};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::explanation::about;
use tokenberg_core::{ClientId, Issuer, Subject};
use tokenberg_store::{DisabledSubject, Store, StoreError};

/// `tokenberg subject …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tokenberg subject disable 00u1alice --issuer https://idp.example
      refuses this user's tokens of the issuer, and all tokens obtained with them, until `enable`
  tokenberg subject disable alice
      the same for the user alice of unsecured JWTs (--may-assert-users)

To disable a client, use `tokenberg client disable`. A running server applies the change within one
second.")]
pub(crate) enum Subjects {
    /// Disable a user: refuse its tokens, and all tokens obtained with them, until it is enabled again
    Disable(Disable),
    /// Enable a user that was disabled
    Enable(Name),
    /// List disabled users
    List,
}

/// `tokenberg subject disable`
#[derive(Debug, Args)]
pub(crate) struct Disable {
    #[command(flatten)]
    name: Name,

    #[command(flatten)]
    waiting: Waiting,
}

/// One subject.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// User, by the issuer's exact name for it, or with the issuer's --subject-prefix as in catalogs
    #[arg(value_name = "SUB")]
    subject: Subject,

    /// Issuer of the user; if omitted, the user is one that clients name in unsecured JWTs
    #[arg(long, value_name = "URL", value_parser = foreign)]
    issuer: Option<Issuer>,
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, arguments: Subjects, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    wait_for(async {
        let store = match arguments {
            Subjects::List => location.open_to_read().await?,
            Subjects::Disable(_) | Subjects::Enable(_) => location.open_existing().await?,
        };
        let done = match arguments {
            Subjects::Disable(arguments) => disable(&store, arguments, output).await,
            Subjects::Enable(name) => enable(&store, name, output).await,
            Subjects::List => list(&store, output).await,
        };
        store.close().await;
        done
    })
}

async fn disable(store: &Store, arguments: Disable, output: Output) -> anyhow::Result<()> {
    let Disable { name: Name { subject, issuer }, waiting } = arguments;
    subject_names::check_single(&subject)?;
    let names = match &issuer {
        Some(issuer) => subject_names::meant(store, issuer, &subject).await?,
        None => vec![subject.clone()],
    };
    for name in &names {
        store.disable_subject(clock::now()?, issuer.as_ref(), name).await?;
    }
    let followers = waiting.followers(store).await;
    warn_if_unknown(store, issuer.as_ref(), &subject).await?;
    if let ([_, own], Some(issuer)) = (names.as_slice(), &issuer) {
        note(&format!(
            "catalogs know the user {own} of {issuer} as {subject}; this user is disabled, and so is a user with the name {subject} at \
             {issuer}"
        ));
    }
    if issuer.is_none() {
        note(
            "without --issuer, the command disables the user of this name in unsecured JWTs; for a user of an issuer, give --issuer",
        );
        let client: Option<ClientId> = subject.as_str().parse().ok();
        if let Some(id) = client
            && store.client(&id).await.is_ok()
        {
            let command = about("tokenberg client disable", id.as_str(), "");
            note(&format!("the client {id} is not disabled; `{command}` disables it"));
        }
    }
    let who = who(&subject, issuer.as_ref());
    output.show(
        || json!({"sub": subject, "issuer": issuer, "enabled": false, "nodes": as_json(followers.as_ref())}),
        || format!("{who} is disabled; tokens for this user are refused{}", ending(followers.as_ref())),
    )?;
    Ok(())
}

/// Warns of a name that neither the audit nor a registration knows: it may be misspelled, and the user meant goes on.
async fn warn_if_unknown(store: &Store, issuer: Option<&Issuer>, subject: &Subject) -> anyhow::Result<()> {
    let filter = subject_names::filter(store, issuer, subject).await?;
    let is_unknown = issued(store, filter, clock::now()?).await?.is_unknown();
    if is_unknown && !subject_names::is_registered(store, issuer, subject).await? {
        let who = who(subject, issuer);
        warn(&format!(
            "{who} is unknown: the audit has no token for this user, who is disabled all the same; if the name is misspelled, \
             `tokenberg subject enable` undoes this"
        ));
    }
    Ok(())
}

async fn enable(store: &Store, name: Name, output: Output) -> anyhow::Result<()> {
    let Name { subject, issuer } = name;
    let names = match &issuer {
        Some(issuer) => subject_names::all(store, issuer, &subject).await?,
        None => vec![subject.clone()],
    };
    let mut was_disabled = false;
    for name in &names {
        match store.enable_subject(issuer.as_ref(), name).await {
            Ok(()) => was_disabled = true,
            Err(StoreError::NotDisabled { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let who = who(&subject, issuer.as_ref());
    if !was_disabled {
        note(&format!(
            "{who} was not disabled, so nothing was changed; `tokenberg subject list` lists disabled users"
        ));
    }
    output.show(
        || json!({"sub": subject, "issuer": issuer, "enabled": true}),
        || format!("{who} is enabled"),
    )?;
    Ok(())
}

async fn list(store: &Store, output: Output) -> anyhow::Result<()> {
    let subjects = store.disabled_subjects().await?;
    let value = |one: &DisabledSubject| json!({"sub": one.subject, "issuer": one.issuer, "since": moment_text::written(one.since)});
    output.show(
        || subjects.iter().map(value).collect(),
        || {
            let heading = ["SUBJECT", "ISSUER", "DISABLED SINCE"];
            let row = |one: &DisabledSubject| {
                let issuer = one.issuer.as_ref().map_or_else(|| "(unsecured)".to_owned(), Issuer::to_string);
                [one.subject.to_string(), issuer, moment_text::written(one.since)]
            };
            output::list(heading, subjects.iter().map(row))
        },
    )?;
    Ok(())
}

fn who(subject: &Subject, issuer: Option<&Issuer>) -> String {
    match issuer {
        Some(issuer) => format!("{subject} of {issuer}"),
        None => format!("{subject} of unsecured JWTs"),
    }
}
