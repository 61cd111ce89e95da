//! Asks whether a signature is valid: RFC 7515 §5.2.

use super::keys_of::{DECOY_JWKS, KeysOf};
use super::listener::Listener;
use crate::answers::Keys;
use crate::jws::Algorithms;
use crate::refusal::Refusal;
use crate::{CompactJws, KeySource, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::sync::Arc;

/// Asks whether a signature is valid, for tokens of trusted issuers and for assertions of clients.
pub struct VerifyToken<S> {
    token: CompactJws,
    keys: KeysOf,
    now: Timestamp,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(CompactJws, Result<Verified, SignatureFault>) -> Result<S, Refusal> + Send;

impl<S> VerifyToken<S> {
    pub(super) fn new(
        token: CompactJws,
        keys: KeysOf,
        now: Timestamp,
        then: impl FnOnce(CompactJws, Result<Verified, SignatureFault>) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { token, keys, now, then: Box::new(then) }
    }

    /// The token.
    pub(crate) fn token(&self) -> &CompactJws {
        &self.token
    }

    /// Whose keys may verify it.
    pub(crate) fn keys(&self) -> &KeysOf {
        &self.keys
    }

    /// The time at which the key has to be one that verifies.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// What these keys say of the signature; `Err` names the issuer whose keys have to be fetched first.
    pub(crate) fn compute(
        &self,
        keys: &dyn Keys,
    ) -> Result<Result<Verified, SignatureFault>, Arc<TrustedIssuer>> {
        match &self.keys {
            KeysOf::Issuer(issuer) => match &issuer.trust.keys {
                KeySource::Jwks(jwks) => {
                    Ok(keys.verify_with(jwks, issuer.trust.accepted_algorithms(), &self.token))
                }
                KeySource::JwksUri(_) | KeySource::Discovery => Err(Arc::clone(issuer)),
            },
            KeysOf::Client(client) => Ok(match client.rights.jwks.as_deref() {
                Some(jwks) => keys.verify_with(jwks, Algorithms::default(), &self.token),
                None => self.refused(keys),
            }),
            KeysOf::Decoy => Ok(self.refused(keys)),
        }
    }

    pub(crate) fn fetching(self, issuer: Arc<TrustedIssuer>) -> FetchKeys<S> {
        FetchKeys { question: self, issuer }
    }

    fn refused(&self, keys: &dyn Keys) -> Result<Verified, SignatureFault> {
        let _ = std::hint::black_box(keys.verify_with(DECOY_JWKS, Algorithms::default(), &self.token));
        Err(SignatureFault::NoKeys)
    }

    /// Answers with what these keys say of the signature.
    pub(crate) fn answered(
        self,
        answer: Result<Verified, SignatureFault>,
        listener: &mut (impl Listener + ?Sized),
    ) -> Result<S, Refusal> {
        let answer = match &self.keys {
            KeysOf::Decoy => Err(SignatureFault::NoKeys),
            KeysOf::Issuer(_) | KeysOf::Client(_) => answer,
        };
        listener.signature_checked(&self.token, &self.keys, Some(&answer));
        (self.then)(self.token, answer)
    }
}

/// Verify a signature with keys that [`IssuerKeys`](crate::IssuerKeys) holds or fetches.
pub struct FetchKeys<S> {
    question: VerifyToken<S>,
    issuer: Arc<TrustedIssuer>,
}

impl<S> FetchKeys<S> {
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
