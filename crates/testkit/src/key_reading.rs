//! Reads a JWK a second time, independently of the code under test: RFC 7517 §4 and RFC 7518 §6.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenberg_core::jws::Algorithm;

/// A JWK, or a value in its place.
pub(crate) struct KeyEntry<'a>(&'a Value);

impl<'a> KeyEntry<'a> {
    pub(crate) fn of(entry: &'a Value) -> Self {
        Self(entry)
    }

    /// Null, and an empty text or list, count as absent.
    fn member(&self, name: &str) -> Option<&'a Value> {
        let is_empty = |value: &Value| {
            value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
        };
        self.0.get(name).filter(|value| !is_empty(value))
    }

    /// Whether it has a member of a secret or private key.
    pub(crate) fn has_private_value(&self) -> bool {
        let names = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
        self.0.is_object() && names.iter().any(|name| self.member(name).is_some())
    }

    /// `kid`.
    pub(crate) fn kid(&self) -> Option<&'a str> {
        self.member("kid")?.as_str()
    }

    /// Whether its public part is this key of P-256.
    pub(crate) fn is_of(&self, key: &Value) -> bool {
        let is_same = |name: &str| self.member(name).and_then(number) == number(&key[name]);
        self.0["kty"] == "EC" && self.0["crv"] == "P-256" && is_same("x") && is_same("y")
    }

    /// Whether nothing in it excludes verifying signatures of ES256.
    pub(crate) fn may_verify_es256(&self) -> bool {
        let text = |name: &str| self.member(name).map(|value| value.as_str().unwrap_or("not a text"));
        let is_for_signatures = matches!(text("use"), None | Some("sig" | "jwt-svid"));
        let verifies =
            |many: &Value| many.as_array().is_some_and(|many| many.iter().any(|one| one == "verify"));
        !self.has_private_value()
            && is_for_signatures
            && self.member("key_ops").is_none_or(verifies)
            && text("alg").is_none_or(|alg| Algorithm::ES256.is_named(alg))
    }
}

/// Bytes in base64, of either alphabet, with or without padding and line breaks.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?.trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

fn number(value: &Value) -> Option<Vec<u8>> {
    Some(bytes(value)?.into_iter().skip_while(|byte| *byte == 0).collect())
}
