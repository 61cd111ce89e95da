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
        let elements: Vec<Element> = quoted_split(&forwarded, ',').into_iter().map(Element::read).collect();
        let standard = self.client(peer.ip(), elements.iter().map(|e| e.node).collect());
        let listed = texts(headers, &X_FORWARDED_FOR);
        let customary = self.client(peer.ip(), listed.split(',').collect());
        let has = |name| headers.contains_key(name);
        let ip = match (has(FORWARDED), has(X_FORWARDED_FOR)) {
            (true, false) => standard.ip,
            (false, true) => customary.ip,
            (true, true) if standard.ip == customary.ip => standard.ip,
            // Proxies set one of the two and pass the other on: a client that sends both counts under the proxy's address.
            (true, true) | (false, false) => peer.ip(),
        };
        let of_standard = match standard.client {
            Some(at) => elements.get(at).map_or("", |element| element.proto),
            None => first_of(elements.iter().map(|element| element.proto)),
        };
        let is_plain =
            is_http(of_standard) || is_http(first_of(texts(headers, &X_FORWARDED_PROTO).split(',')));
        let address = if ip == peer.ip() { direct } else { Some(ClientAddress { ip, port: None }) };
        Origin { address, is_plain }
    }

    /// The right-most address that is not of a trusted proxy: each hop appends the address that it saw, so a client may have
    /// invented all that is left of it.
    fn client(&self, peer: IpAddr, nodes: Vec<&str>) -> Hop {
        let mut known = Hop { ip: peer, client: None };
        for (at, node) in nodes.into_iter().enumerate().rev() {
            let Some(ip) = node_address(node) else { break };
            known.ip = ip;
            if !self.contains(ip) {
                known.client = Some(at);
                break;
            }
        }
        known
    }
}

struct Hop {
    ip: IpAddr,
    /// The position of the address, unless it is that of a proxy.
    client: Option<usize>,
}

/// The statement of one proxy: `for` and `proto` of a forwarded-element; RFC 7239 §4.
struct Element<'a> {
    node: &'a str,
    proto: &'a str,
}

impl<'a> Element<'a> {
    fn read(text: &'a str) -> Self {
        let mut element = Self { node: "", proto: "" };
        for pair in quoted_split(text, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            if name.trim().eq_ignore_ascii_case("for") {
                element.node = value;
            } else if name.trim().eq_ignore_ascii_case("proto") {
                element.proto = value;
            }
        }
        element
    }
}

/// All values of a header in their order, as if they were one.
fn texts(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

/// Splits at the separator, except in a quoted-string.
fn quoted_split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        if c == separator && !quoted {
            parts.push(&text[begin..at]);
            begin = at + c.len_utf8();
        } else if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    parts.push(&text[begin..]);
    parts
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
