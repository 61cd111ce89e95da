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
A rotation without a pause:
  tokenberg client jwks flink both.jwks     the old key and the new one
  (let the client sign with the new one)
  tokenberg client jwks flink new.jwks      the new one alone

A running server follows within one second.")]
pub(crate) struct Jwks {
    /// The client's identifier
    #[arg(value_name = "ID")]
    id: ClientId,

    /// Its public keys, a JWK Set, in this file or on standard input for `-`; they replace those before
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If the file is invalid, the client does not exist or does not authenticate by signatures, or the store fails.
pub(super) async fn run(location: StoreLocation, asked: Jwks, output: Output) -> anyhow::Result<()> {
    let Jwks { id, file } = asked;
    let jwks = jwks_file::read(&file)?;
    let store = location.open_existing().await?;
    let method = store.client(&id).await?.rights.auth_method;
    anyhow::ensure!(
        method == AuthMethod::PrivateKeyJwt,
        "the client {id} authenticates with {} and has no keys of its own",
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
