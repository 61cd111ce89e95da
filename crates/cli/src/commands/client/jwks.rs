//! `tokenberg client jwks`: replaces the public keys of a client; key rotation, RFC 7523 §2.2.

use crate::commands::jwks_file;
use crate::output::Output;
use crate::store_access::StoreLocation;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::{AuthMethod, ClientId};

/// `tokenberg client jwks`
#[derive(Debug, Args)]
#[command(after_help = "\
To rotate a key without downtime:
  tokenberg client jwks flink both.jwks
      registers the old and the new key; then configure the client to sign with the new key
  tokenberg client jwks flink new.jwks
      removes the old key

A running server applies the change within one second.")]
pub(crate) struct Jwks {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    /// File with the client's public keys, a JWK Set (`-`: standard input); they replace the present ones
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If the file is invalid, the client does not exist or does not authenticate by signatures, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: Jwks, output: Output) -> anyhow::Result<()> {
    let Jwks { id, file } = arguments;
    let jwks = jwks_file::read(&file)?;
    let store = location.open_existing().await?;
    let method = store.client(&id).await?.rights.auth_method;
    anyhow::ensure!(
        method == AuthMethod::PrivateKeyJwt,
        "the client {id} authenticates with {}, so it has no public keys",
        method.as_str()
    );
    store.set_jwks(&id, &jwks).await?;
    store.close().await;
    output.show(
        || json!({"client_id": id, "jwks": jwks_file::shown(&jwks)}),
        || format!("client {id} signs with {}", jwks_file::summary(&jwks)),
    )?;
    Ok(())
}
