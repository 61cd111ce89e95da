//! Keys of every algorithm for tests: those of clients and of holders of tokens.

use crate::world::{NOW, at};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use tokenberg_core::Keys;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_jose::{Keyring, generate, import};

const RSA: &[u8] = include_bytes!("../../../jose/tests/fixtures/rsa-2048-test-only.pem");

pub(crate) struct Signer {
    material: KeyMaterial,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    pub(crate) fn of(algorithm: Algorithm) -> Self {
        let born = at(NOW - 60);
        let material = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => generate(algorithm, born, born),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => import(RSA, None, born, born),
        };
        let material = material.unwrap();
        let jwks = Keyring::read(std::slice::from_ref(&material), born).unwrap().jwks();
        let jwks: Value = serde_json::from_str(&jwks).unwrap();
        let mut jwk = jwks["keys"][0].clone();
        jwk["alg"] = algorithm.as_str().into();
        Self { material, algorithm, jwk }
    }

    /// The set of this one key, by its name.
    pub(crate) fn jwks(&self) -> Box<str> {
        json!({"keys": [self.jwk]}).to_string().into()
    }

    /// An assertion with these claims, whose header says `alg`.
    pub(crate) fn assertion(&self, alg: &str, claims: &Value) -> String {
        self.sign(&json!({"alg": alg, "kid": self.jwk["kid"]}), claims)
    }

    /// A proof with these claims, whose header says `alg`.
    pub(crate) fn proof(&self, alg: &str, claims: &Value) -> String {
        let mut jwk = self.jwk.clone();
        for name in ["kid", "use", "alg", "key_ops"] {
            jwk.as_object_mut().unwrap().remove(name);
        }
        self.sign(&json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}), claims)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encoded(header), encoded(claims));
        let (random, pkcs8) = (SystemRandom::new(), self.material.private.pkcs8().unwrap());
        let ecdsa = |kind| {
            let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8, &random).unwrap();
            pair.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec()
        };
        let rsa = |padding: &'static dyn RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, input.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match self.algorithm {
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).unwrap();
                pair.sign(input.as_bytes()).as_ref().to_vec()
            }
            Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
            Algorithm::PS384 => rsa(&RSA_PSS_SHA384),
            Algorithm::PS512 => rsa(&RSA_PSS_SHA512),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
