//! Which key of this JWK Set verifies the token? Keys that we did not make: RFC 7517 §5, RFC 8725 §3, conformance JW-12 to JW-25.

use crate::thumbprint::thumbprint;
use crate::verifying_key::{UnfitKey, VerifyingKey};
use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokenberg_core::{CompactJws, DpopProof, Header, KeyId, SignatureFault, Verified};

/// The longest JWK Set that is read, in bytes.
pub const LARGEST_JWKS: usize = 512 * 1024;

/// The most keys that a JWK Set may have.
pub const MOST_KEYS: usize = 100;

/// The longest `kid`, in bytes: that of a token's header.
const LONGEST_KEY_ID: usize = 256;

/// RFC 7518 §6.2.2, §6.3.2 and RFC 8037 §2: what only the holder of a private key knows.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Public keys, each with its one algorithm.
#[derive(Debug, Default)]
pub struct PublicKeys {
    keys: Vec<Arc<VerifyingKey>>,
    ignored: Vec<IgnoredKey>,
}

/// A key of a JWK Set that is not used; whoever operates the service should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Which of the set, counted from 0.
    pub position: usize,
    /// Its `kid`, if it has a usable one.
    pub id: Option<KeyId>,
    /// Why.
    pub reason: UnfitKey,
}

/// Why a text is no JWK Set that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksFault {
    /// Longer than [`LARGEST_JWKS`].
    #[error("the JWK Set is longer than {LARGEST_JWKS} bytes")]
    TooLarge,
    /// More than [`MOST_KEYS`] keys.
    #[error("the JWK Set has more than {MOST_KEYS} keys")]
    TooMany,
    /// Not JSON, or not an object with an array `keys`.
    #[error("this is no JWK Set: a JSON object with an array named keys")]
    Form,
}

impl PublicKeys {
    /// Reads a JWK Set. What cannot be used is left out and listed in [`PublicKeys::ignored`]; no key at all is no fault.
    ///
    /// A key without a `kid` is called by its thumbprint. A key without `alg` has the algorithm of its type and curve, and
    /// an RSA key without one is for RS256 only.
    ///
    /// # Errors
    /// If the text as a whole is no JWK Set, or too large.
    pub fn from_jwks(json: &str) -> Result<Self, JwksFault> {
        if json.len() > LARGEST_JWKS {
            return Err(JwksFault::TooLarge);
        }
        // RFC 7517 §4 lets a parser take "only the lexically last duplicate member name", as this one does.
        let set: Value = serde_json::from_str(json).map_err(|_| JwksFault::Form)?;
        let jwks = set.get("keys").and_then(Value::as_array).ok_or(JwksFault::Form)?;
        if jwks.len() > MOST_KEYS {
            return Err(JwksFault::TooMany);
        }
        let mut named: HashMap<KeyId, Vec<(usize, VerifyingKey)>> = HashMap::new();
        let mut ignored = Vec::new();
        for (position, jwk) in jwks.iter().enumerate() {
            match read(jwk) {
                Ok(key) => named.entry(key.id().clone()).or_default().push((position, key)),
                Err(reason) => ignored.push(IgnoredKey { position, id: key_id(jwk), reason }),
            }
        }
        let mut keys = Vec::new();
        for (id, same_name) in named {
            let is_twice = same_name.len() > 1;
            for (position, key) in same_name {
                if is_twice {
                    ignored.push(IgnoredKey { position, id: Some(id.clone()), reason: UnfitKey::Twice });
                } else {
                    keys.push(Arc::new(key));
                }
            }
        }
        ignored.sort_by_key(|key| key.position);
        Ok(Self { keys, ignored })
    }

    /// Keys of ours, which a [`Keyring`](crate::Keyring) has checked.
    pub(crate) fn of(keys: Vec<Arc<VerifyingKey>>) -> Self {
        Self { keys, ignored: Vec::new() }
    }

    /// Checks the signature with the key that the token's `kid` names; without a `kid`, with the only key that has its `alg`.
    ///
    /// # Errors
    /// If there is no such key, or the token's `alg` is not that of the key, or the signature is not good.
    pub fn verify(&self, token: &CompactJws) -> Result<Verified, SignatureFault> {
        self.verify_parts(token.header(), token.signing_input(), token.signature())
    }

