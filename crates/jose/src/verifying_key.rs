//! Is it this key's signature? One public key with its one algorithm, RFC 7518 §3 and §6, RFC 8037 §3.1, RFC 8725 §3.1.

use crate::rsa_strength;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use tokenberg_core::{Algorithm, KeyId, SignatureFault, Verified};

/// A public key, and the only algorithm that it verifies with.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    id: KeyId,
    algorithm: Algorithm,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Curve(UnparsedPublicKey<Vec<u8>>),
    Rsa(RsaPublicKeyComponents<Vec<u8>>, &'static RsaParameters),
}

/// Why a key of a JWK Set is not used, RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that [...]".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitKey {
    /// A member is missing, of the wrong type, or not canonical base64url.
    #[error("a member of it is missing or malformed")]
    Malformed,
    /// `kty` is `oct`: a secret has no place among public keys.
    #[error("it is a symmetric key")]
    Symmetric,
    /// It came with its private half, so whoever reads the set can sign with it.
    #[error("its private key was published with it")]
    Private,
    /// `use` or `key_ops` says that it is for something else.
    #[error("it is not for verifying signatures")]
    Purpose,
    /// A `kty`, `crv` or `alg` that we do not verify with, or that contradict each other.
    #[error("its kty, crv and alg are none of the kinds that are verified with")]
    Algorithm,
    /// A coordinate has not the exact length of its curve (RFC 7518 §6.2.1.2).
    #[error("a coordinate of it does not have the length of its curve")]
    Length,
    /// Under 2048 or over 4096 bits.
    #[error("an RSA key has 2048 to 4096 bits")]
    RsaSize,
    /// 1, even, or not under 2^32.
    #[error("its RSA exponent is 1, even or too large")]
    RsaExponent,
    /// Even, or made by the generator of CVE-2017-15361.
    #[error("its RSA modulus is known to be weak")]
    RsaModulus,
    /// Another key of the set has the same `kid`, so that neither is the one that is meant.
    #[error("another key has the same kid")]
    Twice,
}

impl VerifyingKey {
    /// Takes the public key out of a JWK, for the algorithm `alg` or, without one, the first that its type is used with.
    pub(crate) fn read(id: KeyId, jwk: &Jwk, alg: Option<&str>) -> Result<Self, UnfitKey> {
        match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
                EllipticCurve::P256 => {
                    Self::on_curve(id, Algorithm::ES256, alg, &ECDSA_P256_SHA256_FIXED, point::<32>(ec)?)
                }
                EllipticCurve::P384 => {
                    Self::on_curve(id, Algorithm::ES384, alg, &ECDSA_P384_SHA384_FIXED, point::<48>(ec)?)
                }
                EllipticCurve::P521 | EllipticCurve::Ed25519 | _ => Err(UnfitKey::Algorithm),
            },
            AlgorithmParameters::OctetKeyPair(okp) => match okp.curve {
                EllipticCurve::Ed25519 => {
                    Self::on_curve(id, Algorithm::EdDSA, alg, &ED25519, exactly::<32>(&okp.x)?)
                }
                EllipticCurve::P256 | EllipticCurve::P384 | EllipticCurve::P521 | _ => {
                    Err(UnfitKey::Algorithm)
                }
            },
            AlgorithmParameters::RSA(rsa) => {
                let (n, e) = (bytes(&rsa.n)?, bytes(&rsa.e)?);
                rsa_strength::check(&n, &e)?;
                let (algorithm, padding) = match alg {
                    None => (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256),
                    Some(alg) if Algorithm::RS256.is_named(alg) => {
                        (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256)
                    }
                    Some(alg) if Algorithm::PS256.is_named(alg) => {
                        (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256)
                    }
                    Some(_) => return Err(UnfitKey::Algorithm),
                };
                Ok(Self { id, algorithm, public: Public::Rsa(RsaPublicKeyComponents { n, e }, padding) })
            }
            AlgorithmParameters::OctetKey(_) => Err(UnfitKey::Symmetric),
            AlgorithmParameters::Other(_) | _ => Err(UnfitKey::Algorithm),
        }
    }

    /// A key whose curve leaves one algorithm only, which `alg` must not contradict.
    fn on_curve(
        id: KeyId,
        algorithm: Algorithm,
        alg: Option<&str>,
        verification: &'static dyn VerificationAlgorithm,
        key: Vec<u8>,
    ) -> Result<Self, UnfitKey> {
        if alg.is_some_and(|alg| !algorithm.is_named(alg)) {
            return Err(UnfitKey::Algorithm);
        }
        Ok(Self { id, algorithm, public: Public::Curve(UnparsedPublicKey::new(verification, key)) })
    }

    /// Its name.
    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks the signature with the key's own algorithm, after the header's `alg` was found to name it.
    pub(crate) fn verify(
        &self,
        alg: &str,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<Verified, SignatureFault> {
        // RFC 8725 §3.1: "[E]ach key MUST be used with exactly one algorithm, and this MUST be checked when the
        // cryptographic operation is performed."
        if !self.algorithm.is_named(alg) {
            return Err(SignatureFault::Algorithm { key: self.id.clone(), expected: self.algorithm });
        }
        let outcome = match &self.public {
            Public::Curve(key) => key.verify(signing_input, signature),
            Public::Rsa(key, padding) => key.verify(padding, signing_input, signature),
        };
        match outcome {
            Ok(()) => Ok(Verified::assertion(self.id.clone(), self.algorithm)),
            Err(ring::error::Unspecified) => Err(SignatureFault::Signature { key: self.id.clone() }),
        }
    }
}

/// The uncompressed point (SEC 1 §2.3.3): 4, x, y.
fn point<const LENGTH: usize>(ec: &EllipticCurveKeyParameters) -> Result<Vec<u8>, UnfitKey> {
    Ok([&[4][..], &exactly::<LENGTH>(&ec.x)?, &exactly::<LENGTH>(&ec.y)?].concat())
}

fn exactly<const LENGTH: usize>(text: &str) -> Result<Vec<u8>, UnfitKey> {
    let bytes = bytes(text)?;
    if bytes.len() == LENGTH { Ok(bytes) } else { Err(UnfitKey::Length) }
}

fn bytes(text: &str) -> Result<Vec<u8>, UnfitKey> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| UnfitKey::Malformed)
}
