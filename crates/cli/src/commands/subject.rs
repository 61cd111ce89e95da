//! `tokenberg subject …`: disables and enables users of other issuers, and unsecured users; conformance TX-37.

use crate::clock;
use crate::commands::foreign_issuer::foreign;
use crate::commands::subject_names;
use crate::common::Common;
use crate::failure::note;
use crate::moment_text;
use crate::output::{Output, table};
use crate::store_access::{StoreLocation, wait_for};
use clap::{Args, Subcommand};
use serde_json::json;
use tokenberg_core::{ClientId, Issuer, Subject};
use tokenberg_store::{DisabledSubject, Store, StoreError};

/// `tokenberg subject …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tokenberg subject disable 00u1alice --issuer https://idp.example
      whatever she still has of her provider or of us is refused, until `enable`
  tokenberg subject disable alice
      the same for the user alice whom a client asserts without a signature (--may-assert-users)

Our own clients are shut out with `tokenberg client disable`. A running server follows within one second.")]
pub(crate) enum Subjects {
    /// Refuse a user's tokens, and all that was got with them, until it is enabled again
    Disable(Name),
    /// Take back what `disable` did
    Enable(Name),
    /// List who is shut out
    List,
}

/// One subject.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The user, exactly as the issuer names it, or with the issuer's --subject-prefix as catalogs see it
    #[arg(value_name = "SUB")]
    subject: Subject,

    /// Whose user it is; without, a user whom a client asserts without a signature
    #[arg(long, value_name = "URL", value_parser = foreign)]
    issuer: Option<Issuer>,
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, asked: Subjects, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    wait_for(async {
        let store = location.open_existing().await?;
        let done = match asked {
            Subjects::Disable(name) => disable(&store, name, output).await,
            Subjects::Enable(name) => enable(&store, name, output).await,
            Subjects::List => list(&store, output).await,
        };
        store.close().await;
        done
    })
}

async fn disable(store: &Store, name: Name, output: Output) -> anyhow::Result<()> {
    let Name { subject, issuer } = name;
    subject_names::check_single(&subject)?;
    let names = match &issuer {
        Some(issuer) => subject_names::meant(store, issuer, &subject).await?,
        None => vec![subject.clone()],
    };
    for name in &names {
        store.disable_subject(clock::now()?, issuer.as_ref(), name).await?;
    }
    if let ([_, own], Some(issuer)) = (names.as_slice(), &issuer) {
        note(&format!(
            "{subject} is what catalogs call the user {own} of {issuer}, who is disabled; a user whom {issuer} itself calls {subject} \
             is disabled, too"
        ));
    }
    if issuer.is_none() {
        note(
            "without --issuer it is the user of that name whom a client asserts; a user of a provider needs --issuer",
        );
        let client: Option<ClientId> = subject.as_str().parse().ok();
        if let Some(id) = client
            && store.client(&id).await.is_ok()
        {
            note(&format!(
                "there is a client {id}, too, and it goes on working; `tokenberg client disable {id}` stops it"
            ));
        }
    }
    let who = who(&subject, issuer.as_ref());
    output.show(
        || json!({"sub": subject, "issuer": issuer, "enabled": false}),
        || format!("{who} is disabled; no token is good for anything that is about them"),
    )?;
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
    if !was_disabled {
        return Err(StoreError::NotDisabled { issuer, subject }.into());
    }
    let who = who(&subject, issuer.as_ref());
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
            let heading = ["SUBJECT", "ISSUER", "DISABLED SINCE"].map(str::to_owned).to_vec();
            let row = |one: &DisabledSubject| {
                let issuer = one.issuer.as_ref().map_or_else(|| "(asserted)".to_owned(), Issuer::to_string);
                vec![one.subject.to_string(), issuer, moment_text::written(one.since)]
            };
            table(&std::iter::once(heading).chain(subjects.iter().map(row)).collect::<Vec<_>>())
        },
    )?;
    Ok(())
}

fn who(subject: &Subject, issuer: Option<&Issuer>) -> String {
    match issuer {
        Some(issuer) => format!("{subject} of {issuer}"),
        None => format!("{subject}, as clients assert it,"),
    }
}
