//! Our own keys where another process or a device holds the private halves: publishes and verifies, and signs nothing.

use crate::jwks_reading::JwksFault;
use crate::parsed_sets::ParsedSets;
use crate::public_keys::{IgnoredKey, PublicKeys, verify_with_own_key};
use std::sync::Arc;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::{Algorithms, DpopProof};
use tokenberg_core::{AccessTokenClaims, CompactJws, Keys, Secret, SignatureFault, Timestamp, Verified};

/// Our own public keys, for a service that signs by a [`Signer`](tokenberg_core::Signer): those that sign, those that will, and those
/// whose tokens still live. Immutable; make another one when the keys change.
pub struct PublicKeyring {
    public: PublicKeys,
    jwks: Arc<str>,
    given: ParsedSets,
}

/// Why a JWK Set cannot be that of our own keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyringError {
    /// It is no JWK Set.
    #[error(transparent)]
    Jwks(#[from] JwksFault),
    /// It has a key that cannot be used, or a private one. Such a set is not published.
    #[error("the JWK Set cannot be published: {0}")]
    Unfit(IgnoredKey),
    /// It has no key.
    #[error("the JWK Set has no key")]
    Empty,
}

impl PublicKeyring {
    /// Reads the JWK Set, which is published as it is. Each key needs a `kid`, by which the signer calls it.
    ///
    /// # Errors
    /// If it is no JWK Set, has no key, or has one that is unfit or private.
    pub fn from_jwks(jwks: &str) -> Result<Self, PublicKeyringError> {
        let public = PublicKeys::from_jwks(jwks)?;
        if let Some(unfit) = public.ignored().first() {
            return Err(PublicKeyringError::Unfit(unfit.clone()));
        }
        if public.is_empty() {
            return Err(PublicKeyringError::Empty);
        }
        Ok(Self { public, jwks: jwks.into(), given: ParsedSets::default() })
    }
}

impl Keys for PublicKeyring {
    fn sign(&self, _: &AccessTokenClaims, _: Timestamp) -> Result<Secret, SigningFault> {
        Err(SigningFault::NoKey)
    }

    fn verify(&self, token: &CompactJws, _: Timestamp) -> Result<Verified, SignatureFault> {
        self.public.verify(token)
    }

    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        self.given.verify(jwks, accepted, token)
    }

    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        verify_with_own_key(proof)
    }

    fn jwks(&self) -> Arc<str> {
        Arc::clone(&self.jwks)
    }

    fn is_costly(&self, _: Timestamp) -> bool {
        false
    }
}
