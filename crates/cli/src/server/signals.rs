//! Handles signals: SIGTERM and SIGINT end the server in order, the second time at once; SIGHUP reloads what can change; OP-13, OP-30.

use super::notify::{self, State};
use super::settings::{Reloaded, Settings, needing_restart};
use crate::common::Common;
use crate::configuration::Configuration;
use crate::logging::{self, LogFilter};
use crate::store_access::StoreLocation;
use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::task::Poll;
use tokenberg_actix::Handle;
use tokenberg_actix::tls::Tls;
use tokenberg_service::Rotation;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A server with its configuration, and what can change while it runs.
pub(super) struct Changeable {
    pub(super) configuration: Configuration,
    pub(super) common: Common,
    pub(super) settings: Settings,
    pub(super) tls: Option<Tls>,
    pub(super) rotation: Rotation,
    pub(super) log: LogFilter,
}

/// Handles signals from now on.
///
/// # Errors
/// If the system does not allow a handler.
pub(super) fn handle(handle: Handle, changeable: Changeable) -> io::Result<()> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let signals = kinds.into_iter().map(|kind| Ok((kind, signal(kind)?))).collect::<io::Result<_>>()?;
    actix_web::rt::spawn(handle_all(signals, handle, changeable));
    Ok(())
}

async fn handle_all(mut signals: Vec<(SignalKind, Signal)>, handle: Handle, mut changeable: Changeable) {
    let had_terminal = has_terminal();
    let mut is_ending = false;
    loop {
        let kind = next(&mut signals).await;
        let is_hangup = kind == SignalKind::hangup();
        // The system sends SIGHUP when the terminal is closed, too. Without a file there would be no configuration to reload.
        let is_closed = is_hangup && !changeable.configuration.has_file() && had_terminal && !has_terminal();
        if is_hangup && !is_closed {
            changeable.reload();
        } else if !is_ending {
            is_ending = true;
            notify::send(State::Stopping);
            let reason = if is_closed { "the terminal was closed" } else { "a signal" };
            let delay = changeable.settings.drain_delay;
            tracing::info!(
                reason,
                "stopping: requests are answered for another {delay}, and then those in progress; a second signal stops immediately"
            );
            let handle = handle.clone();
            actix_web::rt::spawn(async move { handle.drain().await });
        } else if !is_hangup {
            tracing::warn!("stopping immediately");
            // What was acknowledged is on disk already.
            std::process::exit(128 + kind.as_raw_value());
        }
    }
}

/// Waits for any of the signals.
async fn next(signals: &mut [(SignalKind, Signal)]) -> SignalKind {
    poll_fn(|context| {
        let received = signals
            .iter_mut()
            .find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
        received.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Whether standard input, output or error is a terminal that is still there.
fn has_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

impl Changeable {
    /// Reads again what can change, and logs how that went.
    fn reload(&mut self) {
        notify::send(State::Reloading);
        match self.try_reload() {
            Ok(()) => tracing::info!("reloaded the configuration"),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the new configuration is invalid; the old one stays in effect");
            }
        }
        notify::send(State::Ready);
    }

    /// Nothing changes unless all of it is right.
    fn try_reload(&mut self) -> anyhow::Result<()> {
        let configuration = self.configuration.again()?;
        let (common, fresh): (Common, Settings) = (configuration.options()?, configuration.options()?);
        fresh.check(&common.store)?;
        StoreLocation::of(&common)?;
        let filter = logging::of_server(&fresh.reloaded.log)?;
        let others = needing_restart((&common, &fresh), (&self.common, &self.settings))?;
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        let Reloaded { rotate_keys_every, log: _ } = fresh.reloaded;
        self.rotation.set(rotate_keys_every);
        for key in others {
            tracing::warn!("{key} has changed; restart the server to apply it");
        }
        self.log.change(filter)
    }
}
