//! The three answers that take time: a costly digest, keys that have to be fetched, and a write to the store.

use super::find_client::DigestSecret;
use super::listener::Listener;
use super::question::Asks;
use super::use_once::UseOnce;
use super::verify_token::VerifyToken;
use crate::refusal::Refusal;
use crate::{CompactJws, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::sync::Arc;

/// What answering a question from memory leads to.
#[allow(clippy::large_enum_variant, reason = "it lives for one turn of its adapter's loop")]
#[must_use = "a request makes no progress until it is answered"]
pub enum Answered<S> {
    /// The next step.
    Next(S),
    /// An answer that the adapter obtains.
    Pending(Pending<S>),
}

/// An answer that takes so long that an event loop must not wait for it.
///
/// Exhaustive on purpose: an adapter that leaves one out does not compile.
#[must_use = "a request makes no progress until it is answered"]
pub enum Pending<S> {
    /// Derive the digest of a secret that a person chose: some 20 ms of computing.
    Digest(DigestSecret<S>),
    /// Verify a signature with keys that their issuer publishes.
    FetchKeys(FetchKeys<S>),
    /// Record the use of a single-use identifier.
    UseOnce(UseOnce<S>),
}

/// Verify a signature with keys that [`IssuerKeys`](crate::IssuerKeys) holds or fetches.
pub struct FetchKeys<S> {
    pub(crate) question: VerifyToken<S>,
    pub(crate) issuer: Arc<TrustedIssuer>,
}

impl<S: Asks> FetchKeys<S> {
    /// The issuer that publishes the keys. It is trusted and enabled.
    #[must_use]
    pub fn issuer(&self) -> &TrustedIssuer {
        &self.issuer
    }

    /// The token, which is not yet verified.
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        self.question.token()
    }

    /// The time at which the key has to be one that verifies.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.question.now()
    }

    /// Reports that the keys could not be obtained: the request cannot be decided.
    pub fn unavailable(&self, listener: &mut (impl Listener + ?Sized)) {
        listener.signature_checked(self.question.token(), self.question.keys(), None);
    }

    /// Answers with what the keys say of the signature.
    ///
    /// # Errors
    /// A [`Refusal`] if the signature, a claim or a time is not valid.
    pub fn verified(
        self,
        answer: Result<Verified, SignatureFault>,
        listener: &mut (impl Listener + ?Sized),
    ) -> Result<S, Refusal> {
        self.question.answered(answer, listener)
    }
}
