//! How does the server run? Start, follow the store, and end in order: conformance OP-12, OP-13 and OP-30.

mod audit_settings;
mod figures;
mod first_start;
mod following;
mod housekeeping;
mod notify;
mod rotation;
pub(crate) mod settings;
mod signals;
mod undecided_names;

use crate::commands::serve::Serve;
use crate::common::Common;
use crate::descriptors::Descriptors;
use crate::issuer_keys::{self, KeyFetches};
use crate::logging::{self, LogFilter};
use crate::{clock, input, output};
use anyhow::Context;
use first_start::FirstCredential;
use following::Following;
use rotation::Rotation;
use settings::Settings;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use tokenberg_actix::tls::Tls;
use tokenberg_actix::{Operations, ServerBuilder, TokenService};
use tokenberg_core::Policy;
use tokenberg_store::Store;
use tokio::net::TcpSocket;

/// What can change while the server runs.
pub(crate) struct Changeable {
    common: Common,
    asked: Serve,
    settings: Settings,
    tls: Option<Tls>,
    rotation: Rotation,
    log: LogFilter,
}

/// Serves until it is told to end.
///
/// # Errors
/// If it cannot start.
pub(crate) fn run(common: Common, asked: Serve, settings: Settings) -> anyhow::Result<()> {
    let log = logging::start_for_server(settings.log.as_deref(), settings.log_format)?;
    let tls = settings.loaded_tls()?;
    if let Some((_, key)) = &settings.tls {
        warn_if_open_to_others(key);
    }
    let rotation = Rotation::of(settings.rotate_keys_every);
    let changeable = Changeable { common, asked, settings, tls, rotation, log: log.clone() };
    let outcome = actix_web::rt::System::new().block_on(serve(changeable));
    log.end();
    outcome
}

