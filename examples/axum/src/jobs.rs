//! A grant of the program's own: a client that authenticates as at the token endpoint gets a ticket for one of its jobs.

use crate::{Service, entropy, json, now, response, values};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Response};
use std::error::Error;
use std::sync::Arc;
use tokenberg_core::backends::NotWritten;
use tokenberg_core::{AuthenticatedClient, NotGranted, Reply, Request, inquire};

pub async fn ticket(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let authorization = values(&headers, &AUTHORIZATION);
    let (authorization, query) = (&authorization[..], query.as_deref());
    let request = Request { authorization, query, body: &body, ..Request::default() };
    match issue(&service, &request) {
        Ok((client, ticket)) => json(format!(r#"{{"client":"{}","ticket":"{ticket}"}}"#, client.id())),
        Err(reason) => {
            eprintln!("refused: {reason}");
            response(Reply::not_granted(service.endpoint.policy(), &reason, None))
        }
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
