//! Makes Ed25519 signatures by ring, or by aws-lc-rs in a build with the feature `aws-lc`; RFC 8032 §5.1.6 makes both the same.

use ring::signature::KeyPair;

/// A private key for Ed25519.
pub(crate) struct Ed25519 {
    /// Decides which keys are good, in either build.
    ring: ring::signature::Ed25519KeyPair,
    #[cfg(feature = "aws-lc")]
    aws_lc: aws_lc_rs::signature::Ed25519KeyPair,
}

impl Ed25519 {
    /// Reads PKCS#8 DER; the error says what is wrong with it.
    pub(crate) fn read(pkcs8: &[u8]) -> Result<Self, String> {
        // "Maybe unchecked": PKCS#8 v1, which `openssl genpkey` writes, has no public key to compare with.
        let ring = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|rejected| rejected.to_string())?;
        Ok(Self {
            ring,
            #[cfg(feature = "aws-lc")]
            aws_lc: aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map_err(|rejected| rejected.to_string())?,
        })
    }

    /// The public key, 32 bytes.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.ring.public_key().as_ref()
    }

    /// The signature of a message, 64 bytes.
    #[cfg(not(feature = "aws-lc"))]
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        Ok(self.ring.sign(message).as_ref().to_vec())
    }

    /// The signature of a message, 64 bytes.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let signature = self.aws_lc.try_sign(message).map_err(|_| ring::error::Unspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::{SecureRandom, SystemRandom};

    #[test]
    fn every_build_signs_as_ring_does() {
        let random = SystemRandom::new();
        for length in (0..300).chain([4096, 70_000]) {
            let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let key = Ed25519::read(pkcs8.as_ref()).unwrap();
            let mut message = vec![0; length];
            random.fill(&mut message).unwrap();
            assert_eq!(key.sign(&message).unwrap(), key.ring.sign(&message).as_ref());
        }
    }
}
