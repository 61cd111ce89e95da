//! The subject of a token: `sub`, RFC 7519 §4.1.2.

use serde::{Deserialize, Serialize};

/// A subject: 1 to 255 bytes of text without characters that are unsafe to display.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(Box<str>);

/// A text that is no subject: empty, longer than 255 bytes, or with control or bidirectional characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject is 1 to 255 bytes long and has no control, format or bidirectional characters")]
pub struct SubjectError;

/// The longest `sub` of a token of ours, in bytes.
const LONGEST: usize = 255;

/// The longest identity of a client at another issuer, in bytes: that of a SPIFFE ID (SPIFFE-ID §2.3).
const LONGEST_IDENTITY: usize = 2048;

impl std::str::FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        Self::of_at_most(LONGEST, text)
    }
}

/// Whether a character is unsafe to display: controls, characters that are invisible or reverse the line, and spaces other than
/// U+0020. The general categories Cc and Cf of Unicode 16, spaces, and letters without a shape.
#[must_use]
pub fn is_unsafe_to_display(c: char) -> bool {
    let is_odd_space = c != ' ' && c.is_whitespace();
    c.is_control() || is_odd_space || is_format(c) || is_blank(c)
}

/// The general category Cf of Unicode: zero-width and bidirectional formatting, tags.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{600}'
            ..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
    ) || matches!(c, '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// Letters and marks without a shape: fillers, joiners, variation selectors, the empty pattern of Braille.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
    ) || matches!(c, '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Why a user cannot have this name at an issuer or a client; as the rest of a sentence about the name.
pub(crate) const SPACE_AT_AN_END: &str =
    "a user's name has no space at its beginning or end, because it would look like the name without it";

impl Subject {
    /// The subject by which another issuer names a client. No token of ours has it as `sub`, so it may have 2048 bytes.
    ///
    /// # Errors
    /// [`SubjectError`].
    pub fn of_client(text: &str) -> Result<Self, SubjectError> {
        Self::of_at_most(LONGEST_IDENTITY, text)
    }

    fn of_at_most(longest: usize, text: &str) -> Result<Self, SubjectError> {
        let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if text.is_empty() || text.len() > longest || !is_plain && text.chars().any(is_unsafe_to_display) {
            return Err(SubjectError);
        }
        Ok(Self(text.into()))
    }

    /// Whether the name looks like another one in a list of grants. A client that an earlier version registered may be called so;
    /// users may not.
    pub(crate) fn has_space_at_an_end(&self) -> bool {
        self.0.starts_with(' ') || self.0.ends_with(' ')
    }

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
        // What is not seen, or looks like a space: "alice" and "alice" would be two people.
        for unseen in [
            '\u{a0}',
            '\u{34f}',
            '\u{600}',
            '\u{6dd}',
            '\u{115f}',
            '\u{1680}',
            '\u{17b4}',
            '\u{2003}',
            '\u{205f}',
            '\u{206a}',
            '\u{206f}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{e0100}',
        ] {
            assert_eq!(format!("alice{unseen}").parse::<Subject>(), Err(SubjectError), "{unseen:?}");
        }
    }
}
