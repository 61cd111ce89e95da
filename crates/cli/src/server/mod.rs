//! Runs the server: it starts, follows the store, and ends in order; conformance OP-12, OP-13 and OP-30.

mod audit_settings;
pub(crate) mod certificates;
mod figures;
pub(crate) mod first_start;
pub(crate) mod listening;
mod notify;
pub(crate) mod settings;
mod signals;
mod undecided_names;

use crate::common::Common;
use crate::configuration::Configuration;
use crate::descriptors::Descriptors;
use crate::issuer_keys::{self, KeyFetches};
use crate::logging;
use crate::store_access::{StoreLocation, node};
use crate::{clock, exposed_files, input, output};
use anyhow::Context;
use certificates::Certificates;
use first_start::{FirstCredential, Given};
use listening::Listening;
use settings::Settings;
use signals::Changeable;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_actix::tls::Tls;
use tokenberg_actix::{Operations, ServerBuilder};
use tokenberg_core::{Issuer, Lifetime, Policy};
use tokenberg_service::{Following, Options, Rotation, devices, key_state};
use tokenberg_store::{KeptIssuer, Opening, Store};
use tokenberg_ui::Ui;
use tokio::net::TcpSocket;

/// Serves until a signal ends it.
///
/// # Errors
/// If the server cannot start.
pub(crate) fn run(common: &Common, settings: Settings, configuration: Configuration) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let log = logging::start_for_server(&settings.reloaded.log, settings.log_format)?;
    for sentence in configuration.warnings() {
        tracing::warn!("{sentence}");
    }
    let tls = settings.listening.loaded_tls()?;
    if let Some((_, key)) = settings.listening.tls_files() {
        warn_if_open_to_others(key);
    }
    let rotation = Rotation::of(settings.reloaded.rotate_keys_every);
    let common = common.clone();
    let changeable = Changeable { configuration, common, settings, tls, rotation, log: log.clone() };
    let outcome = actix_web::rt::System::new().block_on(serve(changeable, location));
    log.end();
    outcome
}

async fn serve(changeable: Changeable, location: StoreLocation) -> anyhow::Result<()> {
    let settings = changeable.settings.clone();
    let listening = &settings.listening;
    let (descriptors, not_raised) = Descriptors::raised();
    let places = descriptors.places(settings.workers());
    let key_fetches = Arc::<KeyFetches>::default();
    let issuer_keys =
        issuer_keys::held(&settings.issuer_access, settings.fetch_limits(), Arc::clone(&key_fetches))?;
    // Before the store is touched: a port in use is no reason to make one.
    let listener = bound(listening.listen)?;
    let port = listener.local_addr()?.port();
    let ops_listener = listening.ops_listen.map(bound).transpose()?;
    let operations_at = ops_listener.as_ref().map(TcpListener::local_addr).transpose()?;

    let given = Given::read()?;
    let may_be_new = given.expects_new_store();
    let opening = if settings.create { Opening::Make } else { Opening::Start { may_be_new } };
    exposed_files::exposed(&location.url, &location.key)
        .iter()
        .for_each(|sentence| tracing::warn!("{sentence}"));
    let (url, issuer) = (location.url, listening.issuer_at(port)?);
    let snapshot = settings.snapshot_file(&url, &issuer).map(Arc::new);
    let opened = Store::open_or_last_known(&url, location.key, opening, snapshot.as_deref()).await?;
    if let Some(file) = &snapshot {
        file.may_be_written().with_context(|| format!("--snapshot {}", file.path().display()))?;
    }
    let is_last_known = opened.is_last_known();
    let store = opened.store().clone().on_node(&node(issuer.as_str(), &listening.address(port)));
    if !is_last_known {
        keep_issuer(&store, listening, &issuer).await?;
    }
    let mut options = Options::default()
        .changed_by("a server")
        // It is made with the first client, below.
        .first_key(None)
        .max_staleness(seconds(settings.max_staleness))
        .audit(settings.audit.trail())
        .audit_retention(settings.audit.audit_retention)
        .rotation(changeable.rotation.clone());
    if let Some(snapshot) = snapshot {
        options = options.snapshot(snapshot);
    }
    if let Some(device) = settings.device.open()? {
        options = options.device(device);
    }
    let tokens = options.over(opened).await?;
    let following = tokens.following().clone();
    let mut policy = Policy::new(issuer.clone());
    policy.strict_iceberg_errors = settings.strict_iceberg_errors;
    policy.require_dpop_nonce = settings.require_dpop_nonce;
    policy.base_path = (!listening.base_path.is_empty()).then(|| listening.base_path.as_str().into());
    let mut service = tokens
        .service(policy)
        .issuer_keys(issuer_keys.clone())
        .failures_per_client(settings.failures_per_client)
        .failures_per_source(settings.failures_per_source)
        .unverified_bytes_per_minute(settings.audit.audit_unauthenticated_bytes)
        .trusted_proxies(listening.trusted_proxies());
    let client_authorities = changeable.tls.as_ref().and_then(Tls::client_authorities);
    if client_authorities.is_some() {
        service = service.client_certificates();
    }
    let service = service.build();
    let certificates = Certificates::new(listening, changeable.tls.as_ref(), Some(&issuer));

    let mut server = ServerBuilder::new(service.clone())
        .listen(listener)
        .base_path(&listening.base_path)?
        .drain_delay(seconds(settings.drain_delay))
        .workers(settings.workers())
        .most_connections(places.connections);
    if listening.faces_clients() {
        server = server.most_connections_of_a_source(places.of_a_source);
    }
    if let Some(tls) = &changeable.tls {
        server = server.tls(tls.config()?);
    }
    if let Some(authorities) = client_authorities {
        server = server.client_authorities(authorities);
    }
    if let Some(listener) = ops_listener {
        let (started, probed, measured) = (clock::now()?, tokens.clone(), tokens.clone());
        let inspecting = issuer_keys.clone();
        let expected = settings.expect_nodes;
        let (noted, shown) = (certificates.clone(), certificates.clone());
        let ready = move || {
            let notes = noted.as_ref().map(Certificates::notes).unwrap_or_default();
            probed.ready().map(|text| text + &notes)
        };
        let operations = Operations::new(ready).metrics(&service, move |to| {
            figures::expose_process(started, to);
            figures::expose_expected(expected, to);
            measured.expose(to);
            figures::expose_issuers(measured.following(), &issuer_keys, &key_fetches, to);
            figures::expose_certificates(shown.as_ref(), to);
        });
        let answering = following.watched();
        let ui = Ui::new(tokens.store().clone(), &service, &operations, move || answering.now(), inspecting);
        ui.begin();
        server = server.operations(listener, operations.and(ui.configure()));
    }
    let running = server.run()?;
    signals::handle(running.handle(), changeable)?;
    // This is the last step, so that nothing can fail between creating a credential and printing it.
    let as_read = following.watched().now();
    let (device, read, warn) =
        (following.device(), as_read.snapshot(), |sentence: &str| tracing::warn!("{sentence}"));
    let first = first_start::prepare(tokens.store(), device, read, given, settings.alg, warn).await?;
    warn_of_key_out_of_reach(&following);
    if !is_last_known {
        following.catch_up().await?;
    }
    undecided_names::begin(following.clone());
    if let Some(certificates) = &certificates {
        certificates.begin();
    }
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
    tracing::info!(issuer = issuer.as_str(), store = %url, listen = listening.address(port), "ready");
    print_addresses(listening, port, operations_at, first.as_ref())?;
    notify::send(notify::State::Ready);
    serving.await.context("the server failed")??;
    tokens.end(&service).await;
    tracing::info!("stopped");
    Ok(())
}

