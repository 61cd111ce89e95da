//! Are these public keys, and only public ones? A JWK Set that somebody else made, before it is kept; RFC 7517 §5.

use crate::failure::warn;
use crate::input;
use anyhow::Context;
use serde_json::Value;
use std::path::Path;
use tokenberg_jose::PublicKeys;

/// What only the holder of a key may know: RFC 7518 §6.2.2, §6.3.2, §6.4.1 and RFC 9964.
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Reads the file, or standard input for `-`. Keys that verify nothing are told of and kept where they are.
///
/// # Errors
/// If it is no JWK Set, a key of it is private, or none can be used; nothing of a key is told but its place.
pub(crate) fn read(path: &Path) -> anyhow::Result<Box<str>> {
    let bytes = input::bytes(path)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim).with_context(|| not(path, "UTF-8 text"))?;
    let set: Value = serde_json::from_str(text).map_err(|_| anyhow::anyhow!(not(path, "JSON")))?;
    let keys = set.get("keys").and_then(Value::as_array);
    let is_private = |key: &Value| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some());
    let lone = is_private(&set).then_some(0);
    if let Some(position) = keys.and_then(|keys| keys.iter().position(is_private)).or(lone) {
        anyhow::bail!(
            "key {position} of {} is private or secret, and nobody but its owner should have it: give the public keys only, and \
             replace that key if the file was anywhere else",
            path.display()
        );
    }
    let public = PublicKeys::from_jwks(text).with_context(|| path.display().to_string())?;
    for ignored in public.ignored() {
        warn(&ignored.to_string());
    }
    anyhow::ensure!(!public.is_empty(), "no key of {} can be used to verify a signature", path.display());
    Ok(text.into())
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
