//! Serves HTTP/1.1 over TCP or TLS: what turns an accepted socket into requests to an app.

use crate::answered::answered;
use crate::client_address::TrustedProxies;
use crate::client_authorities::ClientAuthorities;
use crate::client_stream::{ClientStream, Socket};
use crate::connection::Connection;
use crate::connection_figures::ConnectionFigures;
use crate::connections::{Connections, Permit, Timeouts};
use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// How much of an answer actix composes before it writes, in bytes.
const WRITE_BUFFER: usize = 8 * 1024;

/// How much of an answer waits encrypted for a client that does not read, in bytes.
const TLS_BUFFER: usize = 16 * 1024;

/// What bounds the connections of a server, and whose certificates count.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) client_authorities: Option<ClientAuthorities>,
    pub(crate) connections: Connections,
}

impl Limits {
    /// So many connections, and so many of a source.
    pub(crate) fn new(
        (most, most_of_a_source): (usize, usize),
        trusted_proxies: &TrustedProxies,
        timeouts: Timeouts,
        figures: Arc<ConnectionFigures>,
        client_authorities: Option<ClientAuthorities>,
    ) -> Self {
        figures.limited_to(most);
        Self {
            client_authorities,
            connections: Connections::new(
                (most, most_of_a_source),
                trusted_proxies.clone(),
                timeouts,
                figures,
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
            let tls = handshake(acceptor, tcp).await?;
            Ok((ClientStream::new(tls, permit), Protocol::Http1, peer))
        }
    })
    .and_then(http(limits, signal, app))
}

/// Counts a connection, and refuses it where its source has as many as it may.
fn admitted(connections: &Connections, tcp: &TcpStream) -> io::Result<(Permit, Option<SocketAddr>)> {
    let peer = tcp.peer_addr().ok();
    let permit = connections.open(peer.map(|peer| peer.ip())).ok_or(io::ErrorKind::ConnectionRefused)?;
    let _ = tcp.set_nodelay(true);
    Ok((permit, peer))
}

async fn handshake(acceptor: &TlsAcceptor, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let accept = acceptor.accept_with(tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    tokio::time::timeout(HANDSHAKE, accept).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
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
