//! The kinds of keys that sign our tokens, and the algorithms of each: RFC 7518 §3.1, RFC 8037 §3.1, RFC 8725 §3.1.

use crate::key_fault::KeyFault;
use tokenberg_core::jws::Algorithm;

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl KeyKind {
    /// The one algorithm that the key is used with: an RSA key is for RS256 unless PS256 is requested; each other kind has one.
    pub(crate) fn algorithm(self, requested: Option<Algorithm>) -> Result<Algorithm, KeyFault> {
        let (kind, first, second) = match self {
            Self::P256 => ("ES256", Algorithm::ES256, None),
            Self::P384 => ("ES384", Algorithm::ES384, None),
            Self::Ed25519 => ("EdDSA", Algorithm::EdDSA, None),
            Self::Rsa => ("RS256 or PS256", Algorithm::RS256, Some(Algorithm::PS256)),
        };
        match requested {
            Some(requested) if requested != first && Some(requested) != second => {
                Err(KeyFault::Algorithm { kind, requested })
            }
            Some(requested) => Ok(requested),
            None => Ok(first),
        }
    }
}
