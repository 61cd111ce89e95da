//! Secrets and tokens, which must never be displayed: RFC 6749 §2.3.1 and §10.3.

use std::fmt::{Debug, Formatter, Result};
use zeroize::Zeroizing;

/// The length of the longest client secret that is checked, in bytes; a longer one is refused before any hash is computed.
pub const LONGEST_CLIENT_SECRET: usize = 1024;

/// A text that grants access to its holder: a client secret, a token, an assertion, a whole form.
///
/// It cannot be displayed, compared or serialized, `Debug` leaves the text out, and its memory is cleared when it is dropped.
/// [`Secret::expose`] is the one way to the text, and easy to search for.
///
/// ```compile_fail
/// println!("{}", tokenberg_core::Secret::new("hush".to_owned()));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text out of sight.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, to be sent, hashed or verified, but never stored or displayed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Moves the text out, to spare a copy. An empty one is left.
    pub(crate) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<Secret> for String {
    /// The text itself, to be sent: its memory is no longer cleared.
    fn from(mut secret: Secret) -> Self {
        std::mem::take(&mut *secret.0)
    }
}

/// The stored form of a client's secret: 256 bits derived from the client's id and the secret.
///
/// It is not itself a secret, and useless without the key of the store. It can be compared in constant time only:
///
/// ```compile_fail
/// let digest = tokenberg_core::SecretDigest([0; 32]);
/// assert!(digest == digest);
/// ```
#[derive(Clone)]
pub struct SecretDigest(pub [u8; 32]);

impl SecretDigest {
    /// Whether both are equal, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&other.0).into()
    }
}

impl Debug for SecretDigest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("SecretDigest(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ab_05_every_bit_is_compared() {
        // `subtle` guarantees that the time does not depend on the position; the compiler guarantees that there is no other comparison.
        let one = SecretDigest([0xA5; 32]);
        assert!(one.matches(&one.clone()));
        for bit in 0..256 {
            let mut other = one.clone();
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!one.matches(&other), "bit {bit}");
        }
    }
}
