//! Fetches a public document from an address: one GET, without redirects, bounded in time and size: KS-06.

use super::reachable::{CheckedResolver, Reachable};
use crate::roots;
use std::path::Path;
use std::time::Duration;
use tokenberg_jose::{Address, Document, Fetch, Reach};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

/// The time limits for resolving a name, and for connecting.
const LONGEST_CONNECTING: Duration = Duration::from_secs(2);

/// The HTTP client for the documents of issuers.
pub(super) struct IssuerWeb {
    web: Agent,
    this_machine: Agent,
    plain_http: Agent,
}

impl IssuerWeb {
    /// Trusts the public roots, or only the certificates of the file `ca`.
    ///
    /// # Errors
    /// If the file holds no certificate.
    pub(super) fn new(ca: Option<&Path>, allow_private: bool) -> anyhow::Result<Self> {
        let reachable = if allow_private { Reachable::Anything } else { Reachable::Public };
        let roots = roots::of(ca)?;
        Ok(Self {
            web: agent(roots.clone(), reachable, true),
            this_machine: agent(roots.clone(), Reachable::Loopback, false),
            plain_http: agent(roots, Reachable::Named, false),
        })
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

impl Fetch for IssuerWeb {
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String> {
        let agent = match address.reach() {
            Reach::Web => &self.web,
            Reach::ThisMachine => &self.this_machine,
            Reach::PlainHttp => {
                tracing::warn!(%address, "fetching keys over plain http: an attacker on the network path can replace them");
                &self.plain_http
            }
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
