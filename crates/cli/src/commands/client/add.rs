//! `tokenberg client add`: registers a client; its secret is shown once: conformance SE-04, IC-08.

use super::new_key;
use super::proof::{Proof, SecretSource};
use super::terms::{Terms, note_several_audiences};
use crate::commands::issuer::naming;
use crate::failure::{note, warn, wrong_usage};
use crate::output::{Output, facts};
use crate::store_access::StoreLocation;
use crate::{clock, input, moment_text};
use clap::Args;
use serde_json::{Map, Value};
use std::path::PathBuf;
use tokenberg_core::explanation::about;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{AuthMethod, ClientId, Secret};
use tokenberg_store::{AddedSecret, NewSecret, SecretStrength};

/// `tokenberg client add`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg client add spark
      may do what Iceberg clients do by default: request the scopes `catalog`, `sign` (S3 remote
      signing) and PRINCIPAL_ROLE:ALL, and renew tokens by token exchange
  tokenberg client add etl --scope 'catalog sign PRINCIPAL_ROLE:etl' --token-lifetime 15m
  tokenberg client add trino --may-act-for 'https://idp.example|*'
      may act for users of a trusted issuer (`issuer add`); the tokens name trino as the actor
  printf %s \"$SECRET\" | tokenberg client add dbt --secret-file -
  tokenberg client add ci --json | jq -r .client_secret > ci.secret
  tokenberg client add nightly --secret-expires 90d --label owner=data-platform
  tokenberg client add flink --auth-method private_key_jwt --jwks flink.jwks
  tokenberg client add dbt --auth-method private_key_jwt --new-key dbt.key
      creates the key pair; the client signs with dbt.key
  tokenberg client add spiffe://td.example/spark --auth-method tls_client_auth \\
      --tls-san URI:spiffe://td.example/spark
  tokenberg client add etl --auth-method federated
      has no credential; `client federate` maps a service account or a CI job to it

A running server applies the change within one second.")]
pub(crate) struct Add {
    /// Client ID: printable ASCII, without leading or trailing spaces, and without a colon if the client has a secret
    #[arg(value_name = "ID", value_parser = new_id)]
    id: ClientId,

    #[command(flatten)]
    proof: Proof,

    #[command(flatten)]
    terms: Terms,
}

/// Parses the identifier of a new client.
///
/// # Errors
/// A sentence that describes the expected form.
pub(in crate::commands) fn new_id(text: &str) -> Result<ClientId, String> {
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(
            "a client ID has no leading or trailing space, because lists and logs do not show it".to_owned()
        );
    }
    text.parse().map_err(|fault: tokenberg_core::registration::ClientIdError| fault.to_string())
}

/// Registers the client.
///
/// # Errors
/// If the terms contradict each other, the secret cannot be registered, the identifier is taken, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: Add, output: Output) -> anyhow::Result<()> {
    let Add { id, proof, terms } = arguments;
    let mut rights = terms.into_rights(proof.default_grants())?;
    let (new_key, secret_expires) = (proof.new_key.clone(), proof.secret_expires);
    let secret = proof.settle(&id, &mut rights)?.map(|SecretSource(file)| new_secret(file)).transpose()?;
    if let Err(fault) = rights.check() {
        new_key.iter().for_each(|file| new_key::discard(file));
        return Err(wrong_usage(fault.to_string()));
    }
    let added = async {
        let store = location.open_or_create().await?;
        let now = clock::now()?;
        let added = store.add_client(now, &id, &rights, secret).await?;
        anyhow::Ok((store, added, now))
    };
    // A key that no client has would keep the next attempt from writing its own.
    let (store, added, now) =
        added.await.inspect_err(|_| new_key.iter().for_each(|file| new_key::discard(file)))?;
    if let (Some(length), Some(added)) = (secret_expires, &added) {
        store.expire_secret(&id, &added.secret_id, now.plus(length)).await?;
    }
    naming::warn_of_users(&store, &id).await;
    store.close().await;
    let has_secret = added.is_some();
    let generated = added.and_then(|AddedSecret { secret, strength, .. }| {
        warn_if_weak(strength);
        secret
    });
    if rights.auth_method == AuthMethod::Federated {
        let command = about("tokenberg client federate", id.as_str(), " --issuer URL --subject SUB");
        note(&format!("no identity is mapped to this client yet; map one with `{command}`"));
    }
    if rights.auth_method == AuthMethod::Public && rights.may_impersonate.is_empty() {
        let command = about("tokenberg client change", id.as_str(), " --may-impersonate 'ISSUER|*'");
        note(&format!(
            "this client can obtain no token yet; `{command}` lets it exchange the ID tokens that an issuer issued to it"
        ));
    }
    note_several_audiences(&rights);
    let scope = match &rights.scope {
        AllowedScope::Every => "(every)".to_owned(),
        AllowedScope::Only(scope) => scope.to_string(),
    };
    output.show(
        || value(&id, None, generated.as_ref()),
        || {
            let known = facts(&[
                ("client id", id.to_string()),
                ("authenticates with", rights.auth_method.as_str().to_owned()),
                ("private key", new_key.as_ref().map_or_else(String::new, |file| file.display().to_string())),
                ("client secret", if has_secret { shown_once(generated.as_ref()) } else { String::new() }),
                (
                    "secret expires",
                    secret_expires
                        .map_or_else(String::new, |length| moment_text::with_distance(now.plus(length), now)),
                ),
                ("scope", scope),
                ("default scope", rights.default_scope.to_string()),
                ("token lifetime", rights.token_lifetime.to_string()),
            ]);
            let hint = generated.as_ref().map_or_else(String::new, |secret| {
                format!("\nIn Iceberg clients: credential={id}:{}\n", secret.expose())
            });
            format!("{known}{hint}")
        },
    )?;
    Ok(())
}

/// The source of the secret, and its value if it is read from a file.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn new_secret(file: Option<PathBuf>) -> anyhow::Result<NewSecret> {
    match file {
        None => Ok(NewSecret::Generate),
        Some(path) => Ok(NewSecret::Chosen(input::secret(&path)?)),
    }
}

/// Warns of a secret that can be guessed.
pub(super) fn warn_if_weak(strength: SecretStrength) {
    match strength {
        SecretStrength::Strong => {}
        SecretStrength::Weak => {
            warn("the secret is short enough to be guessed; a generated secret has 256 random bits");
        }
    }
}

/// The text that shows a generated secret to people; it is shown only once.
pub(super) fn shown_once(generated: Option<&Secret>) -> String {
    match generated {
        Some(secret) => {
            note("the secret is shown only once; it cannot be displayed again");
            secret.expose().to_owned()
        }
        None => "as given".to_owned(),
    }
}

/// The JSON of a secret that was added.
pub(super) fn value(id: &ClientId, secret_id: Option<&str>, generated: Option<&Secret>) -> Value {
    let mut value = Map::new();
    value.insert("client_id".to_owned(), id.as_str().into());
    if let Some(secret_id) = secret_id {
        value.insert("secret_id".to_owned(), secret_id.into());
    }
    if let Some(secret) = generated {
        value.insert("client_secret".to_owned(), secret.expose().into());
    }
    Value::Object(value)
}
