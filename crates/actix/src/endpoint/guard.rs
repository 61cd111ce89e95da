//! Wraps every route: limits of the head, a request identifier, and a response of 500 to a panic.

use crate::endpoint::fault::Fault;
use crate::endpoint::reply;
use crate::endpoint::request_id::RequestId;
use crate::head_limits::{LARGEST_HEAD, MOST_FIELDS};
use crate::peer;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// The target of the events of this module, which the command line limits. It does not follow the path of the module.
const TARGET: &str = "tokenberg_actix::guard";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps a route of ours.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = RequestId::next();
    // HSTS is for the owner of the host to set, so only our own server sends it.
    let secure = peer::is_secure(&request);
    request.extensions_mut().insert(id);
    let checked = if peer::is_cut_off(&request) { Err(Fault::HeadTooLarge) } else { check_head(&request) };
    let mut response = match checked {
        Ok(()) => {
            let answer = AssertUnwindSafe(async move { next.call(request).await }).catch_unwind().await;
            let Ok(answer) = answer else { return Err(panicked(&id, secure)) };
            answer?.map_into_boxed_body()
        }
        Err(fault) => {
            let request_id = id.as_str();
            tracing::warn!(target: TARGET, request_id, reason = %fault, "refused a request because of its head");
            let (request, payload) = request.into_parts();
            let mut response = reply::closing(reply::fault(fault), payload);
            response.head_mut().set_connection_type(ConnectionType::Close);
            ServiceResponse::new(request, response)
        }
    };
    finish(response.headers_mut(), &id, secure);
    Ok(response)
}

/// As an error, because the request that a service response needs is gone.
fn panicked(id: &RequestId, secure: bool) -> Error {
    tracing::error!(target: TARGET, request_id = id.as_str(), "a handler panicked");
    let mut response = reply::fault(Fault::Panicked);
    finish(response.headers_mut(), id, secure);
    response.head_mut().set_connection_type(ConnectionType::Close);
    InternalError::from_response(Fault::Panicked, response).into()
}

fn finish(headers: &mut HeaderMap, id: &RequestId, secure: bool) {
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    // RFC 6797 §7.2: "MUST NOT include the STS header field in HTTP responses conveyed over non-secure transport".
    if secure {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

fn check_head(request: &ServiceRequest) -> Result<(), Fault> {
    let (mut fields, mut bytes) = (0, request.path().len() + request.query_string().len());
    for (name, value) in request.headers() {
        fields += 1;
        bytes += name.as_str().len() + value.len() + ": \r\n".len();
    }
    if fields > MOST_FIELDS || bytes > LARGEST_HEAD {
        return Err(Fault::HeadTooLarge);
    }
    // actix takes such a connection for one that has changed its protocol, and never hands out the body.
    let upgrades =
        request.headers().get_all(header::UPGRADE).map(|value| value.as_bytes().to_ascii_lowercase());
    if upgrades.into_iter().any(|value| value.windows(9).any(|part| part == b"websocket")) {
        return Err(Fault::Upgrade);
    }
    if request.headers().get_all(header::HOST).any(|host| !is_host(host.as_bytes())) {
        return Err(Fault::Host);
    }
    // RFC 9112 §3.2.2 prefers the target to Host; a request in which they differ is refused instead.
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    match (request.uri().authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) => {
            Err(Fault::AuthorityMismatch)
        }
        (Some(_), None | Some(_)) | (None, None | Some(_)) => Ok(()),
    }
}

// Host = uri-host [ ":" port ]      RFC 9110 §7.2; uri-host of RFC 3986 §3.2.2
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|b| *b == b':') {
        Some(at) if value.last() != Some(&b']') => (&value[..at], &value[at + 1..]),
        Some(_) | None => (value, &[][..]),
    };
    let is_literal = |b: &u8| b.is_ascii_hexdigit() || b":.%".contains(b);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(b);
    let is_host_valid = match host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        Some(literal) => !literal.is_empty() && literal.iter().all(is_literal),
        None => host.iter().all(is_name),
    };
    is_host_valid && port.iter().all(u8::is_ascii_digit)
}
