//! The identifier of a token: `jti`, RFC 7519 §4.1.7.

use std::sync::Arc;

/// A token identifier, `jti`: up to 64 bytes of base64url; ours have 128 random bits in 22 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(Arc<str>);

impl TokenId {
    /// The identifier made of 128 random bits.
    #[must_use]
    pub fn from_bits(bits: [u8; 16]) -> Self {
        use base64::Engine;
        let mut text = [0; 22];
        // 128 bits are 22 characters, and they are ASCII.
        let _ = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode_slice(bits, &mut text);
        Self(std::str::from_utf8(&text).unwrap_or_default().into())
    }

    /// The identifier that is written so, if it may be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        good.then(|| Self(text.into()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
