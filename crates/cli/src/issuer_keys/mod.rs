//! How do we get the keys of issuers? With GET from the addresses of registered ones, and nothing else: conformance KS-06 and WL-13.

mod reachable;
#[cfg(test)]
mod tests;
mod web;

use crate::server::key_fetches::KeyFetches;
use std::path::PathBuf;
use std::sync::Arc;
use tokenberg_core::Lifetime;
use tokenberg_jose::{FetchEvent, FetchLimits, IssuerKeySets, UnfitKey};
use web::IssuerWeb;

/// What the operator says about fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetching {
    /// The certificates that issuers are believed by, if not those of the web.
    pub(crate) ca: Option<PathBuf>,
    /// Whether an issuer may be at an address that only we can reach.
    pub(crate) allow_private: bool,
    /// How long after the last time an issuer is asked again for a key that it does not have.
    pub(crate) refetch_after: Lifetime,
}

impl Default for Fetching {
    fn default() -> Self {
        let refetch_after = FetchLimits::default().refetch_after;
        Self { ca: None, allow_private: false, refetch_after }
    }
}

/// Holds the keys of issuers, fetches them as the operator says, and counts how often.
///
/// # Errors
/// If the certificates cannot be read.
pub(crate) fn held(fetching: &Fetching, counts: Arc<KeyFetches>) -> anyhow::Result<IssuerKeySets> {
    let web = IssuerWeb::new(fetching.ca.as_deref(), fetching.allow_private)?;
    let limits = FetchLimits { refetch_after: fetching.refetch_after, ..FetchLimits::default() };
    let told = move |event| {
        counts.count(&event);
        tell(event);
    };
    Ok(IssuerKeySets::new(web, limits, told))
}

fn tell(event: FetchEvent) {
    match event {
        FetchEvent::Fetched { issuer, keys, ignored, fresh_for } => {
            for key in ignored {
                match key.reason {
                    // Others of the issuer's keys, as to encrypt with, are nothing to be told of every time.
                    UnfitKey::Purpose | UnfitKey::Algorithm => {
                        tracing::debug!(issuer = issuer.as_str(), "{key}");
                    }
                    UnfitKey::Malformed
                    | UnfitKey::KeyId
                    | UnfitKey::Symmetric
                    | UnfitKey::Private
                    | UnfitKey::Leaked
                    | UnfitKey::Length
                    | UnfitKey::RsaSize
                    | UnfitKey::RsaExponent
                    | UnfitKey::RsaModulus
                    | UnfitKey::Twice => tracing::warn!(issuer = issuer.as_str(), "{key}"),
                }
            }
            let fresh_for = fresh_for.as_seconds();
            tracing::info!(issuer = issuer.as_str(), keys, fresh_for, "fetched the keys of an issuer");
        }
        FetchEvent::Failed { issuer, fault, stale: true } => {
            tracing::warn!(issuer = issuer.as_str(), %fault, "the keys of an issuer cannot be had; known ones go on");
        }
        FetchEvent::Failed { issuer, fault, stale: false } => {
            tracing::error!(issuer = issuer.as_str(), %fault, "the keys of an issuer cannot be had, and none are known");
        }
    }
}
