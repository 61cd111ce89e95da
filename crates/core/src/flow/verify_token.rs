//! Is this signature good? RFC 7515 §5.2 and RFC 8693 §2.1.

use super::exchange::Exchange;
use super::recall::{self, Recall};
use super::{Asked, Known, Step};
use crate::policy::{access_token, exchange};
use crate::refusal::{Refusal, TokenFault};
use crate::request::client_authentication::{BearerAuthentication, Role};
use crate::{AccessTokenClaims, CompactJws, SignatureFault, Timestamp, Verified};

/// Whose turn it is after the token was verified and recalled.
pub(super) enum Awaiting {
    /// The token proves which client asks.
    Client(Box<Bearing>),
    /// The client is known; the token is its subject or actor.
    Party(Box<Exchange>, Role),
}

/// A request whose client is proven by a token of the request itself.
pub(super) struct Bearing {
    pub(super) known: Known,
    pub(super) asked: Asked,
    pub(super) bearer: BearerAuthentication,
}

pub(super) fn begin_with_bearer(
    known: Known,
    asked: Asked,
    bearer: BearerAuthentication,
) -> Result<Step, Refusal> {
    let token =
        access_token::framed(bearer.token.expose(), &known.policy.issuer).map_err(Refusal::BearerToken)?;
    Ok(Step::VerifyToken(VerifyToken {
        awaiting: Awaiting::Client(Box::new(Bearing { known, asked, bearer })),
        token,
    }))
}

pub(super) fn ask(exchange: Exchange, role: Role, token: CompactJws) -> Step {
    Step::VerifyToken(VerifyToken { awaiting: Awaiting::Party(Box::new(exchange), role), token })
}

/// Is this signature good? Asked only about tokens whose issuer is ourselves, or one that is trusted.
pub struct VerifyToken {
    awaiting: Awaiting,
    token: CompactJws,
}

impl VerifyToken {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        &self.token
    }

    /// The time at which the key has to be one that verifies.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.known().now
    }

    /// Answers with what the keys of the issuer say of the signature.
    ///
    /// # Errors
    /// A [`Refusal`] if the signature, a claim or a time is not good.
    pub fn verified(self, answer: Result<Verified, SignatureFault>) -> Result<Step, Refusal> {
        let known = self.known();
        let claims = access_token::claims(&self.token, answer, known.now, known.policy.clock_leeway)
            .and_then(|claims| check_times(&self.awaiting, claims));
        match claims {
            Ok(claims) => Ok(Step::Recall(Recall::ask(self.awaiting, claims))),
            Err(fault) => Err(recall::refused(&self.awaiting, fault)),
        }
    }
}

impl VerifyToken {
    fn known(&self) -> &Known {
        match &self.awaiting {
            Awaiting::Client(bearing) => &bearing.known,
            Awaiting::Party(exchange, _) => &exchange.known,
        }
    }
}

fn check_times(awaiting: &Awaiting, claims: AccessTokenClaims) -> Result<AccessTokenClaims, TokenFault> {
    match awaiting {
        Awaiting::Client(bearing) => access_token::unexpired(&claims, bearing.known.now)?,
        Awaiting::Party(party, Role::Actor) => access_token::unexpired(&claims, party.known.now)?,
        Awaiting::Party(party, Role::Subject) => {
            let known = &party.known;
            if access_token::unexpired(&claims, known.now).is_err() {
                exchange::check_expired(&known.policy, &party.client, &claims, known.now)?;
            }
        }
    }
    Ok(claims)
}
