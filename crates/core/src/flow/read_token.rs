//! Reads a token of ours, RFC 9068 §4. The adapter may answer from a cache; conformance JW-40.

use crate::answers::Keys;
use crate::policy::signed_token::TokenReading;
use crate::policy::{Policy, framing};
use crate::refusal::Refusal;
use crate::{Excerpt, Secret, Timestamp};
use std::sync::Arc;

/// Asks for the contents of this token, if it is ours.
pub struct ReadToken<S> {
    token: Secret,
    policy: Arc<Policy>,
    now: Timestamp,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(TokenReading) -> Result<S, Refusal> + Send;

impl<S> ReadToken<S> {
    pub(super) fn new(
        token: Secret,
        policy: Arc<Policy>,
        now: Timestamp,
        then: impl FnOnce(TokenReading) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { token, policy, now, then: Box::new(then) }
    }

    /// The token, as it was presented.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// Reads it with these keys, which are our own.
    pub(crate) fn compute(&self, keys: &dyn Keys) -> TokenReading {
        keys.read(self.token.expose(), &self.policy.issuer, self.now)
    }

    /// Answers with what it turned out to be.
    pub(crate) fn read(self, reading: TokenReading) -> Result<S, Refusal> {
        // An answer about another token, or about one of another issuer, must not pass for one about this.
        let reading = match reading {
            TokenReading::Ours(token) if *token.issuer() != self.policy.issuer => {
                let iss = Excerpt::of_claim(token.issuer().as_str());
                TokenReading::Bad(framing::of_another_issuer(Some(iss), &self.policy.issuer))
            }
            TokenReading::Foreign(token) if token.expose() != self.token.expose() => {
                TokenReading::Bad(framing::foreign(token, &self.policy.issuer))
            }
            reading @ (TokenReading::Ours(_) | TokenReading::Foreign(_) | TokenReading::Bad(_)) => reading,
        };
        (self.then)(reading)
    }
}
