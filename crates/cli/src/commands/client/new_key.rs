//! Creates a key pair for a client: the private key in a new file of its owner only, the public one as a JWK; RFC 7523 §2.2.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokenberg_core::jws::{Algorithm, KeyId, KeyMaterial};
use zeroize::Zeroizing;

/// The public half of a new key pair.
pub(super) struct NewKey {
    /// The thumbprint, which assertions may name as `kid`.
    pub(super) id: KeyId,
    jwk: Value,
}

impl NewKey {
    /// Creates a key pair, and writes the private key to a new file.
    ///
    /// # Errors
    /// If the file exists already or cannot be written.
    pub(super) fn create(file: &Path, algorithm: Algorithm) -> anyhow::Result<Self> {
        let now = crate::clock::now()?;
        let key = tokenberg_jose::generate(algorithm, now, now)?;
        let jwk = serde_json::from_str(&tokenberg_jose::public_key_jwk(&key)?)?;
        let mut options = OpenOptions::new();
        let open = options.write(true).create_new(true).mode(0o600).open(file);
        let written = open.and_then(|mut file| {
            file.write_all(pem(&key).as_bytes())?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot write the private key to {}", file.display()))?;
        Ok(Self { id: key.id, jwk })
    }

    /// The JWK Set with this key behind those that the client has.
    ///
    /// # Errors
    /// If the present set is not JSON as this program writes it.
    pub(super) fn added_to(&self, present: Option<&str>) -> anyhow::Result<Box<str>> {
        let mut set: Value = match present {
            Some(jwks) => serde_json::from_str(jwks).context("the present keys of the client")?,
            None => json!({"keys": []}),
        };
        let keys = set.get_mut("keys").and_then(Value::as_array_mut);
        keys.context("the present keys of the client are no JWK Set")?.push(self.jwk.clone());
        Ok(set.to_string().into())
    }

    /// The public key.
    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }
}

/// Removes the file of a key that was not registered.
pub(super) fn discard(file: &Path) {
    // The error of the registration is reported; the file is named in the next one.
    let _ = std::fs::remove_file(file);
}

/// The private key as PEM (RFC 7468 §10).
fn pem(key: &KeyMaterial) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(key.private.pkcs8().unwrap_or_default()));
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + 128));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (position, c) in base64.char_indices() {
        if position > 0 && position % 64 == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}
