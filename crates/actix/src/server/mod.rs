//! Runs the service as its own server: listeners, their limits, and a graceful shutdown.

mod debug;
pub(crate) mod transport;

use crate::TrustedProxies;
use crate::connection::authorities::ClientAuthorities;
use crate::connection::registry::{Connections, Timeouts};
use crate::endpoint::guard::guard;
use crate::endpoint::misdirected;
use crate::endpoint::reply;
use crate::operations::Operations;
use crate::server::transport::Limits;
use crate::service::TokenService;
use actix_service::ServiceFactory;
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpRequest, Route, web};
use futures_util::future::{Either, select};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest that an idle connection is kept (conformance HT-10).
pub const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The default limit of open connections.
pub const MOST_CONNECTIONS: usize = 25_000;

/// The limit of open connections of the listener for operations.
pub const OPERATIONS_CONNECTIONS: usize = 64;

/// The default of [`ServerBuilder::drain_delay`]: probes of load balancers usually come every few seconds.
pub const DRAIN_DELAY: Duration = Duration::from_secs(5);

/// How long idle connections may take to be closed before the server ends, and what has begun to arrive to become a request.
const ORDERLY_END: Duration = Duration::from_secs(1);

/// The shortest timeout of a connection: actix reads a clock for these that is up to half a second late, and a timer that is over
/// before it begins never fires.
const SHORTEST: Duration = Duration::from_secs(1);

/// An invalid base path: it has to begin with a slash, not end with one, and use only characters of a URL's path that need no
/// encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a base path has to begin with a slash, not end with one, and contain only letters, digits and -._~/"
)]
#[expect(clippy::exhaustive_structs, reason = "there is one such fault")]
pub struct BasePathFault;

/// Checks a path for [`ServerBuilder::base_path`].
///
/// # Errors
/// If it is invalid.
pub fn check_base_path(base_path: &str) -> Result<(), BasePathFault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let good = base_path.is_empty()
        || base_path.starts_with('/')
            && !base_path.ends_with('/')
            && !base_path.contains("//")
            && base_path.bytes().all(plain);
    if good { Ok(()) } else { Err(BasePathFault) }
}

/// Builds a server of a [`TokenService`]. It handles no signals: the program calls [`Handle::drain`].
#[must_use = "a builder does nothing until it is run"]
pub struct ServerBuilder {
    service: TokenService,
    listeners: Vec<TcpListener>,
    base_path: String,
    tls: Option<rustls::ServerConfig>,
    client_authorities: Option<ClientAuthorities>,
    operations: Option<(TcpListener, Operations)>,
    workers: Option<usize>,
    most_connections: usize,
    most_of_a_source: usize,
    keep_alive: Duration,
    head_timeout: Duration,
    write_timeout: Duration,
    disconnect_timeout: Duration,
    drain_delay: Duration,
    shutdown_timeout: Duration,
}

impl ServerBuilder {
    /// A server of this service, without any listener yet.
    pub fn new(service: TokenService) -> Self {
        Self {
            service,
            listeners: Vec::new(),
            base_path: String::new(),
            tls: None,
            client_authorities: None,
            operations: None,
            workers: None,
            most_connections: MOST_CONNECTIONS,
            most_of_a_source: usize::MAX,
            keep_alive: LONGEST_KEEP_ALIVE,
            head_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            disconnect_timeout: Duration::from_secs(1),
            drain_delay: DRAIN_DELAY,
            shutdown_timeout: Duration::from_secs(30),
        }
    }

