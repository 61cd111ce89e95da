//! Is this signature good? RFC 7515 §5.2.

use super::question::{Asks, Question};
use crate::answers::Keys;
use crate::refusal::Refusal;
use crate::{Client, CompactJws, KeySource, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::sync::Arc;

/// Whose keys may verify a token. Decided before the token is verified, and never by the token itself.
#[derive(Clone)]
pub enum KeysOf {
    /// Our own.
    Ourselves,
    /// Those of an issuer that is on the list.
    Issuer(Arc<TrustedIssuer>),
    /// Those that the client is registered with.
    Client(Arc<Client>),
    /// Nobody's: the token is refused whatever comes out, and takes as long as one that is not (conformance CJ-17).
    Nobody,
}

/// A public key whose private half nobody has, so that there is something to verify with where there is nobody.
const NOBODYS_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Is this signature good? Asked only about tokens whose issuer is ourselves, or one that is trusted.
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
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        &self.token
    }

    /// Whose keys may verify it.
    #[must_use]
    pub fn keys(&self) -> &KeysOf {
        &self.keys
    }

    /// The time at which the key has to be one that verifies.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What these keys say of the signature, as far as that only has to be computed: `Err` names the issuer whose keys may
    /// have to be fetched first.
    ///
    /// # Errors
    /// The issuer that [`IssuerKeys`](crate::IssuerKeys) is to be asked about.
    pub fn compute(&self, keys: &dyn Keys) -> Result<Result<Verified, SignatureFault>, &TrustedIssuer> {
        match &self.keys {
            KeysOf::Ourselves => Ok(keys.verify(&self.token, self.now)),
            KeysOf::Issuer(issuer) => match &issuer.trust.keys {
                KeySource::Jwks(jwks) => Ok(keys.verify_with(jwks, &self.token)),
                KeySource::JwksUri(_) | KeySource::Discovery => Err(issuer),
            },
            KeysOf::Client(client) => {
                let jwks = client.rights.jwks.as_deref().unwrap_or(NOBODYS_KEYS);
                Ok(keys.verify_with(jwks, &self.token))
            }
            KeysOf::Nobody => {
                let _ = std::hint::black_box(keys.verify_with(NOBODYS_KEYS, &self.token));
                Ok(Err(SignatureFault::NoKey))
            }
        }
    }

    /// Answers with what these keys say of the signature.
    ///
    /// # Errors
    /// A [`Refusal`] if the signature, a claim or a time is not good.
    pub fn verified(self, answer: Result<Verified, SignatureFault>) -> Result<S, Refusal> {
        let answer = match &self.keys {
            KeysOf::Nobody => Err(SignatureFault::NoKey),
            KeysOf::Ourselves | KeysOf::Issuer(_) | KeysOf::Client(_) => answer,
        };
        (self.then)(self.token, answer)
    }
}
