//! Answers, logs and counts requests to a wrong path or with a wrong method, naming the right one: RFC 9110 §15.5.5 and §15.5.6.

use crate::endpoint::fault::Fault;
use crate::endpoint::reply;
use crate::endpoint::request_id::RequestId;
use crate::observe::metrics::Misdirected;
#[cfg(feature = "server")]
use crate::paths::{AUTHORIZATION_SERVER, INTROSPECTION, JWKS, REVOCATION, TOKENS, VERIFICATION};
use crate::service::TokenService;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use tokenberg_core::Excerpt;
use tracing::field;

/// The target of the events of this module, which the command line limits.
const TARGET: &str = "tokenberg_actix::misdirected";

/// The longest path in the log, in characters.
const LONGEST_PATH: usize = 128;

/// What wrong paths contain, and what is at the right path. The token endpoint is named if none of these is contained.
#[cfg(feature = "server")]
const NAMED: [(&[&str], &str, &str); 5] = [
    (&["introspect"], "introspection is POST", INTROSPECTION),
    (&["revo"], "revocation is POST", REVOCATION),
    (&["verify"], "verification for proxies is GET", VERIFICATION),
    (&["jwk", "cert", "keys"], "the keys are GET", JWKS),
    (&[".well-known"], "the metadata are GET", AUTHORIZATION_SERVER),
];

/// Answers a request to a path without a route.
#[cfg(feature = "server")]
pub(crate) fn path(service: &TokenService, base_path: &str, request: &HttpRequest) -> HttpResponse {
    let asked = request.path().to_ascii_lowercase();
    let is_named = |(parts, ..): &&(&[&str], &str, &str)| parts.iter().any(|part| asked.contains(part));
    let (_, what, path) =
        NAMED.iter().find(is_named).copied().unwrap_or((&[], "the token endpoint is POST", TOKENS));
    let right = format!("{what} {base_path}{path}");
    answer(service, request, Misdirected::Path, Fault::NotFound, &right)
}

/// Answers a request with a wrong method.
pub(crate) fn method(service: &TokenService, request: &HttpRequest, methods: &'static str) -> HttpResponse {
    let right = format!("it answers {methods}");
    answer(service, request, Misdirected::Method, Fault::MethodNotAllowed(methods), &right)
}

fn answer(
    service: &TokenService,
    request: &HttpRequest,
    kind: Misdirected,
    fault: Fault,
    right: &str,
) -> HttpResponse {
    service.metrics().misdirected(kind);
    let extensions = request.extensions();
    let id = extensions.get::<RequestId>();
    // A client may have put a secret there. The query is not logged at all.
    let path: String = Excerpt::redacted(request.path()).chars().take(LONGEST_PATH).collect();
    tracing::info!(
        target: TARGET,
        request_id = id.map(RequestId::as_str),
        source = service.trusted_proxies().origin(request).address.map(field::display),
        method = ?request.method().as_str().get(..16).unwrap_or(request.method().as_str()),
        path = ?path,
        reason = %fault,
        right,
        "a request does not reach any endpoint"
    );
    reply::misdirected(fault, right, id)
}
