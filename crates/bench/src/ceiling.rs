//! Serves the least that an endpoint on actix can cost: a POST with a form, answered with 830 constant bytes.

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Result;
use std::any::Any;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;

/// The options of `ceiling`.
#[derive(clap::Args)]
pub(crate) struct Ceiling {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Serves TLS with this certificate, PEM, configured as the server configures it.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// As long as the answer with a token.
const LENGTH: usize = 830;

/// Serves until it is ended.
pub(crate) fn run(options: &Ceiling) -> Result<()> {
    let listener = TcpListener::bind(&options.listen)?;
    let address = listener.local_addr()?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(tokenberg_actix::tls::load(certificate, key)?.config()?),
        (None, _) | (_, None) => None,
    };
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(|| App::new().default_service(web::post().to(answer)));
        let server = server.workers(1).on_connect(|connection, _| send_at_once(connection));
        let (scheme, server) = match tls {
            Some(tls) => ("https", server.listen_rustls_0_23(listener, tls)?),
            None => ("http", server.listen(listener)?),
        };
        println!("listening on {scheme}://{address}");
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}

/// Otherwise an answer waits until the client has acknowledged what was sent in the handshake.
fn send_at_once(connection: &dyn Any) {
    let tls = connection.downcast_ref::<TlsStream<TcpStream>>().map(|tls| tls.get_ref().0);
    if let Some(tcp) = tls.or_else(|| connection.downcast_ref()) {
        let _ = tcp.set_nodelay(true);
    }
}

async fn answer(_: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(&[b' '; LENGTH][..])
}
