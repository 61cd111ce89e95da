//! The client identifier, RFC 6749 §2.2 and Appendix A.1.

use super::short_text::ShortText;
use serde::{Deserialize, Serialize};

/// The longest identifier, in bytes: it has to be a subject as well (OpenID Connect Core 1.0 §2).
const LONGEST: usize = 255;

/// A client identifier: 1 to 255 printable ASCII characters, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(ShortText);

/// Why a text is not a client identifier. Contains nothing of the text, because a secret may be in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// No characters.
    #[error("the client identifier is empty")]
    Empty,
    /// More than 255 bytes.
    #[error("the client identifier is longer than {LONGEST} bytes")]
    TooLong,
    /// A character that is not printable ASCII.
    #[error("the client identifier may hold only printable ASCII characters (RFC 6749, appendix A.1)")]
    Character,
}

impl TryFrom<String> for ClientId {
    type Error = ClientIdError;
    fn try_from(text: String) -> Result<Self, ClientIdError> {
        check(&text)?;
        Ok(Self(text.into()))
    }
}

impl std::str::FromStr for ClientId {
    type Err = ClientIdError;
    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

// client-id = *VSCHAR      VSCHAR = %x20-7E
// An empty identifier names no client.
fn check(text: &str) -> Result<(), ClientIdError> {
    if text.is_empty() {
        Err(ClientIdError::Empty)
    } else if text.len() > LONGEST {
        Err(ClientIdError::TooLong)
    } else if !text.bytes().all(|b| matches!(b, 0x20..=0x7E)) {
        Err(ClientIdError::Character)
    } else {
        Ok(())
    }
}

impl ClientId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq<str> for ClientId {
    fn eq(&self, text: &str) -> bool {
        self.0.as_bytes() == text.as_bytes()
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ca_24_identifiers_are_exact_bytes_of_printable_ascii() {
        assert_ne!("c1".parse::<ClientId>().unwrap(), "C1".parse::<ClientId>().unwrap());
        assert_ne!("c1".parse::<ClientId>().unwrap(), "c1 ".parse::<ClientId>().unwrap());
        assert_eq!("".parse::<ClientId>(), Err(ClientIdError::Empty));
        assert_eq!("x".repeat(256).parse::<ClientId>(), Err(ClientIdError::TooLong));
        for bad in ["c1\u{200b}", "é", "e\u{301}", "c1\0", "c\n1"] {
            assert_eq!(bad.parse::<ClientId>(), Err(ClientIdError::Character));
        }
    }
}