/// How many threads serve: one for each core, if nothing else is configured.
pub(crate) fn workers(settings: &Settings) -> usize {
    settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

async fn serve(changeable: Changeable) -> anyhow::Result<()> {
    let settings = changeable.settings.clone();
    let (descriptors, not_raised) = Descriptors::raised();
    let places = descriptors.places(workers(&settings));
    let key_fetches = Arc::<KeyFetches>::default();
    let issuer_keys = issuer_keys::held(&settings.fetching, Arc::clone(&key_fetches))?;
    // Before the store is touched: a port in use is no reason to make one.
    let listener = bound(settings.listen)?;
    let port = listener.local_addr()?.port();
    let ops_listener = settings.ops_listen.map(bound).transpose()?;
    let operations_at = ops_listener.as_ref().map(TcpListener::local_addr).transpose()?;

    let store = Store::open(&settings.store.url, settings.store.key.clone()).await?.changed_by("a server");
    let audit = store.audit_trail_with(settings.audit.trail());
    let following = Following::of(&store, settings.max_staleness).await?;
    let mut policy = Policy::new(settings.issuer_at(port)?);
    policy.strict_iceberg_errors = settings.strict_iceberg_errors;
    policy.require_dpop_nonce = settings.require_dpop_nonce;
    policy.base_path = (!settings.base_path.is_empty()).then(|| settings.base_path.as_str().into());
    let issuer = policy.issuer.clone();
    let mut service = TokenService::builder(policy, following.clone())
        .revocations(following.watched())
        .single_use(following.watched())
        .recorder(audit.clone())
        .issuer_keys(issuer_keys.clone())
        .failures_per_client(settings.failures_per_client)
        .failures_per_source(settings.failures_per_source)
        .unverified_bytes_per_minute(settings.audit.unauthenticated_bytes)
        .trusted_proxies(settings.trusted_proxies.clone());
    let client_authorities = changeable.tls.as_ref().and_then(Tls::client_authorities);
    if client_authorities.is_some() {
        service = service.client_certificates();
    }
    let service = service.build();

    let mut server = ServerBuilder::new(service.clone())
        .listen(listener)
        .base_path(&settings.base_path)?
        .drain_delay(settings.drain_delay)
        .workers(workers(&settings))
        .most_connections(places.connections);
    if settings.faces_clients() {
        server = server.most_connections_of_a_source(places.of_a_source);
    }
    if let Some(tls) = &changeable.tls {
        server = server.tls(tls.config()?);
    }
    if let Some(authorities) = client_authorities {
        server = server.client_authorities(authorities);
    }
    if let Some(listener) = ops_listener {
        let following = following.clone();
        let (figures, started, audit) = (following.clone(), clock::now()?, audit.clone());
        let operations = Operations::new(move || following.ready()).metrics(&service, move |to| {
            figures::expose(&figures, started, to);
            figures::expose_audit(audit.figures(), to);
            figures::expose_issuers(&figures, &issuer_keys, &key_fetches, to);
        });
        server = server.operations(listener, operations);
    }
    let running = server.run()?;
    let rotation = changeable.rotation.clone();
    signals::heed(running.handle(), changeable)?;
    // Last of all, so that nothing can fail between making a credential and telling it.
    let as_read = following.watched().now();
    let first = first_start::prepare(&store, as_read.snapshot(), settings.alg, clock::now()?).await?;
    following.catch_up().await?;
    housekeeping::begin(store.clone(), settings.audit.retention);
    rotation.begin(following.clone());
    undecided_names::begin(following.clone());
    let serving = actix_web::rt::spawn(running.serve());
    warn_of_plain_http(&following);
    if let Some(error) = not_raised {
        tracing::warn!(%error, "cannot raise the soft limit of file descriptors to the hard one");
    }
    if places.are_few() {
        tracing::warn!("{places}");
    } else {
        tracing::info!("{places}");
    }
    tracing::info!(issuer = issuer.as_str(), store = %settings.store.url, listen = settings.address(port), "ready");
    tell(&settings, port, operations_at, first.as_ref())?;
    notify::tell(notify::State::Ready);
    serving.await.context("the server broke off")??;
    housekeeping::write_uses(&store).await;
    service.report_left_out();
    audit.end().await;
    store.close().await;
    tracing::info!("ended");
    Ok(())
}

/// Each fetch warns, too; but keys may have been given as a file, and users may come much later.
fn warn_of_plain_http(following: &Following) {
    for trusted in following.watched().now().snapshot().issuers_in_order() {
        if trusted.enabled && trusted.trust.insecure_http {
            let issuer = trusted.issuer.as_str();
            tracing::warn!(
                issuer,
                "an issuer is trusted over plain http (--insecure-http): whoever is on the way can replace its keys"
            );
        }
    }
}

/// The lines on standard output; what listens is ready by now.
fn tell(
    settings: &Settings,
    port: u16,
    operations_at: Option<SocketAddr>,
    first: Option<&FirstCredential>,
) -> anyhow::Result<()> {
    let mut text = format!("listening on {}\n", settings.address(port));
    if let Some(address) = operations_at {
        text.push_str(&format!("operations on http://{address}\n"));
    }
    if let Some(first) = first {
        // A certificate is for the name in the issuer; a loopback address has no certificate to ask for.
        let base = match (&settings.tls, &settings.issuer) {
            (Some(_), Some(issuer)) => issuer.to_string(),
            (Some(_), None) | (None, Some(_) | None) => {
                format!("{}{}", settings.reachable(port), settings.base_path)
            }
        };
        text.push_str(&first.text(&format!("{base}/v1/oauth/tokens")));
    }
    output::print(&text)?;
    Ok(())
}

/// Binds the address, with room for as many connections to wait as actix has by default.
pub(crate) fn bound(address: SocketAddr) -> anyhow::Result<TcpListener> {
    const WAITING: u32 = 2048;
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING)?.into_std()
    };
    bind().with_context(|| format!("{address} cannot be listened at"))
}

/// Conformance KS-07. A warning only, because orchestrators mount keys for containers in which there is nobody else.
fn warn_if_open_to_others(key: &Path) {
    if let Some(mode) = input::open_to_others(key) {
        tracing::warn!("the TLS key {} is open to others (mode {mode:04o})", key.display());
    }
}
