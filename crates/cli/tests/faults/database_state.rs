//! The database is there, but cannot be written, serves no node, or has lost changes; conformance OP-20, OP-21.

use crate::database::sql;
use crate::node::Node;
use crate::site::Site;
use crate::support::within_a_second;
use tokenberg_testkit::{Line, Postgres, Wire, url_at};

#[test]
fn s_12_a_database_that_cannot_be_written_is_reported_as_such() {
    let Some(postgres) = Postgres::separate() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let site = Site::on(Some(url_at(wire.port(), &database)));
    let standby = postgres.standby();
    let node = Node::of(&site, &[], &[]);
    let token = node.token();
    node.until_figure("tokenberg_store_writable", |value| value == 1.0);
    wire.lead_to(standby);
    node.until_ready_says(200, "cannot write: the database is a read-only standby");
    assert_eq!(node.figure("tokenberg_store_writable"), Some(0.0));
    assert_eq!(node.about("revoke", &token).status, 503);
    assert_eq!(node.server.tokens(&site.assertion("s12")).status, 503);
    for write in ["revocation", "single_use"] {
        node.until_figure(&format!("tokenberg_store_write_failures_total{{write=\"{write}\"}}"), |n| {
            n >= 1.0
        });
    }
    let _ = node.token();
    let said = site.run(&["check"]);
    assert!(said.code == 1 && said.out.contains("read-only standby"), "{} {}", said.out, said.err);
    wire.lead_to(postgres.port());
    within_a_second("it writes again", || node.about("revoke", &token).status == 200);
    node.until_figure("tokenberg_store_writable", |value| value == 1.0);
    assert!(!node.ready().1.contains("cannot write"), "{:?}", node.ready());
    let log = node.server.log();
    assert!(log.contains("the store cannot be written") && log.contains("can be written again"), "{log}");
    assert!(!node.is_active(&token));
}

#[test]
fn s_13_a_database_that_serves_no_node_takes_no_node_out_of_the_balancer() {
    let Some(postgres) = Postgres::separate() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let site = Site::on(Some(url_at(wire.port(), &database)));
    let node = Node::of(&site, &["--max-staleness", "2s"], &[]);
    let token = node.token();
    let admin = postgres.url("postgres");
    sql(
        &admin,
        &format!(
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        ),
    );
    node.until_ready_says(200, "so this one stays ready");
    assert!(node.ready().1.contains("not currently accepting connections"), "{:?}", node.ready());
    let _ = node.token();
    assert_eq!(node.about("introspect", &token).status, 503, "it may have been revoked elsewhere");
    assert_eq!(node.figure("tokenberg_store_fault"), Some(1.0));
    // Of a cut line nothing is known: other nodes may reach the database.
    wire.set(Line::Cut);
    node.until_ready_says(503, "of 2 s at most");
    wire.set(Line::Open);
    node.until_ready_says(200, "so this one stays ready");
    sql(&admin, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"));
    within_a_second("it follows again", || !node.ready().1.contains("cannot follow"));
    assert!(node.is_active(&token));
    // A table that a restore is about to bring back, and rights that were taken away, are the same at every node.
    let tables = postgres.url(&database);
    let table = |statement: &str| sql(&tables, statement);
    table("ALTER TABLE revisions RENAME TO away");
    node.until_ready_says(200, "42P01");
    table("ALTER TABLE away RENAME TO revisions");
    within_a_second("it follows again", || !node.ready().1.contains("cannot follow"));
}

#[test]
fn s_1_s_5_what_a_quick_failover_loses_stays_revoked_at_every_node() {
    let Some(postgres) = Postgres::separate() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let site = Site::on(Some(url_at(wire.port(), &database)));
    let added = site.run(&["client", "add", "spark", "--json"]).done().json();
    let spark = added["client_secret"].as_str().unwrap().to_owned();
    let stolen = site.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    let standby = postgres.standby();
    // Changes that the standby never receives.
    let a = Node::of(&site, &[], &[]);
    site.run(&["key", "rotate", "--now"]).done();
    site.run(&["key", "revoke", &stolen]).done();
    site.run(&["client", "disable", "spark"]).done();
    within_a_second("it follows", || {
        a.server.ask("spark", &spark).status == 401 && !a.kids().contains(&stolen)
    });
    let kept = a.token();
    let lost: Vec<String> = (0..3).map(|_| a.token()).collect();
    for token in &lost {
        assert_eq!(a.about("revoke", token).status, 200);
    }
    let used = site.assertion("used before the failover");
    assert_eq!(a.server.tokens(&used).status, 200);
    // The other node is led to the new primary first, and goes further than the old one was.
    postgres.promote();
    let b = Node::of(&site, &[], &[("TOKENBERG_STORE", &url_at(standby, &database))]);
    assert!(b.kids().contains(&stolen), "the new primary has the state of before");
    for _ in 0..12 {
        let token = b.token();
        assert_eq!(b.about("revoke", &token).status, 200);
    }
    wire.lead_to(standby);
    a.until_ready_says(200, "the database lost changes at ");
    assert_eq!(a.figure("tokenberg_store_went_back_total"), Some(1.0));
    assert!(lost.iter().all(|token| !a.is_active(token)));
    within_a_second("the stolen key is removed again", || !b.kids().contains(&stolen));
    within_a_second("its replacement verifies", || b.is_active(&kept));
    within_a_second("they are revoked", || lost.iter().all(|token| !b.is_active(token)));
    within_a_second("it is disabled", || b.server.ask("spark", &spark).status == 401);
    // Three tokens with their sessions, the client, the key and the identifier, which the other node would use if it were asked earlier.
    a.until_figure("tokenberg_store_written_again_total", |written| written >= 9.0);
    for node in [&a, &b] {
        assert_eq!(node.server.tokens(&used).status, 401, "it is used");
        assert!(!node.kids().contains(&stolen));
    }
    let log = a.server.log();
    assert!(log.contains("the database lost changes") && log.contains("written again"), "{log}");
    let said = site.run(&["audit", "verify"]);
    assert!(said.code == 1 && said.err.contains("a failover or a restore"), "{} {}", said.out, said.err);
}
