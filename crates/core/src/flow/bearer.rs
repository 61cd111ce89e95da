//! Authenticates a client by a token of the request alone: Iceberg's Bearer; conformance D3, TX-20 to TX-24.

use super::exchange::Exchange;
use super::known::{GrantRequest, Known, Possessed, PresentedKeys, check_proof_sent};
use super::party::{self, Presented};
use super::step::Step;
use crate::policy::proof::{Authenticated, ProvenToken};
use crate::policy::{access_token, framing};
use crate::refusal::{ClientIdsDiffer, Refusal};
use crate::request::client_authentication::BearerAuthentication;
use crate::request::token_request::TokenRequest;
use std::sync::Arc;

pub(super) fn begin(
    known: Known,
    grant: GrantRequest,
    bearer: BearerAuthentication,
    keys: PresentedKeys,
) -> Step {
    let token = bearer.token.clone();
    let (policy, now) = (Arc::clone(&known.policy), known.now);
    let times = move |claims: &_| access_token::unexpired(claims, now);
    let ours = Arc::clone(&policy);
    let then = move |token: Result<_, _>| {
        let token = match token.map_err(Refusal::BearerToken)? {
            Presented::Ours(token) => token,
            Presented::Foreign(token) => {
                return Err(Refusal::BearerToken(framing::foreign(token, &ours.issuer)));
            }
        };
        keys.prove(known, move |known, possessed| {
            let token =
                access_token::possessed(token, &possessed.possession).map_err(Refusal::BearerToken)?;
            exchanged(known, grant, bearer, possessed, token)
        })
    };
    party::valid_token(policy, now, token, times, then)
}

fn exchanged(
    known: Known,
    grant: GrantRequest,
    bearer: BearerAuthentication,
    possessed: Possessed,
    token: ProvenToken,
) -> Result<Step, Refusal> {
    let client = Authenticated::by_bearer(&token);
    if bearer.client_id.as_ref().is_some_and(|id| **id != *client.id().as_str()) {
        let named = bearer.client_id.as_deref().unwrap_or_default();
        return Err(Refusal::ClientIdsDiffer(ClientIdsDiffer::boxed(
            named,
            client.id().as_str(),
            "the Bearer token",
        )));
    }
    let request = grant.of(&client)?;
    check_proof_sent(&client, &possessed)?;
    match request? {
        TokenRequest::TokenExchange(request) => {
            Exchange::begin(known, client, request, possessed)?.with_bearer(bearer.is, token)?.next()
        }
        TokenRequest::ClientCredentials(_) | TokenRequest::JwtBearer(_) => {
            Err(Refusal::BearerOutsideOfExchange)
        }
    }
}
