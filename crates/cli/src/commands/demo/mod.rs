//! `tokenberg demo`: a token service and a toy catalog on one loopback address, which leave nothing behind.

mod catalog;

use crate::failure::wrong_usage;
use crate::one_request::entropy;
use crate::{clock, output};
use actix_web::rt::System;
use actix_web::{App, HttpServer};
use anyhow::Context;
use clap::Args;
use std::fs::{self, DirBuilder};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokenberg_actix::{BearerConfig, TokenService};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{Policy, Rights, Secret};
use tokenberg_jose::Keyring;
use tokenberg_store::{KekSource, NewSecret, Store, StoreUrl};

/// The one client.
const CLIENT: &str = "demo";

/// What Iceberg's clients request.
const SCOPE: &str = "catalog sign PRINCIPAL_ROLE:ALL";

/// `tokenberg demo`
#[derive(Debug, Args)]
#[command(after_help = "\
The demo ends with Ctrl-C. Its store is in a temporary directory, which it removes. The catalog has one
namespace and no tables. `tokenberg serve` is the server for everything else.")]
pub(crate) struct Demo {
    /// Loopback address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
}

/// Serves until a signal ends it.
///
/// # Errors
/// If the address is in use or is not a loopback address, or the store cannot be created.
pub(crate) fn run(arguments: &Demo) -> anyhow::Result<()> {
    let listen = arguments.listen;
    if !listen.ip().is_loopback() {
        return Err(wrong_usage(format!(
            "the demo has no TLS and listens on loopback addresses only, not on {listen}"
        )));
    }
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("cannot listen on {listen}; `tokenberg demo --listen 127.0.0.1:0` picks a free port")
    })?;
    let directory = TemporaryDirectory::new()?;
    System::new().block_on(serve(listener, &directory.0))
}

async fn serve(listener: TcpListener, directory: &Path) -> anyhow::Result<()> {
    let address = format!("http://{}", listener.local_addr()?);
    let url = StoreUrl::sqlite(&directory.join("demo.db"));
    let store = Store::open(&url, KekSource::File(directory.join("demo.key"))).await?;
    let secret = registered(&store).await?;
    let world = store
        .watch(|keys, before: Option<&Keyring>| anyhow::Ok(Keyring::follow(keys, before, clock::now()?)?))
        .await?;
    let service = TokenService::builder(Policy::new(address.parse()?), world.clone())
        .revocations(world.clone())
        .single_use(world.clone())
        .build();
    let bearer = BearerConfig::of(&service).at(&address).single_use(world);
    let routes = catalog::routes(&address, service.issuer().as_str());
    let app =
        move || App::new().configure(service.configure()).app_data(bearer.clone()).configure(routes.clone());
    let server = HttpServer::new(app).workers(1).listen(listener)?.run();
    output::print(&text(&address, secret.expose()))?;
    server.await?;
    store.close().await;
    Ok(())
}

/// Creates the signing key and the client, and returns its secret.
async fn registered(store: &Store) -> anyhow::Result<Secret> {
    let now = clock::now()?;
    let key = tokenberg_jose::generate(Algorithm::ES256, now, now)?;
    let rights = Rights::new(AllowedScope::Only(SCOPE.parse()?));
    let done = store.bootstrap(now, &key, &CLIENT.parse()?, &rights, NewSecret::Generate).await?;
    done.root.and_then(|added| added.secret).context("the new store has a client already")
}

fn text(address: &str, secret: &str) -> String {
    format!(
        r#"listening on {address}

A token service and a toy catalog. List its namespaces with PyIceberg (pip install pyiceberg):

from pyiceberg.catalog import load_catalog
catalog = load_catalog("demo", **{{
    "uri": "{address}",
    "oauth2-server-uri": "{address}/v1/oauth/tokens",
    "credential": "{CLIENT}:{secret}",
}})
print(catalog.list_namespaces())

Or without it:

echo '{CLIENT}:{secret}' > demo.credential
tokenberg token --server {address} --secret-file demo.credential --header |
    curl -sS -H @- {address}/v1/namespaces

Ctrl-C ends the demo and removes its store.
"#
    )
}

/// A directory of this user that is removed at the end.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> anyhow::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("tokenberg-demo-{}", entropy()?.into_token_id().as_str()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Temporary directories are cleaned up by the system as well.
        let _ = fs::remove_dir_all(&self.0);
    }
}
