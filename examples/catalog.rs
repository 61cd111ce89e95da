//! Mounts a token endpoint in a catalog written in actix, beside routes that require a token.
//!
//! The catalog is a toy: one namespace, no tables. The token endpoint, the store that it shares with `tokenberg serve`, and the
//! [`Bearer`] of each route are real.

use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use tokenberg_actix::{Bearer, BearerConfig, BearerError, TokenService};
use tokenberg_core::Policy;
use tokenberg_core::token::CATALOG;
use tokenberg_examples::now;
use tokenberg_jose::Keyring;
use tokenberg_store::{KekSource, Store, StoreUrl};

/// A tiny Iceberg catalog with Tokenberg's endpoint mounted in it.
#[derive(Parser)]
struct Arguments {
    /// Address of the store, which `tokenberg serve` creates; `tokenberg client add` registers clients in it
    #[arg(long, default_value = "sqlite:tokenberg.db")]
    store: StoreUrl,
    /// Address to listen on; port 0 picks a free port
    #[arg(long, default_value = "127.0.0.1:8181")]
    listen: String,
    /// Issuer of the tokens: that of `tokenberg serve`, if one shares the store [default: the address of this catalog]
    #[arg(long)]
    issuer: Option<String>,
    /// File with the key-encryption key of the store [default: the path of the SQLite store with .key appended]
    #[arg(long)]
    key_file: Option<PathBuf>,
}

#[actix_web::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("info").init();
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(&arguments.listen)?;
    let address = format!("http://{}", listener.local_addr()?);

    let key_file = arguments.key_file.or_else(|| arguments.store.key_file());
    let kek = KekSource::File(key_file.context("a PostgreSQL store needs --key-file")?);
    let store = Store::open_existing(&arguments.store, kek).await?;
    let world = store
        .watch(|keys, before: Option<&Keyring>| anyhow::Ok(Keyring::follow(keys, before, now()?)?))
        .await?;
    let policy = Policy::new(arguments.issuer.unwrap_or_else(|| address.clone()).parse()?);
    let service = TokenService::builder(policy, world.clone())
        .revocations(world.clone())
        .single_use(world.clone())
        .build();

    let printed = address.clone();
    // Bound tokens are accepted as well, with proofs for this address, each once.
    let bearer = BearerConfig::of(&service).at(&address).single_use(world);
    let app = move || {
        App::new()
            .configure(service.configure())
            .app_data(bearer.clone())
            .route("/.well-known/oauth-protected-resource", web::get().to(protected_resource))
            .app_data(web::Data::new(Resource {
                resource: address.clone(),
                issuer: service.issuer().to_string(),
            }))
            .route("/v1/config", web::get().to(config))
            .route("/v1/whoami", web::get().to(whoami))
            .route("/v1/namespaces", web::get().to(namespaces))
            .route("/v1/namespaces/{namespace}", web::get().to(namespace))
            .route("/v1/namespaces/{namespace}", web::head().to(namespace))
            .route("/v1/namespaces/{namespace}/tables", web::get().to(tables))
    };
    let server = HttpServer::new(app).workers(2).listen(listener)?;
    println!("listening on {printed}");
    std::io::stdout().flush()?;
    server.run().await?;
    store.close().await;
    Ok(())
}

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

async fn namespaces(token: Bearer) -> Result<web::Json<Value>, BearerError> {
    check(&token)?;
    Ok(web::Json(json!({"namespaces": [["demo"]]})))
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
