//! A toy Iceberg catalog: one namespace, no tables, and routes that require a token.

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use serde_json::{Value, json};
use tokenberg_actix::{Bearer, BearerError};
use tokenberg_core::token::CATALOG;

/// Adds the routes of the catalog at this address, whose tokens are of this issuer. The app needs a `BearerConfig`.
pub(crate) fn routes(address: &str, issuer: &str) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let resource = Resource { resource: address.to_owned(), issuer: issuer.to_owned() };
    move |app| {
        app.app_data(web::Data::new(resource.clone()))
            .route("/.well-known/oauth-protected-resource", web::get().to(protected_resource))
            .route("/v1/config", web::get().to(config))
            .route("/v1/whoami", web::get().to(whoami))
            .route("/v1/namespaces", web::get().to(namespaces))
            .route("/v1/namespaces/{namespace}", web::get().to(namespace))
            .route("/v1/namespaces/{namespace}", web::head().to(namespace))
            .route("/v1/namespaces/{namespace}/tables", web::get().to(tables));
    }
}

#[derive(Clone)]
struct Resource {
    resource: String,
    issuer: String,
}

/// The token service of this catalog (RFC 9728 §3.2).
async fn protected_resource(resource: web::Data<Resource>) -> impl Responder {
    web::Json(json!({"resource": resource.resource, "authorization_servers": [resource.issuer]}))
}

/// The configuration never contains a token, a credential or another token server (apache/iceberg #16470).
async fn config() -> impl Responder {
    web::Json(json!({"defaults": {}, "overrides": {}}))
}

async fn whoami(token: Bearer) -> impl Responder {
    let actors: Vec<&str> = token.actors().map(|actor| actor.subject.as_str()).collect();
    web::Json(json!({
        "subject": token.subject().as_str(),
        "client_id": token.client_id().as_str(),
        "actors": actors,
        "scope": token.scope().tokens().collect::<Vec<_>>(),
        "jti": token.claims().token_id.as_str(),
    }))
}

/// The one namespace has none below it: ClickHouse asks for those of each.
async fn namespaces(token: Bearer, request: HttpRequest) -> Result<web::Json<Value>, BearerError> {
    check(&token)?;
    let is_below = request.query_string().split('&').any(|pair| pair.starts_with("parent="));
    let namespaces = if is_below { json!([]) } else { json!([["demo"]]) };
    Ok(web::Json(json!({ "namespaces": namespaces })))
}

async fn namespace(token: Bearer, name: web::Path<String>) -> Result<HttpResponse, BearerError> {
    check(&token)?;
    if name.as_str() == "demo" {
        return Ok(HttpResponse::Ok().json(json!({"namespace": ["demo"], "properties": caller(&token)})));
    }
    let message = "there is no such namespace";
    Ok(HttpResponse::NotFound()
        .json(json!({"error": {"message": message, "type": "NoSuchNamespaceException", "code": 404}})))
}

/// Returns the caller, which clients that know only Iceberg's calls can read here.
fn caller(token: &Bearer) -> Value {
    let actors: Vec<&str> = token.actors().map(|actor| actor.subject.as_str()).collect();
    json!({"subject": token.subject().as_str(), "actors": actors.join(" ")})
}

async fn tables(token: Bearer) -> Result<web::Json<Value>, BearerError> {
    check(&token)?;
    Ok(web::Json(json!({"identifiers": []})))
}

/// Iceberg's clients request `catalog`, DuckDB and Polaris `PRINCIPAL_ROLE:ALL`; a catalog accepts either.
fn check(token: &Bearer) -> Result<(), BearerError> {
    if token.scope().contains("PRINCIPAL_ROLE:ALL") {
        return Ok(());
    }
    token.require_scope(CATALOG)
}
