//! `tokenberg client federate`: maps a foreign identity to a client: Kubernetes, CI and SPIFFE; WL-04, WL-10 to WL-14.

use crate::commands::foreign_issuer::foreign;
use crate::failure::{note, warn, wrong_usage};
use crate::output::Output;
use crate::store_access::StoreLocation;
use clap::Args;
use serde_json::json;
use tokenberg_core::explanation::quoted;
use tokenberg_core::registration::Federation;
use tokenberg_core::{AuthMethod, ClientId, Issuer, Subject};

/// `tokenberg client federate`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg issuer add https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
  tokenberg client add etl --auth-method federated
  tokenberg client federate etl --issuer https://kubernetes.default.svc.cluster.local \\
      --subject system:serviceaccount:jobs:etl
      a pod of that service account authenticates with its projected token, whose audience is the
      server's issuer
  tokenberg client federate ci --issuer https://token.actions.githubusercontent.com \\
      --subject repo:example/warehouse:ref:refs/heads/main
  tokenberg client federate spark --issuer spiffe://td.example \\
      --subject 'spiffe://td.example/ns/jobs/*'
  tokenberg client federate etl --remove --issuer https://kubernetes.default.svc.cluster.local \\
      --subject system:serviceaccount:jobs:etl

The issuer must be registered first (`tokenberg issuer add`); it needs no --accept. An identity can
be mapped to one client only. A running server applies the change within one second.")]
pub(crate) struct Federate {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// Issuer of the identity; for SPIFFE the trust domain, spiffe://td.example
    #[arg(long, value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    /// Subject (`sub`) of the identity, compared exactly; a SPIFFE ID may end in /* to match every ID below it
    #[arg(long, value_name = "SUB")]
    subject: String,

    /// The only `aud` that tokens of the identity may have [default: the server's issuer]
    #[arg(long, value_name = "AUDIENCE", conflicts_with = "remove")]
    audience: Option<Box<str>>,

    /// For Kubernetes: UID of the service account; an account that was recreated under the same name is then refused
    #[arg(long, value_name = "UID", conflicts_with = "remove")]
    uid: Option<Box<str>>,

    /// Remove the mapping of this identity to the client
    #[arg(long)]
    remove: bool,
}

/// Runs the command.
///
/// # Errors
/// If the identity is invalid, the client or the issuer does not exist, the identity is another client's, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: Federate, output: Output) -> anyhow::Result<()> {
    let Federate { id, issuer, subject, audience, uid, remove } = arguments;
    if remove {
        let store = location.open_existing().await?;
        store.unfederate(&id, &issuer, &subject).await?;
        store.close().await;
        output.show(
            || json!({"client_id": id, "issuer": issuer, "subject": subject, "removed": true}),
            || format!("{subject} of {issuer} is no longer mapped to client {id}"),
        )?;
        return Ok(());
    }
    let federation = Federation { issuer, subject: subject.into(), audience, uid };
    federation.check().map_err(|fault| wrong_usage(format!("--{fault}")))?;
    note_meaning(&federation);
    let store = location.open_existing().await?;
    let known = store.client(&id).await?.rights;
    if known.auth_method == AuthMethod::Public {
        store.close().await;
        return Err(wrong_usage(format!(
            "the client {id} is registered with --auth-method none, and no identity authenticates it: register another client"
        )));
    }
    store.federate(&id, &federation).await?;
    let is_enabled = store.issuer(&federation.issuer).await?.trusted.enabled;
    store.close().await;
    if !is_enabled {
        warn(&format!(
            "the issuer {} is disabled: its tokens are refused until `tokenberg issuer enable` enables it",
            federation.issuer
        ));
    }
    let is_same =
        |other: &&Federation| other.issuer == federation.issuer && other.subject == federation.subject;
    if let Some(before) = known.federations.iter().find(is_same) {
        note_changes(before, &federation);
    }
    let Federation { issuer, subject, .. } = &federation;
    output.show(
        || json!({"client_id": id, "federation": federation}),
        || format!("{subject} of {issuer} is mapped to client {id}"),
    )?;
    Ok(())
}

/// Notes what the registration had before and no longer has, and what stays good.
fn note_changes(before: &Federation, now: &Federation) {
    let lost = [("--audience", &before.audience, &now.audience), ("--uid", &before.uid, &now.uid)];
    for (option, before, now) in lost {
        let (Some(value), None) = (before, now) else { continue };
        note(&format!(
            "{option} was {} and is not set any more, because the command replaces the previous mapping",
            quoted(value)
        ));
    }
    if before.uid.is_some() && before.uid != now.uid {
        note(&format!(
            "tokens that were obtained with the previous UID stay valid; `tokenberg revoke --subject {} --issuer {}` revokes them",
            quoted(&now.subject),
            quoted(now.issuer.as_str())
        ));
    }
}

fn note_meaning(federation: &Federation) {
    if federation.subject.parse::<Subject>().is_err() {
        note(
            "the subject has more than 255 bytes, so `subject disable` and `revoke --subject` cannot name it",
        );
    }
    if !federation.issuer.is_spiffe() && federation.subject.contains('*') {
        warn(
            "--subject is compared exactly, including the asterisk; only SPIFFE IDs may end in /* as a pattern",
        );
    }
}
