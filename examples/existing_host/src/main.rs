//! A program that had TLS by rustls' default provider and SQLite by rusqlite before it mounted the token service: all still work.

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use rusqlite::Connection;
use std::error::Error;
use tokenberg_core::{Policy, Rights, Secret, registration::AllowedScope};
use tokenberg_service::Tokens;
use tokenberg_store::KekSource;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // It panics if two crates have chosen a provider for the process.
    rustls::ServerConfig::builder();
    let database = Connection::open_in_memory()?;
    let version: String = database.query_row("SELECT sqlite_version()", (), |row| row.get(0))?;

    let tokens = Tokens::open(&"sqlite:tokens.db".parse()?, KekSource::File("tokens.db.key".into())).await?;
    let (spark, rights) = ("spark".parse()?, Rights::new(AllowedScope::Only("catalog".parse()?)));
    tokens.ensure_client(&spark, &rights, &[Secret::new("a-secret-of-some-length".to_owned())]).await?;
    let service = tokens.service(Policy::new("https://catalog.example".parse()?)).build();
    // The host's own document comes first, and stays.
    let app =
        App::new().route("/openapi.json", web::get().to(async || HttpResponse::Ok().body("the host's own")));
    let app = init_service(app.configure(service.configure())).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "spark"),
        ("client_secret", "a-secret-of-some-length"),
    ];
    let request = TestRequest::post().uri("/v1/oauth/tokens").set_form(form).to_request();
    assert_eq!(call_service(&app, request).await.status(), 200);
    let request = TestRequest::get().uri("/openapi.json").to_request();
    let body = actix_web::test::call_and_read_body(&app, request).await;
    assert_eq!(body, "the host's own");
    tokens.end(&service).await;
    println!("rustls has one provider, SQLite is {version}, a token was issued");
    Ok(())
}
