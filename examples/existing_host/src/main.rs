//! A program that had TLS by rustls' default provider and SQLite by rusqlite before it mounted the token service: all still work,
//! and nothing of the process has changed.

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use rusqlite::Connection;
use rustls::crypto::CryptoProvider;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokenberg_core::{Policy, Rights, Secret, registration::AllowedScope};
use tokenberg_service::Tokens;
use tokenberg_store::KekSource;

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // It panics if two crates have chosen a provider for the process.
    rustls::ServerConfig::builder();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    // The C library handles a signal of its own from the first thread on.
    std::thread::spawn(|| ()).join().map_err(|_| "a thread panicked")?;
    let before = process()?;
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
    assert_eq!(process()?, before, "while it runs");
    tokens.end(&service).await;
    assert_eq!(process()?, before, "at its end");
    assert!(std::panic::catch_unwind(|| panic!("of the host")).is_err());
    assert_eq!(PANICS.load(Ordering::Relaxed), 1, "the host's own hook is called");
    println!("rustls has one provider, SQLite is {version}, a token was issued");
    Ok(())
}

/// All of the process that a library could change for the rest of it: the handlers of signals, the mask of new files, limits, the
/// environment, where it is, the provider of rustls, and where events and logs go.
fn process() -> Result<Vec<String>, Box<dyn Error>> {
    let kept = ["Umask:", "SigBlk:", "SigIgn:", "SigCgt:", "NoNewPrivs:", "Seccomp:"];
    let status = std::fs::read_to_string("/proc/self/status")?;
    let status = status.lines().filter(|line| kept.iter().any(|kept| line.starts_with(kept)));
    let mut process: Vec<String> = status.map(str::to_owned).collect();
    process.push(std::fs::read_to_string("/proc/self/limits")?);
    process.extend(std::env::vars_os().map(|variable| format!("{variable:?}")));
    process.push(format!("{:?}", std::env::current_dir()?));
    process.push(format!("{:?}", CryptoProvider::get_default().map(std::sync::Arc::as_ptr)));
    process.push(format!("{:?}", (tracing::dispatcher::has_been_set(), log::max_level())));
    Ok(process)
}
