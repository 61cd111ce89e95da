//! Groups addresses into the sources that limits count: an IPv4 address, or an IPv6 network of 64 bits.

use std::net::{IpAddr, Ipv6Addr};

/// The source of an address. An IPv6 site has 2^64 addresses, so the first half counts.
///
/// ```
/// use tokenberg_core::limits::source_of;
///
/// assert_eq!(source_of("2001:db8::1".parse()?), source_of("2001:db8::2".parse()?));
/// assert_eq!(source_of("::ffff:192.0.2.1".parse()?), source_of("192.0.2.1".parse()?));
/// assert_ne!(source_of("192.0.2.1".parse()?), source_of("192.0.2.2".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}
