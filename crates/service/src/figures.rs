//! The metrics of store, keys and audit, which `/metrics` reports beside those of requests; conformance SE-07: numbers only.

use crate::following::Following;
use crate::{clock, key_state};
use tokenberg_actix::{Exposition, Figure};
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{
    AuditMetrics, Health, SnapshotFile, StoreConnections, StoreMeasures, TransactionTimes,
};

/// Writes the present metrics of store and keys.
pub(crate) fn expose(following: &Following, to: &mut Exposition) {
    to.gauge("tokenberg_ready", "Whether /readyz answers 200.", following.ready().is_ok());
    let watched = following.watched();
    expose_store(&watched.health(), to);
    to.known(
        "tokenberg_nodes",
        "Servers of the store that were seen within 30 s, this one included.",
        watched.nodes_seen(),
    );
    let moment = watched.now();
    let snapshot = moment.snapshot();
    to.gauge(
        "tokenberg_snapshot_revision",
        "Revision of the store; grows with every change.",
        snapshot.revision(),
    );
    to.gauge("tokenberg_clients", "Registered clients.", snapshot.clients() as u64);
    to.gauge("tokenberg_revocations", "Revocations in effect.", snapshot.revocations() as u64);
    to.counter(
        "tokenberg_stretched_digests_total",
        "Argon2id computations for chosen secrets.",
        moment.stretched_digests(),
    );
    if let Ok(now) = clock::now() {
        expose_keys(snapshot.keys(), now, to);
    }
}

/// Writes the state of the store.
fn expose_store(health: &Health, to: &mut Exposition) {
    to.gauge(
        "tokenberg_snapshot_age_seconds",
        "Time since the state in memory was last known to equal the store.",
        health.age.as_secs_f64(),
    );
    to.gauge("tokenberg_store_fault", "Whether changes of the store cannot be read.", health.fault.is_some());
    to.gauge(
        "tokenberg_store_writable",
        "Whether the store can be written, as far as the server knows.",
        health.not_writable.is_none(),
    );
    to.gauge(
        "tokenberg_store_from_snapshot",
        "Whether the server started from a snapshot and has not reached the database since.",
        health.from_snapshot.is_some(),
    );
    const FAILURES: &str = "tokenberg_store_write_failures_total";
    to.family("counter", FAILURES, "Writes to the store that failed, by what was to be written.");
    for (write, failures) in &health.write_failures {
        to.sample(FAILURES, &[("write", write.name())], *failures);
    }
    to.counter(
        "tokenberg_store_rereads_total",
        "Full reads of the store because its revision missed a change or went back.",
        health.rereads,
    );
    to.counter(
        "tokenberg_store_switches_total",
        "Changes of the database server or timeline: restarts, failovers and restores.",
        health.switches,
    );
    to.counter(
        "tokenberg_store_went_back_total",
        "How often the database had lost changes that this server had read.",
        health.went_back,
    );
    to.counter(
        "tokenberg_store_written_again_total",
        "Revocations, disablings, removals and used identifiers that the database had lost and this server wrote again.",
        health.written_again,
    );
    to.known(
        "tokenberg_clock_offset_seconds",
        "How far the clock of this machine is ahead of that of the database.",
        health.clock.map(|clock| Figure::of_milliseconds(clock.milliseconds)),
    );
}

/// Writes how recent the file with the last known state is; there are no samples without a file.
pub(crate) fn expose_file(file: Option<&SnapshotFile>, to: &mut Exposition) {
    to.known(
        "tokenberg_snapshot_file_timestamp_seconds",
        "When the state in the file of --snapshot equaled the store, in seconds since 1970.",
        file.and_then(SnapshotFile::contact),
    );
    to.known(
        "tokenberg_snapshot_file_revision",
        "Revision of the state in the file of --snapshot.",
        file.and_then(SnapshotFile::revision),
    );
}

/// Writes the metrics of the audit.
pub(crate) fn expose_audit(audit: AuditMetrics, to: &mut Exposition) {
    to.gauge(
        "tokenberg_audit_lag_seconds",
        "Waiting time of the oldest record that is not in the store yet.",
        audit.lag.as_secs_f64(),
    );
    to.gauge(
        "tokenberg_audit_waiting",
        "Records that wait in memory to be written to the store.",
        audit.waiting,
    );
    to.gauge("tokenberg_audit_waiting_limit", "Maximum number of waiting records.", audit.most_waiting);
    to.gauge(
        "tokenberg_audit_waiting_bytes",
        "Bytes of the records that wait in memory.",
        audit.waiting_bytes,
    );
    to.gauge(
        "tokenberg_audit_waiting_bytes_limit",
        "Maximum bytes of the waiting records.",
        audit.most_waiting_bytes,
    );
    to.counter("tokenberg_audit_records_total", "Decisions that were recorded in the store.", audit.written);
    to.counter(
        "tokenberg_audit_lost_total",
        "Decisions that could not be recorded in the store.",
        audit.lost,
    );
    to.counter(
        "tokenberg_audit_went_back_total",
        "Audit chains that this server found restored to an earlier state, rewritten or removed.",
        audit.went_back,
    );
}

