//! Reads and checks a file of public keys from another party before it is stored: a JWK Set (RFC 7517 §5), one JWK, or PEM.

use super::pem_keys;
use crate::failure::warn;
use crate::{input, issuer_keys};
use anyhow::Context;
use serde_json::Value;
use std::path::Path;
use tokenberg_jose::PublicKeys;

/// Reads the file, or standard input for `-`. Keys that verify nothing cause a warning each, and are stored.
///
/// # Errors
/// If it is none of these, it contains a private key or a secret, or no key in it is usable. A key is named by its position only.
pub(crate) fn read(path: &Path) -> anyhow::Result<Box<str>> {
    let bytes = input::bytes(path)?;
    // Bytes that are not UTF-8 are in a label, or in a key that is not used. PostgreSQL stores no NUL.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let text = text.trim_start_matches('\u{feff}').trim();
    let text = match pem_keys::as_jwks(text).with_context(|| path.display().to_string())? {
        Some(jwks) => jwks,
        None if is_jwk(text) => format!("{{\"keys\":[{text}]}}"),
        None => text.to_owned(),
    };
    check(&text, &path.display().to_string())?;
    Ok(text.into())
}

/// Checks a JWK Set; `name` is where it comes from. Keys that verify nothing cause a warning each.
///
/// # Errors
/// As [`read`].
pub(crate) fn check(jwks: &str, name: &str) -> anyhow::Result<()> {
    let public = PublicKeys::from_jwks(jwks).with_context(|| name.to_owned())?;
    if let Some(leak) = public.ignored().iter().find(|key| key.reason.is_leak()) {
        anyhow::bail!(
            "key {} of {name} is a private or secret key: give public keys only, and replace the key if others may have read the file",
            leak.position
        );
    }
    issuer_keys::unused(&public).iter().for_each(|sentence| warn(sentence));
    anyhow::ensure!(!public.is_empty(), "no key of {name} can be used to verify a signature");
    Ok(())
}

/// Whether the text is one key and not a set of them.
fn is_jwk(text: &str) -> bool {
    let value: Option<Value> = serde_json::from_str(text).ok();
    value.is_some_and(|value| value.get("kty").is_some() && value.get("keys").is_none())
}

/// The set as JSON for display; as text if JSON parsers do not accept a value in it.
pub(crate) fn shown(jwks: &str) -> Value {
    serde_json::from_str(jwks).unwrap_or_else(|_| jwks.into())
}

/// The names of the keys, or their number, for people.
pub(crate) fn summary(jwks: &str) -> String {
    let set = shown(jwks);
    if set.is_string() {
        let usable = PublicKeys::from_jwks(jwks).map_or(0, |keys| keys.len());
        return format!("{usable} usable {}", if usable == 1 { "key" } else { "keys" });
    }
    let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = keys.iter().filter_map(|key| key.get("kid").and_then(Value::as_str)).collect();
    let count = if keys.len() == 1 { "1 key".to_owned() } else { format!("{} keys", keys.len()) };
    if names.is_empty() { count } else { format!("{count}: {}", names.join(", ")) }
}
