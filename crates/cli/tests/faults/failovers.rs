//! Another server takes the place of the database under load, with three nodes: conformance OP-20, OP-21.

use crate::cluster::Cluster;
use crate::database::Pair;
use crate::report::{End, Fault};
use crate::site::Site;
use std::time::{Duration, Instant};
use tokenberg_testkit::PgBouncer;

const WRITES: &str = "tokens, renewals, introspection and keys: 200. Revocations and assertions: 503 with `Retry-After` until writes \
                      work again";
const NOTHING: &str = "nothing that was acknowledged";

/// Two thirds of a second of load, the fault, and as much again once it is over.
fn under_load(cluster: &Cluster, fault: impl FnOnce()) -> Duration {
    let mut back = None;
    cluster.during(|loads| {
        loads.iter().for_each(|load| load.until_answered(8));
        std::thread::sleep(Duration::from_millis(300));
        fault();
        back = Some(cluster.until_recovered());
        loads.iter().for_each(|load| load.until_answered(8));
    });
    cluster.until_recovered();
    back.unwrap()
}

/// Nothing is lost, and the audit is whole.
fn report_whole(cluster: &Cluster, fault: &Fault, back: Duration) {
    let end = End { back: Some(back), facts: cluster.facts.len(), honored: cluster.honored() };
    fault.report(&cluster.tally, &end);
    assert_eq!(end.honored, 0, "{}: acknowledged changes are lost", fault.what);
    cluster.site.assert_whole();
}

#[test]
fn op_21_s_1_a_synchronous_failover_loses_nothing() {
    let Some(pair) = Pair::synchronous() else { return };
    let cluster = pair.cluster();
    let back = under_load(&cluster, || pair.fail_over());
    let fault = Fault { what: "failover to a synchronous standby, 1 s down", clients: WRITES, lost: NOTHING };
    report_whole(&cluster, &fault, back);
}

/// The standby lacks what was acknowledged in the last half second. The nodes have read it, and write again what restricts.
#[test]
fn op_21_s_5_what_an_asynchronous_failover_loses_is_counted_and_written_again() {
    let Some(pair) = Pair::new() else { return };
    let cluster = pair.cluster();
    let back = under_load(&cluster, || {
        pair.lag(Duration::from_millis(500));
        pair.fail_over();
    });
    report_lossy(&cluster, "failover to an asynchronous standby that is 0.5 s behind, 1 s down", back);
}

/// No connection fails for longer than a moment, so that no poll need fail.
#[test]
fn op_21_s_1_after_a_quick_failover_no_node_stays_wrong() {
    let Some(pair) = Pair::new() else { return };
    let cluster = pair.cluster();
    let back = under_load(&cluster, || {
        pair.lag(Duration::from_millis(300));
        pair.take_over();
    });
    report_lossy(&cluster, "quick failover to an asynchronous standby that is 0.3 s behind", back);
}

/// Waits until the nodes have written again what they know, and reports what they could not.
fn report_lossy(cluster: &Cluster, what: &'static str, back: Duration) {
    let begun = Instant::now();
    while cluster.lastingly_honored() > 0 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let sum = |series: &str| cluster.nodes.iter().filter_map(|node| node.figure(series)).sum::<f64>();
    println!(
        "{} nodes noticed the loss, {} changes were written again",
        sum("tokenberg_store_went_back_total"),
        sum("tokenberg_store_written_again_total")
    );
    for node in &cluster.nodes {
        node.until_ready_says(200, "the database lost changes at ");
    }
    // Once, after everything was written again: whatever was lost is accepted the first time only.
    let honored = cluster.honored();
    let fault = Fault {
        what,
        clients: WRITES,
        lost: "what gave rights in that time (new clients, secrets, scopes). What restricts is written again by the nodes that have read \
               it, reaches the others within 1s, and is counted in `tokenberg_store_written_again_total`. What was acknowledged by a node \
               that ended since is lost",
    };
    let end = End { back: Some(back), facts: cluster.facts.len(), honored };
    fault.report(&cluster.tally, &end);
    assert_eq!(honored, 0, "the nodes did not write everything again");
}

#[test]
fn s_12_nodes_that_are_led_to_a_read_only_standby_come_back_by_themselves() {
    let Some(pair) = Pair::synchronous() else { return };
    let cluster = pair.cluster();
    let back = under_load(&cluster, || {
        pair.wire.lead_to(pair.standby);
        for node in &cluster.nodes {
            node.until_ready_says(200, "cannot write: the database is a read-only standby");
        }
        pair.wire.lead_to(pair.postgres.port());
    });
    let fault =
        Fault { what: "the address leads to a read-only standby, and back", clients: WRITES, lost: NOTHING };
    report_whole(&cluster, &fault, back);
}

fn behind_pgbouncer(mode: &str) {
    let Some(pair) = Pair::synchronous() else { return };
    let Some(pooler) = PgBouncer::before(pair.wire.port(), mode, 30) else { return };
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("ca.pem");
    std::fs::write(&certificate, pooler.certificate()).unwrap();
    let url = pooler.url(&pair.database).replace("127.0.0.1", "localhost");
    let url = format!("{url}?sslmode=verify-full&sslrootcert={}", certificate.display());
    let cluster = Cluster::of(Site::on(Some(url)));
    let back = under_load(&cluster, || pair.fail_over());
    let version = PgBouncer::version().unwrap_or_default();
    let what = format!(
        "failover behind {version}, {mode} mode, TLS on both sides, `server_login_retry = 1`, 1 s down"
    );
    let fault = Fault { what: what.leak(), clients: WRITES, lost: NOTHING };
    report_whole(&cluster, &fault, back);
}

#[test]
fn op_21_a_failover_behind_pgbouncer_in_session_mode_with_tls_loses_nothing() {
    behind_pgbouncer("session");
}

#[test]
fn op_21_a_failover_behind_pgbouncer_in_transaction_mode_with_tls_loses_nothing() {
    behind_pgbouncer("transaction");
}
