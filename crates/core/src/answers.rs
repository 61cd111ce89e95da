//! Who answers the questions of the flow? Traits that only compute, so that keys, store and transport need not know each other.
//! Only a revocation waits, and no endpoint has to offer that.
//!
//! The flow calls none of them: an adapter asks a [`Step`](crate::Step) what it needs, asks these, and answers the step.

use crate::{
    AccessTokenClaims, Algorithm, Client, ClientId, CompactJws, KeyId, Revoke, Secret, SecretDigest,
    Timestamp, TokenId,
};
use std::pin::Pin;
use std::sync::Arc;

/// Our own keys: sign, and check a signature. They never decide whether a token is good.
pub trait Keys: Send + Sync {
    /// Signs the claims as an access token of type `at+jwt` (RFC 9068 §2.1) with the key that signs at `now`.
    ///
    /// # Errors
    /// If no key can sign now.
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault>;

    /// Checks the signature with the key that the header names, and with the algorithm of that key.
    ///
    /// A key that verifies nothing any more at `now` does not fit, whenever the keys were last read.
    ///
    /// # Errors
    /// If no key of ours fits, or the signature is not good.
    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault>;

    /// The public keys as a JWK Set (RFC 7517 §5), JSON, of every key that may verify a live token.
    fn jwks(&self) -> Arc<str>;

    /// Whether signing takes so long (RSA: about a millisecond) that an event loop should not wait for it.
    fn is_costly(&self, now: Timestamp) -> bool;
}

/// Everything that a token request is answered from: one moment of the world, held in memory.
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

    /// Whether the operator took the token back, by itself or with others.
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation>;

    /// Our keys.
    fn keys(&self) -> &dyn Keys;
}

/// Hands out moments: each request is answered from exactly one, however the world changes meanwhile.
pub trait World: Send + Sync + 'static {
    /// A moment, immutable and in memory.
    type Moment: Answers + 'static;

    /// The present moment; cheap, and never waits.
    fn now(&self) -> Arc<Self::Moment>;
}

/// Takes tokens back. The one answer that waits, because it has to be on disk before anybody is told of it.
pub trait Revocations: Send + Sync {
    /// Writes it durably; whatever this process answers afterwards already knows of it.
    ///
    /// Dropping the future leaves open whether it was written.
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a>;
}

/// A write that is under way.
pub type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), NotWritten>> + Send + 'a>>;

/// Why it is not certain that something was written. The client is told to try again, and never that it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revocation could not be written: {reason}")]
pub struct NotWritten {
    /// What is in the way; no secret.
    pub reason: String,
}

/// What is known now about a token that was issued earlier.
#[derive(Clone)]
pub struct Recollection {
    /// Whether it was taken back.
    pub revocation: Option<Revocation>,
    /// The registration of the client that it names, disabled or not.
    pub client: Option<Arc<Client>>,
    /// The registration of its subject, disabled or not, where the subject is one of ours.
    pub principal: Option<Arc<Client>>,
}

impl Recollection {
    /// Asks for everything that has to be recalled about the token.
    #[must_use]
    pub fn of(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> Self {
        let client = answers.client(&token.client_id);
        let principal = if token.session.subject_issuer.is_some() {
            None
        } else if token.subject.as_str() == token.client_id.as_str() {
            client.clone()
        } else {
            token.subject.as_str().parse().ok().and_then(|id| answers.client(&id))
        };
        Self { revocation: answers.revoked(token), client, principal }
    }
}

/// That a signature is good, by a loud name: whoever makes one vouches for the token that it is given back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    key: KeyId,
    algorithm: Algorithm,
}

impl Verified {
    /// States that the signature was checked with this key and algorithm, and is good.
    #[must_use]
    pub fn assertion(key: KeyId, algorithm: Algorithm) -> Self {
        Self { key, algorithm }
    }

    /// The key that verified.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The algorithm of that key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Why a signature could not be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// There is no key by that name, or, without a name, not exactly one that fits.
    #[error("no key of the issuer fits the token's kid and alg")]
    NoKey,
    /// The header's `alg` is not the algorithm of the key (RFC 8725 §3.1).
    #[error("the token's alg is not {expected}, the algorithm of key {key}")]
    Algorithm {
        /// The key that the token names.
        key: KeyId,
        /// Its algorithm.
        expected: Algorithm,
    },
    /// The signature is not that of this key over this token.
    #[error("the signature does not verify with key {key}")]
    Signature {
        /// The key that was tried.
        key: KeyId,
    },
}

/// Why nothing could be signed. It is the operator's fault, never the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// There is no signing key whose time has come.
    #[error("no key is there to sign with")]
    NoKey,
    /// The key refused.
    #[error("key {key} failed to sign")]
    Key {
        /// The key.
        key: KeyId,
    },
}

/// What the operator took back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// This one token.
    #[error("the token {} was revoked", .0.as_str())]
    Token(TokenId),
    /// All tokens that go back to the same authentication.
    #[error("the session {} was revoked", .0.as_str())]
    Session(TokenId),
    /// All tokens that a client got in a session which began with somebody else's authentication.
    #[error("what {client} has of the session {} was revoked", .session.as_str())]
    Delegation {
        /// The session.
        session: TokenId,
        /// The client.
        client: ClientId,
    },
    /// All tokens of the client from before a time; see [`Revocation::reaches`].
    #[error("tokens of the client from before {before} were revoked")]
    Client {
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subject from before a time; see [`Revocation::reaches`].
    #[error("tokens of the subject from before {before} were revoked")]
    Subject {
        /// The time.
        before: Timestamp,
    },
}

impl Revocation {
    /// Whether what was taken back "before a time" includes this token.
    ///
    /// What counts is when the session began, because renewing, in that very second or on a node that has not heard of
    /// the revocation yet, does not move it. A token that a client got for somebody else's session counts by when it was
    /// issued, so that the client can act for that session again.
    #[must_use]
    pub fn reaches(&self, token: &AccessTokenClaims) -> bool {
        match self {
            Self::Token(id) => *id == token.token_id,
            Self::Session(id) => *id == token.session.id,
            Self::Delegation { session, client } => {
                *session == token.session.id && *client == token.client_id
            }
            Self::Client { before } if token.is_clients_own() => token.session.start < *before,
            Self::Client { before } => token.issued_at <= *before,
            Self::Subject { before } => token.session.start < *before,
        }
    }
}
