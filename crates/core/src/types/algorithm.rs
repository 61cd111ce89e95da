//! How is it signed? JWS algorithms, RFC 7518 §3.1 and RFC 8037 §3.1.

use serde::{Deserialize, Serialize};

/// A signature algorithm that we sign and verify with. There is no `none` and no HMAC, so neither can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4): the default.
    ES256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518 §3.4).
    ES384,
    /// Ed25519 (RFC 8037 §3.1); RFC 9864 also names it `Ed25519`, which is understood when read.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    RS256,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    PS256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ES256, Self::ES384, Self::EdDSA, Self::RS256, Self::PS256];

    /// The value of `alg` that we write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
        }
    }

    /// Whether `alg`, as it stands in a header, names this algorithm (RFC 7515 §4.1.1: case-sensitive).
    #[must_use]
    pub fn is_named(self, alg: &str) -> bool {
        alg == self.as_str() || (self == Self::EdDSA && alg == "Ed25519")
    }
}

/// A name that is none of our algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the algorithms are ES256, ES384, EdDSA, RS256 and PS256")]
pub struct UnknownAlgorithm;

impl std::str::FromStr for Algorithm {
    type Err = UnknownAlgorithm;
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|a| a.is_named(name)).ok_or(UnknownAlgorithm)
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a key, `kid`: ours are RFC 7638 thumbprints, but from outside it is any text of up to 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Takes the text as it is: a `kid` is data to compare, never a path, a query or an address.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw_10_only_exact_names_of_signature_algorithms_are_known() {
        for a in Algorithm::ALL {
            assert_eq!(a.as_str().parse(), Ok(a));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
        for no in ["none", "None", "NONE", "nOnE", "", "HS256", "es256", "RS512", "ES521"] {
            assert_eq!(no.parse::<Algorithm>(), Err(UnknownAlgorithm));
        }
    }
}
