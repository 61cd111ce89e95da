//! What has to be asked about a token that a client presents? RFC 7662 §2.1 and RFC 7009 §2.1, as far as they are the same.

use super::find_client::{self, DigestSecret, FindClient};
use crate::answers::Recollection;
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, access_token};
use crate::refusal::{Refusal, TokenFault};
use crate::request::presented_token::PresentedToken;
use crate::{AccessTokenClaims, CompactJws, SignatureFault, Timestamp, Verified};
use std::sync::Arc;

/// A question that has to be answered before an introspection or a revocation gets any further, or what it came to.
///
/// Exhaustive on purpose: an adapter that does not answer a question does not compile.
#[must_use = "an inquiry makes no progress until its question is answered"]
pub enum Inquiry<End> {
    /// Who is registered under this identifier?
    FindClient(FindClient<Self>),
    /// What would this secret be stored as?
    DigestSecret(DigestSecret<Self>),
    /// Is this signature good?
    VerifyToken(VerifyPresented<End>),
    /// What is known now about this token?
    Recall(RecallPresented<End>),
    /// Nothing more is to be asked.
    Answered(End),
}

impl<End> From<FindClient<Self>> for Inquiry<End> {
    fn from(question: FindClient<Self>) -> Self {
        Self::FindClient(question)
    }
}

impl<End> From<DigestSecret<Self>> for Inquiry<End> {
    fn from(question: DigestSecret<Self>) -> Self {
        Self::DigestSecret(question)
    }
}

/// What was found out about the token: its claims, if it is an unexpired one of ours, and what is recalled of it.
pub(crate) type Findings = Result<(AccessTokenClaims, Recollection), TokenFault>;

/// Decides what the findings mean to this client.
pub(crate) type Judge<End> = fn(&Policy, &Authenticated, Findings, Timestamp) -> Result<End, Refusal>;

/// Which expired tokens are looked at further.
#[derive(Clone, Copy)]
pub(crate) enum Expired {
    /// None: it is not active.
    Never,
    /// Those that their client could still renew, or whose renewals live (conformance D13).
    WhileRenewable,
}

pub(crate) fn begin<End: 'static>(
    policy: Arc<Policy>,
    presented: PresentedToken,
    now: Timestamp,
    judge: Judge<End>,
    expired: Expired,
) -> Result<Inquiry<End>, Refusal> {
    let PresentedToken { authentication, token } = presented;
    find_client::begin(authentication, now, move |client| {
        let asking = Asking { policy, client, now, judge, expired };
        match access_token::framed(token?.expose(), &asking.policy.issuer) {
            Ok(token) => Ok(Inquiry::VerifyToken(VerifyPresented { asking, token })),
            Err(fault) => asking.judged(Err(fault)),
        }
    })
}

/// Who asks, and what for.
struct Asking<End> {
    policy: Arc<Policy>,
    client: Authenticated,
    now: Timestamp,
    judge: Judge<End>,
    expired: Expired,
}

impl<End> Asking<End> {
    fn unexpired(&self, claims: &AccessTokenClaims) -> Result<(), TokenFault> {
        match self.expired {
            Expired::WhileRenewable
                if self.now < self.policy.remembers_until(&claims.session, claims.issued_at) =>
            {
                Ok(())
            }
            Expired::Never | Expired::WhileRenewable => access_token::unexpired(claims, self.now),
        }
    }

    fn judged(self, findings: Findings) -> Result<Inquiry<End>, Refusal> {
        (self.judge)(&self.policy, &self.client, findings, self.now).map(Inquiry::Answered)
    }
}

/// Is this signature good? Asked only about tokens whose issuer is ourselves.
pub struct VerifyPresented<End> {
    asking: Asking<End>,
    token: CompactJws,
}

impl<End> VerifyPresented<End> {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        &self.token
    }

    /// The time at which the key has to be one that verifies.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.asking.now
    }

    /// Answers with what our keys say of the signature.
    ///
    /// # Errors
    /// A [`Refusal`] if the client may not have what it asks for; that the token is not good is none.
    pub fn verified(self, answer: Result<Verified, SignatureFault>) -> Result<Inquiry<End>, Refusal> {
        let (now, leeway) = (self.asking.now, self.asking.policy.clock_leeway);
        let claims = access_token::claims(&self.token, answer, now, leeway)
            .and_then(|claims| self.asking.unexpired(&claims).map(|()| claims));
        match claims {
            Ok(claims) => Ok(Inquiry::Recall(RecallPresented { asking: self.asking, claims })),
            Err(fault) => self.asking.judged(Err(fault)),
        }
    }
}

/// What is known now about this token? [`Recollection::of`] gathers the answer.
pub struct RecallPresented<End> {
    asking: Asking<End>,
    claims: AccessTokenClaims,
}

impl<End> RecallPresented<End> {
    /// The claims of the token, whose signature and times are good.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Answers with what is known.
    ///
    /// # Errors
    /// A [`Refusal`] if the client may not have what it asks for; that the token is not good is none.
    pub fn recalled(self, recollection: Recollection) -> Result<Inquiry<End>, Refusal> {
        self.asking.judged(Ok((self.claims, recollection)))
    }
}
