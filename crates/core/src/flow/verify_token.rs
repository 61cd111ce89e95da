//! Asks whether a signature is valid: RFC 7515 §5.2.

use super::listener::Listener;
use super::pending::FetchKeys;
use super::question::{Asks, Question};
use crate::answers::Keys;
use crate::refusal::Refusal;
use crate::{Algorithms, Client, CompactJws, KeySource, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::sync::Arc;

/// Whose keys may verify a token. Decided before the token is verified, and never by the token itself.
#[derive(Clone)]
pub enum KeysOf {
    /// Those of an issuer that is on the list.
    Issuer(Arc<TrustedIssuer>),
    /// Those that the client is registered with.
    Client(Arc<Client>),
    /// The decoy key: the token is refused whatever the result, after the same time as one that is verified (conformance CJ-17).
    Nobody,
}

/// A JWK Set with one decoy key, whose private key is not known, to verify with where no client or issuer is known.
///
/// Its x is the SHA-256 of `nobody has the private key of this point`, which happens to be that of a point of the curve; its y
/// is the even one of the two.
pub const DECOY_JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"C7zradwvhZFkSLU2MWr9B-z3z-DEIPj86IWUsLCoKE4","y":"hsQTJfqb9Pdyv79v-8dp13kc3OJVaqmEWIiVIuZIEZI"}]}"#;

/// Asks whether a signature is valid, for tokens of trusted issuers and for assertions of clients.
pub struct VerifyToken<S> {
    token: CompactJws,
    keys: KeysOf,
    now: Timestamp,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(CompactJws, Result<Verified, SignatureFault>) -> Result<S, Refusal> + Send;

pub(crate) fn ask<S: Asks>(
    token: CompactJws,
    keys: KeysOf,
    now: Timestamp,
    then: impl FnOnce(CompactJws, Result<Verified, SignatureFault>) -> Result<S, Refusal> + Send + 'static,
) -> S {
    Question::VerifyToken(VerifyToken { token, keys, now, then: Box::new(then) }).into()
}

impl<S> VerifyToken<S> {
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
                None => self.in_vain(keys),
            }),
            KeysOf::Nobody => Ok(self.in_vain(keys)),
        }
    }

    pub(crate) fn fetching(self, issuer: Arc<TrustedIssuer>) -> FetchKeys<S> {
        FetchKeys { question: self, issuer }
    }

    fn in_vain(&self, keys: &dyn Keys) -> Result<Verified, SignatureFault> {
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
            KeysOf::Nobody => Err(SignatureFault::NoKeys),
            KeysOf::Issuer(_) | KeysOf::Client(_) => answer,
        };
        listener.signature_checked(&self.token, &self.keys, Some(&answer));
        (self.then)(self.token, answer)
    }
}
