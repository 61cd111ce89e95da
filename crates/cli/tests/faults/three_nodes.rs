//! Three nodes under load while the database, its password or the nodes themselves go: conformance OP-20, OP-21.

use crate::cluster::{Cluster, revoke_steadily, tokens};
use crate::database::sql;
use crate::facts::Facts;
use crate::node::Node;
use crate::report::{End, Fault};
use crate::site::Site;
use crate::support::within_a_second;
use crate::tally::{Tally, count};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tokenberg_testkit::{Line, Postgres, Wire, url_at};

/// A revocation was eighteen round trips, and one at a time for all nodes: a fourth of these were answered 503.
#[test]
fn op_21_s_16_three_nodes_revoke_twenty_tokens_a_second_at_twenty_milliseconds() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, wire) = (postgres.database(), Wire::to(postgres.port()));
    let cluster = Cluster::of(Site::on(Some(url_at(wire.port(), &database))));
    wire.slow(Duration::from_millis(20));
    let tokens = tokens(&cluster.nodes, 80);
    let (refused, slowest) = revoke_steadily(&cluster.nodes, &tokens, 20);
    assert!(refused.is_empty(), "{} of 80 were refused: {}", refused.len(), refused[0]);
    let begun = Instant::now();
    for node in &cluster.nodes {
        for token in &tokens {
            within_a_second("every node knows of it", || !node.is_active(token));
        }
    }
    println!(
        "20 a second at 20 ms, 3 nodes: at most {slowest:?}; checked everywhere in {:?}",
        begun.elapsed()
    );
    cluster.site.assert_whole();
}

/// Whatever happens to the database and its address: no node accepts again what was revoked or used.
#[test]
fn op_21_no_acknowledged_revocation_is_honored_again_by_any_node() {
    let Some(postgres) = Postgres::separate() else { return };
    let (database, wire) = (postgres.database(), Wire::to(postgres.port()));
    let outages: [(Fault, &dyn Fn()); 5] = [
        (outage("the database restarts"), &|| {
            postgres.stop("fast");
            postgres.start_again();
        }),
        (outage("the database crashes, 1 s down"), &|| {
            postgres.stop("immediate");
            std::thread::sleep(Duration::from_secs(1));
            postgres.start_again();
        }),
        (outage("the database is frozen for 2 s"), &|| {
            postgres.freeze();
            std::thread::sleep(Duration::from_secs(2));
            postgres.thaw();
        }),
        (outage("the network to the database is cut for 1 s"), &|| {
            wire.set(Line::Cut);
            std::thread::sleep(Duration::from_secs(1));
            wire.set(Line::Open);
        }),
        (outage("the network to the database stalls for 2 s"), &|| {
            wire.set(Line::Stalled);
            std::thread::sleep(Duration::from_secs(2));
            wire.set(Line::Open);
        }),
    ];
    let mut site = Some(Site::on(Some(url_at(wire.port(), &database))));
    for (fault, outage) in outages {
        let cluster = Cluster::of(site.take().unwrap());
        let mut back = Duration::ZERO;
        cluster.during(|loads| {
            loads.iter().for_each(|load| load.until_answered(8));
            outage();
            back = cluster.until_recovered();
            loads.iter().for_each(|load| load.until_answered(8));
        });
        cluster.until_recovered();
        let end = End { back: Some(back), facts: cluster.facts.len(), honored: cluster.honored() };
        fault.report(&cluster.tally, &end);
        assert_eq!(end.honored, 0, "{}", fault.what);
        cluster.site.assert_whole();
        site = Some(cluster.site);
    }
}

/// Such a token looks like an invalid one, for which RFC 7009 responds 200.
#[test]
fn rv_06_op_21_a_node_that_lacks_the_key_of_a_token_does_not_acknowledge_its_revocation() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, wire) = (postgres.database(), Wire::to(postgres.port()));
    let site = Site::on(Some(postgres.url(&database)));
    let by_wire = url_at(wire.port(), &database);
    let behind = Node::of(&site, &[], &[("TOKENBERG_STORE", &by_wire)]);
    let beside = Node::of(&site, &[], &[]);
    wire.set(Line::Cut);
    behind.until_figure("tokenberg_store_fault", |fault| fault == 1.0);
    site.run(&["key", "rotate", "--now"]).done();
    within_a_second("the new key signs", || beside.kids().len() == 2);
    let token = beside.token();
    let answer = behind.about("revoke", &token);
    assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "{answer:?}");
    assert_eq!(behind.about("revoke", "garbage").status, 200, "this is a token of no key");
    wire.set(Line::Open);
    within_a_second("it is revoked", || behind.about("revoke", &token).status == 200);
    assert!(!behind.is_active(&token));
    within_a_second("the other node follows", || !beside.is_active(&token));
}

