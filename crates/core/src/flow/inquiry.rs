//! The questions about a token that a client presents: the common part of RFC 7662 §2.1 and RFC 7009 §2.1.

use super::check_status::CheckStatus;
use super::client_authentication;
use super::question::{Question, ask};
use super::read_token::ReadToken;
use crate::jws::SignedToken;
use crate::policy::proof::Authenticated;
use crate::policy::token_status::TokenStatus;
use crate::policy::{Policy, access_token};
use crate::refusal::{Refusal, TokenFault};
use crate::request::presented_token::PresentedToken;
use crate::{AccessTokenClaims, Timestamp};
use std::sync::Arc;

/// What has to be done before an introspection or a revocation gets any further, or what it came to.
///
/// Exhaustive on purpose: an adapter that leaves one out does not compile.
#[allow(clippy::large_enum_variant, reason = "it lives for one turn of its adapter's loop")]
#[must_use = "an inquiry makes no progress until its question is answered"]
pub enum Inquiry<End> {
    /// Answer this.
    Ask(Question<Self>),
    /// No question is left.
    Answered(End),
}

impl<End> From<Question<Self>> for Inquiry<End> {
    fn from(question: Question<Self>) -> Self {
        Self::Ask(question)
    }
}

/// The findings about the token: its claims, if it is an unexpired one of ours, and its recalled status.
pub(crate) type Findings = Result<(Arc<AccessTokenClaims>, TokenStatus), TokenFault>;

/// Decides what the findings mean to this client.
pub(crate) type Judge<End> = fn(&Policy, &Authenticated, Findings, Timestamp) -> Result<End, Refusal>;

/// Which tokens are checked further although they are not valid at the time of the request.
#[derive(Clone, Copy)]
pub(crate) enum Untimely {
    /// None: such a token is not active.
    Never,
    /// Those that their client can still renew or whose renewals live (conformance D13), and those that become valid later: a
    /// node whose clock is ahead issued them.
    WhilePresentable,
}

pub(crate) fn begin<End: 'static>(
    policy: Arc<Policy>,
    presented: PresentedToken,
    now: Timestamp,
    judge: Judge<End>,
    untimely: Untimely,
) -> Result<Inquiry<End>, Refusal> {
    let PresentedToken { credential, token } = presented;
    let known = Arc::clone(&policy);
    client_authentication::prove(&known, credential, now, move |client| {
        let asking = Asking { policy, client, now, judge, untimely };
        Ok(ask(ReadToken::new(token?, Arc::clone(&asking.policy), now, move |reading| {
            match reading.ours(&asking.policy.issuer).and_then(|token| asking.timely(&token)) {
                Ok(claims) => Ok(ask(CheckStatus::new(claims, move |claims, status| {
                    asking.judged(Ok((claims, status)))
                }))),
                Err(fault) => asking.judged(Err(fault)),
            }
        })))
    })
}

/// The client that made the request, and its purpose.
struct Asking<End> {
    policy: Arc<Policy>,
    client: Authenticated,
    now: Timestamp,
    judge: Judge<End>,
    untimely: Untimely,
}

impl<End> Asking<End> {
    fn timely(&self, token: &SignedToken) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        match self.untimely {
            Untimely::WhilePresentable if self.is_presentable(token.claims()) => {
                Ok(Arc::clone(token.claims()))
            }
            Untimely::Never | Untimely::WhilePresentable => {
                let claims = token.begun(self.now, self.policy.clock_leeway)?;
                access_token::unexpired(claims, self.now)?;
                Ok(Arc::clone(claims))
            }
        }
    }

    fn is_presentable(&self, claims: &AccessTokenClaims) -> bool {
        self.now < self.policy.remembers_until(claims, claims.session.end)
    }

    fn judged(self, findings: Findings) -> Result<Inquiry<End>, Refusal> {
        (self.judge)(&self.policy, &self.client, findings, self.now).map(Inquiry::Answered)
    }
}
