//! Makes ECDSA signatures by ring, or by aws-lc-rs in a build with the feature `aws-lc`: RFC 7518 §3.4.

use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};

/// The curve of a key, which decides the hash as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

/// A private key for ECDSA.
pub(crate) struct Ecdsa {
    /// Decides which keys are good, in either build.
    ring: EcdsaKeyPair,
    #[cfg(feature = "aws-lc")]
    aws_lc: aws_lc_rs::signature::EcdsaKeyPair,
}

impl Ecdsa {
    /// Reads PKCS#8 DER; the error says what is wrong with it.
    pub(crate) fn read(pkcs8: &[u8], curve: Curve) -> Result<Self, String> {
        let kind = match curve {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let ring = EcdsaKeyPair::from_pkcs8(kind, pkcs8, &SystemRandom::new())
            .map_err(|rejected| rejected.to_string())?;
        Ok(Self {
            ring,
            #[cfg(feature = "aws-lc")]
            aws_lc: {
                use aws_lc_rs::signature as aws_lc;
                let kind = match curve {
                    Curve::P256 => &aws_lc::ECDSA_P256_SHA256_FIXED_SIGNING,
                    Curve::P384 => &aws_lc::ECDSA_P384_SHA384_FIXED_SIGNING,
                };
                aws_lc::EcdsaKeyPair::from_pkcs8(kind, pkcs8).map_err(|rejected| rejected.to_string())?
            },
        })
    }

    /// The public key, an uncompressed point.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.ring.public_key().as_ref()
    }

    /// The signature of a message: r and s side by side, each as long as a coordinate.
    pub(crate) fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        #[cfg(not(feature = "aws-lc"))]
        let signature = self.ring.sign(random, message)?;
        #[cfg(feature = "aws-lc")]
        let signature = {
            // aws-lc-rs draws its own random bits.
            let _ = random;
            let random = aws_lc_rs::rand::SystemRandom::new();
            self.aws_lc.sign(&random, message).map_err(|_| Unspecified)?
        };
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SecureRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

    #[test]
    fn ring_verifies_the_signatures_of_every_build() {
        let random = SystemRandom::new();
        for length in (0..100).chain([4096, 70_000]) {
            let mut message = vec![0; length];
            random.fill(&mut message).unwrap();
            let signed = |kind, curve| {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                let key = Ecdsa::read(pkcs8.as_ref(), curve).unwrap();
                (key.sign(&message, &random).unwrap(), key.public_key().to_vec())
            };
            let (signature, key) = signed(&ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256);
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(&message, &signature).unwrap();
            let (signature, key) = signed(&ECDSA_P384_SHA384_FIXED_SIGNING, Curve::P384);
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).verify(&message, &signature).unwrap();
        }
    }
}