    /// Listens at this address, too; port 0 picks a free one.
    ///
    /// # Errors
    /// If the name of a host cannot be resolved, or none of its addresses can be bound.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListener::bind(address).map(|listener| self.listen(listener))
    }

    /// Serves this listener, too.
    pub fn listen(mut self, listener: TcpListener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Puts all routes under a path, such as `/api/catalog`; empty by default.
    ///
    /// # Errors
    /// [`BasePathFault`].
    pub fn base_path(self, base_path: &str) -> Result<Self, BasePathFault> {
        check_base_path(base_path)?;
        Ok(Self { base_path: base_path.to_owned(), ..self })
    }

    /// Speaks TLS on all listeners except that for operations; see [`tls`](crate::tls).
    pub fn tls(self, config: rustls::ServerConfig) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// Verifies client certificates by these authorities; see
    /// [`Tls::with_client_authorities`](crate::tls::Tls::with_client_authorities).
    pub fn client_authorities(self, authorities: ClientAuthorities) -> Self {
        Self { client_authorities: Some(authorities), ..self }
    }

    /// Serves `/healthz`, `/readyz` and the other routes of the operations on this listener, in plain HTTP.
    pub fn operations(self, listener: TcpListener, operations: Operations) -> Self {
        Self { operations: Some((listener, operations)), ..self }
    }

    /// The number of worker threads; one per core by default, and at least one.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: Some(workers.max(1)), ..self }
    }

    /// The limit of open connections, without those for operations; [`MOST_CONNECTIONS`] by default, and at least 16. Each takes
    /// one file descriptor.
    ///
    /// At seven eighths of it, a new connection ends those that have been idle for longest, and those whose clients do not read.
    /// At fifteen sixteenths, answers end their connections, and those of slow clients end. At the limit, new connections wait
    /// until they are accepted. TLS handshakes may take a half of the limit and at most 4,096, one source a quarter of these
    /// before others need them.
    pub fn most_connections(self, most_connections: usize) -> Self {
        Self { most_connections: most_connections.max(16), ..self }
    }

    /// The limit of connections from one address, or one IPv6 site of 2^64; unlimited by default, because behind a proxy all come
    /// from the same. One more ends the one that has been idle for longest, and is refused if there is none.
    /// [`TokenServiceBuilder::trusted_proxies`](crate::TokenServiceBuilder::trusted_proxies) are exempt.
    pub fn most_connections_of_a_source(self, most_of_a_source: usize) -> Self {
        Self { most_of_a_source, ..self }
    }

    /// How long an idle connection is kept; 75 s, never longer, and at least 1 s.
    pub fn keep_alive(self, keep_alive: Duration) -> Self {
        Self { keep_alive: keep_alive.clamp(SHORTEST, LONGEST_KEEP_ALIVE), ..self }
    }

    /// The timeout for the head of a request; 5 s (conformance HT-08), and at least 1 s. For a later request of a connection it
    /// is a second longer.
    pub fn head_timeout(self, head_timeout: Duration) -> Self {
        Self { head_timeout: head_timeout.max(SHORTEST), ..self }
    }

    /// The timeout for a client to take 16 KiB of an answer that the system cannot buffer; 10 s, and at least 1 s.
    pub fn write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout: write_timeout.max(SHORTEST), ..self }
    }

    /// How long a connection that we close waits for the client to close it; 1 s, and at least that.
    pub fn disconnect_timeout(self, disconnect_timeout: Duration) -> Self {
        Self { disconnect_timeout: disconnect_timeout.max(SHORTEST), ..self }
    }

    /// How long requests are still accepted after `/readyz` began to answer 503, so that load balancers notice; [`DRAIN_DELAY`] by
    /// default. Each answer during that time ends its connection.
    pub fn drain_delay(self, drain_delay: Duration) -> Self {
        Self { drain_delay, ..self }
    }

    /// The timeout for requests under way at the shutdown; 30 s, in whole seconds.
    pub fn shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// Starts it. Connections are served while [`Running::serve`] is awaited.
    ///
    /// # Errors
    /// If a listener is unusable.
    pub fn run(self) -> io::Result<Running> {
        let timeouts = Timeouts {
            keep_alive: self.keep_alive,
            head: self.head_timeout,
            disconnect: self.disconnect_timeout,
            write: self.write_timeout,
        };
        let metrics = Arc::clone(self.service.metrics().connections());
        let most = (self.most_connections, self.most_of_a_source);
        let proxies = self.service.trusted_proxies();
        let limits = Limits::new(most, proxies, timeouts, metrics, self.client_authorities);
        let workers = self
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get));
        let mut builder = actix_server::Server::build()
            .disable_signals()
            .workers(workers)
            .max_concurrent_connections(self.most_connections.div_ceil(workers))
            .shutdown_timeout(self.shutdown_timeout.as_secs());
        let mut sweeping = vec![limits.connections.clone()];
        let mut addresses = Vec::new();
        for listener in self.listeners {
            addresses.push(listener.local_addr()?);
            let (service, base_path, limits) = (self.service.clone(), self.base_path.clone(), limits.clone());
            let (signal, name) = (builder.graceful_shutdown_signal(), "tokenberg");
            builder = match self.tls.clone() {
                None => builder.listen(name, listener, move || {
                    transport::plain(limits.clone(), signal.clone(), app(&service, &base_path))
                })?,
                Some(tls) => builder.listen(name, listener, move || {
                    transport::tls(limits.clone(), signal.clone(), app(&service, &base_path), tls.clone())
                })?,
            };
        }
        let server = builder.run();
        let (operations, operations_server) = match self.operations {
            None => (None, None),
            Some((listener, operations)) => {
                let (server, connections) = run_operations(listener, &operations, timeouts)?;
                sweeping.push(connections);
                (Some(operations), Some(server))
            }
        };
        let handle = Handle {
            server: server.handle(),
            operations_server: operations_server.as_ref().map(Server::handle),
            operations,
            connections: limits.connections,
            drain_delay: self.drain_delay,
        };
        Ok(Running { server, operations_server, addresses, sweeping, handle })
    }
}

