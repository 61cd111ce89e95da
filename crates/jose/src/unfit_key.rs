//! Why a public key is not used: RFC 7517 §5, "Implementations SHOULD ignore JWKs within a JWK Set that [...]".

/// Why a key of a JWK Set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum UnfitKey {
    /// A member is missing, of the wrong type, or not base64url.
    Malformed,
    /// `kid` is not a text of 1 to 256 bytes.
    KeyId,
    /// A symmetric key, which does not belong in a set of public keys.
    Symmetric,
    /// It was published with its private half, so every reader of the set can sign with it.
    Private,
    /// Another entry of the set has its private half.
    Leaked,
    /// `use` or `key_ops` excludes verification.
    Purpose,
    /// An unsupported `kty`, `crv` or `alg`, or a combination that is contradictory.
    Algorithm,
    /// A coordinate does not have the length of its curve (RFC 7518 §6.2.1.2).
    Length,
    /// Under 2048 or over 4096 bits.
    RsaSize,
    /// 1, even, or not under 2^32.
    RsaExponent,
    /// Even, or made by the generator of CVE-2017-15361.
    RsaModulus,
    /// Another key of the set has the same `kid` and `alg`, so a token cannot name one of them.
    Twice,
    /// It comes after [`MOST_KEYS`](crate::MOST_KEYS) usable keys.
    Surplus,
}

impl UnfitKey {
    /// The reason in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "one of its members is missing or malformed",
            Self::KeyId => "its kid is not a text of 1 to 256 bytes",
            Self::Symmetric => "it is a symmetric key",
            Self::Private => "its private key was published with it",
            Self::Leaked => "its private key is published in the same set",
            Self::Purpose => "its use or key_ops says that it is not for verifying signatures",
            Self::Algorithm => "its kty, crv and alg are not supported, or contradict each other",
            Self::Length => "one of its coordinates does not have the length of its curve",
            Self::RsaSize => "an RSA key has 2048 to 4096 bits",
            Self::RsaExponent => "its RSA exponent is 1, even or too large",
            Self::RsaModulus => "its RSA modulus is known to be weak",
            Self::Twice => "another key has the same kid and alg",
            Self::Surplus => "the set has more than 500 usable keys, and it comes after the first 500",
        }
    }

    /// Whether the entry contains something secret.
    #[must_use]
    pub fn is_leak(self) -> bool {
        matches!(self, Self::Symmetric | Self::Private)
    }
}

/// What exactly is wrong with a malformed entry of a JWK Set, without any of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// It is of this type, not a JSON object.
    #[error("it is {0}, not an object")]
    Kind(&'static str),
    /// It is not JSON.
    #[error("it is not JSON from byte {offset} of the set on")]
    Json {
        /// In bytes from the start of the set.
        offset: usize,
    },
    /// This member is missing, of the wrong type, or not base64url.
    #[error("its member {0} is missing or malformed")]
    Member(&'static str),
}