/// Writes how busy the database is.
pub(crate) fn expose_activity(
    connections: StoreConnections,
    times: &[TransactionTimes],
    to: &mut Exposition,
) {
    let StoreConnections { busy, idle, limit, .. } = connections;
    const CONNECTIONS: &str = "tokenberg_store_connections";
    to.family("gauge", CONNECTIONS, "Open connections to the database, by state.");
    for (state, number) in [("busy", busy), ("idle", idle)] {
        to.sample(CONNECTIONS, &[("state", state)], number);
    }
    to.gauge(
        "tokenberg_store_connections_limit",
        "Maximum number of open connections to the database.",
        limit,
    );
    const DURATION: &str = "tokenberg_store_transaction_duration_seconds";
    to.family("histogram", DURATION, "From waiting for a connection to the end of a transaction.");
    let [bucket, sum, counted] = ["bucket", "sum", "count"].map(|part| format!("{DURATION}_{part}"));
    for of in times {
        let kind = ("kind", of.kind);
        for (bound, up_to) in &of.buckets {
            to.sample(&bucket, &[kind, ("le", &bound.to_string())], *up_to);
        }
        to.sample(&bucket, &[kind, ("le", "+Inf")], of.count);
        to.sample(&sum, &[kind], of.sum.as_secs_f64());
        to.sample(&counted, &[kind], of.count);
    }
}

/// Writes what was measured in the store. Families are there before their first sample.
pub(crate) fn expose_measures(
    measures: Option<StoreMeasures>,
    audit_retention: Lifetime,
    to: &mut Exposition,
) {
    to.known(
        "tokenberg_audit_stored_records",
        "Audit records in the store.",
        measures.map(|of| of.audit_records),
    );
    to.known(
        "tokenberg_audit_stored_bytes",
        "Bytes of the audit in the store; on SQLite, bytes of the whole file.",
        measures.and_then(|of| of.audit_bytes),
    );
    to.known(
        "tokenberg_audit_oldest_timestamp_seconds",
        "Time of the oldest audit record in the store, in seconds since 1970.",
        measures.and_then(|of| of.audit_since),
    );
    to.known(
        "tokenberg_audit_retention_seconds",
        "How long audit records are kept; 0 if forever.",
        Some(audit_retention.as_seconds()),
    );
    to.known(
        "tokenberg_secret_end_timestamp_seconds",
        "Time when the first enabled client has no live secret any more, in seconds since 1970.",
        measures.and_then(|of| of.first_secret_end),
    );
}

fn expose_keys(keys: &[KeyMaterial], now: Timestamp, to: &mut Exposition) {
    const COUNT: &str = "tokenberg_keys";
    to.family(
        "gauge",
        COUNT,
        "Keys by state: published before they sign, signing, retired while they only verify.",
    );
    for state in ["published", "signing", "retired"] {
        let in_state = keys.iter().filter(|key| key_state::state(key, keys, now) == state).count();
        to.sample(COUNT, &[("state", state)], in_state as u64);
    }
    let ends = keys.iter().filter_map(|key| key.verifies_until).filter(|end| *end > now);
    to.known(
        "tokenberg_key_end_timestamp_seconds",
        "Time when the first key with an end no longer verifies, in seconds since 1970.",
        ends.min(),
    );
    // Both are present only while there is such a key: an age of zero would look like a young key.
    if let Some(signing) = key_state::signing(keys, now) {
        to.gauge(
            "tokenberg_signing_key_age_seconds",
            "Time since the signing key began to sign.",
            now.since(signing.signs_from).as_seconds(),
        );
    }
    if let Some(next) = keys.iter().filter(|key| key.signs_from > now).map(|key| key.signs_from).min() {
        to.gauge(
            "tokenberg_next_key_signs_timestamp_seconds",
            "Time when the next key begins to sign, in seconds since 1970.",
            next,
        );
    }
}
