//! Fetches the keys of issuers, with GET from the addresses of registered ones and nothing else: conformance KS-06 and WL-13.

mod reachable;
#[cfg(test)]
mod tests;
mod trial;
mod web;

pub(crate) use trial::{Outcome, Trial};

use crate::config_file::ConfigFile;
use crate::server::key_fetches::KeyFetches;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokenberg_core::Lifetime;
use tokenberg_jose::{FetchEvent, FetchLimits, IssuerKeySets, UnfitKey};
use web::IssuerWeb;

/// Which servers the keys of issuers may be fetched from, for commands that fetch as `serve` does.
#[derive(Clone, Debug, Args)]
pub(crate) struct IssuerAccess {
    /// CA certificates (PEM) to trust when fetching issuers' keys, instead of the public roots, as `serve --issuer-ca`
    #[arg(long, value_name = "FILE", env = "TOKENBERG_ISSUER_CA")]
    issuer_ca: Option<PathBuf>,

    /// Fetch issuers' keys also from addresses that only this machine or its network can reach, as `serve --allow-private-issuers`
    #[arg(long, env = "TOKENBERG_ALLOW_PRIVATE_ISSUERS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private_issuers: Option<bool>,
}

impl IssuerAccess {
    /// How keys are fetched: a flag beats the file.
    pub(crate) fn fetching(&self, file: &ConfigFile) -> Fetching {
        let usual = Fetching::default();
        let allow_private = self.allow_private_issuers.or(file.allow_private_issuers);
        Fetching {
            ca: self.issuer_ca.as_ref().or(file.issuer_ca.as_ref()).cloned(),
            allow_private: allow_private.unwrap_or(usual.allow_private),
            ..usual
        }
    }
}

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
                    // Keys for something else, as for encryption, are usual beside others.
                    UnfitKey::Purpose | UnfitKey::Algorithm if keys > 0 => {
                        tracing::debug!(issuer = issuer.as_str(), "{key}");
                    }
                    UnfitKey::Purpose
                    | UnfitKey::Algorithm
                    | UnfitKey::Malformed
                    | UnfitKey::KeyId
                    | UnfitKey::Symmetric
                    | UnfitKey::Private
                    | UnfitKey::Leaked
                    | UnfitKey::Length
                    | UnfitKey::RsaSize
                    | UnfitKey::RsaExponent
                    | UnfitKey::RsaModulus
                    | UnfitKey::Twice
                    | UnfitKey::Surplus => tracing::warn!(issuer = issuer.as_str(), "{key}"),
                }
            }
            let issuer = issuer.as_str();
            if left_out > 0 {
                tracing::warn!(
                    issuer,
                    left_out,
                    "further keys of an issuer's set are not used, and too many to be listed"
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
