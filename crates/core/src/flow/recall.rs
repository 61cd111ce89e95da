//! What is known now about a token that was issued earlier? Revocation, RFC 7009 §2.1; disabled clients and subjects.

use super::Step;
use super::exchange::Exchange;
use super::verify_token::{Awaiting, Bearing};
use crate::AccessTokenClaims;
use crate::answers::Recollection;
use crate::policy::access_token;
use crate::policy::proof::{Authenticated, ProvenToken};
use crate::refusal::Refusal;
use crate::request::token_request::TokenRequest;

/// What is known now about this token? [`Recollection::of`] gathers the answer.
pub struct Recall {
    awaiting: Awaiting,
    claims: AccessTokenClaims,
}

impl Recall {
    pub(super) fn ask(awaiting: Awaiting, claims: AccessTokenClaims) -> Self {
        Self { awaiting, claims }
    }

    /// The claims of the token, whose signature is good.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Answers with what is known.
    ///
    /// # Errors
    /// A [`Refusal`] if the token was revoked or its client or subject may do nothing any more, or if what is asked for
    /// is refused without asking more.
    pub fn recalled(self, recollection: Recollection) -> Result<Step, Refusal> {
        let standing = access_token::standing(self.claims, recollection);
        let proven = match standing.and_then(access_token::at_home).and_then(access_token::unbound) {
            Ok(proven) => proven,
            Err(fault) => return Err(refused(&self.awaiting, fault)),
        };
        match self.awaiting {
            Awaiting::Client(bearing) => bearing_client(*bearing, proven),
            Awaiting::Party(exchange, role) => exchange.proven(role, proven).next(),
        }
    }
}

fn bearing_client(bearing: Bearing, proven: ProvenToken) -> Result<Step, Refusal> {
    let client = Authenticated::by_bearer(&proven);
    if bearing.bearer.client_id.is_some_and(|id| *id != *client.id().as_str()) {
        return Err(Refusal::ClientIdsDiffer);
    }
    match bearing.asked.of(&client)? {
        TokenRequest::TokenExchange(request) => {
            Exchange::begin(bearing.known, client, request)?.proven(bearing.bearer.is, proven).next()
        }
        TokenRequest::ClientCredentials(_) | TokenRequest::JwtBearer(_) => {
            Err(Refusal::BearerOutsideOfExchange)
        }
    }
}

/// The same fault is a failed authentication where the token is the client's, and a bad parameter elsewhere.
pub(super) fn refused(awaiting: &Awaiting, fault: crate::TokenFault) -> Refusal {
    match awaiting {
        Awaiting::Client(_) => Refusal::BearerToken(fault),
        Awaiting::Party(_, role) => fault.in_role(*role),
    }
}
