//! The runbooks for the store: restores, and a full disk. Conformance OP-10, OP-21, SE-06.

use crate::cluster::Cluster;
use crate::database::{sql, try_sql};
use crate::node::Node;
use crate::runbook::Runbook;
use crate::site::Site;
use crate::support::within_a_second;
use std::process::Command;
use tokenberg_testkit::{Postgres, postgres_program};

/// What an attacker had at the time of the backup, and what is revoked after it.
struct Lost {
    token: String,
    used: String,
    kid: String,
}

impl Lost {
    /// Uses up an assertion, revokes the signing key and a client; none of it is in the backup.
    fn after_backup(site: &Site, node: &Node) -> Self {
        let kid = site.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
        let (token, used) = (node.token(), site.assertion("used before the restore"));
        assert_eq!(node.server.tokens(&used).status, 200);
        site.run(&["client", "disable", "spark"]).done();
        site.run(&["key", "revoke", &kid]).done();
        within_a_second("the key is revoked", || !node.is_active(&token));
        let lines = site.run(&["audit"]).done().out;
        site.place.file("audit.jsonl", &lines);
        Self { token, used, kid }
    }

    fn assert_refused(&self, site: &Site, nodes: &[Node]) {
        for node in nodes {
            assert!(!node.is_active(&self.token) && !node.kids().contains(&self.kid));
            assert_eq!(node.server.tokens(&self.used).status, 401);
            assert_eq!(node.server.tokens(&site.assertion(&node.server.url)).status, 200);
            assert!(node.is_active(&node.token()));
        }
        let shown = site.run(&["client", "show", "spark", "--json"]).done().json();
        assert_eq!(shown["enabled"], false, "{shown}");
    }
}

const RESTORED: &str = "the servers answer again; they were stopped for these seconds";

#[test]
fn op_10_the_runbook_for_a_restore_of_sqlite_lets_nothing_in_that_was_revoked() {
    let site = Site::on(None);
    site.run(&["client", "add", "spark"]).done();
    let mut node = Node::of(&site, &[], &[]);
    site.run(&["backup", "copy.db"]).done();
    let lost = Lost::after_backup(&site, &node);
    let variables = [("BACKUP", "copy.db"), ("AUDIT", "audit.jsonl")];
    let runbook = Runbook::section(&site, "restore", "SQLite", &variables);
    node.server.signal("TERM");
    node.server.ended();
    runbook.follow();
    let nodes = [Node::of(&site, &[], &[])];
    lost.assert_refused(&site, &nodes);
    runbook.follow();
    runbook.done("SQLite, 1 server", RESTORED);
}

#[test]
fn op_10_the_runbook_for_a_restore_of_postgresql_lets_nothing_in_that_was_revoked() {
    let Some(postgres) = Postgres::shared() else { return };
    let Some(pg_dump) = postgres_program("pg_dump") else {
        println!("skipped: this PostgreSQL has no pg_dump");
        return;
    };
    let url = postgres.url(&postgres.database());
    let mut cluster = Cluster::of(Site::on(Some(url.clone())));
    cluster.site.run(&["client", "add", "spark"]).done();
    let dump = cluster.site.place.path("dump.sql").display().to_string();
    let said = Command::new(pg_dump).args(["--no-owner", "--file", &dump, &url]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let lost = Lost::after_backup(&cluster.site, &cluster.nodes[0]);
    for node in &mut cluster.nodes {
        node.server.signal("TERM");
        node.server.ended();
    }
    let site = &cluster.site;
    let variables = [("DUMP", dump.as_str()), ("AUDIT", "audit.jsonl")];
    let runbook = Runbook::section(site, "restore", "PostgreSQL", &variables);
    runbook.follow();
    runbook.follow();
    let nodes: Vec<Node> = (0..3).map(|_| Node::of(site, &[], &[])).collect();
    lost.assert_refused(site, &nodes);
    runbook.follow();
    runbook.done("PostgreSQL, 3 nodes", RESTORED);
}

/// Fills the disk of this database, until not one more page fits.
fn fill(url: &str) {
    sql(url, "CREATE TABLE filler (text TEXT)");
    for rows in [10_000, 1000, 100, 1] {
        let more = format!(
            "INSERT INTO filler SELECT repeat(md5(random()::text), 60) FROM generate_series(1, {rows})"
        );
        while try_sql(url, &more).is_ok() {}
    }
}

/// The database is on a disk that is full.
#[test]
fn se_06_op_21_the_runbook_for_a_full_disk_makes_room_and_no_record_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(postgres) = Postgres::with_disk(folder.path(), 48) else { return };
    let (admin, url) = (postgres.url("postgres"), postgres.url("small"));
    let disk = folder.path().display();
    sql(
        &admin,
        &format!("CREATE TABLESPACE small LOCATION '{disk}'; CREATE DATABASE small TABLESPACE small"),
    );
    let cluster = Cluster::of(Site::on(Some(url.clone())));
    let (site, nodes) = (&cluster.site, &cluster.nodes);
    fill(&url);
    for node in nodes {
        within_a_second("it cannot write", || node.about("revoke", &node.token()).status == 503);
        node.until_ready_says(200, "cannot write");
    }
    let granted: Vec<String> = nodes.iter().map(Node::token).collect();
    let runbook = Runbook::open(site, "audit-fills-the-disk", &[]);
    let seen = runbook.follow().out;
    assert!(seen.contains("audit_records"), "{seen}");
    sql(&url, "DROP TABLE filler");
    cluster.until_recovered();
    runbook.follow();
    for token in &granted {
        let claims = site.place.run_with(&["inspect", "--json"], token, &[]).done().json();
        let jti = claims["claims"]["jti"].as_str().or_else(|| claims["payload"]["jti"].as_str()).unwrap();
        within_a_second("it is recorded", || {
            site.run(&["audit", "--since", "1h"]).done().out.contains(&format!("\"jti\":\"{jti}\""))
        });
    }
    runbook.follow();
    for node in nodes {
        assert_eq!(node.figure("tokenberg_audit_lost_total"), Some(0.0));
    }
    runbook.done("PostgreSQL, 3 nodes", "writes work again; room was made at once");
}
