//! Mounts the token endpoint and its documents: RFC 8414 §3, RFC 8615.

use crate::documents::left_out::MetadataDocument;
use crate::endpoint;
use crate::endpoint::guard::guard;
use crate::endpoint::misdirected;
use crate::endpoint::reply;
use crate::observe::audit;
use crate::observe::metrics::Document;
use crate::paths::{
    AUTHORIZATION_SERVER, Endpoint, INTROSPECTION, JWKS, OPENAPI, OPENID_CONFIGURATION, REVOCATION,
    VERIFICATION,
};
use crate::proxy_auth::{self, ORIGINAL_PATH};
use crate::service::TokenService;
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use tokenberg_core::policy::TOKEN_ENDPOINT_PATHS;
use tracing::Instrument;

/// Whose app the routes are mounted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// Our own server, which compresses nothing.
    #[cfg(feature = "server")]
    Own,
    /// Another program, perhaps with `Compress` around the routes.
    Other,
}

impl TokenService {
    /// Mounts the routes, for [`App::configure`](actix_web::App::configure) or inside of a
    /// [`web::scope`](actix_web::web::scope()) whose path is that of the issuer:
    ///
    /// | path | what |
    /// |---|---|
    /// | `/v1/oauth/tokens`, in each spelling of [`TOKEN_ENDPOINT_PATHS`] | the token endpoint |
    /// | `/v1/oauth/introspect`, `/v1/oauth/revoke` | introspection, and revocation if revocations are stored |
    /// | `/v1/oauth/verify`, also with a path after it | the check of a token for proxies |
    /// | `/.well-known/jwks.json` | the public keys |
    /// | `/.well-known/oauth-authorization-server`, `/.well-known/openid-configuration` | the metadata, unless they are [left out](crate::TokenServiceBuilder::leave_out) |
    ///
    /// No other path is taken. A route that you add before it wins. `/openapi.json` is yours; [`TokenService::configure_openapi`]
    /// mounts ours. Responses of the endpoints are never compressed, even with `Compress` around them (BREACH): they have
    /// `Content-Encoding: identity` where the client accepts another coding.
    pub fn configure(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| mount(&service, Host::Other, config)
    }

    /// Mounts `/openapi.json`, the OpenAPI description of the routes.
    pub fn configure_openapi(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| mount_openapi(&service, config)
    }

    /// Mounts all of it in an app that has nothing else.
    #[cfg(feature = "server")]
    pub(crate) fn configure_own(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| {
            mount(&service, Host::Own, config);
            mount_openapi(&service, config);
        }
    }

    /// Mounts the metadata documents at the place that RFC 8414 §3.1 gives them for an issuer with a path: outside of that path,
    /// at `/.well-known/oauth-authorization-server/PATH`. For the app itself, beside a scope that [`TokenService::configure`] is
    /// mounted in; for an issuer without a path it mounts nothing.
    pub fn configure_root(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| {
            if !service.issuer().path().is_empty() {
                mount_metadata(&service, service.issuer().path(), config);
            }
        }
    }
}

fn mount(service: &TokenService, host: Host, config: &mut web::ServiceConfig) {
    // Each separately, because actix matches a resource of several paths by regular expressions. All are answered in place; a redirect
    // would send the secret twice.
    for path in TOKEN_ENDPOINT_PATHS {
        config.service(form(service, path, Endpoint::Tokens, host));
    }
    config.service(form(service, INTROSPECTION, Endpoint::Introspection, host));
    if service.revokes() {
        config.service(form(service, REVOCATION, Endpoint::Revocation, host));
    }
    config.service(verification(service, VERIFICATION));
    config.service(verification(service, &format!("{VERIFICATION}/{{{ORIGINAL_PATH}:.*}}")));
    config.service(document(service, JWKS, Document::Keys, |service, request| {
        reply::public(request, &service.moment().keys().jwks())
    }));
    mount_metadata(service, "", config);
}

fn mount_openapi(service: &TokenService, config: &mut web::ServiceConfig) {
    config.service(document(service, OPENAPI, Document::OpenApi, |service, _| {
        reply::private(actix_web::http::StatusCode::OK).body(service.openapi().to_owned())
    }));
}

/// RFC 8414 §3.1: the well-known part is inserted between the host and the path of the issuer, so outside of the path that all others are
/// under, the path is behind it.
fn mount_metadata(service: &TokenService, path: &str, config: &mut web::ServiceConfig) {
    type Read = fn(&TokenService, &HttpRequest) -> HttpResponse;
    let documents: [(MetadataDocument, &str, Read); 2] = [
        (MetadataDocument::AuthorizationServer, AUTHORIZATION_SERVER, authorization_server),
        (MetadataDocument::OpenIdConfiguration, OPENID_CONFIGURATION, openid_configuration),
    ];
    for (kind, well_known, read) in documents {
        if !service.leaves_out(kind) {
            config.service(document(service, &format!("{well_known}{path}"), Document::Metadata, read));
        }
    }
}

fn authorization_server(service: &TokenService, request: &HttpRequest) -> HttpResponse {
    reply::public(request, service.metadata().authorization_server())
}

fn openid_configuration(service: &TokenService, request: &HttpRequest) -> HttpResponse {
    reply::public(request, &service.metadata().openid_configuration(&service.moment().keys().jwks()))
}

fn form(service: &TokenService, path: &str, endpoint: Endpoint, host: Host) -> Resource {
    let service = service.clone();
    let answer = move |request: HttpRequest, payload: web::Payload| {
        let service = service.clone();
        async move {
            let span = audit::span(&request, endpoint);
            let answering = endpoint::answer(&service, endpoint, &request, payload.into_inner());
            let mut response = answering.instrument(span).await;
            // `Compress` leaves a response with a coding as it is; RFC 9110 §8.4.1 has no other name for none.
            if host == Host::Other && request.headers().contains_key(ACCEPT_ENCODING) {
                let identity = HeaderValue::from_static("identity");
                response.headers_mut().insert(CONTENT_ENCODING, identity);
            }
            response
        }
    };
    web::resource(path).route(web::route().to(answer).wrap(from_fn(guard)))
}

/// Answers every method: Envoy sends that of the request which it asks about.
fn verification(service: &TokenService, path: &str) -> Resource {
    let service = service.clone();
    let answer = move |request: HttpRequest, payload: web::Payload| {
        let span = audit::span(&request, Endpoint::Verification);
        let response = span.in_scope(|| proxy_auth::answer(&service, &request));
        std::future::ready(reply::closing(response, payload.into_inner()))
    };
    web::resource(path).route(web::route().to(answer).wrap(from_fn(guard)))
}

fn document(
    service: &TokenService,
    path: &str,
    document: Document,
    read: fn(&TokenService, &HttpRequest) -> HttpResponse,
) -> Resource {
    let service = service.clone();
    let answer = move |request: HttpRequest, payload: web::Payload| {
        service.metrics().document(document);
        let response = if is_read(&request) {
            read(&service, &request)
        } else {
            misdirected::method(&service, &request, "GET, HEAD")
        };
        std::future::ready(reply::closing(response, payload.into_inner()))
    };
    web::resource(path).route(web::route().to(answer).wrap(from_fn(guard)))
}

fn is_read(request: &HttpRequest) -> bool {
    *request.method() == Method::GET || *request.method() == Method::HEAD
}
