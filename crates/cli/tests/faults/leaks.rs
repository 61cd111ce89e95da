//! The runbooks for what leaked: a secret, a signing key, a key-encryption key, a whole node. Conformance OP-13, OP-20.

use crate::cluster::Cluster;
use crate::database::sql;
use crate::node::Node;
use crate::runbook::Runbook;
use crate::site::{ROOT, Site};
use crate::support::within_a_second;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokenberg_testkit::Postgres;

const NODES: &str = "PostgreSQL, 3 nodes";

fn cluster() -> Option<Cluster> {
    Some(Cluster::of(Site::on_postgres(Postgres::shared()?)))
}

/// The generated secret in the output of a command.
fn generated(text: &str) -> String {
    text.split_whitespace().find(|word| word.starts_with("tkb")).expect("a secret").to_owned()
}

fn kid(site: &Site) -> String {
    site.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned()
}

/// What was signed by the key is refused everywhere, and its public half is gone.
fn until_revoked(nodes: &[Node], kid: &str, token: &str) {
    for node in nodes {
        within_a_second("the key is gone", || !node.kids().iter().any(|other| other == kid));
        within_a_second("its tokens are refused", || !node.is_active(token));
        assert_eq!(node.server.renew(token).status, 401);
        assert!(node.is_active(&node.token()), "another key signs");
    }
}

#[test]
fn op_13_the_runbook_for_a_leaked_secret_ends_what_the_attacker_got() {
    let Some(cluster) = cluster() else { return };
    let (site, nodes) = (&cluster.site, &cluster.nodes);
    let leaked = site.run(&["client", "add", "etl"]).done();
    let leaked = generated(&leaked.out);
    let shown = site.run(&["client", "show", "etl", "--json"]).done().json();
    let id = shown["secrets"][0]["secret_id"].as_str().unwrap();
    for node in nodes {
        within_a_second("the client works", || node.server.ask("etl", &leaked).status == 200);
    }
    let stolen = nodes[0].server.ask("etl", &leaked).token();
    let renewed = nodes[1].server.renew(&stolen).token();
    let runbook = Runbook::open(site, "client-secret-leaked", &[("CLIENT", "etl"), ("SECRET_ID", id)]);
    let seen = runbook.follow().out;
    assert!(seen.contains(&format!("\"secret\":\"{id}\"")) && seen.contains("\"source\":"), "{seen}");
    runbook.begin();
    assert!(runbook.follow().out.contains(id));
    let fresh = generated(&runbook.follow().out);
    runbook.follow();
    for node in nodes {
        within_a_second("the leaked secret is refused", || node.server.ask("etl", &leaked).status == 401);
        within_a_second("the new one works", || node.server.ask("etl", &fresh).status == 200);
        within_a_second("the attacker's tokens have ended", || {
            !node.is_active(&stolen) && !node.is_active(&renewed)
        });
        assert_eq!(node.server.renew(&renewed).status, 401);
    }
    runbook.done(NODES, "the secret and its sessions are refused at every node");
}

#[test]
fn op_13_the_runbook_for_a_leaked_signing_key_ends_what_it_signed() {
    let Some(cluster) = cluster() else { return };
    let kid = kid(&cluster.site);
    let token = cluster.nodes[0].token();
    assert!(cluster.nodes.iter().all(|node| node.is_active(&token)));
    let runbook = Runbook::open(&cluster.site, "signing-key-leaked", &[("KID", &kid)]);
    assert!(runbook.follow().out.contains(&kid));
    runbook.follow();
    until_revoked(&cluster.nodes, &kid, &token);
    assert!(!runbook.follow().out.contains(&kid));
    runbook.done(NODES, "its tokens are refused at every node, and another key signs");
}

#[test]
fn op_13_the_runbook_for_a_leaked_key_encryption_key_makes_it_worthless() {
    let Some(cluster) = cluster() else { return };
    let site = &cluster.site;
    let key_file = site.place.path("tokenberg.db.key");
    fs::copy(&key_file, site.place.path("leaked.key")).unwrap();
    let (kid, token) = (kid(site), cluster.nodes[0].token());
    let variables = [("NEW_KEY_FILE", "new.key"), ("KID", &kid)];
    let runbook = Runbook::open(site, "key-encryption-key-leaked", &variables);
    runbook.follow();
    runbook.follow();
    runbook.follow();
    until_revoked(&cluster.nodes, &kid, &token);
    for node in &cluster.nodes {
        within_a_second("nothing is left to do", || !node.ready().1.contains("key"));
    }
    runbook.follow();
    let refused = site.run(&["key", "list", "--key-file", "leaked.key"]).refused().err;
    assert!(refused.contains("sealed"), "{refused}");
    assert!(Node::of(site, &[], &[]).is_active(&cluster.nodes[0].token()), "a node starts with the new key");
    runbook.done(NODES, "every node has the new key, and the signing keys of before are revoked");
}

fn only_ours(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn op_20_the_runbook_for_a_cloned_node_takes_everything_from_it() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let admin = postgres.url(&database);
    sql(
        &admin,
        &format!("CREATE ROLE cloned LOGIN PASSWORD 'first'; ALTER DATABASE {database} OWNER TO cloned"),
    );
    let folder = tempfile::tempdir().unwrap();
    let [passfile, copied] = ["pgpass", "copied"].map(|name| folder.path().join(name));
    for file in [&passfile, &copied] {
        fs::write(file, "*:*:*:cloned:first\n").unwrap();
        only_ours(file);
    }
    let url = |file: &Path| {
        format!("postgres://cloned@127.0.0.1:{}/{database}?passfile={}", postgres.port(), file.display())
    };
    let cluster = Cluster::of(Site::on(Some(url(&passfile))));
    let (site, nodes) = (&cluster.site, &cluster.nodes);
    let copied_key = folder.path().join("key").display().to_string();
    fs::copy(site.place.path("tokenberg.db.key"), &copied_key).unwrap();
    let copied_url = url(&copied);
    let stolen = [("TOKENBERG_STORE", copied_url.as_str()), ("TOKENBERG_KEY_FILE", &copied_key)];
    let clone = Node::of(site, &["--max-staleness", "2s"], &stolen);
    let kid = kid(site);
    let passfile = passfile.display().to_string();
    let variables = [
        ("ADMIN_URL", admin.as_str()),
        ("ROLE", "cloned"),
        ("PASSFILE", &passfile),
        ("NEW_PASSWORD", "second"),
        ("NEW_KEY_FILE", "new.key"),
        ("KID", &kid),
    ];
    let runbook = Runbook::open(site, "cloned-node", &variables);
    assert!(runbook.follow().out.lines().count() >= 4, "each node has a record");
    runbook.follow();
    runbook.begin();
    runbook.follow();
    cluster.until_recovered();
    runbook.follow();
    runbook.follow();
    let token = clone.token();
    until_revoked(nodes, &kid, &token);
    runbook.follow();
    clone.until_figure("tokenberg_store_fault", |fault| fault == 1.0);
    assert_eq!(clone.about("revoke", &token).status, 503);
    clone.until_ready_says(503, "of 2 s at most");
    let said = site.run_with(&["client", "list"], &stolen).refused().err;
    assert!(said.contains("password"), "{said}");
    assert_eq!(nodes[0].server.ask(ROOT.0, ROOT.1).status, 200);
    runbook.done(NODES, "the copy is cut off, and no node accepts its tokens");
}
