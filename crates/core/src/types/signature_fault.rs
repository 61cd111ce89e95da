//! Why a signature could not be confirmed: RFC 7515 §5.2, RFC 8725 §3.1.

use super::algorithm::{Algorithm, Algorithms, KeyId};
use super::compact_jws::Header;
use super::excerpt::Excerpt;
use super::time::Timestamp;

/// Why a signature could not be confirmed. A `kid` and an `alg` in it are those of a token that was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// No key fits the token.
    #[error("{0}")]
    NoKey(Box<NoKey>),
    /// There is no key to verify with: no known client or issuer has keys for it.
    #[error("no key is known for it")]
    NoKeys,
    /// Two different keys fit, so that the token does not say which it means.
    #[error("two different keys match {0}, so the key is ambiguous")]
    Several(Box<Sought>),
    /// The key that the token names is published, and cannot be used.
    #[error("the key {} is published but not usable: {reason}", Excerpt::of_claim(.key.as_str()))]
    Unusable {
        /// The key that the token names.
        key: KeyId,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The header's `alg` is not an algorithm of the key (RFC 8725 §3.1).
    #[error("{0}")]
    Algorithm(Box<OtherAlgorithm>),
    /// A key fits by an algorithm that is not accepted.
    #[error("it is signed with {0}, which is not accepted")]
    NotAccepted(Algorithm),
    /// The signature is not that of this key over this token.
    #[error("the signature does not verify with the key {}", Excerpt::of_claim(.key.as_str()))]
    Signature {
        /// The key that was tried.
        key: KeyId,
    },
    /// The key verified until some time ago.
    #[error("the key {} was retired at {since}", Excerpt::of_claim(.key.as_str()))]
    Retired {
        /// The key.
        key: KeyId,
        /// When it stopped verifying.
        since: Timestamp,
    },
    /// The key that a DPoP proof carries cannot be used.
    #[error("its jwk is not a usable public key: {0}")]
    Carried(&'static str),
    /// It was verified with another key than the token names.
    #[error("it was verified with another key than its kid names, {}", Excerpt::of_claim(.0.as_str()))]
    OtherKey(KeyId),
}

/// A token for which no key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKey {
    /// What the token names.
    pub sought: Sought,
    /// How many keys there are to verify with.
    pub usable: usize,
    /// How many more are published, and not used.
    pub unusable: usize,
    /// Why the first of these is not used.
    pub reason: Option<&'static str>,
}

/// The key that the header of a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// `kid`, if it has one.
    pub kid: Option<Excerpt>,
    /// `alg`.
    pub alg: Excerpt,
}

/// A token whose `alg` is not one of its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its alg is {alg}, but the key {} is for {expected}", Excerpt::of_claim(.key.as_str()))]
pub struct OtherAlgorithm {
    /// The key that the token names.
    pub key: KeyId,
    /// `alg` of the token.
    pub alg: Excerpt,
    /// What the key is used with.
    pub expected: Algorithms,
}

impl Sought {
    /// The key that this header names.
    #[must_use]
    pub fn by(header: &Header) -> Self {
        Self {
            kid: header.kid.as_ref().map(|kid| Excerpt::of_claim(kid.as_str())),
            alg: Excerpt::of_claim(&header.alg),
        }
    }
}

impl SignatureFault {
    /// No key matches this header; the count is that of the available keys.
    #[must_use]
    pub fn no_key(header: &Header, usable: usize) -> Self {
        Self::NoKey(Box::new(NoKey { sought: Sought::by(header), usable, unusable: 0, reason: None }))
    }

    /// The header's `alg` is not one that the key is used with.
    #[must_use]
    pub fn algorithm(header: &Header, key: KeyId, expected: Algorithms) -> Self {
        Self::Algorithm(Box::new(OtherAlgorithm { key, alg: Excerpt::of_claim(&header.alg), expected }))
    }
}

impl std::fmt::Display for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "its kid {kid} and its alg {}", self.alg),
            None => write!(f, "its alg {}, and it has no kid", self.alg),
        }
    }
}

impl std::fmt::Display for NoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sought, usable, unusable, reason } = self;
        let keys = match usable {
            0 => "no usable key".to_owned(),
            1 => "not the one usable key".to_owned(),
            many => format!("none of {many} usable keys"),
        };
        match &sought.kid {
            Some(kid) if *usable == 1 => {
                write!(f, "its kid is {kid}, which the one usable key does not have")?
            }
            Some(kid) => write!(f, "its kid is {kid}, which {keys} has")?,
            None => write!(f, "it has no kid, and {keys} is for its alg {}", sought.alg)?,
        }
        match reason {
            Some(reason) => {
                write!(f, "; {unusable} more are published but not usable, the first because {reason}")
            }
            None if *unusable > 0 => write!(f, "; {unusable} more are published but not usable"),
            None => Ok(()),
        }
    }
}
