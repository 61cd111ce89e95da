//! The result of a check of a signature.

use super::algorithm::{Algorithm, KeyId};

/// States that a signature is valid. The name is conspicuous because the code that makes one vouches for the token it is returned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    key: KeyId,
    algorithm: Algorithm,
}

impl Verified {
    /// States that the signature was verified with this key and algorithm.
    #[must_use]
    pub fn assertion(key: KeyId, algorithm: Algorithm) -> Self {
        Self { key, algorithm }
    }

    /// The key that verified.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The algorithm of that key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
