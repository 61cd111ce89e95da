//! The traits that answer the questions of the flow. They only compute, so keys, store and transport are independent of each other.
//!
//! The flow calls none of them: an adapter reads from a [`Step`](crate::Step) what it needs, calls these traits, and answers the step.

mod status;

pub use crate::policy::token_status::{ParticipantsStatus, TokenStatus};
pub use crate::types::subject_status::SubjectStatus;

use crate::jws::{Algorithms, DpopProof, KeyId, TokenReading};
use crate::{
    AccessTokenClaims, Client, ClientId, CompactJws, Issuer, Revocation, Secret, SecretDigest,
    SignatureFault, Timestamp, TrustedIssuer, Verified,
};
use std::sync::Arc;

/// Our own keys, and what is done with keys: sign, and check a signature. They never decide whether a token is good.
///
/// `Keyring` of `tokenberg-jose` implements it, and `PublicKeyring` for a service whose private keys are elsewhere.
///
/// ```
/// use tokenberg_core::Keys;
/// # let world = tokenberg_testkit::World::new();
/// # let keys: &dyn Keys = tokenberg_core::Answers::keys(&world);
///
/// // What GET /.well-known/jwks.json answers.
/// assert!(keys.jwks().starts_with(r#"{"keys":["#));
/// ```
pub trait Keys: Send + Sync {
    /// Signs the claims as an access token of type `at+jwt` (RFC 9068 §2.1) with the key that signs at `now`.
    ///
    /// # Errors
    /// If no key can sign now.
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault>;

    /// Checks the signature with the key that the header names, and with the algorithm of that key.
    ///
    /// A key whose verification period ended before `now` does not match, whenever the keys were last read.
    ///
    /// # Errors
    /// If no key of ours matches, or the signature is invalid.
    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault>;

    /// Reads a token that may be an access token of this issuer, with a key of ours that still verifies at `now`.
    ///
    /// An implementation may cache what it read, under a cryptographic hash of the whole token and only where it checked the
    /// signature itself; whether the key still verifies is checked each time (conformance JW-40).
    fn read(&self, token: &str, issuer: &Issuer, now: Timestamp) -> TokenReading {
        TokenReading::read(token, issuer, |token| self.verify(token, now))
    }

    /// The public keys as a JWK Set (RFC 7517 §5), JSON, of every key that may verify a live token.
    fn jwks(&self) -> Arc<str>;

    /// Whether signing takes so long (RSA: about a millisecond) that an event loop should not wait for it.
    fn is_costly(&self, now: Timestamp) -> bool;

    /// Checks the signature with the key of this JWK Set that the header's `kid` and `alg` name; without a `kid`, with the only
    /// one that fits. Of the algorithms only those that are accepted count; an empty list accepts each that a key has.
    ///
    /// # Errors
    /// If no key of the set fits, or two different ones do, the set is none, or the signature is not valid.
    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault>;

    /// Checks the signature of a DPoP proof with the key that it carries (RFC 9449 §4.3). [`Verified::key`] is then the RFC 7638
    /// thumbprint of that key.
    ///
    /// # Errors
    /// If the key is not a public key of ours to verify with, or the signature is not valid.
    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault>;
}

