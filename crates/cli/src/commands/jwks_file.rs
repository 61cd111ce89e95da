//! Reads and checks a file of public keys, a JWK Set from another party, before it is stored: RFC 7517 §5.

use crate::failure::warn;
use crate::{input, issuer_keys};
use anyhow::Context;
use serde_json::Value;
use std::path::Path;
use tokenberg_jose::PublicKeys;

/// Reads the file, or standard input for `-`. Keys that verify nothing cause a warning each, and are stored.
///
/// # Errors
/// If it is not a JWK Set, it contains a private key or a secret, or no key in it is usable. A key is named by its position only.
pub(crate) fn read(path: &Path) -> anyhow::Result<Box<str>> {
    let bytes = input::bytes(path)?;
    // Bytes that are not UTF-8 are in a label, or in a key that is not used. PostgreSQL stores no NUL.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let text = text.trim_start_matches('\u{feff}').trim();
    let public = PublicKeys::from_jwks(text);
    if public.is_err() {
        // A single private key is the worse mistake of the two, so it is reported first.
        if let Ok(one) = PublicKeys::from_jwks(&format!("{{\"keys\":[{text}]}}")) {
            refuse_leak(&one, path)?;
        }
    }
    let public = public.with_context(|| path.display().to_string())?;
    refuse_leak(&public, path)?;
    issuer_keys::unused(&public).iter().for_each(|sentence| warn(sentence));
    anyhow::ensure!(!public.is_empty(), "no key of {} can be used to verify a signature", path.display());
    Ok(text.into())
}

fn refuse_leak(keys: &PublicKeys, path: &Path) -> anyhow::Result<()> {
    let Some(leak) = keys.ignored().iter().find(|key| key.reason.is_leak()) else { return Ok(()) };
    anyhow::bail!(
        "key {} of {} is a private or secret key: give public keys only, and replace the key if others may have read the file",
        leak.position,
        path.display()
    );
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
