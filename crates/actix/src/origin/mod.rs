//! Determines the origin of a request: the peer, or what a trusted proxy reports. RFC 7239, conformance HT-19, HT-22.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A network of addresses, as `10.0.0.0/8`, `2001:db8::/32` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// Neither an address nor an address, a slash and a number that it has bits for.
    #[error("a network is written as in 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7")]
    Malformed,
    /// `10.0.0.7/8`: a slip, in which either part may be the wrong one.
    #[error("the address has bits beyond the length that follows it")]
    BitsBeyond,
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| NetworkFault::Malformed)?,
        };
        if network.trunc() == network { Ok(Self(network)) } else { Err(NetworkFault::BitsBeyond) }
    }
}

impl Network {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` are used; the headers of others are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl FromIterator<Network> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// The origin of a request, as far as the peer and trusted proxies report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: Option<ClientAddress>,
    /// The outermost proxy that is trusted states that the client uses plain HTTP.
    pub(crate) is_plain: bool,
}

/// The address of a client; its port is known if it is connected to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

impl TrustedProxies {
    /// Whether the address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn origin(&self, request: &HttpRequest) -> Origin {
        self.of(request.peer_addr(), request.headers())
    }

    fn of(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Origin {
        let direct = peer.map(|peer| ClientAddress { ip: peer.ip(), port: Some(peer.port()) });
        let Some(peer) = peer.filter(|peer| self.contains(peer.ip())) else {
            return Origin { address: direct, is_plain: false };
        };
        let forwarded = texts(headers, &FORWARDED);
        let elements = elements(&forwarded);
        let standard = self.client(peer.ip(), elements.iter().map(|element| element.node));
        let listed = texts(headers, &X_FORWARDED_FOR);
        let customary = self.client(peer.ip(), listed.rsplit(','));
        let has = |name| headers.contains_key(name);
        let ip = match (has(FORWARDED), has(X_FORWARDED_FOR)) {
            (true, false) => standard.ip,
            (false, true) => customary.ip,
            (true, true) if standard.ip == customary.ip => standard.ip,
            // Proxies set one of the two and pass the other on: a client that sends both counts under the proxy's address.
            (true, true) | (false, false) => peer.ip(),
        };
        let of_standard = elements.get(standard.end).map_or("", |element| element.proto);
        let is_plain =
            is_http(of_standard) || is_http(first_of(texts(headers, &X_FORWARDED_PROTO).split(',')));
        let address = if ip == peer.ip() { direct } else { Some(ClientAddress { ip, port: None }) };
        Origin { address, is_plain }
    }

    /// The first address from the right that is not of a trusted proxy: each hop appends the address that it saw, so a client may
    /// have invented all that is left of it. `nodes` begin with the right-most one.
    fn client<'a>(&self, peer: IpAddr, nodes: impl Iterator<Item = &'a str>) -> Hop {
        let mut hop = Hop { ip: peer, end: 0 };
        for (at, node) in nodes.enumerate() {
            hop.end = at;
            let Some(ip) = node_address(node) else { break };
            hop.ip = ip;
            if !self.contains(ip) {
                break;
            }
        }
        hop
    }
}

/// Where the search for the address of the client ended.
struct Hop {
    ip: IpAddr,
    /// The position from the right of the node that ended it, or of the left-most one.
    end: usize,
}

/// The statement of one proxy: `for` and `proto` of a forwarded-element; RFC 7239 §4.
struct Element<'a> {
    node: &'a str,
    proto: &'a str,
}

impl<'a> Element<'a> {
    /// A malformed element names no address, and counts as one of plain HTTP, so that a request gains nothing by it.
    fn read(text: &'a str) -> Self {
        Self::parse(text).unwrap_or(Self { node: "", proto: "http" })
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (mut node, mut proto) = (None, None);
        for pair in split_from_right(text, b';') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unquoted(value.trim())?;
            let parameter = match name.trim() {
                name if name.eq_ignore_ascii_case("for") => &mut node,
                name if name.eq_ignore_ascii_case("proto") => &mut proto,
                name if name.contains('"') => return None,
                _ => continue,
            };
            // RFC 7239 §4: each parameter occurs once.
            if parameter.replace(value).is_some() {
                return None;
            }
        }
        Some(Self { node: node.unwrap_or(""), proto: proto.unwrap_or("") })
    }
}

/// The elements of `Forwarded`, the right-most one first. Empty ones are ignored (RFC 9110 §5.6.1.2).
fn elements(forwarded: &str) -> Vec<Element<'_>> {
    let parts = split_from_right(forwarded, b',').into_iter();
    parts.filter(|part| !part.trim().is_empty()).map(Element::read).collect()
}

/// The value without its quotes, as it is between them. `None` if a quote is missing or elsewhere (RFC 9110 §5.6.4).
fn unquoted(value: &str) -> Option<&str> {
    let Some(rest) = value.strip_prefix('"') else { return (!value.contains('"')).then_some(value) };
    let inner = rest.strip_suffix('"')?;
    // A quote that is left inside is escaped, or the value has several parts.
    let is_open = |(at, _): (usize, &str)| !is_escaped(&inner.as_bytes()[..at]);
    (!is_escaped(inner.as_bytes()) && !inner.match_indices('"').any(is_open)).then_some(inner)
}

/// All values of a header in their order, as if they were one.
fn texts(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

/// Splits at the separator, except in a quoted-string, and begins at the end of the text: what a proxy appended has the same parts
/// there whatever is before it, such as a quote of the client's that is never closed.
fn split_from_right(text: &str, separator: u8) -> Vec<&str> {
    let (bytes, mut parts, mut end, mut is_quoted) = (text.as_bytes(), Vec::new(), text.len(), false);
    for (at, byte) in bytes.iter().copied().enumerate().rev() {
        if byte == separator && !is_quoted {
            parts.push(&text[at + 1..end]);
            end = at;
        } else if byte == b'"' && !(is_quoted && is_escaped(&bytes[..at])) {
            is_quoted = !is_quoted;
        }
    }
    parts.push(&text[..end]);
    parts
}

/// Whether a backslash escapes the character after this text.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The scheme that the outermost proxy states: proxies append the scheme of their own hop, and between proxies that is often plain
/// HTTP. A client can put elements before that; one that states `https` for itself harms only itself.
fn first_of<'a>(schemes: impl Iterator<Item = &'a str>) -> &'a str {
    // RFC 9110 §5.6.1.2: a recipient ignores empty elements of a list.
    schemes.map(str::trim).find(|scheme| !scheme.is_empty()).unwrap_or("")
}

fn is_http(proto: &str) -> bool {
    proto.trim().eq_ignore_ascii_case("http")
}

// node = nodename [ ":" node-port ], IPv6 in brackets      RFC 7239 §6; X-Forwarded-For has IPv6 without them as well
fn node_address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let ip = bare.parse().or_else(|_| node.parse::<SocketAddr>().map(|address| address.ip()));
    ip.ok().map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests;
