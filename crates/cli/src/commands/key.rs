//! `tokenberg key …`: manages signing keys, and rotates them without downtime; conformance KS-04.

use super::abbreviated::{resolve, shortened};
use super::audit_filter::Filter;
use super::confirming::Confirming;
use super::followers::{Waiting, as_json, ending};
use super::issued::Counted;
use super::key_show::{self, Show, value};
use crate::common::Common;
use crate::device::DeviceOptions;
use crate::failure::{note, warn};
use crate::key_state::{signing, state};
use crate::output::{self, Output};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, input, moment_text};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokenberg_core::jws::{Algorithm, KeyId, KeyMaterial};
use tokenberg_core::{KeyDevice, Timestamp};
use tokenberg_service::devices;
use tokenberg_store::{NowSigning, Store, StoreError};

/// `tokenberg key …`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the signing keys with their states and times
    List,
    /// Show a key, or print its public key as PEM for a verifier that reads no JWK Set
    Show(Show),
    /// Create a key; it is published immediately and signs 10m later, when catalogs have fetched it
    Rotate(Rotate),
    /// Revoke a key, such as a stolen one; servers refuse its tokens immediately, catalogs with cached keys later
    Revoke(Revoke),
    /// Import a private key from a PKCS#8 file (PEM or DER), or one that a device holds; it is published immediately and signs 10m later
    Import(Import),
}

/// `tokenberg key rotate`
#[derive(Debug, Args)]
#[command(after_help = "\
The previous key verifies tokens until 7d1h after the new key begins to sign: by then, the last
token that it signed has expired. A running server applies the change within one second.

With --now, catalogs with a cached key set refuse tokens of the new key until they fetch the set
again: most within 5m, catalogs built on Quarkus (Apache Polaris, Nessie) within 10m. To shorten
this, set quarkus.oidc.token.forced-jwk-refresh-interval=30S in those catalogs, or restart them.")]
pub(crate) struct Rotate {
    /// Algorithm of the new key: ES256, ES384 or EdDSA; in a device, RS256 or PS256 as well. For RSA in the store, create a key with
    /// openssl and import it
    #[arg(long, value_name = "ALG", default_value = "ES256", value_parser = Algorithm::for_signing)]
    alg: Algorithm,

    /// Generate the key in the device, from which it cannot be read
    #[arg(long)]
    pkcs11: bool,

    #[command(flatten)]
    device: DeviceOptions,

    /// Sign with the new key immediately; catalogs with a cached key set refuse its tokens for up to 10m
    #[arg(long)]
    now: bool,
}

/// `tokenberg key revoke`
#[derive(Debug, Args)]
#[command(after_help = "\
Running servers refuse tokens of the key within one second: in exchanges, in introspection, and in
catalogs with an embedded Tokenberg. The command waits for up to 3s and warns of each server that has
not followed (`tokenberg nodes` lists them all).

Catalogs that verify tokens themselves accept tokens of the key until they fetch the key set again:
most within 5m. Catalogs built on Quarkus (Apache Polaris, Nessie) fetch it only for a token with an
unknown kid, and at most once in 10m: restart them now. To prevent this delay, set
quarkus.oidc.token.forced-jwk-refresh-interval=30S in those catalogs, or use introspection for every
token with quarkus.oidc.token.require-jwt-introspection-only=true.

If the revoked key is the signing key, the next published key signs immediately. If there is none, a
new key is created. The file of an imported key is not deleted: do not import it again.")]
pub(crate) struct Revoke {
    /// Key ID (`kid`), as `tokenberg key list` shows it, or its beginning (at least 4 characters)
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    id: String,

    #[command(flatten)]
    confirming: Confirming,

    #[command(flatten)]
    waiting: Waiting,

    /// Algorithm of the new key, if one is created: ES256, ES384 or EdDSA [default: that of the revoked key; for RSA, ES256]
    #[arg(long, value_name = "ALG", value_parser = Algorithm::for_signing)]
    alg: Option<Algorithm>,

    #[command(flatten)]
    device: DeviceOptions,
}

/// `tokenberg key import`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem
  tokenberg key import key.pem
      for RS256
  tokenberg key import key.pem --alg PS256
  tokenberg key import --pkcs11 pkcs11:object=signing
      a key that is in the device: the store gets its name and its public half")]
pub(crate) struct Import {
    /// File with the key (`-`: standard input)
    #[arg(value_name = "FILE", required_unless_present = "pkcs11", conflicts_with = "pkcs11")]
    file: Option<PathBuf>,

    /// Name of a key in the device (RFC 7512): `pkcs11:object=LABEL`, `pkcs11:id=%01` or both
    #[arg(long, value_name = "URI")]
    pkcs11: Option<String>,

