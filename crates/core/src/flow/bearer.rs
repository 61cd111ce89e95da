//! Which client asks, if a token of the request is all that it shows? Iceberg's Bearer; conformance D3, TX-20 to TX-24.

use super::exchange::Exchange;
use super::party::{self, Checking};
use super::{Asked, Known, Possessed, Step};
use crate::policy::access_token;
use crate::policy::proof::{Authenticated, ProvenToken};
use crate::refusal::Refusal;
use crate::request::client_authentication::BearerAuthentication;
use crate::request::token_request::TokenRequest;
use std::sync::Arc;

pub(super) fn begin(
    known: Known,
    asked: Asked,
    bearer: BearerAuthentication,
    possessed: Result<Possessed, Refusal>,
) -> Result<Step, Refusal> {
    let token = bearer.token.clone();
    let now = known.now;
    let possession = possessed.as_ref().map(|proven| proven.possession.clone()).unwrap_or_default();
    let checking = Checking { policy: Arc::clone(&known.policy), now, possession };
    let times = move |claims: &_| access_token::unexpired(claims, now);
    let then = move |token: Result<_, _>| match token {
        Ok(token) => exchanged(known, asked, bearer, possessed, token),
        // What is wrong with the proof says more than that the token lacks one.
        Err(crate::TokenFault::Bound) => possessed.and(Err(Refusal::BearerToken(crate::TokenFault::Bound))),
        Err(fault) => Err(Refusal::BearerToken(fault)),
    };
    Ok(party::own(&checking, token, Box::new(times), Box::new(then)))
}

fn exchanged(
    known: Known,
    asked: Asked,
    bearer: BearerAuthentication,
    possessed: Result<Possessed, Refusal>,
    token: ProvenToken,
) -> Result<Step, Refusal> {
    let client = Authenticated::by_bearer(&token);
    if bearer.client_id.is_some_and(|id| *id != *client.id().as_str()) {
        return Err(Refusal::ClientIdsDiffer);
    }
    let (request, possessed) = asked.of(&client, possessed)?;
    match request {
        TokenRequest::TokenExchange(request) => {
            Exchange::begin(known, client, request, possessed)?.with_bearer(bearer.is, token)?.next()
        }
        TokenRequest::ClientCredentials(_) | TokenRequest::JwtBearer(_) => {
            Err(Refusal::BearerOutsideOfExchange)
        }
    }
}
