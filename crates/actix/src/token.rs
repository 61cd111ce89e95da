//! How is a token request read and answered? RFC 6749 §3.2.

use crate::answering::Denied;
use crate::audit::Audit;
use crate::fault::Fault;
use crate::service::TokenService;
use crate::{body, reply};
use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use tokenberg_core::{Granted, Presented};

/// Answers whatever arrives at the token endpoint.
pub(crate) async fn answer(
    service: &TokenService,
    request: &HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    if *request.method() != Method::POST {
        return reply::closing(reply::fault(Fault::MethodNotAllowed("POST")), payload);
    }
    let mut audit = Audit::of(request);
    let (largest, timeout) = (service.largest_body(), service.body_timeout());
    let body = match body::read(request.headers(), &mut payload, largest, timeout).await {
        Ok(body) => body,
        Err(fault) => {
            audit.failed(fault);
            return reply::closing(reply::fault(fault), payload);
        }
    };
    match decide(service, request, &body, &mut audit).await {
        Ok(granted) => {
            audit.granted(&granted);
            reply::granted(&granted.response)
        }
        Err(Denied::Refused(refusal)) => {
            let error = service.policy().error_for(&refusal);
            audit.refused(&refusal, &error);
            reply::refused(&error)
        }
        Err(Denied::Unsigned(fault)) => {
            audit.unsigned(&fault);
            reply::fault(Fault::Unsigned)
        }
        Err(Denied::Fault(fault)) => {
            audit.failed(fault);
            reply::fault(fault)
        }
    }
}

async fn decide(
    service: &TokenService,
    request: &HttpRequest,
    body: &[u8],
    audit: &mut Audit,
) -> Result<Granted, Denied> {
    let authorization: Vec<&[u8]> =
        request.headers().get_all(header::AUTHORIZATION).map(|value| value.as_bytes()).collect();
    let presented = Presented::read(&authorization, request.uri().query(), body)?;
    audit.presented(&presented);
    service.answer(presented, audit).await
}