    #[command(flatten)]
    device: DeviceOptions,

    /// Algorithm of an RSA key: RS256 or PS256; the type of any other key determines its algorithm [default: RS256]
    #[arg(long, value_name = "ALG", value_parser = Algorithm::for_signing)]
    alg: Option<Algorithm>,

    /// Sign with the new key immediately; catalogs with a cached key set refuse its tokens for up to 10m
    #[arg(long)]
    now: bool,
}

/// The advice for operators of catalogs built on Quarkus, whose cache of keys outlives `max-age`.
const QUARKUS: &str = "catalogs built on Quarkus (Apache Polaris, Nessie) up to 10m after the first token with an unknown kid: set \
     quarkus.oidc.token.forced-jwk-refresh-interval=30S there, restart them now, or use introspection for every token \
     (quarkus.oidc.token.require-jwt-introspection-only=true)";

/// Runs the command.
///
/// # Errors
/// The reason why the command failed.
pub(crate) fn run(common: &Common, arguments: Key, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let now = clock::now()?;
    wait_for(async {
        match arguments {
            Key::List => {
                let store = location.open_to_read().await?;
                let keys = store.keys().await?;
                store.close().await;
                list(&keys, now, output)
            }
            Key::Show(arguments) => {
                let store = location.open_to_read().await?;
                let keys = store.keys().await?;
                store.close().await;
                key_show::run(&keys, &arguments, now, output)
            }
            Key::Rotate(arguments) => {
                let device = arguments.pkcs11.then(|| arguments.device.required()).transpose()?;
                let device = device.as_ref().map(|device| device as &dyn KeyDevice);
                let store = location.open_existing().await?;
                let key = devices::generate(device, arguments.alg, now).await?;
                let introduced = introduce(&store, &key, arguments.now, now, output).await;
                if introduced.is_err() {
                    devices::discard(device, &key).await;
                }
                store.close().await;
                introduced
            }
            Key::Revoke(arguments) => {
                let store = location.open_existing().await?;
                revoke(&store, &arguments, now, output).await?;
                store.close().await;
                Ok(())
            }
            Key::Import(arguments) => {
                // Imported before the store is opened, so that a file without a key creates no store.
                let key = import(&arguments, now).await?;
                let store = location.open_or_create().await?;
                introduce(&store, &key, arguments.now, now, output).await?;
                store.close().await;
                Ok(())
            }
        }
    })
}

async fn import(arguments: &Import, now: Timestamp) -> anyhow::Result<KeyMaterial> {
    if let Some(file) = &arguments.file {
        let bytes = input::bytes(file)?;
        warn_if_open_to_others(file);
        return Ok(tokenberg_jose::import(&bytes, arguments.alg, now, now)?);
    }
    // Without a file, clap requires it.
    let uri = arguments.pkcs11.as_deref().unwrap_or_default();
    let device = arguments.device.required()?;
    let key = device.import(uri, arguments.alg, now, now).await?;
    if device.is_extractable(uri).await? != Some(false) {
        warn(&format!(
            "the device allows {uri} to be read (CKA_EXTRACTABLE): a copy of the key may exist elsewhere"
        ));
    }
    Ok(key)
}

async fn introduce(
    store: &Store,
    key: &KeyMaterial,
    at_once: bool,
    now: Timestamp,
    output: Output,
) -> anyhow::Result<()> {
    let before = store.keys().await?;
    let introduced = match store.introduce_key(now, key, at_once).await {
        Err(StoreError::AnotherKeyWaits(other)) => anyhow::bail!(
            "the key {} is already published and signs from {}; wait until then, or use --now, which removes that key",
            other.id,
            moment_text::with_distance(other.signs_from, now)
        ),
        outcome => outcome?,
    };
    for dropped in &introduced.dropped {
        note(&format!("the key {dropped}, which had not signed yet, was removed"));
    }
    if at_once && !before.is_empty() {
        note(&format!(
            "catalogs with a cached key set refuse tokens of the new key until they fetch the set again, most within 5m; {QUARKUS}"
        ));
    }
    let held = signing(&before, now).and_then(|key| key.private.device());
    if let (Some(held), None) = (held, key.private.device()) {
        warn(&format!(
            "the present key is in {}, and the new one is in the store; with --pkcs11, it is made in the device",
            held.uri
        ));
    }
    print_introduced(&KeyMaterial { signs_from: introduced.signs_from, ..key.clone() }, now, output)
}

