//! `tokenberg client key new`: creates a key pair for a client, and registers its public half; RFC 7523 §2.2.

use super::new_key::{self, NewKey};
use crate::output::{Output, facts};
use crate::store_access::StoreLocation;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{AuthMethod, ClientId};

/// `tokenberg client key …`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Create a key pair, write the private key to a file, and register the public key
    New(New),
}

/// `tokenberg client key new`
#[derive(Debug, Args)]
#[command(after_help = "\
To rotate a key without downtime:
  tokenberg client key new flink --out new.key
      the client may sign with either key; let it sign with new.key
  tokenberg client jwks flink new.jwks
      removes the old key; --json above prints the member `jwk` for that file

`tokenberg client add ID --auth-method private_key_jwt --new-key FILE` creates the first key.
A running server applies the change within one second.")]
pub(crate) struct New {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// New file for the private key (PKCS#8, PEM, mode 0600)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Algorithm of the key
    #[arg(long, value_name = "ALG", default_value = "ES256")]
    alg: Curve,

    /// Remove the present keys of the client
    #[arg(long)]
    replace: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Curve {
    /// ECDSA with P-256
    #[value(name = "ES256")]
    Es256,
    /// ECDSA with P-384
    #[value(name = "ES384")]
    Es384,
}

/// Creates and registers the key.
///
/// # Errors
/// If the client does not exist or does not authenticate by signatures, the file exists already, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: New, output: Output) -> anyhow::Result<()> {
    let New { id, out, alg, replace } = arguments;
    let alg = match alg {
        Curve::Es256 => Algorithm::ES256,
        Curve::Es384 => Algorithm::ES384,
    };
    let store = location.open_existing().await?;
    let before = store.client(&id).await?.rights;
    anyhow::ensure!(
        before.auth_method == AuthMethod::PrivateKeyJwt,
        "the client {id} authenticates with {}, so it has no keys",
        before.auth_method.as_str()
    );
    let key = NewKey::create(&out, alg)?;
    let registered = async {
        let present = before.jwks.as_deref().filter(|_| !replace);
        let mut after = before.clone();
        after.jwks = Some(key.added_to(present)?);
        let is_done = store.replace_rights(&id, &before, &after).await?;
        anyhow::ensure!(is_done, "another process changed the client {id} meanwhile: repeat the command");
        Ok(())
    };
    registered.await.inspect_err(|_| new_key::discard(&out))?;
    store.close().await;
    output.show(
        || json!({"client_id": id, "kid": key.id, "alg": alg.as_str(), "file": out.display().to_string(), "jwk": key.jwk()}),
        || {
            facts(&[
                ("client id", id.to_string()),
                ("kid", key.id.to_string()),
                ("algorithm", alg.to_string()),
                ("private key", out.display().to_string()),
            ])
        },
    )?;
    Ok(())
}
