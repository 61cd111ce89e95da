//! A catalog with the token service mounted in it: one process, one port, one SQLite file.

use actix_web::{App, HttpServer, Responder, error::ErrorServiceUnavailable, web};
use prometheus::{IntCounter, TextEncoder, register_int_counter};
use tokenberg_actix::{Bearer, Require, TokenService};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{Lifetime, Policy, Rights, Secret};
use tokenberg_service::{Options, Rotation, Tokens};
use tokenberg_store::KekSource;

struct Host {
    tokens: Tokens,
    service: TokenService,
    requests: IntCounter,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::var("LISTEN").unwrap_or("127.0.0.1:8181".to_owned());
    // The store is created if it is missing; `tokenberg client add --store sqlite:catalog.db` administers it.
    let options = Options::default().rotation(Rotation::of(Some(Lifetime::from_hours(90 * 24))));
    let tokens =
        options.open(&"sqlite:catalog.db".parse()?, KekSource::File("catalog.db.key".into())).await?;
    let rights = Rights::new(AllowedScope::Only("catalog PRINCIPAL_ROLE:ALL".parse()?));
    tokens.ensure_client(&"spark".parse()?, &rights, &[Secret::new(std::env::var("SPARK_SECRET")?)]).await?;
    let service = tokens.service(Policy::new(format!("http://{listen}/api/catalog").parse()?)).build();
    let requests = register_int_counter!("catalog_requests_total", "Requests to the catalog")?;
    let host = web::Data::new(Host { tokens, service, requests });
    let mounted = host.clone();
    let server = HttpServer::new(move || {
        let Host { tokens, service, .. } = &**mounted;
        let routes = web::scope("/v1").wrap(Require::any(["catalog", "PRINCIPAL_ROLE:ALL"]));
        let routes = routes.route("/namespaces", web::get().to(namespaces));
        App::new()
            .app_data(mounted.clone())
            .app_data(tokens.bearer(service))
            .configure(service.configure_root())
            .service(web::scope("/api/catalog").configure(service.configure()).service(routes))
            .route("/metrics", web::get().to(metrics))
            .route("/ready", web::get().to(ready))
    });
    let ended = server.bind(&listen)?.run().await;
    host.tokens.end(&host.service).await;
    Ok(ended?)
}

async fn namespaces(token: Bearer, host: web::Data<Host>) -> impl Responder {
    host.requests.inc();
    format!("{{\"namespaces\":[],\"caller\":\"{}\"}}", token.subject())
}

async fn metrics(host: web::Data<Host>) -> String {
    let own = TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap_or_default();
    own + &host.tokens.metrics(&host.service)
}

async fn ready(host: web::Data<Host>) -> Result<String, actix_web::Error> {
    host.tokens.ready().map_err(ErrorServiceUnavailable)
}
