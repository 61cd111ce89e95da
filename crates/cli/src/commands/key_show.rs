//! `tokenberg key show`: one signing key, and its public half as PEM for verifiers that read no key set; conformance KS-02.

use super::abbreviated::resolve;
use crate::key_state::state;
use crate::moment_text;
use crate::output::{Output, facts};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_store::StoreError;

/// `tokenberg key show`
#[derive(Debug, Args)]
#[command(after_help = "\
Example, for HAProxy's jwt_verify:
  tokenberg key show KID --pem > /etc/haproxy/tokenberg.pem

A verifier with a key file does not notice a rotation. Install the file of the next key while
`tokenberg key list` shows that key as published, before it signs.")]
pub(crate) struct Show {
    /// Key ID (`kid`), as `tokenberg key list` shows it, or its beginning (at least 4 characters)
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    id: String,

    /// Print only the public key, as PEM (SubjectPublicKeyInfo, RFC 7468); with --json, add it as the member `pem`
    #[arg(long)]
    pem: bool,
}

/// Prints the key.
///
/// # Errors
/// If the store has no such key, its private half does not parse, or standard output is closed.
pub(super) fn run(
    keys: &[KeyMaterial],
    arguments: &Show,
    now: Timestamp,
    output: Output,
) -> anyhow::Result<()> {
    let id = KeyId::new(resolve(&arguments.id, keys.iter().map(|key| key.id.as_str()))?);
    let key = keys.iter().find(|key| key.id == id).ok_or(StoreError::NoSuchKey { id })?;
    let pem = arguments.pem.then(|| tokenberg_jose::public_key_pem(key)).transpose()?;
    let state = state(key, keys, now);
    output.show(
        || {
            let mut shown = value(key, state);
            if let Some(pem) = &pem {
                shown["pem"] = json!(pem);
            }
            shown
        },
        || pem.clone().unwrap_or_else(|| text(key, state, now)),
    )?;
    Ok(())
}

/// The key as JSON, without anything private.
pub(super) fn value(key: &KeyMaterial, state: &str) -> Value {
    json!({
        "kid": key.id,
        "alg": key.algorithm,
        "state": state,
        "created_at": moment_text::written(key.created_at),
        "signs_from": moment_text::written(key.signs_from),
        "verifies_until": key.verifies_until.map(moment_text::written),
        "device": key.private.device().map(|held| &*held.uri),
    })
}

/// Where the private half of the key is.
pub(super) fn place(key: &KeyMaterial) -> &str {
    key.private.device().map_or("in the store", |held| &held.uri)
}

fn text(key: &KeyMaterial, state: &str, now: Timestamp) -> String {
    let until = key.verifies_until.map_or_else(String::new, |until| moment_text::with_distance(until, now));
    facts(&[
        ("kid", key.id.to_string()),
        ("algorithm", key.algorithm.to_string()),
        ("state", state.to_owned()),
        ("created", moment_text::with_distance(key.created_at, now)),
        ("signs from", moment_text::with_distance(key.signs_from, now)),
        ("verifies until", until),
        ("private half", place(key).to_owned()),
    ])
}
