//! A node starts while the database is away, from the last known state in a file; conformance OP-21, OP-33.

use crate::node::Node;
use crate::report::Fault;
use crate::site::Site;
use crate::support::within_a_second;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tokenberg_testkit::{Line, Postgres, Wire, postgres_program, url_at};

const FROM_SNAPSHOT: &str = "tokenberg_store_from_snapshot";

fn started() -> Option<Postgres> {
    let postgres = Postgres::start();
    if postgres.is_none() {
        println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
    }
    postgres
}

/// A node with a snapshot, whose file has everything that the node knows.
struct Kept {
    site: Site,
    file: PathBuf,
}

impl Kept {
    fn on(url: String) -> Self {
        let site = Site::on(Some(url));
        let file = site.place.path("node.snapshot");
        Self { site, file }
    }

    fn option(&self) -> [&str; 2] {
        ["--snapshot", self.file.to_str().unwrap()]
    }

    fn node(&self) -> Node {
        Node::of(&self.site, &self.option(), &[])
    }

    fn until_kept(&self, node: &Node) {
        within_a_second("the snapshot has everything", || {
            let kept = node.figure("tokenberg_snapshot_file_revision");
            kept.is_some() && kept == node.figure("tokenberg_snapshot_revision")
        });
    }

    /// The reasons of a server that does not start.
    fn refusal(&self, more: &[&str], variables: &[(&str, &str)]) -> String {
        match self.site.start_with(&[&self.option()[..], more].concat(), variables) {
            Ok(server) => panic!("started: {}", server.log()),
            Err(said) => {
                assert_eq!(said.code, 1, "{}", said.err);
                said.err
            }
        }
    }
}

#[test]
fn op_33_a_node_starts_from_its_snapshot_while_the_database_is_away_and_joins_it_again() {
    let Some(postgres) = started() else { return };
    let kept = Kept::on(postgres.url(&postgres.database()));
    let site = &kept.site;
    let secrets = ["spark", "flink"].map(|id| {
        let added = site.run(&["client", "add", id, "--json"]).done().json();
        added["client_secret"].as_str().unwrap().to_owned()
    });
    let node = kept.node();
    let (good, revoked) = (node.token(), node.token());
    assert_eq!(node.about("revoke", &revoked).status, 200);
    site.run(&["client", "disable", "flink"]).done();
    site.run(&["key", "rotate"]).done();
    within_a_second("it follows", || {
        node.kids().len() == 2 && node.server.ask("flink", &secrets[1]).status == 401
    });
    kept.until_kept(&node);
    let kids = node.kids();
    assert_eq!(kept.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read(&kept.file).unwrap();
    for plain in ["spark", "http://localhost", kids[0].as_str()] {
        assert!(!written.windows(plain.len()).any(|found| found == plain.as_bytes()), "{plain} is readable");
    }
    // Killed, and then ended in order: both leave the state of before.
    let mut node = node;
    for signal in ["KILL", "TERM"] {
        if signal == "KILL" {
            postgres.stop("fast");
        }
        node.server.signal(signal);
        node.server.ended();
        node = kept.node();
        node.until_ready_says(200, "from a snapshot of 20");
        assert_eq!(node.figure(FROM_SNAPSHOT), Some(1.0));
        assert_eq!(node.kids(), kids);
        assert!(node.is_active(&node.token()) && node.is_active(&good) && !node.is_active(&revoked));
        assert_eq!(node.server.ask("spark", &secrets[0]).status, 200);
        assert_eq!(node.server.ask("flink", &secrets[1]).status, 401);
        assert_eq!(node.server.renew(&good).status, 200);
        for answer in [node.about("revoke", &good), node.server.tokens(&site.assertion(signal))] {
            assert!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}");
        }
        assert!(node.server.log().contains("the server starts from a snapshot"), "{}", node.server.log());
    }
    postgres.start_again();
    let begun = Instant::now();
    node.until_figure(FROM_SNAPSHOT, |value| value == 0.0);
    let back = begun.elapsed();
    assert!(!node.ready().1.contains("snapshot"), "{:?}", node.ready());
    // From now on commands wait for it, too.
    within_a_second("it is in the list", || {
        let listed = site.run(&["nodes", "--json"]).done().json();
        listed.as_array().unwrap().iter().any(|row| row["address"] == node.server.url.as_str())
    });
    let said = site.run(&["client", "disable", "flink", "--json"]).done().json();
    let followed = said["nodes"]["followed"].as_array().unwrap();
    assert!(followed.iter().any(|row| row["address"] == node.server.url.as_str()), "{said}");
    assert_eq!(node.about("revoke", &good).status, 200);
    // It was never used: a refused write leaves nothing.
    assert_eq!(node.server.tokens(&site.assertion("TERM")).status, 200);
    site.run(&["client", "enable", "flink"]).done();
    within_a_second("it follows", || node.server.ask("flink", &secrets[1]).status == 200);
    assert!(node.server.log().contains("the database was reached"), "{}", node.server.log());
    site.assert_whole();
    let fault = Fault {
        what: "a node is killed while the database is away, and starts from its snapshot",
        clients: "until it has started, its connections are refused; then as any node without the database: tokens, renewals, \
                  introspection and keys: 200, up to `--max-staleness` for introspection. Revocations and assertions: 503 with \
                  `Retry-After`",
        lost: "nothing that was acknowledged",
    };
    fault.note(Some(back));
}

