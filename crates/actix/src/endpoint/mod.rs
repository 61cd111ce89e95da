//! Reads and answers the form of an endpoint: RFC 6749 §3.2, and its companions RFC 7662 §2 and RFC 7009 §2.

pub(crate) mod body;
pub(crate) mod fault;
pub(crate) mod guard;
pub(crate) mod misdirected;
pub(crate) mod reply;
pub(crate) mod request_id;

use crate::answering::Denied;
use crate::endpoint::fault::Fault;
use crate::observe::audit::Audit;
use crate::paths::Endpoint;
use crate::peer;
use crate::service::TokenService;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::{AuthenticatedClient, ErrorCode, NotGranted, Presented, PresentedToken, Request};

/// RFC 9449 §4.1.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Answers every request to the endpoint.
pub(crate) async fn answer(
    service: &TokenService,
    endpoint: Endpoint,
    request: &HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    if *request.method() != Method::POST {
        return reply::closing(misdirected::method(service, request, "POST"), payload);
    }
    let origin = service.trusted_proxies().origin(request);
    let mut audit = Audit::of(request, endpoint, origin.address, service.observer());
    if origin.is_plain {
        audit.failed(Fault::PlainHttp);
        return reply::closing(reply::fault(Fault::PlainHttp), payload);
    }
    let (largest, timeout) = (service.largest_body() + endpoint.more_than_tokens(), service.body_timeout());
    let wastes = peer::wastes(request);
    let large = service.large_bodies();
    let body = match body::read(request.headers(), &mut payload, largest, timeout, wastes, large).await {
        Ok(body) => body,
        Err(fault) => {
            audit.failed(fault);
            return reply::closing(reply::fault_of(fault, audit.request_id()), payload);
        }
    };
    match decide(service, endpoint, request, &body, &mut audit).await {
        Ok(response) => response,
        Err(denied) => failed(service, denied, &audit, &body),
    }
}

/// The response to a request that was not granted, which is recorded.
fn failed(service: &TokenService, denied: Denied, audit: &Audit, body: &[u8]) -> HttpResponse {
    match denied {
        Denied::NotGranted(NotGranted::Refused(refusal)) => {
            let error = service.policy().error_for(&refusal);
            audit.refused(&refusal, &error, body);
            let needs_nonce = error.code == ErrorCode::UseDpopNonce;
            let nonce = if needs_nonce { service.dpop_nonce() } else { None };
            reply::refused(&service.policy().realm, error, nonce.as_deref(), audit.request_id())
        }
        Denied::NotGranted(NotGranted::Unsigned(reason)) => {
            let is_away = matches!(reason, SigningFault::Unavailable { .. } | SigningFault::NoKey);
            outage(audit, if is_away { Fault::SignerUnavailable } else { Fault::Unsigned }, &reason, body)
        }
        Denied::NotGranted(NotGranted::Unwritten(reason)) => outage(audit, Fault::Unwritten, &reason, body),
        Denied::NotGranted(NotGranted::KeysUnavailable(reason)) => {
            let seconds = reason.retry_after.as_seconds();
            outage(audit, Fault::KeysUnavailable { seconds }, &reason, body)
        }
        Denied::Fault(fault) => {
            audit.failed(fault);
            reply::fault_of(fault, audit.request_id())
        }
    }
}

impl TokenService {
    /// Authenticates the client of a request with this body, for a grant of your own in a route of yours, as the token endpoint does:
    /// by every method except a token, with the same limits of failed attempts, and each refusal is in the audit. Whether this client
    /// may use the grant, and what it gets, is for you to decide.
    ///
    /// ```
    /// use actix_web::{HttpRequest, HttpResponse, web};
    /// use tokenberg_actix::TokenService;
    ///
    /// /// `POST /v1/jobs/tokens`
    /// async fn job_token(service: web::Data<TokenService>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    ///     match service.authenticate(&request, &body).await {
    ///         Ok(client) => HttpResponse::Ok().body(format!("a token for a job of {}", client.id())),
    ///         Err(response) => response,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The response to send: 401, 429, or 503.
    pub async fn authenticate(
        &self,
        request: &HttpRequest,
        body: &[u8],
    ) -> Result<AuthenticatedClient, HttpResponse> {
        let origin = self.trusted_proxies().origin(request);
        let mut audit = Audit::of(request, Endpoint::Tokens, origin.address, self.observer());
        let authenticated = if origin.is_plain {
            Err(Fault::PlainHttp.into())
        } else {
            authenticated(self, request, body, &mut audit).await
        };
        authenticated.map_err(|denied| failed(self, denied, &audit, body))
    }
}

