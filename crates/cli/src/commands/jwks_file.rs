//! Reads a file of public keys, a JWK Set that somebody else made, before it is kept: RFC 7517 §5.

use crate::failure::warn;
use crate::input;
use anyhow::Context;
use serde_json::{Value, json};
use std::path::Path;
use tokenberg_jose::PublicKeys;

/// Reads the file, or standard input for `-`. Keys that verify nothing cause a warning each, and are kept.
///
/// # Errors
/// If it is no JWK Set, it holds a private key or a secret, or no key of it can be used. Of a key only its position is named.
pub(crate) fn read(path: &Path) -> anyhow::Result<Box<str>> {
    let bytes = input::bytes(path)?;
    let text = std::str::from_utf8(&bytes).ok().with_context(|| not(path, "UTF-8 text"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let set: Value = serde_json::from_str(text).map_err(|_| anyhow::anyhow!(not(path, "JSON")))?;
    if set.get("keys").is_none() {
        // A private key of its own is the worse mistake of the two.
        refuse_leak(&PublicKeys::from_jwks(&json!({"keys": [set]}).to_string())?, path)?;
    }
    let public = PublicKeys::from_jwks(text).with_context(|| path.display().to_string())?;
    refuse_leak(&public, path)?;
    for ignored in public.ignored() {
        warn(&ignored.to_string());
    }
    if public.left_out() > 0 {
        warn(&format!("the set is too large: {} of its keys are not used", public.left_out()));
    }
    anyhow::ensure!(!public.is_empty(), "no key of {} can be used to verify a signature", path.display());
    Ok(text.into())
}

fn refuse_leak(keys: &PublicKeys, path: &Path) -> anyhow::Result<()> {
    let Some(leak) = keys.ignored().iter().find(|key| key.reason.is_leak()) else { return Ok(()) };
    anyhow::bail!(
        "key {} of {} is private or secret, and nobody but its owner should have it: give the public keys only, and \
         replace that key if the file was anywhere else",
        leak.position,
        path.display()
    );
}

fn not(path: &Path, what: &str) -> String {
    format!(
        "{} is not {what}; it should be a JWK Set, a JSON object with an array named keys",
        path.display()
    )
}

/// The set as JSON, to be shown. What is kept was read before, so it is JSON.
pub(crate) fn shown(jwks: &str) -> Value {
    serde_json::from_str(jwks).unwrap_or(Value::Null)
}

/// The names of the keys, or how many there are, for people.
pub(crate) fn summary(jwks: &str) -> String {
    let set = shown(jwks);
    let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = keys.iter().filter_map(|key| key.get("kid").and_then(Value::as_str)).collect();
    let count = if keys.len() == 1 { "1 key".to_owned() } else { format!("{} keys", keys.len()) };
    if names.is_empty() { count } else { format!("{count}: {}", names.join(", ")) }
}