    /// As [`PublicKeys::verify`], for payloads that are no JSON, too.
    pub(crate) fn verify_parts(
        &self,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<Verified, SignatureFault> {
        self.named(header).ok_or(SignatureFault::NoKey)?.verify(&header.alg, signing_input, signature)
    }

    /// The one key that such a token is to be verified with.
    pub(crate) fn named(&self, header: &Header) -> Option<&VerifyingKey> {
        let key = match &header.kid {
            Some(kid) => self.keys.iter().find(|key| key.id() == kid),
            // Never one after the other: which key it is must be settled before any signature is computed.
            None => {
                let mut fitting = self.keys.iter().filter(|key| key.algorithm().is_named(&header.alg));
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        key.map(|key| &**key)
    }

    /// Its key, if it has exactly one.
    pub(crate) fn only(&self) -> Option<Arc<VerifyingKey>> {
        let [key] = &*self.keys else { return None };
        Some(Arc::clone(key))
    }

    /// The keys of the set that are not used, in its order.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// How many keys there are to verify with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key to verify with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl std::fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A foreign `kid` may be any text, so it is written with escapes.
        match &self.id {
            Some(id) => write!(f, "key {} ({:?}) is ignored: {}", self.position, id.as_str(), self.reason),
            None => write!(f, "key {} is ignored: {}", self.position, self.reason),
        }
    }
}

/// Checks a proof with the key in its header, which is called by its thumbprint whatever `kid` it claims.
pub(crate) fn verify_with_own_key(proof: &DpopProof) -> Result<Verified, SignatureFault> {
    let mut jwk = proof.jwk().clone();
    jwk.remove("kid");
    // Key and header have the same author, so an RSA key that does not say which padding it is for is for the one that is used.
    if jwk.get("kty").and_then(Value::as_str) == Some("RSA") {
        jwk.entry("alg").or_insert_with(|| (&*proof.token().header().alg).into());
    }
    let key = read(&Value::Object(jwk)).map_err(|_| SignatureFault::NoKey)?;
    let token = proof.token();
    key.verify(&token.header().alg, token.signing_input(), token.signature())
}

fn read(json: &Value) -> Result<VerifyingKey, UnfitKey> {
    let jwk: Jwk = serde_json::from_value(json.clone()).map_err(|_| UnfitKey::Malformed)?;
    let is_symmetric = json.get("kty").and_then(Value::as_str) == Some("oct");
    if is_symmetric || json.get("k").is_some() {
        return Err(UnfitKey::Symmetric);
    }
    if PRIVATE_MEMBERS.iter().any(|name| json.get(name).is_some()) {
        return Err(UnfitKey::Private);
    }
    let used_for_signatures = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        // The SPIFFE Trust Domain and Bundle §4.2.2 has its own word for it.
        Some(PublicKeyUse::Other(other)) => other == "jwt-svid",
        Some(PublicKeyUse::Encryption) => false,
    };
    let may_verify = jwk.common.key_operations.as_ref().is_none_or(|o| o.contains(&KeyOperations::Verify));
    if !used_for_signatures || !may_verify {
        return Err(UnfitKey::Purpose);
    }
    // Read as text, because the type of `jsonwebtoken` does not know `Ed25519` (RFC 9864).
    let alg = match json.get("alg") {
        None => None,
        Some(Value::String(alg)) => Some(alg.as_str()),
        Some(_) => return Err(UnfitKey::Malformed),
    };
    let id = match json.get("kid") {
        None => thumbprint(&jwk).ok_or(UnfitKey::Algorithm)?,
        Some(_) => key_id(json).ok_or(UnfitKey::Malformed)?,
    };
    VerifyingKey::read(id, &jwk, alg)
}

fn key_id(json: &Value) -> Option<KeyId> {
    let kid = json.get("kid").and_then(Value::as_str)?;
    (1..=LONGEST_KEY_ID).contains(&kid.len()).then(|| KeyId::new(kid))
}
