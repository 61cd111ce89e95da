//! The redirect URI on this machine: RFC 8252 §7.3.

use anyhow::Context;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use url::{Host, Url};

/// The redirect URI unless the provider needs another one; the port is added when it is known.
pub(crate) const DEFAULT: &str = "http://127.0.0.1/callback";

/// Parses a redirect URI: http, on a loopback address or `localhost`, with a path that a server on this machine can have.
///
/// # Errors
/// A sentence that shows how it is written.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    let wrong =
        || format!("expected an http URL of this machine, such as {DEFAULT} or http://localhost/callback");
    let url: Url = text.parse().map_err(|_| wrong())?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if url.scheme() == "http" && is_plain && !addresses(&url).is_empty() { Ok(url) } else { Err(wrong()) }
}

/// The addresses at which the redirect URI leads here; empty if it leads elsewhere.
fn addresses(uri: &Url) -> Vec<std::net::IpAddr> {
    match uri.host() {
        // A browser may try both, and another program could wait at the other one.
        Some(Host::Domain("localhost")) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Some(Host::Ipv4(ip)) if ip.is_loopback() => vec![ip.into()],
        Some(Host::Ipv6(ip)) if ip.is_loopback() => vec![ip.into()],
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => vec![],
    }
}

/// Listens at the redirect URI, and returns it with its port: the one that it has, or a free one.
///
/// # Errors
/// If the port is in use.
pub(super) fn listen(uri: &Url) -> anyhow::Result<(Vec<TcpListener>, Url)> {
    // Where the redirect URI has two addresses, the free port of one may be in use at the other.
    const ATTEMPTS: usize = 10;
    let port = uri.port().unwrap_or(0);
    let mut bound = Err(io::Error::from(ErrorKind::AddrInUse));
    for _ in 0..ATTEMPTS {
        bound = bind(&addresses(uri), port);
        if port != 0 || !bound.as_ref().is_err_and(|fault| fault.kind() == ErrorKind::AddrInUse) {
            break;
        }
    }
    let (listeners, port) = bound.with_context(|| {
        format!("cannot listen on port {port} of this machine for the answer of the provider; choose another one with --port, if the provider permits it")
    })?;
    let mut uri = uri.clone();
    // A URL with a host can have a port.
    let _ = uri.set_port(Some(port));
    Ok((listeners, uri))
}

fn bind(addresses: &[std::net::IpAddr], port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let (mut listeners, mut port) = (Vec::new(), port);
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // A machine without IPv6.
            Err(fault) if fault.kind() == ErrorKind::AddrNotAvailable && !listeners.is_empty() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok((listeners, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn li_01_a_redirect_uri_leads_to_this_machine() {
        for good in
            [DEFAULT, "http://localhost", "http://localhost:8400/cb", "http://[::1]/", "http://127.0.0.2:1/x"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "https://127.0.0.1/cb",
            "http://example.com/cb",
            "http://0.0.0.0/cb",
            "http://localhost.example/",
            "http://127.0.0.1/cb?x=1",
            "http://127.0.0.1/cb#x",
            "http://me@127.0.0.1/cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "/callback",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn li_01_the_port_is_free_or_the_one_that_was_given() {
        let (listeners, uri) = listen(&parse("http://localhost/cb").unwrap()).unwrap();
        let port = uri.port().unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap().port() == port));
        let fault = listen(&uri).unwrap_err();
        assert!(format!("{fault:#}").contains(&format!("port {port}")), "{fault:#}");
        let other: Url = format!("http://127.0.0.2:{port}/cb").parse().unwrap();
        assert_eq!(listen(&other).unwrap().1, other);
    }
}
