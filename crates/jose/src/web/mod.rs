//! Fetches a public document from an address: one GET, without redirects, bounded in time and size: KS-06.

mod reachable;

use crate::issuer_keys::{Address, Document, Fetch, Reach};
use reachable::{CheckedResolver, Reachable};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

/// The time limits for resolving a name, and for connecting.
const LONGEST_CONNECTING: Duration = Duration::from_secs(2);

/// An HTTP client for the documents of issuers, for [`IssuerKeySets`](crate::IssuerKeySets).
///
/// It makes one GET for each document, follows no redirect, keeps no connection and, unless private addresses are allowed, uses no
/// proxy and connects only to public addresses: the owner of a domain can point a name at any address, also at those that only this
/// machine can reach. It blocks, and `IssuerKeySets` calls it on a thread of its own.
pub struct Web {
    web: Agent,
    this_machine: Agent,
    plain_http: Agent,
}

/// Why no certificates can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsFault {
    /// It is no PEM.
    #[error("it is not a PEM file")]
    NotPem,
    /// It has no certificate.
    #[error("it contains no certificate")]
    Empty,
}

impl Web {
    /// Trusts the public roots or, if they are given, only these certificates (PEM).
    ///
    /// # Errors
    /// If there is no certificate.
    pub fn new(roots: Option<&[u8]>, allow_private: bool) -> Result<Self, RootsFault> {
        let reachable = if allow_private { Reachable::Anything } else { Reachable::Public };
        let roots = roots.map_or(Ok(RootCerts::WebPki), certificates)?;
        Ok(Self {
            web: agent(roots.clone(), reachable, true),
            this_machine: agent(roots.clone(), Reachable::Loopback, false),
            plain_http: agent(roots, Reachable::Named, false),
        })
    }
}

fn certificates(pem: &[u8]) -> Result<RootCerts, RootsFault> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| RootsFault::NotPem)? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        Err(RootsFault::Empty)
    } else {
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }
}

fn agent(roots: RootCerts, reachable: Reachable, only_https: bool) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(only_https)
        .max_redirects(0)
        .max_idle_connections(0)
        .timeout_resolve(Some(LONGEST_CONNECTING))
        .timeout_connect(Some(LONGEST_CONNECTING))
        .user_agent(concat!("tokenberg/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build());
    if reachable != Reachable::Anything {
        // A proxy resolves names itself, so the addresses would not be checked.
        config = config.proxy(None);
    }
    Agent::with_parts(config.build(), DefaultConnector::default(), CheckedResolver::new(reachable))
}

impl Fetch for Web {
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String> {
        let agent = match address.reach() {
            Reach::Web => &self.web,
            Reach::ThisMachine => &self.this_machine,
            Reach::PlainHttp => &self.plain_http,
        };
        let request = agent.get(address.as_str()).config().timeout_global(Some(within)).build();
        let mut answer = request.call().map_err(|fault| fault.to_string())?;
        let cache_control = answer.headers().get("Cache-Control").and_then(|field| field.to_str().ok());
        let cache_control = cache_control.map(str::to_owned);
        // ureq treats reaching the limit as exceeding it.
        let largest = u64::try_from(largest).unwrap_or(u64::MAX).saturating_add(1);
        let body = answer.body_mut().with_config().limit(largest).read_to_vec();
        let body = body.map_err(|fault| fault.to_string())?;
        Ok(Document { status: answer.status().as_u16(), body, cache_control })
    }
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}
