//! Fetches the keys of issuers, with GET from the addresses of registered ones and nothing else: conformance KS-06 and WL-13.

mod key_fetches;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use key_fetches::{Fetches, KeyFetches};
pub(crate) use trial::{Outcome, Trial, unused};

use crate::configuration::values::path;
use crate::input;
use anyhow::Context;
use clap::{ArgAction, Args};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_jose::{
    Address, Document, Fetch, FetchEvent, FetchLimits, IssuerKeySets, Reach, UnfitKey, Web,
};

/// Which servers the keys of issuers may be fetched from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Keys")]
pub(crate) struct IssuerAccess {
    /// CA certificates (PEM) to trust when fetching issuers' keys, instead of the public roots
    #[arg(long, value_name = "FILE", env = "TOKENBERG_ISSUER_CA")]
    #[serde(serialize_with = "path")]
    pub(crate) issuer_ca: Option<PathBuf>,

    /// Allow fetching issuers' keys from private addresses, not only from public ones
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_ALLOW_PRIVATE_ISSUERS", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true")]
    pub(crate) allow_private_issuers: bool,
}

impl IssuerAccess {
    /// The HTTP client for the documents of issuers.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    fn web(&self) -> anyhow::Result<IssuerWeb> {
        let Some(path) = &self.issuer_ca else {
            return Ok(IssuerWeb(Web::new(None, self.allow_private_issuers)?));
        };
        let pem = input::bytes(path)?;
        let web = Web::new(Some(&pem), self.allow_private_issuers);
        Ok(IssuerWeb(web.with_context(|| format!("cannot trust the certificates of {}", path.display()))?))
    }
}

/// The client of the library, with a warning where it has to use plain http.
struct IssuerWeb(Web);

impl Fetch for IssuerWeb {
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String> {
        if address.reach() == Reach::PlainHttp {
            tracing::warn!(%address, "fetching keys over plain http: an attacker on the network path can replace them");
        }
        self.0.fetch(address, largest, within)
    }
}

/// The keys of issuers, which it fetches, with counts of the fetches.
///
/// # Errors
/// If the certificates cannot be read.
pub(crate) fn held(
    access: &IssuerAccess,
    limits: FetchLimits,
    counts: Arc<KeyFetches>,
) -> anyhow::Result<IssuerKeySets> {
    let web = access.web()?;
    let report = move |event| {
        counts.count(&event);
        log_event(event);
    };
    Ok(IssuerKeySets::new(web, limits, report))
}

fn log_event(event: FetchEvent) {
    match event {
        FetchEvent::Fetched { issuer, keys, ignored, left_out, fresh_for } => {
            for key in ignored {
                match key.reason {
                    // Keys for other purposes, such as encryption, are common beside others.
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
                    "more keys of an issuer's key set are unusable; they are too many to list"
                );
            }
            if keys == 0 {
                tracing::warn!(
                    issuer,
                    "the key set of an issuer has no usable key; requests with its tokens are answered 503"
                );
            }
            tracing::info!(issuer, keys, fresh_for = fresh_for.as_seconds(), "fetched the keys of an issuer");
        }
        FetchEvent::Failed { issuer, fault, stale: true } => {
            tracing::warn!(
                issuer = issuer.as_str(), %fault,
                "cannot obtain the keys of an issuer; the keys fetched earlier stay in use"
            );
        }
        FetchEvent::Failed { issuer, fault, stale: false } => {
            tracing::error!(
                issuer = issuer.as_str(), %fault,
                "cannot obtain the keys of an issuer, and none were fetched earlier; requests with its tokens are answered 503"
            );
        }
    }
}
