//! The address of the load, on this machine only: the tool must not load other machines.

use super::connection::Connection;
use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An address of this machine, and its protocol.
pub(super) struct Target {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The value of `Host`.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    pub(super) fn new(url: &str, ca: Option<&Path>) -> Result<Self> {
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
            tls: secure.then(|| connector(ca).map(|tls| (tls, name))).transpose()?,
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
                Some((tls, name)) => Connection::secure(tls.connect(name.clone(), stream).await?),
            })
        };
        tokio::time::timeout(Duration::from_secs(5), open).await.context("connecting took too long")?
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector> {
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
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_goes_to_this_machine_only() {
        for good in ["http://127.0.0.1:8183/v1/oauth/tokens", "http://[::1]:1/", "http://localhost:80"] {
            assert!(Target::new(good, None).is_ok(), "{good}");
        }
        for bad in
            ["http://192.0.2.1:80/", "http://as.example:80/", "http://127.0.0.1/", "ftp://127.0.0.1:1/"]
        {
            assert!(Target::new(bad, None).is_err(), "{bad}");
        }
        assert!(Target::new("https://127.0.0.1:1/", None).is_err());
    }
}
