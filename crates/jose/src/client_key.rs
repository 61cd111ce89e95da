//! Signs what a client proves itself with: assertions (RFC 7523 §2.2) and DPoP proofs (RFC 9449 §4.2).

use crate::import::import;
use crate::key_fault::KeyFault;
use crate::signing_key::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use serde_json::{Map, Value};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::KeyId;
use tokenberg_core::{Secret, Timestamp};

/// The private key of a client.
pub struct ClientKey {
    key: SigningKey,
    random: SystemRandom,
}

impl ClientKey {
    /// Reads a private key from a PKCS#8 file, PEM or DER: EC P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits for RS256.
    ///
    /// # Errors
    /// If the file holds no such key; the error says how to convert it, and quotes nothing of its content.
    pub fn read(pem_or_der: &[u8], now: Timestamp) -> Result<Self, KeyFault> {
        let material = import(pem_or_der, None, now, now)?;
        let key = SigningKey::of(&material)?;
        Ok(Self { key, random: SystemRandom::new() })
    }

    /// The RFC 7638 thumbprint of the public key.
    #[must_use]
    pub fn thumbprint(&self) -> &KeyId {
        self.key.id()
    }

    /// An assertion with these claims. Without a `kid`, the server uses the only registered key that fits.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn assertion(&self, claims: &Map<String, Value>, kid: Option<&str>) -> Result<Secret, SigningFault> {
        let mut header = self.header("JWT");
        if let Some(kid) = kid {
            header.insert("kid".to_owned(), kid.into());
        }
        self.sign(&header, claims)
    }

    /// A DPoP proof with these claims, which carries the public key.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn proof(&self, claims: &Map<String, Value>) -> Result<Secret, SigningFault> {
        let mut header = self.header("dpop+jwt");
        let mut jwk: Map<String, Value> = serde_json::from_str(self.key.jwk()).unwrap_or_default();
        // Only what makes the thumbprint: the rest would make the header longer.
        jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y" | "n" | "e"));
        header.insert("jwk".to_owned(), jwk.into());
        self.sign(&header, claims)
    }

    fn header(&self, typ: &str) -> Map<String, Value> {
        let algorithm = self.key.algorithm().as_str();
        [("typ", typ), ("alg", algorithm)]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into_iter()
            .collect()
    }

    fn sign(&self, header: &Map<String, Value>, claims: &Map<String, Value>) -> Result<Secret, SigningFault> {
        // Writing texts to memory cannot fail.
        let part = |members| URL_SAFE_NO_PAD.encode(serde_json::to_vec(members).unwrap_or_default());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self
            .key
            .signature(input.as_bytes(), &self.random)
            .map_err(|_| SigningFault::Key { key: self.key.id().clone() })?;
        Ok(Secret::new(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}
