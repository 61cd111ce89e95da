//! The address of a server's listener for operations, as this machine reaches it.

use crate::configuration::Configuration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The URL of the listener that is configured, without a slash at its end. `give` says how else it can be given.
///
/// # Errors
/// If it is not configured, or the server chooses its port.
pub(super) fn configured(configuration: &Configuration, give: &str) -> anyhow::Result<String> {
    let Some(address) = configuration.of_server("ops-listen") else {
        anyhow::bail!(
            "the address for operations is not known: {give}, the address in the line `operations on …` of the server, or set \
             TOKENBERG_OPS_LISTEN; a server that was started without --ops-listen has none"
        );
    };
    let mut address: SocketAddr = address.parse()?;
    anyhow::ensure!(
        address.port() != 0,
        "--ops-listen {address} lets the server choose the port: {give}, the address in its line `operations on …`"
    );
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(format!("http://{address}"))
}

/// The URL that was given, without a slash at its end; `None` if it is not that of a server.
pub(super) fn given(address: &str) -> Option<String> {
    let url: url::Url = address.parse().ok()?;
    let is_server = ["http", "https"].contains(&url.scheme())
        && (url.path(), url.query(), url.fragment()) == ("/", None, None)
        && url.username().is_empty()
        && url.password().is_none();
    is_server.then(|| address.trim_end_matches('/').to_owned())
}

/// What is wrong with an address that [`given`] does not read; `name` is where it was given.
pub(super) fn mistake(name: &str, address: &str) -> String {
    let meant = format!("http://{address}");
    let expected = match given(&meant) {
        Some(meant) if !address.contains("://") => meant,
        Some(_) | None => "http://ADDR:PORT, as in the line `operations on …` of the server".to_owned(),
    };
    format!("{name}{address:?} is not the URL of a server; expected {expected}")
}
