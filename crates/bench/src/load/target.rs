//! The address of the load, on this machine only: the tool must not load other machines.

use super::connection::Connection;
use anyhow::{Context, Result, bail};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An address of this machine, and its protocol.
pub(super) struct Target {
    address: SocketAddr,
    tls: Option<Clients>,
    /// The value of `Host`.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

/// Clients in turn, each with a memory of TLS sessions of its own.
struct Clients {
    connectors: Vec<TlsConnector>,
    next: Cell<usize>,
    server: ServerName<'static>,
}

impl Clients {
    fn next(&self) -> &TlsConnector {
        let number = self.next.get();
        self.next.set((number + 1) % self.connectors.len());
        &self.connectors[number]
    }
}

impl Target {
    /// With TLS, connections are those of so many clients in turn; of none that remembers a session, if that is 0.
    pub(super) fn new(url: &str, ca: Option<&Path>, clients: u32) -> Result<Self> {
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) | None => bail!("{url} is not an address like http://127.0.0.1:PORT/PATH"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').context("the address has to name a port")?;
        let ip = match host.trim_matches(['[', ']']) {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            literal => literal.parse().context("only a literal address or localhost is accepted")?,
        };
        if !ip.is_loopback() {
            bail!("{host} is not this machine; load is put on this machine only");
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        Ok(Self {
            address: SocketAddr::new(ip, port.parse().context("the port is not a number")?),
            tls: secure.then(|| connectors(ca, clients, name)).transpose()?,
            authority: authority.to_owned(),
            path: format!("/{path}"),
        })
    }

    /// The complete address.
    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        let open = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            anyhow::Ok(match &self.tls {
                None => Connection::plain(stream),
                Some(clients) => {
                    Connection::secure(clients.next().connect(clients.server.clone(), stream).await?)
                }
            })
        };
        tokio::time::timeout(Duration::from_secs(5), open).await.context("connecting took too long")?
    }
}

fn connectors(ca: Option<&Path>, clients: u32, server: ServerName<'static>) -> Result<Clients> {
    let ca = ca.context("https needs --ca, the certificate that the server is trusted by")?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = |_| {
        let mut config = config.clone();
        config.resumption = match clients {
            0 => Resumption::disabled(),
            // A client asks one server.
            _ => Resumption::in_memory_sessions(1),
        };
        TlsConnector::from(Arc::new(config))
    };
    Ok(Clients { connectors: (0..clients.max(1)).map(client).collect(), next: Cell::new(0), server })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_goes_to_this_machine_only() {
        for good in ["http://127.0.0.1:8183/v1/oauth/tokens", "http://[::1]:1/", "http://localhost:80"] {
            assert!(Target::new(good, None, 1).is_ok(), "{good}");
        }
        for bad in
            ["http://192.0.2.1:80/", "http://as.example:80/", "http://127.0.0.1/", "ftp://127.0.0.1:1/"]
        {
            assert!(Target::new(bad, None, 1).is_err(), "{bad}");
        }
        assert!(Target::new("https://127.0.0.1:1/", None, 1).is_err());
    }
}
