//! A grant of the program's own: a client that authenticates as at the token endpoint gets a ticket for one of its jobs.

use crate::{Service, entropy, json, now, refused, response, values};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Response};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use tokenberg_core::backends::NotWritten;
use tokenberg_core::{Answers, AuthenticatedClient, NotGranted, Reply, Request, Secret, inquire};

pub async fn ticket(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let authorization = values(&headers, &AUTHORIZATION);
    let (authorization, query) = (&authorization[..], query.as_deref());
    let request = Request { authorization, query, body: &body, ..Request::default() };
    let credential = match request.credential() {
        Ok(credential) => credential,
        Err(refusal) => return refused(&service, &refusal.into()),
    };
    let guessable = |secret: &Secret| service.table.may_be_guessed(secret);
    let issued = match service.guesses.begin(&credential, peer.ip(), guessable) {
        Ok(attempt) => {
            let issued = issue(&service, &request);
            service.guesses.end(attempt, issued.as_ref().err()).map(|()| issued)
        }
        Err(limited) => Err(limited),
    };
    match issued {
        Ok(Ok((client, ticket))) => json(format!(r#"{{"client":"{}","ticket":"{ticket}"}}"#, client.id())),
        Ok(Err(reason)) => refused(&service, &reason),
        Err(limited) => response(Reply::too_many_failures(&limited)),
    }
}

fn issue(service: &Service, request: &Request<'_>) -> Result<(AuthenticatedClient, String), NotGranted> {
    let failed = |error: Box<dyn Error>| NotWritten { reason: error.to_string() };
    let client =
        inquire(service.endpoint.authenticate(request, now().map_err(failed)?)?, &*service.table, &())?;
    // Whether this client may have the job, and what the ticket is worth, is for this program to decide.
    let ticket = entropy().map_err(failed)?.into_token_id();
    Ok((client, ticket.as_str().to_owned()))
}
