//! Mounts a token endpoint in a catalog written in actix, beside routes that require a token.
//!
//! The catalog is a toy, that of `tokenberg demo`. The token endpoint, the store that it shares with `tokenberg serve`, and the
//! `Bearer` of each route are real.

#[path = "../crates/cli/src/commands/demo/catalog.rs"]
mod routes;

use actix_web::{App, HttpServer};
use anyhow::{Context, Result};
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use tokenberg_actix::{BearerConfig, TokenService};
use tokenberg_core::Policy;
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
    // Colors are for people: not in a file, nor where the environment forbids them (https://no-color.org).
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let colored = std::io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb;
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colored).with_env_filter("info").init();
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

    // Bound tokens are accepted as well, with proofs for this address, each once.
    let bearer = BearerConfig::of(&service).at(&address).single_use(world);
    let routes = routes::routes(&address, service.issuer().as_str());
    let app =
        move || App::new().configure(service.configure()).app_data(bearer.clone()).configure(routes.clone());
    let server = HttpServer::new(app).workers(2).listen(listener)?;
    println!("listening on {address}");
    std::io::stdout().flush()?;
    server.run().await?;
    store.close().await;
    Ok(())
}