/// Everything that a token request is answered from: one moment of the world, held in memory.
///
/// ```
/// use std::sync::Arc;
/// use tokenberg_core::answers::SubjectStatus;
/// use tokenberg_core::{
///     AccessTokenClaims, Answers, Client, ClientId, Issuer, Keys, Revocation, Secret, SecretDigest, Timestamp,
///     TrustedIssuer,
/// };
///
/// /// One client. Its keys are those of `tokenberg-jose`, and its digest is what was stored in its registration.
/// struct OneClient<K> {
///     client: Arc<Client>,
///     keys: K,
///     digest: fn(&str, &Secret) -> SecretDigest,
/// }
///
/// impl<K: Keys> Answers for OneClient<K> {
///     fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
///         (self.client.id == *id).then(|| Arc::clone(&self.client))
///     }
///     fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
///         (self.digest)(client_id, secret)
///     }
///     fn is_costly(&self, _: &str, _: &Secret) -> bool {
///         false
///     }
///     fn may_be_guessed(&self, _: &Secret) -> bool {
///         true
///     }
///     fn keys(&self) -> &dyn Keys {
///         &self.keys
///     }
///     // Nothing is revoked, no other issuer is trusted, and proofs need no nonce.
///     fn revoked(&self, _: &AccessTokenClaims) -> Option<Revocation> {
///         None
///     }
///     fn issuer(&self, _: &str) -> Option<Arc<TrustedIssuer>> {
///         None
///     }
///     fn federated(&self, _: &Issuer, _: &str) -> Option<Arc<Client>> {
///         None
///     }
///     fn subject(&self, _: Option<&Issuer>, _: &str, _: &str) -> SubjectStatus {
///         SubjectStatus::default()
///     }
///     fn nonce(&self, _: Timestamp) -> Option<Box<str>> {
///         None
///     }
///     fn accepts_nonce(&self, _: &str, _: Timestamp) -> bool {
///         false
///     }
/// }
/// ```
pub trait Answers: Send + Sync {
    /// The client that is registered under this identifier, disabled ones too.
    fn client(&self, id: &ClientId) -> Option<Arc<Client>>;

    /// Derives what the secret would be stored as, by a way that depends on `client_id` and `secret` only.
    ///
    /// It takes as long for a client that does not exist as for one that does (conformance AB-06).
    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest;

    /// Whether [`Answers::digest`] would take milliseconds now, as for a secret that a person chose and that is not known to
    /// be right.
    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool;

    /// Whether an attacker with enough attempts could guess the secret, such as one that a person chose.
    ///
    /// It depends on the secret alone, never on what is registered.
    fn may_be_guessed(&self, secret: &Secret) -> bool;

    /// Whether the token was revoked, alone or together with others.
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation>;

    /// Our keys.
    fn keys(&self) -> &dyn Keys;

    /// The trusted issuer with exactly this identifier, disabled ones too.
    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>>;

    /// A trusted issuer whose identifier is similar to this text ([`Issuer::is_similar_to`]), for a message to the operator; without a
    /// list of issuers, `None`.
    fn similar_issuer(&self, _issuer: &str) -> Option<Arc<TrustedIssuer>> {
        None
    }

    /// The client for which this subject of this issuer stands, if it is registered for exactly one.
    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>>;

    /// What the operator decided about the subject of another issuer or, without one, about the user of an unsecured JWT.
    ///
    /// `sub` is what `sub` of our tokens says: the subject, after the issuer's prefix. [`Namesake::find`](crate::issuer::Namesake::find)
    /// computes who else has that name.
    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus;

    /// The nonce that DPoP proofs should have from now on, if there are nonces (RFC 9449 §8).
    fn nonce(&self, now: Timestamp) -> Option<Box<str>>;

    /// Whether this nonce was issued recently, by any node.
    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool;
}

/// Hands out moments: each request is answered from exactly one, however the world changes meanwhile.
///
/// ```
/// use std::sync::{Arc, PoisonError, RwLock};
/// use tokenberg_core::{Answers, World};
///
/// /// A table that is replaced as a whole when it changes.
/// struct Current<T>(RwLock<Arc<T>>);
///
/// impl<T: Answers + 'static> World for Current<T> {
///     type Moment = T;
///
///     fn now(&self) -> Arc<T> {
///         Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
///     }
/// }
/// ```
pub trait World: Send + Sync + 'static {
    /// A moment, immutable and in memory.
    type Moment: Answers + 'static;

    /// The present moment; cheap, and never waits.
    fn now(&self) -> Arc<Self::Moment>;

    /// Whether the present moment is too old to report a token as still active (conformance OP-21).
    fn is_too_old(&self) -> bool {
        false
    }
}

/// Why signing failed. The cause is always the server, never the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// No signing key is active yet.
    #[error("no signing key is available")]
    NoKey,
    /// The key refused.
    #[error("key {key} failed to sign")]
    Key {
        /// The key.
        key: KeyId,
    },
    /// The holder of the key does not answer at present; see [`Signer`](crate::Signer).
    #[error("the holder of key {key} cannot sign now: {reason}")]
    Unavailable {
        /// The key.
        key: KeyId,
        /// The cause, without any secret.
        reason: String,
    },
}
