//! Generates a signing key from the system's random bits: RFC 7518 §3.4, RFC 8037 §2.

use crate::key_fault::KeyFault;
use crate::signing_key::SigningKey;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{Algorithm, KeyMaterial, PrivateHalf};
use zeroize::Zeroizing;

/// Generates a key for ES256, ES384 or EdDSA.
///
/// # Errors
/// If the algorithm is one of RSA, whose keys are [imported](crate::import()), or the system's random source fails.
pub fn generate(
    algorithm: Algorithm,
    created_at: Timestamp,
    signs_from: Timestamp,
) -> Result<KeyMaterial, KeyFault> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
        Algorithm::ES384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
        Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random),
        Algorithm::RS256 | Algorithm::PS256 => return Err(KeyFault::RsaGeneration),
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
            return Err(KeyFault::VerifyOnly(algorithm));
        }
    };
    let document = document.map_err(|ring::error::Unspecified| KeyFault::Random)?;
    let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
    material(pkcs8, algorithm, created_at, signs_from)
}

/// Names the key after its public half, which also checks that the private one is good.
pub(crate) fn material(
    pkcs8: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
    created_at: Timestamp,
    signs_from: Timestamp,
) -> Result<KeyMaterial, KeyFault> {
    let id = SigningKey::read(&pkcs8, algorithm)?.id().clone();
    Ok(KeyMaterial {
        id,
        algorithm,
        private: PrivateHalf::Pkcs8(pkcs8),
        created_at,
        signs_from,
        verifies_until: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_02_a_new_key_is_named_by_its_thumbprint() {
        let (created_at, signs_from) =
            (Timestamp::from_seconds(1).unwrap(), Timestamp::from_seconds(2).unwrap());
        for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
            let key = generate(algorithm, created_at, signs_from).unwrap();
            assert_eq!((key.id.as_str().len(), key.algorithm), (43, algorithm));
            assert_eq!((key.created_at, key.signs_from, key.verifies_until), (created_at, signs_from, None));
            assert_ne!(generate(algorithm, created_at, signs_from).unwrap().id, key.id);
        }
        for algorithm in [Algorithm::RS256, Algorithm::PS256] {
            let fault = generate(algorithm, created_at, signs_from).err().unwrap();
            assert_eq!(fault, KeyFault::RsaGeneration);
            assert!(fault.to_string().contains("openssl genpkey -algorithm RSA"));
        }
    }
}
