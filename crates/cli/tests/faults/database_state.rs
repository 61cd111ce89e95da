//! The database is there, but cannot be written, serves no one, or has lost changes; S1, S5, S12, S13 of the operators' incidents.

use crate::node::Node;
use crate::site::Site;
use crate::support::within_a_second;
use std::process::Command;
use tokenberg_testkit::{Line, Postgres, Wire, postgres_program, url_at};

fn started() -> Option<Postgres> {
    let postgres = Postgres::start();
    if postgres.is_none() {
        println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
    }
    postgres
}

/// Runs SQL in another database of the server.
fn sql(postgres: &Postgres, statements: &str) {
    let said = Command::new(postgres_program("psql").unwrap())
        .args(["-v", "ON_ERROR_STOP=1", "-c", statements, &postgres.url("postgres")])
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn s_12_a_database_that_cannot_be_written_is_reported_as_such() {
    let Some(postgres) = started() else { return };
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
    let Some(postgres) = started() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let site = Site::on(Some(url_at(wire.port(), &database)));
    let node = Node::of(&site, &["--max-staleness", "2s"], &[]);
    let token = node.token();
    sql(
        &postgres,
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
    sql(&postgres, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"));
    within_a_second("it follows again", || !node.ready().1.contains("cannot follow"));
    assert!(node.is_active(&token));
    // A table that a restore is about to bring back, and rights that were taken away, are the same at every node.
    let tables = postgres.url(&database);
    let table = |statement: &str| {
        let said = Command::new(postgres_program("psql").unwrap())
            .args(["-c", statement, &tables])
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    table("ALTER TABLE revisions RENAME TO away");
    node.until_ready_says(200, "42P01");
    table("ALTER TABLE away RENAME TO revisions");
    within_a_second("it follows again", || !node.ready().1.contains("cannot follow"));
}
