//! The realm of challenges: RFC 9110 §11.5.

use std::str::FromStr;
use std::sync::Arc;

/// The name of what a credential is for, in `WWW-Authenticate`; `tokenberg` by default. A clone is cheap, and that of the default costs
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Realm(Option<Arc<str>>);

/// The realm of a service that does not set one.
const DEFAULT: &str = "tokenberg";

/// The most bytes of a realm.
const LONGEST: usize = 128;

/// A text that is no realm here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a realm is 1 to {LONGEST} visible ASCII characters and spaces, without quotation marks and backslashes"
)]
pub struct RealmError;

impl Realm {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(DEFAULT)
    }

    /// A challenge that was written for the default realm, for this one.
    pub(crate) fn of_challenge(&self, challenge: &str) -> String {
        challenge.replacen(&format!("realm=\"{DEFAULT}\""), &format!("realm=\"{}\"", self.as_str()), 1)
    }

    pub(crate) fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

// realm = quoted-string, here without quoted-pair (RFC 9110 §5.6.4)
impl FromStr for Realm {
    type Err = RealmError;

    fn from_str(text: &str) -> Result<Self, RealmError> {
        let is_plain = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\';
        let is_realm = (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain);
        if is_realm { Ok(Self((text != DEFAULT).then(|| text.into()))) } else { Err(RealmError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_is_a_quoted_string_without_escapes() {
        for good in ["lake", "tokenberg", "The lake (prod), v1", "x"] {
            assert_eq!(good.parse::<Realm>().unwrap().as_str(), good);
        }
        for bad in ["", "a\"b", "a\\b", "a\r\nb", "\u{e9}", &"x".repeat(129)] {
            assert_eq!(bad.parse::<Realm>(), Err(RealmError));
        }
    }
}