#[test]
fn op_33_a_snapshot_that_is_not_this_nodes_recent_state_is_refused_with_the_reason() {
    let Some(postgres) = started() else { return };
    let database = postgres.database();
    let kept = Kept::on(postgres.url(&database));
    let node = kept.node();
    kept.until_kept(&node);
    drop(node);
    postgres.stop("fast");
    let good = std::fs::read(&kept.file).unwrap();
    let put = |bytes: &[u8], mode: u32| {
        let _ = std::fs::remove_dir(&kept.file);
        std::fs::write(&kept.file, bytes).unwrap();
        std::fs::set_permissions(&kept.file, Permissions::from_mode(mode)).unwrap();
    };
    let refused = |why: &str, more: &[&str], variables: &[(&str, &str)]| {
        let said = kept.refusal(more, variables);
        assert!(said.contains("the snapshot is not used") && said.contains(why), "{why}: {said}");
        assert!(said.contains("cannot be opened"), "{said}");
    };
    let changed = "it was changed, or is incomplete";
    put(&good[..good.len() - 1], 0o600);
    refused(changed, &[], &[]);
    put(&good[..50], 0o600);
    refused(changed, &[], &[]);
    put(&[&good[..], b"x"].concat(), 0o600);
    refused(changed, &[], &[]);
    for at in [good.len() / 2, good.len() - 1, 90] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        put(&bytes, 0o600);
        refused(changed, &[], &[]);
    }
    put(b"tokenberg snapshot 2\n and more that is long enough to be the beginning of a file of its kind, and then some", 0o600);
    refused("it is no snapshot of this version", &[], &[]);
    put(&good, 0o644);
    refused("it is open to others (mode 0644)", &[], &[]);
    std::fs::remove_file(&kept.file).unwrap();
    refused("it does not exist", &[], &[]);
    std::fs::create_dir(&kept.file).unwrap();
    refused("it is no snapshot", &[], &[]);
    put(&good, 0o600);
    let other = [&kept.option()[..], &["--issuer", "http://127.0.0.1:1"]].concat();
    let said = kept.site.place.start(&other, &kept.site.variables()).err().unwrap().err;
    assert!(
        said.contains("it is of a server with the issuer http://localhost, not http://127.0.0.1:1"),
        "{said}"
    );
    let other = postgres.url("elsewhere");
    refused(&format!("/{database}, not of postgres://"), &[], &[("TOKENBERG_STORE", &other)]);
    let key = kept.site.place.file("other.key", &"ab".repeat(32));
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    refused("it was sealed with another key-encryption key", &[], &[("TOKENBERG_KEY_FILE", &key)]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    refused(" s ago, of 1 s at most", &["--snapshot-max-age", "1s"], &[]);
    // The same bytes are used as they were written.
    let node = kept.node();
    node.until_ready_says(200, "from a snapshot of ");
    drop(node);
    // A database that can be reached is used, whatever the snapshot has.
    postgres.start_again();
    let node = kept.node();
    assert_eq!(node.figure(FROM_SNAPSHOT), Some(0.0));
    drop(node);
    // What is no snapshot may be the only copy of a key.
    put(b"something else", 0o600);
    let said = kept.refusal(&[], &[]);
    assert!(said.contains("is no snapshot, so it is not replaced"), "{said}");
    assert_eq!(std::fs::read(&kept.file).unwrap(), b"something else");
}