fn outage(what: &'static str) -> Fault {
    let clients = "tokens, renewals, introspection and keys: 200, up to `--max-staleness` for introspection. Revocations and assertions: \
                   503 with `Retry-After`";
    Fault { what, clients, lost: "nothing that was acknowledged" }
}

/// A file that only its owner may read; it is replaced as a whole.
fn replace(path: &std::path::Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[test]
fn op_21_s_3_the_password_of_the_database_is_rotated_under_load() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let admin = postgres.url(&database);
    sql(
        &admin,
        &format!("CREATE ROLE nodes LOGIN PASSWORD 'first'; ALTER DATABASE {database} OWNER TO nodes"),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    let write = |password: &str| replace(&file, &format!("*:*:*:nodes:{password}\n"));
    write("first");
    let port = postgres.port();
    let url = format!("postgres://nodes@127.0.0.1:{port}/{database}?passfile={}", file.display());
    let cluster = Cluster::of(Site::on(Some(url)));
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'nodes'";
    let mut back = Duration::ZERO;
    cluster.during(|loads| {
        for password in ["second", "third"] {
            loads.iter().for_each(|load| load.until_answered(8));
            write(password);
            sql(&admin, &format!("ALTER ROLE nodes PASSWORD '{password}'; {cut}"));
            back = back.max(cluster.until_recovered());
        }
    });
    cluster.until_recovered();
    let fault = Fault {
        what: "the password of the database is changed, and every connection is cut",
        clients: "200; a request whose connection was cut: 503 with `Retry-After`",
        lost: "nothing that was acknowledged",
    };
    let end = End { back: Some(back), facts: cluster.facts.len(), honored: cluster.honored() };
    fault.report(&cluster.tally, &end);
    assert_eq!(end.honored, 0);
    cluster.site.assert_whole();
}

/// Nodes of an older build, which `TOKENBERG_OLD_BINARY` names, are replaced one by one, while a client is added and the key rotated.
#[test]
fn op_20_s_14_nodes_of_an_older_build_are_replaced_under_load_without_a_failed_request() {
    let Some(old) = std::env::var_os("TOKENBERG_OLD_BINARY") else {
        println!("skipped: TOKENBERG_OLD_BINARY names no older build");
        return;
    };
    let Some(postgres) = Postgres::shared() else { return };
    let site = Site::made_by(old.as_ref(), Some(postgres.url(&postgres.database())));
    let older = (0..3).map(|_| Node::by(old.as_ref(), &site, &[], &[])).collect();
    let mut cluster = Cluster { nodes: older, tally: Tally::default(), facts: Facts::default(), site };
    let (mut newer, mut secret) = (Vec::new(), String::new());
    cluster.during(|loads| {
        for (load, before) in loads.iter().zip(&cluster.nodes) {
            load.until_answered(30);
            let node = Node::of(&cluster.site, &[], &[]);
            if newer.is_empty() {
                let added = cluster.site.run(&["client", "add", "late", "--json"]).done().json();
                secret = added["client_secret"].as_str().unwrap().to_owned();
                cluster.site.run(&["key", "rotate", "--now"]).done();
                for node in &cluster.nodes {
                    within_a_second("it follows", || node.server.ask("late", &secret).status == 200);
                }
            }
            // As a balancer does: no new request, and then the end.
            load.url.lock().unwrap().clone_from(&node.server.url);
            std::thread::sleep(Duration::from_secs(1));
            before.server.signal("TERM");
            newer.push(node);
        }
        loads.iter().for_each(|load| load.until_answered(30));
    });
    cluster.nodes = newer;
    cluster.until_recovered();
    let fault = Fault {
        what: "nodes of an older build (schema 4) are replaced one by one",
        clients: "200",
        lost: "nothing that was acknowledged",
    };
    let end = End { back: None, facts: cluster.facts.len(), honored: cluster.honored() };
    fault.report(&cluster.tally, &end);
    assert_eq!((end.honored, count(&cluster.tally.lost), count(&cluster.tally.unavailable)), (0, 0, 0));
    cluster.site.assert_whole();
}
