//! The scope of a token: RFC 6749 §3.3 and Appendix A.4.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// The scope that every Iceberg client requests by default, and that is always granted to an authenticated client.
pub const CATALOG: &str = "catalog";

/// More scope-tokens than this in one value are refused, repeats included.
const MOST_TOKENS: usize = 256;

/// A scope longer than this, in bytes, is refused.
const LONGEST: usize = 4096;

/// A set of distinct scope-tokens, in the order in which they were first given; may be empty.
///
/// ```
/// use tokenberg_core::Scope;
/// let scope: Scope = " ns:read  catalog ns:read".parse()?;
/// assert_eq!(scope.to_string(), "ns:read catalog");
/// # Ok::<(), tokenberg_core::token::ScopeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Arc<str>);

/// Why a text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character outside of the grammar, at this byte.
    #[error("scope has a character at byte {at} that RFC 6749 section 3.3 does not allow")]
    Character {
        /// Offset in bytes.
        at: usize,
    },
    /// Longer than 4096 bytes.
    #[error("scope is {bytes} bytes long, more than {LONGEST}")]
    TooLong {
        /// Length in bytes.
        bytes: usize,
    },
    /// More than 256 scope-tokens.
    #[error("scope has more than {MOST_TOKENS} scope-tokens")]
    TooMany,
    /// `PRINCIPAL_ROLE:` without a name, or in other letters than these.
    #[error("a principal role is written PRINCIPAL_ROLE:NAME, in capitals and with a name")]
    PrincipalRole,
}

// scope       = scope-token *( SP scope-token )
// scope-token = 1*NQCHAR
// NQCHAR      = %x21 / %x23-5B / %x5D-7E
fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl std::str::FromStr for Scope {
    type Err = ScopeError;

    /// Spaces at the ends or repeated between tokens, and repeated tokens, are dropped: all clients' habits are one scope.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.len() > LONGEST {
            return Err(ScopeError::TooLong { bytes: text.len() });
        }
        if let Some(at) = text.bytes().position(|b| b != b' ' && !is_nqchar(b)) {
            return Err(ScopeError::Character { at });
        }
        let (mut count, mut bytes) = (0, 0);
        for token in split(text) {
            if count == MOST_TOKENS {
                return Err(ScopeError::TooMany);
            }
            check_principal_role(token)?;
            count += 1;
            bytes += token.len();
        }
        // With one space between two tokens, and none at the ends.
        let is_tidy = bytes + count == text.len() + 1;
        if is_tidy && !repeats(split(text), count) {
            return Ok(Self::of(text));
        }
        let mut known = HashSet::new();
        Ok(Self::joined(text.len(), split(text).filter(|token| known.insert(*token))))
    }
}

/// The scope-tokens of a text that has no other white space than spaces.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

/// Whether one of so many tokens is there twice, without allocating where there are few.
fn repeats<'a>(mut tokens: impl Iterator<Item = &'a str>, count: usize) -> bool {
    const FEW: usize = 16;
    if count > FEW {
        let mut known = HashSet::with_capacity(count);
        return !tokens.all(|token| known.insert(token));
    }
    let mut known = [""; FEW];
    tokens.enumerate().any(|(index, token)| {
        known[index] = token;
        known[..index].contains(&token)
    })
}

fn check_principal_role(token: &str) -> Result<(), ScopeError> {
    const PREFIX: &str = "PRINCIPAL_ROLE:";
    let looks_alike = token.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX));
    if looks_alike && (!token.starts_with(PREFIX) || token.len() == PREFIX.len()) {
        return Err(ScopeError::PrincipalRole);
    }
    Ok(())
}

impl Scope {
    /// The scope that consists of [`CATALOG`] only.
    #[must_use]
    pub fn catalog() -> Self {
        Self(CATALOG.into())
    }

    fn of(text: &str) -> Self {
        // An empty scope allocates nothing.
        if text.is_empty() { Self::default() } else { Self(text.into()) }
    }

    /// Whether it holds no scope-token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scope-tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        split(&self.0)
    }

    /// Whether `token` is one of the scope-tokens, byte for byte.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|t| t == token)
    }

    /// Whether every token of this scope is one of `wider`.
    #[must_use]
    pub fn is_subset_of(&self, wider: &Self) -> bool {
        self == wider || self.tokens().all(|t| wider.contains(t))
    }

    /// The tokens for which `keep` holds, in the same order.
    #[must_use]
    pub fn retain(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.tokens().all(&keep) {
            return self.clone();
        }
        Self::joined(self.0.len(), self.tokens().filter(|t| keep(t)))
    }

    /// The tokens of this scope, and then those of `other` that are new.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        let added = other.tokens().filter(|token| !self.contains(token));
        Self::joined(self.0.len() + 1 + other.0.len(), self.tokens().chain(added))
    }

    /// The tokens with one space between them, in a text that never takes more than `room`.
    fn joined<'a>(room: usize, tokens: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::with_capacity(room);
        for token in tokens {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
        }
        Self::of(&text)
    }

    /// The tokens that are in both, in the order of this scope.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        // In most cases it is exactly the requested scope.
        if self == other || self.tokens().filter(|t| other.contains(t)).eq(other.tokens()) {
            return other.clone();
        }
        self.retain(|t| other.contains(t))
    }

    /// The scope as it is written in a form, a claim or a response: tokens with one space between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cc_05_scope_grammar() {
        for good in ["a", "!", "#", "[", "~", "a:b/c.d*", "PRINCIPAL_ROLE:ALL", "session:role:X"] {
            assert_eq!(good.parse::<Scope>().unwrap().as_str(), good);
        }
        for bad in ["\"", "\\", "\u{7f}", "\t", "\n", "é", "a\u{a0}b", "🦀", "a\0"] {
            assert!(matches!(bad.parse::<Scope>(), Err(ScopeError::Character { .. })), "{bad:?}");
        }
    }

    #[test]
    fn cc_06_cc_07_spaces_and_repeats_are_normalised() {
        for (given, read) in [
            ("", ""),
            ("  ", ""),
            (" a", "a"),
            ("a ", "a"),
            ("a  b", "a b"),
            ("b a b", "b a"),
            ("CATALOG catalog", "CATALOG catalog"),
        ] {
            assert_eq!(given.parse::<Scope>().unwrap().as_str(), read);
        }
    }

    #[test]
    fn cc_10_many_scopes_are_refused_early() {
        assert_eq!("a ".repeat(1000).parse::<Scope>(), Err(ScopeError::TooMany));
        assert_eq!("a ".repeat(100_000).parse::<Scope>(), Err(ScopeError::TooLong { bytes: 200_000 }));
        assert_eq!("a".repeat(65_536).parse::<Scope>(), Err(ScopeError::TooLong { bytes: 65_536 }));
    }

    #[test]
    fn cc_11_a_principal_role_has_a_name() {
        for bad in ["PRINCIPAL_ROLE:", "principal_role:all", "Principal_Role:x"] {
            assert_eq!(bad.parse::<Scope>(), Err(ScopeError::PrincipalRole), "{bad}");
        }
    }
}