async fn revoke(store: &Store, arguments: &Revoke, now: Timestamp, output: Output) -> anyhow::Result<()> {
    let keys = store.keys().await?;
    let id = KeyId::new(resolve(&arguments.id, keys.iter().map(|key| key.id.as_str()))?);
    let revoked = keys.iter().find(|key| key.id == id);
    let revoked = revoked.ok_or_else(|| StoreError::NoSuchKey { id: id.clone() })?;
    let held = revoked.private.device();
    let device = held.map(|_| arguments.device.open()).transpose()?.flatten();
    let device = device.as_ref().map(|device| device as &dyn KeyDevice);
    let alg = match (arguments.alg, revoked.algorithm) {
        (Some(alg), _) => alg,
        (None, alg @ (Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA)) => alg,
        (None, alg @ (Algorithm::RS256 | Algorithm::PS256)) if device.is_some() => alg,
        // RSA keys are not generated.
        (
            None,
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512,
        ) => Algorithm::ES256,
    };
    // The audit does not say which key signed a token, so all tokens are counted.
    let action = format!("revoke the key {id}, which is {}", state(revoked, &keys, now));
    let asked = (Filter::default(), "with any key");
    if Counted::ask(store, asked, &action, arguments.confirming, output).await?.is_none() {
        return Ok(());
    }
    let spare = devices::generate(device, alg, now).await?;
    let outcome = store.revoke_key(now, &id, &spare).await;
    if !outcome.as_ref().is_ok_and(|outcome| matches!(outcome.signing, NowSigning::New(_))) {
        devices::discard(device, &spare).await;
    }
    let outcome = outcome?;
    let signs = match &outcome.signing {
        NowSigning::Unchanged => signing(&keys, now).map(|key| &key.id).filter(|key| **key != id),
        NowSigning::Published(next) => Some(next),
        NowSigning::New(new) => {
            if held.is_some() && device.is_none() {
                warn(
                    "the new key is in the store, not in the device; with --pkcs11-module, it is made in the device",
                );
            }
            if revoked.algorithm != alg {
                warn(&format!(
                    "the algorithm of the new key is {alg}; if catalogs expect another one, import a key with --now"
                ));
            }
            Some(new)
        }
    };
    let followers = arguments.waiting.followers(store).await;
    note(&format!(
        "catalogs that verify tokens themselves accept tokens of the revoked key until they fetch the key set again, most within 5m; \
         {QUARKUS}"
    ));
    let signing = match (&outcome.signing, signs) {
        (NowSigning::New(_), Some(signs)) => {
            format!("the new key {signs} signs, which catalogs have not fetched yet")
        }
        (NowSigning::Published(_) | NowSigning::Unchanged, Some(signs)) => format!("{signs} signs"),
        (_, None) => "no key signs".to_owned(),
    };
    output.show(
        || json!({"kid": id, "state": "revoked", "signing": signs, "nodes": as_json(followers.as_ref())}),
        || format!("key {id} is revoked; {signing}{}", ending(followers.as_ref())),
    )?;
    Ok(())
}

fn print_introduced(key: &KeyMaterial, now: Timestamp, output: Output) -> anyhow::Result<()> {
    let state = if key.signs_from <= now { "signing" } else { "published" };
    output.show(
        || value(key, state),
        || {
            let when = moment_text::with_distance(key.signs_from, now);
            format!("key {} ({}) is published and signs from {when}", key.id, key.algorithm)
        },
    )?;
    Ok(())
}

fn list(keys: &[KeyMaterial], now: Timestamp, output: Output) -> anyhow::Result<()> {
    output.show(
        || keys.iter().map(|key| value(key, state(key, keys, now))).collect(),
        || {
            // The beginning of a name is enough for a command; a program gets the whole.
            let ids = keys.iter().map(|key| key.id.as_str());
            let is_narrow = output.table_width().is_some();
            let row = |key: &KeyMaterial| {
                let id = if is_narrow { shortened(key.id.as_str(), ids.clone()) } else { key.id.as_str() };
                [
                    id.to_owned(),
                    key.algorithm.to_string(),
                    state(key, keys, now).to_owned(),
                    moment_text::written(key.signs_from),
                    key.verifies_until.map_or_else(String::new, moment_text::written),
                    key_show::place(key).to_owned(),
                ]
            };
            let columns = ["KID", "ALG", "STATE", "SIGNS FROM", "VERIFIES UNTIL", "PRIVATE HALF"];
            output::list(columns, keys.iter().map(row))
        },
    )?;
    Ok(())
}

/// Warns of a key file that others can read, since there may be copies of it: KS-07.
fn warn_if_open_to_others(path: &Path) {
    if let Some(mode) = input::open_to_others(path) {
        warn(&format!(
            "{} is accessible to other users (mode {mode:04o}); a user who has read it can sign tokens",
            path.display()
        ));
    }
}
