//! The JWS algorithms of RFC 7518 §3.1 and RFC 8037 §3.1.

use serde::{Deserialize, Serialize};

/// A signature algorithm that we verify. There is no `none` and no HMAC, so no token can select them.
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
    /// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 7518 §3.3); for foreign tokens only.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 7518 §3.3); for foreign tokens only.
    RS512,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    PS256,
    /// RSASSA-PSS with SHA-384 (RFC 7518 §3.5); for foreign tokens only.
    PS384,
    /// RSASSA-PSS with SHA-512 (RFC 7518 §3.5); for foreign tokens only.
    PS512,
}

impl Algorithm {
    /// All that we verify: of trusted issuers, and of clients that authenticate by a JWT.
    pub const ALL: [Self; 9] = [
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
    ];

    /// Those that our own keys sign with, and that DPoP proofs may have.
    pub const SIGNING: [Self; 5] = [Self::ES256, Self::ES384, Self::EdDSA, Self::RS256, Self::PS256];

    /// The value of `alg` that we write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
        }
    }

    /// Whether `alg`, as it stands in a header, names this algorithm (RFC 7515 §4.1.1: case-sensitive).
    #[must_use]
    pub fn is_named(self, alg: &str) -> bool {
        alg == self.as_str() || (self == Self::EdDSA && alg == "Ed25519")
    }

    /// Parses the name of an algorithm that our own keys can sign with.
    ///
    /// # Errors
    /// A sentence that lists these algorithms, and says so if the name is one that is only verified.
    pub fn for_signing(name: &str) -> Result<Self, NotForSigning> {
        let parsed: Self = name.parse().map_err(|UnknownAlgorithm| NotForSigning)?;
        if Self::SIGNING.contains(&parsed) { Ok(parsed) } else { Err(NotForSigning) }
    }
}

/// The error for a name that is not one of our algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the algorithms are ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384 and PS512")]
pub struct UnknownAlgorithm;

/// The error for a name that is not one of the algorithms of our own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("our keys sign with ES256, ES384, EdDSA, RS256 or PS256")]
pub struct NotForSigning;

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

/// A set of algorithms, as a key may be used with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Algorithms(u16);

impl Algorithms {
    /// Every algorithm of RSA keys (RFC 7518 §3.3 and §3.5).
    pub const RSA: Self = Self(
        Self::bit(Algorithm::RS256)
            | Self::bit(Algorithm::RS384)
            | Self::bit(Algorithm::RS512)
            | Self::bit(Algorithm::PS256)
            | Self::bit(Algorithm::PS384)
            | Self::bit(Algorithm::PS512),
    );

    const fn bit(algorithm: Algorithm) -> u16 {
        1 << algorithm as u16
    }

    /// The algorithms that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The algorithms that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the algorithm is one of them.
    #[must_use]
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::bit(algorithm) != 0
    }

    /// The algorithms of the set, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// The algorithm of the set that `alg` names, as it stands in a header.
    #[must_use]
    pub fn named(self, alg: &str) -> Option<Algorithm> {
        self.iter().find(|algorithm| algorithm.is_named(alg))
    }
}

impl From<Algorithm> for Algorithms {
    fn from(algorithm: Algorithm) -> Self {
        Self(Self::bit(algorithm))
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::default(), |all, one| all.union(one.into()))
    }
}

impl std::fmt::Display for Algorithms {
    /// `RS256, RS384 or RS512`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.iter().map(Algorithm::as_str).collect();
        match names.split_last() {
            None => f.write_str("no algorithm"),
            Some((only, [])) => f.write_str(only),
            Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
        }
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
            let expected = if Algorithm::SIGNING.contains(&a) { Ok(a) } else { Err(NotForSigning) };
            assert_eq!(Algorithm::for_signing(a.as_str()), expected, "{a}");
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
        for no in
            ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "es256", "rs512", "RS1", "PS224", "ES521"]
        {
            assert_eq!(no.parse::<Algorithm>(), Err(UnknownAlgorithm));
            assert_eq!(Algorithm::for_signing(no), Err(NotForSigning));
        }
        let sentence = UnknownAlgorithm.to_string();
        assert!(Algorithm::ALL.iter().all(|a| sentence.contains(a.as_str())), "{sentence}");
    }

    #[test]
    fn jw_12_a_set_of_algorithms_contains_what_was_added() {
        assert_eq!(Algorithms::RSA.iter().count(), 6);
        for a in Algorithm::ALL {
            assert_eq!(Algorithms::RSA.contains(a), a.as_str().starts_with(['R', 'P']), "{a}");
            assert_eq!(Algorithms::from(a).iter().collect::<Vec<_>>(), [a]);
        }
        let two: Algorithms = [Algorithm::PS512, Algorithm::ES256].into_iter().collect();
        assert_eq!(two.named("PS512"), Some(Algorithm::PS512));
        assert_eq!((two.named("PS256"), two.named("none")), (None, None));
        assert_eq!(two.intersection(Algorithms::RSA).to_string(), "PS512");
        assert_eq!(two.union(Algorithm::RS256.into()).to_string(), "ES256, RS256 or PS512");
        assert!(two.intersection(Algorithm::EdDSA.into()).is_empty());
    }
}