#[test]
fn op_33_a_node_from_a_snapshot_joins_no_other_store() {
    let Some(postgres) = started() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let kept = Kept::on(url_at(wire.port(), &database));
    let node = kept.node();
    kept.until_kept(&node);
    drop(node);
    wire.set(Line::Cut);
    let node = kept.node();
    node.until_ready_says(200, "from a snapshot of ");
    let token = node.token();
    // Another store of the same operator takes the name.
    let rename = format!("ALTER DATABASE {database} RENAME TO kept");
    let psql = postgres_program("psql").unwrap();
    let said = Command::new(psql).args(["-c", &rename, &postgres.url("postgres")]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let create = format!("CREATE DATABASE {database}");
    let said = Command::new(postgres_program("psql").unwrap())
        .args(["-c", &create, &postgres.url("postgres")])
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let direct = postgres.url(&database);
    kept.site.run_with(&["init"], &[("TOKENBERG_STORE", &direct)]).done();
    wire.set(Line::Open);
    node.until_ready_says(503, "another store than the one that this process has read");
    let _ = node.token();
    assert_eq!(node.about("revoke", &token).status, 503);
    assert_eq!(node.figure(FROM_SNAPSHOT), Some(1.0));
    let audit = kept.site.run_with(&["audit"], &[("TOKENBERG_STORE", &direct)]).done();
    assert!(!audit.out.contains("node began"), "{}", audit.out);
}

#[test]
fn op_33_s_5_what_a_snapshot_knows_is_not_lost_with_the_database() {
    let Some(postgres) = started() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let kept = Kept::on(url_at(wire.port(), &database));
    let site = &kept.site;
    let added = site.run(&["client", "add", "spark", "--json"]).done().json();
    let spark = added["client_secret"].as_str().unwrap().to_owned();
    let stolen = site.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    let standby = postgres.standby();
    // Changes that the standby never receives.
    let node = kept.node();
    site.run(&["key", "rotate", "--now"]).done();
    site.run(&["key", "revoke", &stolen]).done();
    site.run(&["client", "disable", "spark"]).done();
    within_a_second("it follows", || {
        node.server.ask("spark", &spark).status == 401 && !node.kids().contains(&stolen)
    });
    let (good, revoked) = (node.token(), node.token());
    assert_eq!(node.about("revoke", &revoked).status, 200);
    kept.until_kept(&node);
    drop(node);
    wire.set(Line::Cut);
    let node = kept.node();
    node.until_ready_says(200, "from a snapshot of ");
    postgres.promote();
    wire.lead_to(standby);
    wire.set(Line::Open);
    node.until_ready_says(200, "the database lost changes at ");
    assert_eq!(node.figure("tokenberg_store_went_back_total"), Some(1.0));
    assert!(!node.is_active(&revoked) && node.is_active(&good));
    assert_eq!(node.server.ask("spark", &spark).status, 401);
    assert!(!node.kids().contains(&stolen));
    // Another node, which has only the database, knows it again.
    let other = Node::of(site, &[], &[("TOKENBERG_STORE", &url_at(standby, &database))]);
    within_a_second("the stolen key is removed again", || !other.kids().contains(&stolen));
    within_a_second("it is revoked", || !other.is_active(&revoked));
    within_a_second("it is disabled", || other.server.ask("spark", &spark).status == 401);
}
