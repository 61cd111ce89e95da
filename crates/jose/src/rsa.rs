//! Makes RSA signatures by ring, or by aws-lc-rs in a build with the feature `aws-lc`, which uses AVX-512 IFMA: RFC 8017 §8.

use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{RsaKeyPair, RsaPublicKeyComponents};

/// The padding of RS256 or PS256: RFC 7518 §3.3 and §3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Pkcs1,
    Pss,
}

/// A private key for RSA with SHA-256.
pub(crate) struct Rsa {
    /// Decides which keys are good, in either build.
    ring: RsaKeyPair,
    #[cfg(feature = "aws-lc")]
    aws_lc: aws_lc_rs::signature::RsaKeyPair,
    padding: Padding,
}

impl Rsa {
    /// Reads PKCS#8 DER; the error says what is wrong with it.
    pub(crate) fn read(pkcs8: &[u8], padding: Padding) -> Result<Self, String> {
        Ok(Self {
            ring: RsaKeyPair::from_pkcs8(pkcs8).map_err(|rejected| rejected.to_string())?,
            #[cfg(feature = "aws-lc")]
            aws_lc: aws_lc_rs::signature::RsaKeyPair::from_pkcs8(pkcs8)
                .map_err(|rejected| rejected.to_string())?,
            padding,
        })
    }

    /// The modulus and the exponent, big-endian.
    pub(crate) fn public(&self) -> (Vec<u8>, Vec<u8>) {
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::from(self.ring.public());
        (n, e)
    }

    /// The signature of a message, as long as the modulus.
    #[cfg(not(feature = "aws-lc"))]
    pub(crate) fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        self.sign_by_ring(message, random)
    }

    /// The signature of a message, as long as the modulus.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn sign(&self, message: &[u8], _: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
        let padding = match self.padding {
            Padding::Pkcs1 => &RSA_PKCS1_SHA256,
            Padding::Pss => &RSA_PSS_SHA256,
        };
        let mut signature = vec![0; self.ring.public().modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.aws_lc.sign(padding, &random, message, &mut signature).map_err(|_| Unspecified)?;
        Ok(signature)
    }

    #[cfg(any(test, not(feature = "aws-lc")))]
    fn sign_by_ring(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
        let padding: &'static dyn RsaEncoding = match self.padding {
            Padding::Pkcs1 => &RSA_PKCS1_SHA256,
            Padding::Pss => &RSA_PSS_SHA256,
        };
        let mut signature = vec![0; self.ring.public().modulus_len()];
        self.ring.sign(padding, random, message, &mut signature)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pem::private_key;
    use ring::rand::SecureRandom;
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

    #[test]
    fn every_build_signs_as_ring_does() {
        let random = SystemRandom::new();
        let pem = include_bytes!("../tests/fixtures/rsa-2048-test-only.pem");
        let pkcs8 = private_key(pem).unwrap().unwrap();
        let [pkcs1, pss] = [Padding::Pkcs1, Padding::Pss].map(|padding| Rsa::read(&pkcs8, padding).unwrap());
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pss.ring.public().as_ref());
        for length in (0..100).chain([4096, 70_000]) {
            let mut message = vec![0; length];
            random.fill(&mut message).unwrap();
            // PKCS #1 v1.5 uses no random bits; PSS has a salt as long as the hash, which ring requires.
            assert_eq!(pkcs1.sign(&message, &random), pkcs1.sign_by_ring(&message, &random));
            public.verify(&message, &pss.sign(&message, &random).unwrap()).unwrap();
        }
    }
}
