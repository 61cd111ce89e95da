//! How long may a connection say nothing? Between requests, which actix leaves open; conformance HT-08 and HT-10.
//!
//! actix's timeout of a head is for the first request of a connection, and its keep-alive ends with the first byte of the
//! next. Whoever sends half a head as a second request would hold a connection for ever.

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use std::any::Any;
use std::cell::Cell;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A connection of a server of ours, in actix's data of the connection.
pub(crate) struct Connection {
    state: Rc<State>,
    watch: Option<JoinHandle<()>>,
}

struct State {
    busy: Cell<u32>,
    ending: Cell<bool>,
    idle_since: Cell<Instant>,
}

/// Begins to watch a connection: it is shut down when it has been idle for longer than `limit`.
///
/// The watch needs a second descriptor of the socket; where there is none left, the connection goes unwatched.
pub(crate) fn watch(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let tcp = io
        .downcast_ref::<TcpStream>()
        .or_else(|| io.downcast_ref::<TlsStream<TcpStream>>().map(|tls| tls.get_ref().0));
    let state = Rc::new(State {
        busy: Cell::new(0),
        ending: Cell::new(false),
        idle_since: Cell::new(Instant::now()),
    });
    let watch = tcp.and_then(second_descriptor).map(|socket| {
        let state = Rc::clone(&state);
        actix_web::rt::spawn(async move {
            state.idle_for(limit).await;
            // It fails where the connection has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        })
    });
    data.insert(Connection { state, watch });
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
    /// Not idle until the value is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.state.busy.set(self.state.busy.get() + 1);
        Busy(Rc::clone(&self.state))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
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