async fn authenticated(
    service: &TokenService,
    request: &HttpRequest,
    body: &[u8],
    audit: &mut Audit,
) -> Result<AuthenticatedClient, Denied> {
    let authorization = values(request, &header::AUTHORIZATION);
    let certificate = peer::certificate(request);
    let presented = Request {
        authorization: &authorization,
        certificate: certificate.as_deref(),
        query: request.uri().query(),
        body,
        ..Request::default()
    };
    let credential = presented.credential()?;
    audit.authenticates(&credential);
    let attempt = service.attempt(audit.source(), &credential)?;
    attempt.judged(service.client_of(&presented, audit).await)
}

fn outage(audit: &Audit, fault: Fault, reason: &dyn std::fmt::Display, body: &[u8]) -> HttpResponse {
    audit.failed_because(fault, reason.to_string(), Some(body));
    reply::fault(fault)
}

async fn decide(
    service: &TokenService,
    endpoint: Endpoint,
    request: &HttpRequest,
    body: &[u8],
    audit: &mut Audit,
) -> Result<HttpResponse, Denied> {
    // A revocation is recorded by the component that stores it, or not made.
    if endpoint != Endpoint::Revocation
        && service.observer().recorder().is_some_and(|recorder| !recorder.has_room())
    {
        service.metrics().unrecorded();
        return Err(Fault::Unrecorded.into());
    }
    let authorization = values(request, &header::AUTHORIZATION);
    let dpop = values(request, &DPOP);
    let certificate = peer::certificate(request);
    let presented = Request {
        authorization: &authorization,
        dpop: &dpop,
        // From the connection; any client can send a header Client-Cert (conformance MT-05).
        certificate: certificate.as_deref(),
        query: request.uri().query(),
        body,
    };
    match endpoint {
        Endpoint::Tokens => {
            let presented = Presented::of(&presented)?;
            audit.presented(&presented);
            let attempt = service.attempt(audit.source(), presented.authentication())?;
            let granted = attempt.judged(service.answer(presented, audit).await)?;
            audit.granted(&granted);
            let needs_nonce = service.policy().require_dpop_nonce && !dpop.is_empty();
            let nonce = if needs_nonce { service.dpop_nonce() } else { None };
            Ok(reply::granted(&granted.response, nonce.as_deref()))
        }
        Endpoint::Introspection => {
            let presented = PresentedToken::of(&presented)?;
            audit.authenticates(presented.credential());
            let attempt = service.attempt(audit.source(), presented.credential())?;
            let introspection = attempt.judged(service.introspect(presented, audit).await)?;
            audit.introspected(&introspection, body);
            Ok(reply::introspected(&introspection))
        }
        Endpoint::Revocation => {
            let presented = PresentedToken::of(&presented)?;
            audit.authenticates(presented.credential());
            let attempt = service.attempt(audit.source(), presented.credential())?;
            let outcome = attempt.judged(service.revoke(presented, audit).await)?;
            audit.revoked(&outcome, body);
            Ok(reply::revoked())
        }
        // `crate::proxy_auth` answers there; it takes no form.
        Endpoint::Verification => Err(Fault::NotFound.into()),
    }
}

fn values<'r>(request: &'r HttpRequest, name: &HeaderName) -> Vec<&'r [u8]> {
    request.headers().get_all(name).map(HeaderValue::as_bytes).collect()
}