/// Compares the issuer with the one that the store keeps. Only issuers that were given are compared strictly: the default is the address
/// of the listener, which often has another port.
async fn keep_issuer(store: &Store, listening: &Listening, issuer: &Issuer) -> anyhow::Result<()> {
    let is_given = listening.issuer.is_some();
    let other = match store.keep_issuer(issuer, is_given, listening.change_issuer_from.as_ref()).await {
        Ok(other) => other,
        // A store that cannot be written now is no reason not to answer requests.
        Err(error) if error.is_unavailable() => {
            tracing::warn!(%error, "cannot compare the issuer with that of the store");
            None
        }
        Err(error) => return Err(error.into()),
    };
    match other {
        None => {}
        Some(KeptIssuer { issuer: kept, is_given: true }) if !is_given => tracing::warn!(
            %issuer,
            %kept,
            "the servers of this store have another issuer, and refuse the tokens of this one; start it with --issuer {kept}"
        ),
        Some(KeptIssuer { issuer: before, .. }) => {
            tracing::warn!(%issuer, %before, "the issuer was another one before; tokens from before are not accepted any more");
        }
    }
    Ok(())
}

/// Each fetch warns, too; but keys may have been given as a file, and users may come much later.
fn warn_of_plain_http(following: &Following) {
    for trusted in following.watched().now().snapshot().issuers_in_order() {
        if trusted.enabled && trusted.trust.insecure_http {
            let issuer = trusted.issuer.as_str();
            tracing::warn!(
                issuer,
                "an issuer is trusted over plain http (--insecure-http): an attacker on the network path can replace its keys"
            );
        }
    }
}

/// Requests for tokens are answered with 503 then, and the server is not ready.
fn warn_of_key_out_of_reach(following: &Following) {
    let (moment, now) = (following.watched().now(), clock::now());
    let signing = now.ok().and_then(|now| key_state::signing(moment.snapshot().keys(), now));
    if let (Some(key), None) = (signing, following.device())
        && let Some(held) = key.private.device()
    {
        tracing::error!("{}", devices::out_of_reach(key, held));
    }
}

/// The lines on standard output; what listens is ready by now.
fn print_addresses(
    listening: &Listening,
    port: u16,
    operations_at: Option<SocketAddr>,
    first: Option<&FirstCredential>,
) -> anyhow::Result<()> {
    let mut text = format!("listening on {}\n", listening.address(port));
    if let Some(address) = operations_at {
        text.push_str(&format!("operations on http://{address}\n"));
    }
    if let Some(first) = first {
        // A certificate is for the name in the issuer; no certificate is issued for a loopback address.
        let base = match (listening.tls_files(), &listening.issuer) {
            (Some(_), Some(issuer)) => issuer.to_string(),
            (Some(_), None) | (None, Some(_) | None) => {
                format!("{}{}", listening.reachable(port), listening.base_path)
            }
        };
        text.push_str(&first.text(&format!("{base}/v1/oauth/tokens")));
    }
    output::print(&text)?;
    Ok(())
}

fn seconds(lifetime: Lifetime) -> Duration {
    Duration::from_secs(lifetime.as_seconds().into())
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
    bind().map_err(|error| {
        let port = address.port();
        if error.kind() == ErrorKind::AddrInUse {
            anyhow::anyhow!(
                "cannot listen on {address}, which is in use; `ss -ltnp 'sport = :{port}'` shows the process that uses it"
            )
        } else {
            anyhow::anyhow!("cannot listen on {address}: {error}")
        }
    })
}

/// Conformance KS-07. A warning only, because orchestrators mount keys for containers with one user.
fn warn_if_open_to_others(key: &Path) {
    if let Some(mode) = input::open_to_others(key) {
        tracing::warn!("the TLS key {} is accessible to other users (mode {mode:04o})", key.display());
    }
}
