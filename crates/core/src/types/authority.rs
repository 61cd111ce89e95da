//! The authority of a URL: RFC 3986 §3.2.

/// The host of `host [ ":" port ]` (RFC 3986 §3.2), if the authority is of that form: without user information, with a port
/// of digits up to 65535 or none, and with the brackets of an IPv6 address.
///
/// ```
/// use tokenberg_core::authority::host;
/// assert_eq!(host("idp.example:8443"), Some("idp.example"));
/// assert_eq!(host("[::1]"), Some("[::1]"));
/// assert_eq!(host("user@idp.example"), None);
/// assert_eq!(host(":80"), None);
/// ```
#[must_use]
pub fn host(authority: &str) -> Option<&str> {
    let end = match authority.find(']') {
        Some(bracket) if authority.starts_with('[') => bracket + 1,
        Some(_) => return None,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let port_is_good = port.strip_prefix(':').map_or(port.is_empty(), is_port);
    (port_is_good && !host.is_empty() && !host.contains('@')).then_some(host)
}

/// `port = *DIGIT` (RFC 3986 §3.2.3). Rust's numbers may have a sign.
fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether the host is this machine by its form alone: `localhost`, `[::1]`, or an address of `127.0.0.0/8`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}
