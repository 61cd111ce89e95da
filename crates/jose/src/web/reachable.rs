//! Restricts the addresses to connect to: a name is resolved once, its address is checked, and connected to: conformance KS-06.
//!
//! The owner of a domain can point a name at any address, also at those that only we can reach: other services on this machine and
//! in this network, and the metadata service of a cloud, which hands out credentials.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The addresses that we may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reachable {
    /// Addresses that are reachable from the public internet.
    Public,
    /// This machine.
    Loopback,
    /// A host that the operator named, for trials in containers: any but those that hand out the credentials of a cloud.
    Named,
    /// Any address, since the operator has registered the issuer.
    Anything,
}

impl Reachable {
    fn holds(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Loopback => ip.is_loopback(),
            Self::Named => !is_link_local_or_metadata(ip),
            Self::Anything => true,
        }
    }
}

/// Resolves names to addresses that we may connect to. There is no second look-up that could return a different address.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    reachable: Reachable,
    names: DefaultResolver,
}

impl CheckedResolver {
    pub(super) fn new(reachable: Reachable) -> Self {
        Self { reachable, names: DefaultResolver::default() }
    }

    fn checked(&self, addresses: &[SocketAddr]) -> Result<(), ureq::Error> {
        match addresses.iter().find(|address| !self.reachable.holds(address.ip())) {
            None => Ok(()),
            Some(refused) => Err(ureq::Error::Io(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "the host has the address {}, {}",
                    refused.ip(),
                    match self.reachable {
                        Reachable::Named => "from which keys are never fetched",
                        Reachable::Public | Reachable::Loopback | Reachable::Anything => {
                            "which is not public; to allow private addresses, use --allow-private-issuers (`allow_private` in a program)"
                        }
                    }
                ),
            ))),
        }
    }
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.names.resolve(uri, config, timeout)?;
        // A forbidden address among permitted ones is no accident.
        self.checked(&addresses)?;
        Ok(addresses)
    }
}

/// Whether the address is link-local, unspecified, or that of a cloud's metadata service.
fn is_link_local_or_metadata(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                // Azure, Alibaba Cloud.
                || [[168, 63, 129, 16], [100, 100, 100, 200]].contains(&ip.octets())
        }
        IpAddr::V6(ip) => {
            let [first, ..] = ip.segments();
            first & 0xffc0 == 0xfe80
                || ip.is_unspecified()
                || ip.is_multicast()
                // Amazon EC2.
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

/// Whether the address is public: neither private nor special (IANA's special-purpose address registries,
/// RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 16] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 88, 99, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        // A provider's metadata service outside of the private ranges.
        (Ipv4Addr::new(168, 63, 129, 16), 32),
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    !SPECIAL.iter().any(|(net, length)| (ip.to_bits() ^ net.to_bits()) >> (32 - length) == 0)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        // An IPv4 address in another spelling (RFC 4291 §2.5.5.2), behind a translator (RFC 6052 §2.1), or in a tunnel
        // (RFC 3056 §2).
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => is_public_v4(embedded(g, h)),
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        // Teredo and protocol assignments, documentation (RFC 3849, RFC 9637).
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // Of the rest, only global unicast is assigned (RFC 4291 §2.4): not ::1, fc00::/7, fe80::/10, ff00::/8.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_06_private_and_special_addresses_are_not_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(Reachable::Public.holds(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
        ] {
            assert!(!Reachable::Public.holds(private.parse().unwrap()), "{private}");
            assert!(Reachable::Anything.holds(private.parse().unwrap()), "{private}");
        }
        for (ip, is) in [
            ("172.18.0.2", true),
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("fd12:3456::1", true),
            ("1.1.1.1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("168.63.129.16", false),
            ("100.100.100.200", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(Reachable::Named.holds(ip.parse().unwrap()), is, "{ip}");
        }
        for (ip, is) in
            [("127.0.0.2", true), ("::1", true), ("10.0.0.1", false), ("1.1.1.1", false), ("::", false)]
        {
            assert_eq!(Reachable::Loopback.holds(ip.parse().unwrap()), is, "{ip}");
        }
    }

    #[test]
    fn ks_06_a_name_with_one_private_address_among_public_ones_is_refused() {
        let checked = |addresses: &[&str]| {
            let addresses: Vec<SocketAddr> =
                addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
            CheckedResolver::new(Reachable::Public).checked(&addresses)
        };
        assert!(checked(&["1.1.1.1", "2606:4700::1111"]).is_ok());
        let fault = checked(&["1.1.1.1", "10.0.0.1"]).unwrap_err().to_string();
        assert!(fault.contains("10.0.0.1") && fault.contains("--allow-private-issuers"), "{fault}");
    }
}
