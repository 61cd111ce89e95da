//! How do bytes get from a socket to the service? HTTP/1.1 over TCP or TLS, counted as they arrive; conformance HT-02.
//!
//! actix counts the bytes of a body after it has taken the chunks apart, so what stands between them has no limit. Here
//! each connection knows how much was read from it, and [`crate::body`] refuses a body that is mostly something else.

use crate::client_authorities::ClientAuthorities;
use crate::connection;
use crate::metrics::Metrics;
use crate::sources::Sources;
use actix_http::{HttpService, Protocol};
use actix_server::GracefulShutdownSignal;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error, HttpResponse};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// How long a connection may take for what, how many there may be, and whose certificates count.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) client_authorities: Option<ClientAuthorities>,
    pub(crate) sources: Sources,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) keep_alive: Duration,
    pub(crate) head: Duration,
    pub(crate) disconnect: Duration,
}

/// An app, before it is told where it runs.
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

/// What turns a plain connection into requests to the app.
pub(crate) fn plain<T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (),
    Error = actix_http::error::DispatchError,
    InitError = (),
> {
    fn_service(|tcp: TcpStream| async move {
        let peer = tcp.peer_addr().ok();
        let _ = tcp.set_nodelay(true);
        Ok((Metered::new(tcp), Protocol::Http1, peer))
    })
    .and_then(http(limits, signal, app))
}

/// The same over TLS.
pub(crate) fn tls<T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
    mut config: rustls::ServerConfig,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (),
    Error = TlsError<io::Error, actix_http::error::DispatchError>,
    InitError = (),
> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut acceptor = Acceptor::new(config);
    acceptor.set_handshake_timeout(HANDSHAKE);
    acceptor
        .map_init_err(|_| ())
        .map_err(TlsError::into_service_error)
        .and_then(|tls: TlsStream<TcpStream>| async move {
            let peer = tls.get_ref().0.peer_addr().ok();
            let _ = tls.get_ref().0.set_nodelay(true);
            Ok((Metered::new(tls), Protocol::Http1, peer))
        })
        .and_then(http(limits, signal, app).map_err(TlsError::Service))
}

fn http<IO: Socket, T: AppFactory>(
    limits: Limits,
    signal: GracefulShutdownSignal,
    app: App<T>,
) -> impl ServiceFactory<
    (Metered<IO>, Protocol, Option<std::net::SocketAddr>),
    Config = (),
    Response = (),
    Error = actix_http::error::DispatchError,
    InitError = (),
> {
    use actix_service::IntoServiceFactory;
    let silence = limits.keep_alive + limits.head;
    let app = app.into_factory().map_err(|error: Error| -> HttpResponse { error.error_response() });
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let signal = signal.clone();
            async move { signal.notified().await }
        })
        .keep_alive(limits.keep_alive)
        .client_request_timeout(limits.head)
        .client_disconnect_timeout(limits.disconnect)
        .on_connect_ext(move |io: &Metered<IO>, data: &mut actix_http::Extensions| {
            let counted = (&limits.sources, &limits.metrics);
            connection::watch(io.io.tcp(), IO::SECURE, Rc::clone(&io.read), counted, data, silence);
            if let (Some(authorities), Some(tls)) = (&limits.client_authorities, io.io.tls()) {
                authorities.look_at(tls, data);
            }
        })
        .finish(map_config(app, |()| AppConfig::default()))
}

/// What a connection is made of.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Whether nobody between reads along.
    const SECURE: bool;

    fn tcp(&self) -> &TcpStream;

    fn tls(&self) -> Option<&rustls::ServerConnection>;
}

impl Socket for TcpStream {
    const SECURE: bool = false;

    fn tcp(&self) -> &TcpStream {
        self
    }

    fn tls(&self) -> Option<&rustls::ServerConnection> {
        None
    }
}

impl Socket for TlsStream<TcpStream> {
    const SECURE: bool = true;

    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls(&self) -> Option<&rustls::ServerConnection> {
        Some(self.get_ref().1)
    }
}

/// A connection that counts what is read from it.
pub(crate) struct Metered<IO> {
    io: IO,
    read: Rc<Cell<u64>>,
}

impl<IO> Metered<IO> {
    fn new(io: IO) -> Self {
        Self { io, read: Rc::default() }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Metered<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let more = buffer.filled().len() - before;
        self.read.set(self.read.get().saturating_add(more as u64));
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
