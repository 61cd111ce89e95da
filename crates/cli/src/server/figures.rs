//! The metrics of the process, of issuers' keys and of certificates, which `/metrics` reports beside those of requests and of the store;
//! conformance SE-07: numbers only.

use super::certificates::Certificates;
use crate::clock;
use crate::descriptors::{self, Descriptors};
use crate::issuer_keys::{Fetches, KeyFetches};
use tokenberg_actix::{Exposition, Figure};
use tokenberg_core::{KeySource, Timestamp, TrustedIssuer};
use tokenberg_jose::IssuerKeySets;
use tokenberg_service::Following;

/// Writes the present metrics of the process.
pub(super) fn expose_process(started: Timestamp, to: &mut Exposition) {
    to.family("gauge", "tokenberg_build_info", "The version of the server; always 1.");
    to.sample("tokenberg_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    to.gauge("process_start_time_seconds", "Start time of the process, in seconds since 1970.", started);
    let descriptors = Descriptors::read();
    if let Some(limit) = descriptors.limit() {
        to.gauge("process_max_fds", "Maximum number of open file descriptors.", limit);
    }
    if let Some(open) = descriptors::open() {
        to.gauge("process_open_fds", "Number of open file descriptors.", open);
    }
}

/// Writes the number of servers that the operator expects, if it is stated.
pub(super) fn expose_expected(nodes: Option<u32>, to: &mut Exposition) {
    to.known("tokenberg_nodes_expected", "Servers that should share the store (--expect-nodes).", nodes);
}

/// Writes the fetches and keys of each trusted issuer: the operator registers issuers, so the labels are bounded.
pub(super) fn expose_issuers(
    following: &Following,
    keys: &IssuerKeySets,
    fetches: &KeyFetches,
    to: &mut Exposition,
) {
    let Ok(now) = clock::now() else { return };
    let moment = following.watched().now();
    let mut trusted: Vec<_> = moment.snapshot().issuers_in_order().filter(|issuer| issuer.enabled).collect();
    trusted.sort_by_key(|issuer| issuer.issuer.as_str());
    let publishes = |issuer: &&&TrustedIssuer| !matches!(issuer.trust.keys, KeySource::Jwks(_));
    const FETCHES: &str = "tokenberg_issuer_key_fetches_total";
    to.family("counter", FETCHES, "Fetches of the keys of an issuer, by outcome.");
    for issuer in trusted.iter().filter(publishes) {
        let Fetches { fetched, failed, .. } = fetches.of(&issuer.issuer);
        for (outcome, number) in [("fetched", fetched), ("failed", failed)] {
            let labels = [("issuer", issuer.issuer.as_str()), ("outcome", outcome)];
            to.sample(FETCHES, &labels, number);
        }
    }
    let mut gauge = |name, help, value: &dyn Fn(&TrustedIssuer) -> Option<Figure>| {
        to.family("gauge", name, help);
        for issuer in &trusted {
            if let Some(value) = value(issuer) {
                to.sample(name, &[("issuer", issuer.issuer.as_str())], value);
            }
        }
    };
    gauge(
        "tokenberg_issuer_keys_fetched_timestamp_seconds",
        "Time of the last fetch of an issuer's keys that succeeded, in seconds since 1970.",
        &|issuer| fetches.of(&issuer.issuer).last.map(Figure::from),
    );
    gauge(
        "tokenberg_issuer_keys_end_timestamp_seconds",
        "Time until which the fetched keys of an issuer are used if no further fetch succeeds, in seconds since 1970.",
        &|issuer| keys.usable_until(issuer, now).map(Figure::from),
    );
    gauge(
        "tokenberg_issuer_usable_keys",
        "Usable keys of an issuer; absent until they are first fetched.",
        &|issuer| keys.usable_keys(issuer, now).map(|usable| Figure::from(usable as u64)),
    );
}

/// Writes when the certificates of the server end.
pub(super) fn expose_certificates(certificates: Option<&Certificates>, to: &mut Exposition) {
    const END: &str = "tokenberg_certificate_end_timestamp_seconds";
    to.family("gauge", END, "End of the first certificate of a file to expire, in seconds since 1970.");
    for (certificate, end) in certificates.map(Certificates::ends).unwrap_or_default() {
        to.sample(END, &[("certificate", certificate)], end);
    }
}
