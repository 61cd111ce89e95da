//! Writes responses: RFC 6749 §5.1 and §5.2, RFC 9111 §5.2.2.5, RFC 9110 §13.1.2.

use crate::endpoint::fault::Fault;
use crate::endpoint::request_id::RequestId;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use tokenberg_core::error::Realm;
use tokenberg_core::{Introspection, OAuthError, Reply, TokenResponse};

/// [`Reply::PRIVATE`], parsed.
static PRIVATE: LazyLock<[(HeaderName, HeaderValue); Reply::PRIVATE.len()]> = LazyLock::new(|| {
    Reply::PRIVATE.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
});

/// A response that must not be stored.
pub(crate) fn private(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for (name, value) in &*PRIVATE {
        response.insert_header((name, value.clone()));
    }
    response
}

/// A reply of the core.
fn response(reply: Reply) -> HttpResponse {
    let mut response = private(StatusCode::from_u16(reply.status).unwrap_or_default());
    for (name, value) in reply.headers {
        match value {
            Cow::Borrowed(value) if Reply::PRIVATE.contains(&(name, value)) => {}
            Cow::Borrowed(value) => _ = response.insert_header((name, value)),
            Cow::Owned(value) => _ = response.insert_header((name, value)),
        }
    }
    response.body(String::from(reply.body))
}

/// The token, and the nonce for the next proof if one is required (RFC 9449 §8.2).
pub(crate) fn granted(granted: &TokenResponse, nonce: Option<&str>) -> HttpResponse {
    response(Reply::granted(granted, nonce))
}

/// The description of a token.
pub(crate) fn introspected(introspection: &Introspection) -> HttpResponse {
    response(Reply::introspected(introspection))
}

/// The response to a revocation.
pub(crate) fn revoked() -> HttpResponse {
    response(Reply::revoked())
}

/// The response to a refusal by the core, with the nonce for the next proof.
pub(crate) fn refused(
    realm: &Realm,
    error: OAuthError,
    nonce: Option<&str>,
    id: Option<&RequestId>,
) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    response(Reply::refused(&naming(error, status, id), nonce).in_realm(realm))
}

/// The same, with the request's identifier in our log in its description, so that the client's operator can name it. Not for
/// failed authentications: their bodies are alike to the last byte (conformance CA-18), and the header names them.
fn naming(error: OAuthError, status: StatusCode, id: Option<&RequestId>) -> OAuthError {
    match (&error.description, id) {
        (Some(description), Some(id)) if status.is_client_error() && status != StatusCode::UNAUTHORIZED => {
            let description = format!("{description} (request {})", id.as_str());
            OAuthError { description: Some(description.into()), ..error }
        }
        (Some(_) | None, Some(_) | None) => error,
    }
}

/// The response to a request that did not reach the core, or failed after it.
pub(crate) fn fault(fault: Fault) -> HttpResponse {
    fault_of(fault, None)
}

/// The response to a request to a wrong path or with a wrong method, with the right one in its description.
pub(crate) fn misdirected(fault: Fault, right: &str, id: Option<&RequestId>) -> HttpResponse {
    let (status, error) = fault.response();
    let description =
        error.description.as_deref().map(|description| format!("{description}; {right}").into());
    written(fault, status, naming(OAuthError { description, ..error }, status, id))
}

/// The same for a request that is logged.
pub(crate) fn fault_of(fault: Fault, id: Option<&RequestId>) -> HttpResponse {
    let (status, error) = fault.response();
    written(fault, status, naming(error, status, id))
}

fn written(fault: Fault, status: StatusCode, error: OAuthError) -> HttpResponse {
    let mut response = private(status);
    if let Some(methods) = fault.allow() {
        response.insert_header((header::ALLOW, methods));
    }
    if let Some(seconds) = fault.retry_after() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.body(error.to_json())
}

/// A response to a request whose body was not read to its end: the connection ends with it.
///
/// actix would read a chunked body to its end unless the payload is still held, so the response holds it (conformance HT-07,
/// HT-12).
pub(crate) fn closing(mut response: HttpResponse, payload: Payload) -> HttpResponse {
    if matches!(payload, Payload::None) {
        return response;
    }
    response.head_mut().set_connection_type(ConnectionType::Close);
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    response.set_body(BoxBody::new(Holding { size: body.len(), body: Some(body), _payload: payload }))
}

struct Holding {
    size: usize,
    body: Option<Bytes>,
    _payload: Payload,
}

impl MessageBody for Holding {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.get_mut().body.take().filter(|body| !body.is_empty()).map(Ok))
    }
}

/// A public document that may be cached for a while: keys and metadata (conformance KS-03, MD-06).
pub(crate) fn public(request: &HttpRequest, text: &str) -> HttpResponse {
    let tag = entity_tag(text);
    let known = is_known(request, &tag);
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    if !known {
        response
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    }
    response
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::ETAG, tag))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    if known { response.finish() } else { response.body(text.to_owned()) }
}

fn entity_tag(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut tag = String::from("\"");
    for byte in digest.as_ref().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

// If-None-Match = "*" / #entity-tag            RFC 9110 §13.1.2, compared weakly
fn is_known(request: &HttpRequest, tag: &str) -> bool {
    request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
