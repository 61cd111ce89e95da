//! What does this token of ours say? RFC 9068 §4. Whoever answers may have read it before; conformance JW-40.

use super::question::{Asks, Question};
use crate::answers::Keys;
use crate::policy::{Policy, access_token};
use crate::refusal::{Refusal, TokenFault};
use crate::{Excerpt, Issuer, Secret, SignedToken, Timestamp};
use std::sync::Arc;

/// What does this token say, if it is ours?
pub struct ReadToken<S> {
    token: Secret,
    policy: Arc<Policy>,
    now: Timestamp,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(Result<Arc<SignedToken>, TokenFault>) -> Result<S, Refusal> + Send;

pub(crate) fn ask<S: Asks>(
    token: Secret,
    policy: Arc<Policy>,
    now: Timestamp,
    then: impl FnOnce(Result<Arc<SignedToken>, TokenFault>) -> Result<S, Refusal> + Send + 'static,
) -> S {
    Question::ReadToken(ReadToken { token, policy, now, then: Box::new(then) }).into()
}

impl<S> ReadToken<S> {
    /// The token, as it was presented.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Whose it has to be: ourselves.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.policy.issuer
    }

    /// The time at which the key has to be one that verifies.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What these keys say of it.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, of another type or of another issuer, or the signature or a claim is not good.
    pub fn compute(&self, keys: &dyn Keys) -> Result<Arc<SignedToken>, TokenFault> {
        keys.signed(self.token.expose(), self.issuer(), self.now)
    }

    /// Answers with what these keys say of it.
    ///
    /// # Errors
    /// A [`Refusal`] if it is not good, or its time has not come or is over.
    pub fn read(self, answer: Result<Arc<SignedToken>, TokenFault>) -> Result<S, Refusal> {
        // An answer about the token of another issuer must not pass for one about this.
        let answer = answer.and_then(|token| {
            if *token.issuer() == self.policy.issuer {
                return Ok(token);
            }
            let iss = Excerpt::of_claim(token.issuer().as_str());
            Err(access_token::of_another_issuer(Some(iss), &self.policy.issuer))
        });
        (self.then)(answer)
    }
}
