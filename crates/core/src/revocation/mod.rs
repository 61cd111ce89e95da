//! What does it take to give a token back? Revocation, RFC 7009.

use crate::flow::inquiry::{self, Findings, Inquiry, Untimely};
use crate::policy::Policy;
use crate::policy::proof::Authenticated;
use crate::refusal::{Refusal, TokenFault};
use crate::request::presented_token::PresentedToken;
use crate::{AccessTokenClaims, ClientId, Revocation, Timestamp, TokenEndpoint, TokenId};
use std::sync::Arc;

/// The revocation endpoint (RFC 7009 §2).
#[derive(Clone)]
pub struct RevocationEndpoint {
    policy: Arc<Policy>,
}

/// What is to be done about a token that its client gives back.
#[derive(Debug)]
pub enum Revoking {
    /// Nothing: it is worth nothing already. RFC 7009 §2.2: "invalid tokens do not cause an error response".
    Nothing(TokenFault),
    /// Write this: the last question.
    Write(Revoke),
}

/// Write this, durably, and only then answer.
///
/// The token goes, and with it every token that goes back to the same authentication: whoever has one of them could renew it
/// for another (RFC 7009 §2.1, conformance RV-07). Of a session that is somebody else's, only what this client has of it
/// goes: who acts for others does not end their sessions.
#[derive(Debug)]
pub struct Revoke {
    claims: Arc<AccessTokenClaims>,
    until: Timestamp,
}

/// A token that was given back, for good.
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
    /// A [`Refusal`] if that is clear without asking anything.
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
    let (claims, recollection) = match findings {
        Ok(found) => found,
        // Nothing is kept of garbage, so nobody fills the store with it (conformance RV-08).
        Err(fault) => return Ok(Revoking::Nothing(fault)),
    };
    // RFC 7009 §2.1: "verifies whether the token was issued to the client making the revocation request. If this
    // validation fails, the request is refused". Before anything is recalled, so that a stranger learns nothing of that.
    if claims.client_id != *client.id() {
        return Err(Refusal::TokenOfAnotherClient {
            client: client.id().clone(),
            of: claims.client_id.clone(),
        });
    }
    match recollection.revocation {
        Some(revocation @ (Revocation::Session(_) | Revocation::Delegation { .. })) => {
            Ok(Revoking::Nothing(TokenFault::Revoked(Box::new(revocation))))
        }
        // The others reach this token and perhaps not all of its family. That somebody is disabled may be taken back.
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
    /// What it takes to revoke this token under this policy, by whoever may.
    #[must_use]
    pub fn of(claims: impl Into<Arc<AccessTokenClaims>>, policy: &Policy, now: Timestamp) -> Self {
        let claims = claims.into();
        Self { until: policy.remembers_until(&claims, now), claims }
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

    /// What is taken back beside the token itself.
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
    #[must_use]
    pub fn written(self) -> Revoked {
        Revoked { claims: self.claims }
    }
}

impl Revoked {
    /// What the token said.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }
}