fn app(
    service: &TokenService,
    base_path: &str,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
    + use<>,
> {
    let under_base = service.configure_own();
    App::new()
        .configure(service.configure_root())
        .configure(|config| {
            if base_path.is_empty() {
                under_base(config);
            } else {
                let scope = web::scope(base_path).configure(under_base);
                config.service(scope.default_service(nothing_here(service, base_path)));
            }
        })
        .default_service(nothing_here(service, base_path))
}

fn run_operations(
    listener: TcpListener,
    operations: &Operations,
    timeouts: Timeouts,
) -> io::Result<(Server, Connections)> {
    let configure = operations.configure();
    let most = (OPERATIONS_CONNECTIONS, usize::MAX);
    // These connections are in no metric.
    let limits = Limits::new(most, &TrustedProxies::default(), timeouts, Arc::default(), None);
    let connections = limits.connections.clone();
    let builder = actix_server::Server::build()
        .disable_signals()
        .workers(1)
        .max_concurrent_connections(OPERATIONS_CONNECTIONS)
        .shutdown_timeout(1);
    let signal = builder.graceful_shutdown_signal();
    let builder = builder.listen("operations", listener, move || {
        transport::plain(limits.clone(), signal.clone(), App::new().configure(configure.clone()))
    })?;
    Ok((builder.run(), connections))
}

/// A server that is bound.
#[must_use = "a server does nothing until it is served"]
pub struct Running {
    server: Server,
    operations_server: Option<Server>,
    addresses: Vec<SocketAddr>,
    sweeping: Vec<Connections>,
    handle: Handle,
}

impl Running {
    /// The addresses that it listens at, without the listener for operations; in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A handle that ends it, from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until [`Handle::drain`] or [`Handle::stop`] is done; in an actix or tokio runtime.
    ///
    /// # Errors
    /// If the listeners fail as a whole.
    pub async fn serve(self) -> io::Result<()> {
        let operations = async {
            match self.operations_server {
                Some(server) => server.await,
                None => Ok(()),
            }
        };
        let main = async {
            let outcome = self.server.await;
            if let Some(operations) = &self.handle.operations_server {
                operations.stop(false).await;
            }
            outcome
        };
        let served = futures_util::future::join(main, operations);
        let sweeping = futures_util::future::join_all(self.sweeping.iter().map(Connections::keep_sweeping));
        match select(pin!(served), pin!(sweeping)).await {
            Either::Left(((main, operations), _)) => main.and(operations),
            // It does not end.
            Either::Right(_) => Ok(()),
        }
    }
}

/// Ends a running server.
#[derive(Clone)]
pub struct Handle {
    server: ServerHandle,
    operations_server: Option<ServerHandle>,
    operations: Option<Operations>,
    connections: Connections,
    drain_delay: Duration,
}

impl Handle {
    /// Reports that it is not ready, ends each connection with its next answer for the configured time, then accepts no more
    /// connections, closes the idle ones, and lets requests under way finish (conformance OP-30).
    pub async fn drain(&self) {
        if let Some(operations) = &self.operations {
            operations.drain();
        }
        self.connections.drain();
        tokio::time::sleep(self.drain_delay).await;
        // actix closes an idle connection without reading what has arrived on it.
        self.server.pause().await;
        let begun = Instant::now();
        while self.connections.end_idle() > 0 && begun.elapsed() < ORDERLY_END {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.server.stop(true).await;
    }

    /// Ends it at once.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

/// Answers every path without a route.
fn nothing_here(service: &TokenService, base_path: &str) -> Route {
    let (service, base_path) = (service.clone(), base_path.to_owned());
    let answer = move |request: HttpRequest, payload: web::Payload| {
        let response = misdirected::path(&service, &base_path, &request);
        std::future::ready(reply::closing(response, payload.into_inner()))
    };
    web::route().to(answer).wrap(from_fn(guard))
}
