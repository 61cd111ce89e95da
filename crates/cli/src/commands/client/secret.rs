//! `tokenberg client secret`: rotates a client's secret without downtime. Add one, hand it out, expire the other: conformance CA-21.

use super::add::{new_secret, shown_once, value, warn_if_weak};
use crate::clock;
use crate::commands::abbreviated::resolve;
use crate::commands::confirming::Confirming;
use crate::duration;
use crate::failure::{warn, wrong_usage};
use crate::moment_text;
use crate::output::{Output, facts};
use crate::store_access::StoreLocation;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::explanation::about;
use tokenberg_core::{AuthMethod, ClientId, Lifetime, Timestamp};
use tokenberg_store::{ClientRecord, SecretRecord, StoreError};

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

    /// Let the secret expire after this time, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = duration::at_least(1))]
    secret_expires: Option<Lifetime>,
}

/// `tokenberg client secret expire`
#[derive(Debug, Args)]
pub(crate) struct Expire {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// ID of the secret, as `tokenberg client show` lists it, or its beginning (at least 4 characters)
    #[arg(value_name = "SECRET_ID")]
    secret_id: String,

    /// Time of expiry: 2026-11-21T21:58:00Z, 2026-11-21, now, or +15m. It can be earlier than one that was set before, but not later
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    at: String,

    #[command(flatten)]
    confirming: Confirming,
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
    let now = clock::now()?;
    let added = store.add_secret(now, &arguments.id, secret).await?;
    let end = arguments.secret_expires.map(|length| now.plus(length));
    if let Some(end) = end {
        store.expire_secret(&arguments.id, &added.secret_id, end).await?;
    }
    store.close().await;
    warn_if_weak(added.strength);
    output.show(
        || value(&arguments.id, Some(&added.secret_id), added.secret.as_ref()),
        || {
            facts(&[
                ("client id", arguments.id.to_string()),
                ("secret id", added.secret_id.to_string()),
                ("client secret", shown_once(added.secret.as_ref())),
                ("expires", end.map_or_else(String::new, |end| moment_text::with_distance(end, now))),
            ])
        },
    )?;
    Ok(())
}

async fn expire(location: StoreLocation, arguments: Expire, output: Output) -> anyhow::Result<()> {
    let Expire { id, secret_id, at, confirming } = arguments;
    let now = clock::now()?;
    let at = moment_text::parse(&at, now).map_err(wrong_usage)?;
    let store = location.open_existing().await?;
    let client = store.client(&id).await?;
    let secret_id = resolve(&secret_id, client.secrets.iter().map(|secret| &*secret.id))?;
    let secret = client.secrets.iter().find(|secret| *secret.id == *secret_id);
    // Before anything is said about it, with --dry-run as without.
    let secret =
        secret.ok_or_else(|| StoreError::NoSuchSecret { client: id.clone(), secret: secret_id.into() })?;
    if let Some(end) = secret.expires_at.filter(|end| at > now && at > *end) {
        anyhow::bail!(
            "the expiry of the secret {secret_id} of client {id} is {}, and an expiry is never postponed: nothing was changed; \
             `{}` adds another secret",
            moment_text::with_distance(end, now),
            about("tokenberg client secret add", id.as_str(), "")
        );
    }
    let warning = last_secret(&client, secret, at, now);
    if warning.is_some() || confirming.shows_effects() {
        let action = format!(
            "let the secret {secret_id} of client {id} expire at {}",
            moment_text::with_distance(at, now)
        );
        let used = secret.last_used_at.map_or_else(
            || "it was never used".to_owned(),
            |used| format!("it was last used at {}", moment_text::with_distance(used, now)),
        );
        let effects: Vec<String> = std::iter::once(used).chain(warning.clone()).collect();
        // Only the last secret is worth a question; --dry-run answers for any.
        let is_asked = warning.is_some() || confirming.is_dry_run();
        if is_asked && !confirming.allows(&action, &effects, output)? {
            store.close().await;
            return Ok(());
        }
    }
    store.expire_secret(&id, secret_id, at).await?;
    // An earlier expiry is never postponed, so the expiry is read from the store.
    let record = store.client(&id).await?;
    store.close().await;
    if let Some(warning) = warning {
        warn(&warning);
    }
    let end = record.secrets.iter().find(|s| *s.id == *secret_id).and_then(|s| s.expires_at).unwrap_or(at);
    output.show(
        || json!({"client_id": id, "secret_id": secret_id, "expires_at": moment_text::written(end)}),
        || {
            let when = moment_text::with_distance(end, now);
            let verb = if end <= now { "expired" } else { "expires" };
            format!("secret {secret_id} of client {id} {verb} at {when}")
        },
    )?;
    Ok(())
}

/// A sentence if the client has no other secret that is live when this one expires, and no other way to authenticate.
fn last_secret(
    client: &ClientRecord,
    secret: &SecretRecord,
    at: Timestamp,
    now: Timestamp,
) -> Option<String> {
    let is_live = |secret: &&SecretRecord, at: Timestamp| secret.expires_at.is_none_or(|end| at < end);
    if !is_live(&secret, now) || !client.rights.federations.is_empty() {
        return None;
    }
    let at = at.max(now);
    let others = client.secrets.iter().filter(|other| other.id != secret.id && is_live(other, at)).count();
    let id = &client.id;
    (others == 0).then(|| {
        let from = if at == now { "now".to_owned() } else { moment_text::written(at) };
        format!(
            "this is the last live secret of client {id}, which can obtain no token from {from} on; `{}` adds another one",
            about("tokenberg client secret add", id.as_str(), "")
        )
    })
}
