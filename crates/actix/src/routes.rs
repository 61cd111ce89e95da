//! Mounts the token endpoint and its documents: RFC 8414 §3, RFC 8615.

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
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use tokenberg_core::policy::TOKEN_ENDPOINT_PATHS;
use tracing::Instrument;

impl TokenService {
    /// Mounts the routes, for [`App::configure`](actix_web::App::configure) or inside of a
    /// [`web::scope`](actix_web::web::scope()) whose path is that of the issuer.
    pub fn configure(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| mount(&service, config)
    }

    /// Mounts the metadata documents at the place that RFC 8414 §3.1 gives them for an issuer with a path: outside of that path,
    /// at `/.well-known/oauth-authorization-server/PATH`. For the app itself, beside a scope that [`TokenService::configure`] is
    /// mounted in; for an issuer without a path it mounts nothing.
    pub fn configure_root(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let service = self.clone();
        move |config| mount_inserted(&service, config)
    }
}

fn mount(service: &TokenService, config: &mut web::ServiceConfig) {
    // Each separately, because actix matches a resource of several paths by regular expressions. All are answered in place; a redirect
    // would send the secret twice.
    for path in TOKEN_ENDPOINT_PATHS {
        config.service(form(service, path, Endpoint::Tokens));
    }
    config.service(form(service, INTROSPECTION, Endpoint::Introspection));
    if service.revokes() {
        config.service(form(service, REVOCATION, Endpoint::Revocation));
    }
    config.service(verification(service, VERIFICATION));
    config.service(verification(service, &format!("{VERIFICATION}/{{{ORIGINAL_PATH}:.*}}")));
    config.service(document(service, JWKS, Document::Keys, |service, request| {
        reply::public(request, &service.moment().keys().jwks())
    }));
    config.service(document(service, AUTHORIZATION_SERVER, Document::Metadata, authorization_server));
    config.service(document(service, OPENID_CONFIGURATION, Document::Metadata, openid_configuration));
    config.service(document(service, OPENAPI, Document::OpenApi, |service, _| {
        reply::private(actix_web::http::StatusCode::OK).body(service.openapi().to_owned())
    }));
}

/// RFC 8414 §3.1: the well-known part is inserted between the host and the path of the issuer, so these stand outside of
/// the path that all others are under.
fn mount_inserted(service: &TokenService, config: &mut web::ServiceConfig) {
    let path = service.issuer().path();
    if !path.is_empty() {
        let inserted = |well_known: &str| format!("{well_known}{path}");
        config.service(document(
            service,
            &inserted(AUTHORIZATION_SERVER),
            Document::Metadata,
            authorization_server,
        ));
        config.service(document(
            service,
            &inserted(OPENID_CONFIGURATION),
            Document::Metadata,
            openid_configuration,
        ));
    }
}

fn authorization_server(service: &TokenService, request: &HttpRequest) -> HttpResponse {
    reply::public(request, service.metadata().authorization_server())
}

fn openid_configuration(service: &TokenService, request: &HttpRequest) -> HttpResponse {
    reply::public(request, &service.metadata().openid_configuration(&service.moment().keys().jwks()))
}

fn form(service: &TokenService, path: &str, endpoint: Endpoint) -> Resource {
    let service = service.clone();
    let answer = move |request: HttpRequest, payload: web::Payload| {
        let service = service.clone();
        async move {
            let span = audit::span(&request, endpoint);
            endpoint::answer(&service, endpoint, &request, payload.into_inner()).instrument(span).await
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
