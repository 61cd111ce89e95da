//! Serves HTTP/1.1 over TCP or TLS: turns an accepted socket into requests to an app.

use crate::connection::Connection;
use crate::connection::answered::answered;
use crate::connection::authorities::ClientAuthorities;
use crate::connection::handshakes::Handshakes;
use crate::connection::metrics::{ConnectionMetrics, Handshake};
use crate::connection::registry::{Connections, Permit, Timeouts, Tracked};
use crate::connection::stream::{ClientStream, Socket};
use crate::origin::TrustedProxies;
use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use futures_util::future::{Either, select};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The limit of concurrent TLS handshakes.
const MOST_HANDSHAKES: usize = 4096;

/// The timeout of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// How much of an answer actix composes before it writes, in bytes.
const WRITE_BUFFER: usize = 8 * 1024;

/// How much of an answer waits encrypted for a client that does not read, in bytes.
const TLS_BUFFER: usize = 16 * 1024;

/// The limits of a server's connections, and the authorities for client certificates.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) client_authorities: Option<ClientAuthorities>,
    pub(crate) connections: Connections,
    pub(crate) handshakes: Handshakes,
}

impl Limits {
    /// So many connections, and so many of a source; half of them, or [`MOST_HANDSHAKES`], may be handshakes.
    pub(crate) fn new(
        (most, most_of_a_source): (usize, usize),
        trusted_proxies: &TrustedProxies,
        timeouts: Timeouts,
        metrics: Arc<ConnectionMetrics>,
        client_authorities: Option<ClientAuthorities>,
    ) -> Self {
        let handshakes = (most / 2).min(MOST_HANDSHAKES);
        metrics.limited_to(most, handshakes);
        Self {
            client_authorities,
            handshakes: Handshakes::new(
                handshakes,
                handshakes / 4,
                trusted_proxies.clone(),
                Arc::clone(&metrics),
            ),
            connections: Connections::new(
                (most, most_of_a_source),
                trusted_proxies.clone(),
                timeouts,
                metrics,
            ),
        }
    }
}

/// An app without its configuration.
pub(crate) trait AppFactory:
    ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
    + 'static
{
}

impl<T> AppFactory for T where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
        + 'static
{
}

/// Serves an app over plain connections.
pub(crate) fn plain<T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let connections = limits.connections.clone();
    fn_service(move |tcp: TcpStream| {
        let connections = connections.clone();
        async move {
            let (permit, peer) = admitted(&connections, &tcp)?;
            Ok((ClientStream::new(tcp, permit), Protocol::Http1, peer))
        }
    })
    .and_then(http(limits, signal, app))
}

/// Serves an app over TLS.
pub(crate) fn tls<T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
    mut config: rustls::ServerConfig,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let shared = Rc::new((limits.clone(), TlsAcceptor::from(Arc::new(config))));
    fn_service(move |tcp: TcpStream| {
        let shared = Rc::clone(&shared);
        async move {
            let (limits, acceptor) = &*shared;
            let (permit, peer) = admitted(&limits.connections, &tcp)?;
            let tls = handshake(&limits.handshakes, acceptor, tcp, peer, permit.connection()).await?;
            Ok((ClientStream::new(tls, permit), Protocol::Http1, peer))
        }
    })
    .and_then(http(limits, signal, app))
}

/// Counts a connection, and refuses it if its source has reached its limit.
fn admitted(connections: &Connections, tcp: &TcpStream) -> io::Result<(Permit, Option<SocketAddr>)> {
    let peer = tcp.peer_addr().ok();
    let permit = connections.open(peer.map(|peer| peer.ip())).ok_or(io::ErrorKind::ConnectionRefused)?;
    let _ = tcp.set_nodelay(true);
    Ok((permit, peer))
}

async fn handshake(
    handshakes: &Handshakes,
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    peer: Option<SocketAddr>,
    connection: &Tracked,
) -> io::Result<TlsStream<TcpStream>> {
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let (permit, displaced) = handshakes.begin(address);
    let shaken = async {
        // A client that has sent nothing gets no buffers.
        tcp.readable().await?;
        permit.speaks();
        connection.speaks();
        acceptor.accept_with(tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER))).await
    };
    let ended = pin!(connection.ended());
    let displaced = select(displaced, ended);
    let (how, outcome) = match tokio::time::timeout(HANDSHAKE, select(pin!(shaken), displaced)).await {
        Ok(Either::Left((Ok(tls), _))) => (Handshake::Completed, Ok(tls)),
        Ok(Either::Left((Err(fault), _))) => (Handshake::Failed, Err(fault)),
        Ok(Either::Right(_)) => (Handshake::Displaced, Err(io::ErrorKind::ConnectionAborted.into())),
        Err(_) => (Handshake::TimedOut, Err(io::ErrorKind::TimedOut.into())),
    };
    permit.ended(how);
    outcome
}

fn http<IO: Socket, T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
) -> impl ServiceFactory<
    (ClientStream<IO>, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    use actix_service::IntoServiceFactory;
    let timeouts = limits.connections.timeouts();
    let app = answered(map_config(app.into_factory(), |()| AppConfig::default()));
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let signal = signal.clone();
            async move { signal.notified().await }
        })
        .keep_alive(timeouts.keep_alive)
        .client_request_timeout(timeouts.head)
        .client_disconnect_timeout(timeouts.disconnect)
        .h1_write_buffer_size(WRITE_BUFFER)
        .on_connect_ext(move |stream: &ClientStream<IO>, data: &mut actix_http::Extensions| {
            Connection::insert(stream.flow(), IO::SECURE, data);
            if let (Some(authorities), Some(tls)) = (&limits.client_authorities, stream.io().tls()) {
                authorities.look_at(tls, data);
            }
        })
        .finish(app)
}
