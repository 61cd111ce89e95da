//! Token revocation, RFC 7009.

pub use crate::types::revocation::{Revocation, RevokedBefore};

use crate::flow::inquiry::{self, Findings, Inquiry, Untimely};
use crate::policy::Policy;
use crate::policy::proof::Authenticated;
use crate::refusal::{Refusal, TokenFault};
use crate::request::presented_token::PresentedToken;
use crate::{AccessTokenClaims, ClientId, Timestamp, TokenEndpoint, TokenId};
use std::sync::Arc;

/// The revocation endpoint (RFC 7009 §2).
#[derive(Clone, Debug)]
pub struct RevocationEndpoint {
    policy: Arc<Policy>,
}

/// The action for a token that its client revokes.
#[derive(Debug)]
pub enum Revoking {
    /// None: the token is already invalid. RFC 7009 §2.2: "invalid tokens do not cause an error response".
    Nothing(TokenFault),
    /// Write this: the last question.
    Write(Revoke),
}

/// Write this durably before responding.
///
/// The token is revoked, together with every token that goes back to the same authentication, because the holder of one could renew it
/// for another (RFC 7009 §2.1, conformance RV-07). Of another principal's session, only this client's share is revoked: an actor does not
/// end the sessions of its subjects.
#[derive(Debug)]
pub struct Revoke {
    claims: Arc<AccessTokenClaims>,
    until: Timestamp,
}

/// A token that was revoked permanently.
#[derive(Debug)]
pub struct Revoked {
    claims: Arc<AccessTokenClaims>,
}

impl RevocationEndpoint {
    /// The companion of this token endpoint, under the same policy.
    #[must_use]
    pub fn of(endpoint: &TokenEndpoint) -> Self {
        Self { policy: endpoint.shared_policy() }
    }

    /// Begins with a request at the time `now`.
    ///
    /// # Errors
    /// A [`Refusal`] if that is clear without any question.
    pub fn start(&self, presented: PresentedToken, now: Timestamp) -> Result<Inquiry<Revoking>, Refusal> {
        inquiry::begin(Arc::clone(&self.policy), presented, now, judge, Untimely::WhilePresentable)
    }
}

fn judge(
    policy: &Policy,
    client: &Authenticated,
    findings: Findings,
    now: Timestamp,
) -> Result<Revoking, Refusal> {
    let (claims, status) = match findings {
        Ok(found) => found,
        // Invalid tokens are not stored, so no client can fill the store with them (conformance RV-08).
        Err(fault) => return Ok(Revoking::Nothing(fault)),
    };
    // RFC 7009 §2.1: "verifies whether the token was issued to the client making the revocation request. If this validation fails, the
    // request is refused". This precedes any recall, so that another client cannot find out the token's status.
    if claims.client_id != *client.id() {
        return Err(Refusal::TokenOfAnotherClient {
            client: client.id().clone(),
            of: claims.client_id.clone(),
        });
    }
    match status.revocation {
        Some(revocation @ (Revocation::Session(_) | Revocation::Delegation { .. })) => {
            Ok(Revoking::Nothing(TokenFault::Revoked(Box::new(revocation))))
        }
        // The other revocations reach this token and perhaps not all of its family. A disabled principal may be enabled again.
        Some(
            Revocation::Token(_)
            | Revocation::Client { .. }
            | Revocation::Subject { .. }
            | Revocation::Issuer { .. }
            | Revocation::Origin(_),
        )
        | None => Ok(Revoking::Write(Revoke::of(claims, policy, now))),
    }
}

impl Revoke {
    /// The revocation of this token under this policy, for any caller that may revoke it.
    #[must_use]
    pub fn of(claims: impl Into<Arc<AccessTokenClaims>>, policy: &Policy, now: Timestamp) -> Self {
        let claims = claims.into();
        Self { until: policy.remembers_until(&claims, now), claims }
    }

    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// The `jti` of the token.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.claims.token_id
    }

    /// The session that the token belongs to. All its tokens go, or those of [`Revoke::branch`] or [`Revoke::client`].
    #[must_use]
    pub fn session(&self) -> &TokenId {
        &self.claims.session.id
    }

    /// The branch of the session whose tokens go, if the session was passed on to the client.
    #[must_use]
    pub fn branch(&self) -> Option<&TokenId> {
        self.claims.session.branch()
    }

    /// The client whose tokens go, if it began the session for another principal.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        let is_all = self.branch().is_some() || self.claims.is_of_clients_session();
        (!is_all).then_some(&self.claims.client_id)
    }

    /// The tokens that are revoked in addition to the token itself.
    #[must_use]
    pub fn family(&self) -> Revocation {
        let session = self.claims.session.family().clone();
        match self.client() {
            None => Revocation::Session(session),
            Some(client) => Revocation::Delegation { session, client: client.clone() },
        }
    }

    /// Until when it has to be remembered.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Answers that it is written, so that not even a power cut undoes it: the end.
    ///
    /// The result is for the audit. The answer to the client is 200 with an empty body (RFC 7009 §2.2).
    #[must_use]
    pub fn written(self) -> Revoked {
        Revoked { claims: self.claims }
    }
}

impl Revoked {
    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }
}
