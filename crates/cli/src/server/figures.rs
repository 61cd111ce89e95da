//! The metrics of store and keys, which `/metrics` reports beside those of requests; conformance SE-07: numbers only.

use super::following::Following;
use crate::descriptors::{self, Descriptors};
use crate::issuer_keys::KeyFetches;
use crate::{clock, key_state};
use tokenberg_actix::Exposition;
use tokenberg_core::Timestamp;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_jose::IssuerKeySets;
use tokenberg_store::AuditFigures;

/// Writes the present metrics.
pub(super) fn expose(following: &Following, started: Timestamp, to: &mut Exposition) {
    to.family("gauge", "tokenberg_build_info", "The version that runs; always 1.");
    to.sample("tokenberg_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    to.gauge("process_start_time_seconds", "When it was started.", seconds(started));
    to.gauge("tokenberg_ready", "Whether /readyz says yes.", f64::from(u8::from(following.ready().is_ok())));

    let descriptors = Descriptors::read();
    if let Some(limit) = descriptors.limit() {
        to.gauge("process_max_fds", "How many file descriptors may be open.", count(limit));
    }
    if let Some(open) = descriptors::open() {
        to.gauge("process_open_fds", "How many file descriptors are open.", count(open));
    }

    let watched = following.watched();
    let health = watched.health();
    to.gauge(
        "tokenberg_snapshot_age_seconds",
        "Since the store was last known to be as it is in memory.",
        health.age.as_secs_f64(),
    );
    to.gauge(
        "tokenberg_store_fault",
        "Whether the store cannot be followed.",
        f64::from(u8::from(health.fault.is_some())),
    );
    to.counter(
        "tokenberg_store_rereads_total",
        "How often everything was read again because the revisions of the store hid a change or went back.",
        health.rereads,
    );
    let moment = watched.now();
    let snapshot = moment.snapshot();
    to.gauge(
        "tokenberg_snapshot_revision",
        "Grows with every change of the store.",
        float(snapshot.revision()),
    );
    to.gauge("tokenberg_clients", "Registered clients.", count(snapshot.clients() as u64));
    to.gauge(
        "tokenberg_revocations",
        "Revocations that are remembered.",
        count(snapshot.revocations() as u64),
    );
    to.counter(
        "tokenberg_stretched_digests_total",
        "Argon2id computations for secrets that a person chose.",
        moment.stretched_digests(),
    );
    if let Ok(now) = clock::now() {
        expose_keys(snapshot.keys(), now, to);
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
    to.family("gauge", USABLE, "Keys of an issuer that verify; absent until they are first fetched.");
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

/// Writes the metrics of the audit.
pub(super) fn expose_audit(audit: AuditFigures, to: &mut Exposition) {
    to.gauge(
        "tokenberg_audit_lag_seconds",
        "How long the oldest record has waited that is not in the store yet.",
        audit.lag.as_secs_f64(),
    );
    to.gauge(
        "tokenberg_audit_waiting",
        "Records that wait in memory until they are in the store.",
        count(audit.waiting),
    );
    to.gauge("tokenberg_audit_waiting_limit", "How many may wait.", count(audit.most_waiting));
    to.gauge(
        "tokenberg_audit_waiting_bytes",
        "Bytes of the records that wait in memory.",
        count(audit.waiting_bytes),
    );
    to.gauge(
        "tokenberg_audit_waiting_bytes_limit",
        "How many bytes the records that wait may have.",
        count(audit.most_waiting_bytes),
    );
    to.counter("tokenberg_audit_records_total", "Decisions that were recorded in the store.", audit.written);
    to.counter(
        "tokenberg_audit_lost_total",
        "Decisions that could not be recorded in the store.",
        audit.lost,
    );
    to.counter(
        "tokenberg_audit_went_back_total",
        "Audit chains that this server found turned back, rewritten or removed.",
        audit.went_back,
    );
}

fn expose_keys(keys: &[KeyMaterial], now: Timestamp, to: &mut Exposition) {
    const COUNT: &str = "tokenberg_keys";
    to.family(
        "gauge",
        COUNT,
        "Keys by what they do: published before they sign, signing, retired while they verify.",
    );
    for state in ["published", "signing", "retired"] {
        let in_state = keys.iter().filter(|key| key_state::state(key, keys, now) == state).count();
        to.sample(COUNT, &[("state", state)], count(in_state as u64));
    }
    // Both are present only while there is such a key: an age of zero would look like a young key.
    if let Some(signing) = key_state::signing(keys, now) {
        to.gauge(
            "tokenberg_signing_key_age_seconds",
            "Since the key that signs began to.",
            seconds(now) - seconds(signing.signs_from),
        );
    }
    if let Some(next) = keys.iter().filter(|key| key.signs_from > now).map(|key| key.signs_from).min() {
        to.gauge(
            "tokenberg_next_key_signs_timestamp_seconds",
            "When the next key begins to sign.",
            seconds(next),
        );
    }
}

fn seconds(at: Timestamp) -> f64 {
    float(at.as_seconds())
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no integers")]
fn float(number: i64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no integers")]
fn count(number: u64) -> f64 {
    number as f64
}
