//! What do signals do? SIGTERM and SIGINT end in order, the second time at once; SIGHUP reads what can change; OP-13, OP-30.

use super::Changeable;
use super::notify::{self, State};
use super::settings::Settings;
use crate::logging;
use std::io;
use tokenberg_actix::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Heeds signals from now on.
///
/// # Errors
/// If the system does not let us.
pub(super) fn heed(handle: Handle, changeable: Changeable) -> io::Result<()> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let hang_up = signal(SignalKind::hangup())?;
    actix_web::rt::spawn(end(terminate, interrupt, handle));
    actix_web::rt::spawn(reload(hang_up, changeable));
    Ok(())
}

async fn end(mut terminate: Signal, mut interrupt: Signal, handle: Handle) {
    either(&mut terminate, &mut interrupt).await;
    notify::tell(State::Stopping);
    tracing::info!("ending; requests that were begun are finished");
    actix_web::rt::spawn(async move { handle.drain().await });
    let number = either(&mut terminate, &mut interrupt).await;
    tracing::warn!("ending at once");
    // What was acknowledged is on disk already.
    std::process::exit(128 + number);
}

/// Waits for one of the two and says which number it has.
async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    std::future::poll_fn(|context| {
        if terminate.poll_recv(context).is_ready() {
            return std::task::Poll::Ready(SignalKind::terminate().as_raw_value());
        }
        interrupt.poll_recv(context).map(|_| SignalKind::interrupt().as_raw_value())
    })
    .await
}

async fn reload(mut hang_up: Signal, mut changeable: Changeable) {
    while hang_up.recv().await.is_some() {
        notify::tell(State::Reloading);
        match changeable.reload() {
            Ok(()) => tracing::info!("read the configuration again"),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the new configuration is bad; the old one stays")
            }
        }
        notify::tell(State::Ready);
    }
}

impl Changeable {
    /// Reads again what can change. Nothing changes unless all of it is good.
    fn reload(&mut self) -> anyhow::Result<()> {
        let fresh = Settings::resolve(&self.common, &self.asked)?;
        let filter = logging::of_server(fresh.log.as_deref())?;
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        self.rotation.set(fresh.rotate_keys_every);
        for name in fresh.needing_restart(&self.settings) {
            tracing::warn!("{name} has changed, and needs a restart to take effect");
        }
        self.log.change(filter)
    }
}

impl Settings {
    /// What differs between the two and cannot change while the server runs.
    fn needing_restart(&self, running: &Self) -> Vec<&'static str> {
        let differing = [
            ("store", self.store.url != running.store.url),
            ("key-file", self.store.key_file() != running.store.key_file()),
            ("listen", self.listen != running.listen),
            ("ops-listen", self.ops_listen != running.ops_listen),
            ("issuer", self.issuer != running.issuer),
            ("base-path", self.base_path != running.base_path),
            ("tls-cert or tls-key", self.tls != running.tls),
            ("trusted-proxy", self.trusted_proxies != running.trusted_proxies),
            ("failures-per-client", self.failures_per_client != running.failures_per_client),
            ("failures-per-source", self.failures_per_source != running.failures_per_source),
            ("tls-client-ca", self.tls_client_ca != running.tls_client_ca),
            ("require-dpop-nonce", self.require_dpop_nonce != running.require_dpop_nonce),
            ("strict-iceberg-errors", self.strict_iceberg_errors != running.strict_iceberg_errors),
            ("log-format", self.log_format != running.log_format),
            ("issuer-ca, allow-private-issuers or jwks-refetch-after", self.fetching != running.fetching),
            ("workers", self.workers != running.workers),
            ("drain-delay", self.drain_delay != running.drain_delay),
            ("max-staleness", self.max_staleness != running.max_staleness),
            ("audit-retention", self.audit.retention != running.audit.retention),
            ("audit-when-full", self.audit.when_full != running.audit.when_full),
            ("audit-queue", self.audit.queue != running.audit.queue),
            (
                "audit-unauthenticated-bytes",
                self.audit.unauthenticated_bytes != running.audit.unauthenticated_bytes,
            ),
        ];
        differing.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}
