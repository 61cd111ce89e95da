//! How many connections does one source have? A bound for each, so that nobody keeps all others out; conformance HT-10.

use crate::client_address::TrustedProxies;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of each source that has any. A clone counts the same.
#[derive(Clone)]
pub(crate) struct Sources {
    most: usize,
    unlimited: TrustedProxies,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place that a connection takes until it is dropped.
pub(crate) struct Place {
    sources: Sources,
    source: Option<IpAddr>,
}

impl Sources {
    /// Behind a proxy of ours are many clients, so those may have as many as they like.
    pub(crate) fn new(most: usize, unlimited: TrustedProxies) -> Self {
        Self { most, unlimited, counts: Arc::default() }
    }

    /// A place for one more connection, if the source has not as many as it may.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        if self.unlimited.contains(address) {
            return Some(Place { sources: self.clone(), source: None });
        }
        let source = site(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { sources: self.clone(), source: Some(source) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut counts = self.sources.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }
}

/// An IPv6 site has 2^64 addresses, so its first half counts.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht_10_ab_03_each_source_has_its_own_bound_and_none_is_remembered() {
        let sources = Sources::new(2, ["198.51.100.0/24".parse().unwrap()].into_iter().collect());
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let held = (sources.place(at("192.0.2.1")), sources.place(at("::ffff:192.0.2.1")));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(sources.place(at("192.0.2.1")).is_none());
        let other = sources.place(at("192.0.2.2"));
        assert!(other.is_some());
        let site = (sources.place(at("2001:db8::1")), sources.place(at("2001:db8::2")));
        assert!(sources.place(at("2001:db8::3")).is_none() && sources.place(at("2001:db8:0:1::3")).is_some());
        let proxied: Vec<_> = (0..9).map(|_| sources.place(at("198.51.100.7"))).collect();
        assert!(proxied.iter().all(Option::is_some), "HT-22: a trusted proxy is not counted");
        drop((held, other, site, proxied));
        assert!(sources.counts.lock().unwrap().is_empty());
    }
}
