//! Whom is the token about? `sub`, RFC 7519 §4.1.2.

use serde::{Deserialize, Serialize};

/// A subject: 1 to 255 bytes of text without characters that deceive a reader of logs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(Box<str>);

/// A text that is no subject: empty, longer than 255 bytes, or with control or bidirectional characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject is 1 to 255 bytes long and has no control, format or bidirectional characters")]
pub struct SubjectError;

impl std::str::FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.is_empty() || text.len() > 255 || text.chars().any(deceives) {
            return Err(SubjectError);
        }
        Ok(Self(text.into()))
    }
}

/// Controls, zero-width and bidirectional formatting, and line separators.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl Subject {
    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&super::client_id::ClientId> for Subject {
    /// A client is a subject by its identifier, whose grammar is narrower (RFC 9068 §2.2).
    fn from(client: &super::client_id::ClientId) -> Self {
        Self(client.as_str().into())
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;
    fn try_from(text: String) -> Result<Self, SubjectError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw_37_subjects_are_short_and_plain() {
        for good in ["alice", "Zoë", "spiffe://td.test/ns/a", "a b"] {
            assert!(good.parse::<Subject>().is_ok());
        }
        for bad in ["", "a\0b", "a\nb", "\u{202e}nimda", "a\u{200b}", &"x".repeat(256)] {
            assert_eq!(bad.parse::<Subject>(), Err(SubjectError));
        }
    }
}
