//! Fetches the keys of issuers, with GET from the addresses of registered ones and nothing else: conformance KS-06 and WL-13.

mod key_fetches;
mod reachable;
#[cfg(test)]
mod tests;
mod web;

pub(crate) use key_fetches::KeyFetches;
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
    /// Minimum interval between fetches caused by an unknown `kid`, once a few are used up.
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
        FetchEvent::Fetched { issuer, keys, ignored, left_out, fresh_for } => {
            for key in ignored {
                match key.reason {
                    // Keys for something else, as for encryption, are usual.
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
            let issuer = issuer.as_str();
            if left_out > 0 {
                tracing::warn!(
                    issuer,
                    left_out,
                    "the key set of an issuer is too large; the rest is not used"
                );
            }
            if keys == 0 {
                tracing::warn!(
                    issuer,
                    "the key set of an issuer has no key that can be used; its tokens are answered 503"
                );
            }
            tracing::info!(issuer, keys, fresh_for = fresh_for.as_seconds(), "fetched the keys of an issuer");
        }
        FetchEvent::Failed { issuer, fault, stale: true } => {
            tracing::warn!(
                issuer = issuer.as_str(), %fault,
                "cannot obtain the keys of an issuer; those fetched before are still used"
            );
        }
        FetchEvent::Failed { issuer, fault, stale: false } => {
            tracing::error!(
                issuer = issuer.as_str(), %fault,
                "cannot obtain the keys of an issuer, and none were fetched before; its tokens are answered 503"
            );
        }
    }
}
