//! Verifies a signature with one public key: RFC 7518 §3 and §6, RFC 8037 §3.1, RFC 8725 §3.1.

#[cfg(feature = "pkcs11")]
use crate::key_kind::KeyKind;
use ring::error::Unspecified;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use tokenberg_core::jws::{Algorithm, Algorithms, KeyId};
use tokenberg_core::{SignatureFault, Verified};

/// A public key, and the algorithms that it may verify with.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    id: KeyId,
    material: Material,
    /// The algorithms that its `alg` names; several if the key is listed once for each.
    named: Algorithms,
    /// Whether it is listed without `alg`.
    is_open: bool,
}

/// The numbers of a public key, in canonical form, so that equal keys compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Material {
    /// Every algorithm that such a key can be used with.
    pub(crate) fn algorithms(&self) -> Algorithms {
        match self {
            Self::P256(_) => Algorithm::ES256.into(),
            Self::P384(_) => Algorithm::ES384.into(),
            Self::Ed25519(_) => Algorithm::EdDSA.into(),
            Self::Rsa { .. } => Algorithms::RSA,
        }
    }

    /// The kind of the key.
    #[cfg(feature = "pkcs11")]
    pub(crate) fn kind(&self) -> KeyKind {
        match self {
            Self::P256(_) => KeyKind::P256,
            Self::P384(_) => KeyKind::P384,
            Self::Ed25519(_) => KeyKind::Ed25519,
            Self::Rsa { .. } => KeyKind::Rsa,
        }
    }
}

impl VerifyingKey {
    /// A key for the algorithms that its `alg` names, if it has one.
    pub(crate) fn new(id: KeyId, material: Material, named: Option<Algorithms>) -> Self {
        Self { id, material, named: named.unwrap_or_default(), is_open: named.is_none() }
    }

    /// The name of the key.
    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) fn material(&self) -> &Material {
        &self.material
    }

    /// The accepted algorithms that it verifies with; an empty set accepts all.
    ///
    /// An RSA key without `alg` is for the accepted algorithms of RSA, and for RS256 if none is listed: never for whatever the
    /// token alone says (RFC 8725 §3.1, conformance JW-13).
    pub(crate) fn algorithms_among(&self, accepted: Algorithms) -> Algorithms {
        let mut own = self.named;
        if self.is_open {
            let possible = self.material.algorithms();
            let listed = possible.intersection(accepted);
            own = own.union(match &self.material {
                Material::Rsa { .. } if listed.is_empty() => Algorithm::RS256.into(),
                Material::Rsa { .. } => listed,
                Material::P256(_) | Material::P384(_) | Material::Ed25519(_) => possible,
            });
        }
        if accepted.is_empty() { own } else { own.intersection(accepted) }
    }

    /// Every algorithm that the key may be meant for.
    pub(crate) fn possible_algorithms(&self) -> Algorithms {
        if self.is_open { self.material.algorithms() } else { self.named }
    }

    /// Whether a token can name one of the two: they differ in `kid` or `alg`.
    pub(crate) fn is_distinguishable_from(&self, other: &Self) -> bool {
        self.id != other.id
            || (self.is_open, self.named) != (other.is_open, other.named)
            || self.material.algorithms() != other.material.algorithms()
    }

    /// Adds the algorithms of the other, if it is the same key under the same name.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let is_same = self.id == other.id && self.material == other.material;
        if is_same {
            self.named = self.named.union(other.named);
            self.is_open |= other.is_open;
        }
        is_same
    }

    /// Verifies a signature with an algorithm of the key.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<Verified, SignatureFault> {
        // RFC 8725 §3.1: "[E]ach key MUST be used with exactly one algorithm, and this MUST be checked when the
        // cryptographic operation is performed."
        let possible = self.possible_algorithms();
        if !possible.contains(algorithm) {
            return Err(SignatureFault::NotAccepted(algorithm));
        }
        let outcome = match (&self.material, rsa_parameters(algorithm)) {
            (Material::P256(point), None) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signing_input, signature)
            }
            (Material::P384(point), None) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signing_input, signature)
            }
            (Material::Ed25519(key), None) => {
                UnparsedPublicKey::new(&ED25519, key).verify(signing_input, signature)
            }
            (Material::Rsa { n, e }, Some(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signing_input, signature)
            }
            (Material::P256(_) | Material::P384(_) | Material::Ed25519(_), Some(_))
            | (Material::Rsa { .. }, None) => Err(Unspecified),
        };
        match outcome {
            Ok(()) => Ok(Verified::assertion(self.id.clone(), algorithm)),
            Err(Unspecified) => Err(SignatureFault::Signature { key: self.id.clone() }),
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}
