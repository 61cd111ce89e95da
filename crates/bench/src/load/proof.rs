//! DPoP proofs of a client, one for each request: RFC 9449 §4.2.

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use std::cell::Cell;
use std::time::SystemTime;
use tokenberg_core::Timestamp;

/// A key with ES256, and the address of its proofs.
pub(super) struct ProofKey {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// The header of all proofs, with the public key.
    header: String,
    address: String,
    /// A prefix of identifiers that no other run uses.
    name: String,
    made: Cell<u64>,
}

impl ProofKey {
    /// A new key, for POSTs to the address.
    pub(super) fn new(address: String) -> Result<Self> {
        let random = SystemRandom::new();
        let no_key = |_| anyhow!("no key can be made");
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(no_key)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
            .map_err(|rejected| anyhow!("the key is unusable: {rejected}"))?;
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)});
        let header = encoded(json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).to_string());
        let mut name = [0; 12];
        random.fill(&mut name).map_err(|_| anyhow!("there are no random numbers"))?;
        Ok(Self { key, random, header, address, name: encoded(name), made: Cell::new(0) })
    }

    /// Another proof, of now.
    pub(super) fn proof(&self) -> Result<String> {
        self.made.set(self.made.get() + 1);
        let now = Timestamp::try_from(SystemTime::now())?.as_seconds();
        let jti = format!("{}-{}", self.name, self.made.get());
        let claims = json!({"jti": jti, "htm": "POST", "htu": self.address, "iat": now});
        let signed = format!("{}.{}", self.header, encoded(claims.to_string()));
        let signature =
            self.key.sign(&self.random, signed.as_bytes()).map_err(|_| anyhow!("it cannot be signed"))?;
        Ok(format!("{signed}.{}", encoded(signature)))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_proofs_are_alike() {
        let key = ProofKey::new("http://127.0.0.1:1/token".to_owned()).unwrap();
        let (one, other) = (key.proof().unwrap(), key.proof().unwrap());
        assert_ne!(one.split('.').nth(1), other.split('.').nth(1));
        for proof in [one, other] {
            assert_eq!(proof.split('.').count(), 3);
            assert!(!proof.contains('='));
        }
    }
}
