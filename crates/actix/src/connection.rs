//! How long may a connection say nothing? Between requests, which actix leaves open; conformance HT-08 and HT-10.
//!
//! actix's timeout of a head is for the first request of a connection, and its keep-alive ends with the first byte of the
//! next. Whoever sends half a head as a second request would hold a connection for ever.

use crate::metrics::Metrics;
use crate::sources::{Place, Sources};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use std::cell::Cell;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A connection of a server of ours, in actix's data of the connection.
pub(crate) struct Connection {
    state: Rc<State>,
    secure: bool,
    read: Rc<Cell<u64>>,
    _place: Option<Place>,
    metrics: Arc<Metrics>,
    watch: Option<JoinHandle<()>>,
}

struct State {
    busy: Cell<u32>,
    ending: Cell<bool>,
    idle_since: Cell<Instant>,
}

/// Begins to watch a connection: it is shut down when it has been idle for longer than `limit`, and at once when its source
/// has as many already as it may.
///
/// The watch needs a second descriptor of the socket; where there is none left, the connection goes unwatched.
pub(crate) fn watch(
    tcp: &TcpStream,
    secure: bool,
    read: Rc<Cell<u64>>,
    (sources, metrics): (&Sources, &Arc<Metrics>),
    data: &mut Extensions,
    limit: Duration,
) {
    let state = Rc::new(State {
        busy: Cell::new(0),
        ending: Cell::new(false),
        idle_since: Cell::new(Instant::now()),
    });
    let place = tcp.peer_addr().ok().and_then(|peer| sources.place(peer.ip()));
    let is_refused = place.is_none();
    metrics.connection_opened();
    if is_refused {
        metrics.connection_refused();
    }
    let watch = second_descriptor(tcp).map(|socket| {
        let state = Rc::clone(&state);
        actix_web::rt::spawn(async move {
            if !is_refused {
                state.idle_for(limit).await;
            }
            // It fails where the connection has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        })
    });
    let metrics = Arc::clone(metrics);
    data.insert(Connection { state, secure, read, _place: place, metrics, watch });
}

#[cfg(unix)]
fn second_descriptor(tcp: &TcpStream) -> Option<std::net::TcpStream> {
    use std::os::fd::AsFd;
    tcp.as_fd().try_clone_to_owned().ok().map(std::net::TcpStream::from)
}

#[cfg(not(unix))]
fn second_descriptor(_: &TcpStream) -> Option<std::net::TcpStream> {
    None
}

impl State {
    async fn idle_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let until = if self.busy.get() == 0 { self.idle_since.get() } else { now } + limit;
            if until <= now {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Connection {
    /// Whether it is TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Counts the bytes that were read from it so far.
    pub(crate) fn meter(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.read)
    }

    /// Not idle until the value is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.state.busy.set(self.state.busy.get() + 1);
        Busy(Rc::clone(&self.state))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connection_closed();
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// A request that is being answered.
pub(crate) struct Busy(Rc<State>);

impl Busy {
    /// States that this request's answer says `Connection: close`.
    pub(crate) fn end(&self) {
        self.0.ending.set(true);
    }

    /// Whether an earlier answer said so. RFC 9112 §9.6: the server "MUST NOT process any further requests received on
    /// that connection", which actix would do if they came in the same packet.
    pub(crate) fn is_ending(&self) -> bool {
        self.0.ending.get()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}
