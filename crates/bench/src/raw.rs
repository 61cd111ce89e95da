//! Measures ring alone: signatures of tokens, a different one each time, with parsed keys.

use crate::parts::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use std::cell::Cell;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_jose::{Keyring, generate, import};

/// A key of jose's tests; it protects nothing.
const RSA: &[u8] = include_bytes!("../../jose/tests/fixtures/rsa-2048-test-only.pem");

/// A new key, or the RSA key of the tests.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn material(algorithm: Algorithm) -> KeyMaterial {
    let now = Parts::now();
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => import(RSA, Some(algorithm), now, now).expect("a key"),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => {
            generate(algorithm, now, now).expect("a key")
        }
    }
}

/// A keyring of that one key.
///
/// # Panics
/// If it is refused.
#[must_use]
pub fn keyring(material: &KeyMaterial) -> Keyring {
    Keyring::read(std::slice::from_ref(material), Parts::now()).expect("a keyring")
}

/// A key as parsed by ring, and its signatures, which take turns: a signature that is verified repeatedly trains the processor's
/// branch prediction, unlike one that a server sees for the first time.
pub struct Raw {
    pair: Pair,
    public: UnparsedPublicKey<Vec<u8>>,
    random: SystemRandom,
    message: Vec<u8>,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
    turn: Cell<usize>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
}

impl Raw {
    /// The key of this material, and tokens that it has signed.
    ///
    /// # Panics
    /// If ring refuses it, or there is no token.
    #[must_use]
    pub fn new(material: &KeyMaterial, tokens: &[&str]) -> Self {
        let random = SystemRandom::new();
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, material.private.pkcs8().expect("a key"), &random)
                .expect("a key")
        };
        let rsa =
            || Box::new(RsaKeyPair::from_pkcs8(material.private.pkcs8().expect("a key")).expect("a key"));
        let (pair, verification): (Pair, &'static dyn VerificationAlgorithm) = match material.algorithm {
            Algorithm::ES256 => {
                (Pair::Ecdsa(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)), &ECDSA_P256_SHA256_FIXED)
            }
            Algorithm::ES384 => {
                (Pair::Ecdsa(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)), &ECDSA_P384_SHA384_FIXED)
            }
            Algorithm::EdDSA => {
                let pair =
                    Ed25519KeyPair::from_pkcs8_maybe_unchecked(material.private.pkcs8().expect("a key"))
                        .expect("a key");
                (Pair::Ed25519(pair), &ED25519)
            }
            Algorithm::RS256 => (Pair::Rsa(rsa(), &RSA_PKCS1_SHA256), &RSA_PKCS1_2048_8192_SHA256),
            Algorithm::PS256 => (Pair::Rsa(rsa(), &RSA_PSS_SHA256), &RSA_PSS_2048_8192_SHA256),
            Algorithm::RS384 => (Pair::Rsa(rsa(), &RSA_PKCS1_SHA384), &RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => (Pair::Rsa(rsa(), &RSA_PKCS1_SHA512), &RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS384 => (Pair::Rsa(rsa(), &RSA_PSS_SHA384), &RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => (Pair::Rsa(rsa(), &RSA_PSS_SHA512), &RSA_PSS_2048_8192_SHA512),
        };
        let public = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair, _) => pair.public().as_ref().to_vec(),
        };
        let public = UnparsedPublicKey::new(verification, public);
        let split = |token: &&str| {
            let (message, signature) = token.rsplit_once('.').expect("a token");
            (message.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(signature).expect("a signature"))
        };
        let signed: Vec<_> = tokens.iter().map(split).collect();
        let message = signed[0].0.clone();
        Self { pair, public, random, message, signed, turn: Cell::new(0) }
    }

    /// Signs.
    ///
    /// # Panics
    /// If ring does not.
    #[must_use]
    pub fn sign(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                pair.sign(&self.random, &self.message).expect("a signature").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(&self.message).as_ref().to_vec(),
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*padding, &self.random, &self.message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// Verifies the next.
    ///
    /// # Panics
    /// If the signature is wrong.
    pub fn verify(&self) {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.signed.len());
        let (message, signature) = &self.signed[turn];
        self.public.verify(message, signature).expect("a good signature");
    }
}
