//! The metrics of the process and of issuers' keys, which `/metrics` reports beside those of requests and of the store;
//! conformance SE-07: numbers only.

use crate::clock;
use crate::descriptors::{self, Descriptors};
use crate::issuer_keys::KeyFetches;
use tokenberg_actix::Exposition;
use tokenberg_core::Timestamp;
use tokenberg_jose::IssuerKeySets;
use tokenberg_service::Following;

/// Writes the present metrics of the process.
pub(super) fn expose_process(started: Timestamp, to: &mut Exposition) {
    to.family("gauge", "tokenberg_build_info", "The version of the server; always 1.");
    to.sample("tokenberg_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let started = float(started.as_seconds());
    to.gauge("process_start_time_seconds", "Start time of the process, in seconds since 1970.", started);
    let descriptors = Descriptors::read();
    if let Some(limit) = descriptors.limit() {
        to.gauge("process_max_fds", "Maximum number of open file descriptors.", count(limit));
    }
    if let Some(open) = descriptors::open() {
        to.gauge("process_open_fds", "Number of open file descriptors.", count(open));
    }
}

/// Writes the number of keys of each trusted issuer: the operator registers issuers, so the labels are bounded.
pub(super) fn expose_issuers(
    following: &Following,
    keys: &IssuerKeySets,
    fetches: &KeyFetches,
    to: &mut Exposition,
) {
    const FETCHES: &str = "tokenberg_issuer_key_fetches_total";
    to.family("counter", FETCHES, "Fetches of the keys of issuers.");
    for (outcome, fetches) in [("fetched", fetches.fetched()), ("failed", fetches.failed())] {
        to.sample(FETCHES, &[("outcome", outcome)], count(fetches));
    }
    const USABLE: &str = "tokenberg_issuer_usable_keys";
    to.family("gauge", USABLE, "Usable keys of an issuer; absent until they are first fetched.");
    let Ok(now) = clock::now() else { return };
    let moment = following.watched().now();
    let mut trusted: Vec<_> = moment.snapshot().issuers_in_order().filter(|issuer| issuer.enabled).collect();
    trusted.sort_by_key(|issuer| issuer.issuer.as_str());
    for issuer in trusted {
        if let Some(usable) = keys.usable_keys(issuer, now) {
            to.sample(USABLE, &[("issuer", issuer.issuer.as_str())], count(usable as u64));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no integers")]
fn float(number: i64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no integers")]
fn count(number: u64) -> f64 {
    number as f64
}
