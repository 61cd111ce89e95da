//! Which servers run, and which have followed a change; conformance OP-20.

use crate::support::{Place, Said, Server, get, within_a_second};
use serde_json::Value;
use std::fs;
use std::process::Command;
use tokenberg_testkit::{POSTGRES_PASSWORD, Postgres, postgres_program};

/// A store of either kind, and the variables that lead to it.
struct Site {
    place: Place,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    fn on_sqlite() -> Self {
        Self { place: Place::new(), variables: Vec::new() }
    }

    /// `None` without PostgreSQL.
    fn on_postgres() -> Option<Self> {
        let postgres = Postgres::shared()?;
        let url = postgres.url(&postgres.database());
        let variables = vec![("TOKENBERG_STORE", url), ("TOKENBERG_KEY_FILE", "key".to_owned())];
        Some(Self { place: Place::new(), variables })
    }

    /// Both kinds, or SQLite alone.
    fn all() -> Vec<Self> {
        [Some(Self::on_sqlite()), Self::on_postgres()].into_iter().flatten().collect()
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn serve(&self, more: &[&str]) -> Server {
        let arguments = [&["--issuer", "http://localhost"], more].concat();
        self.place.serve_with(&arguments, &self.variables())
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.place.run_with(arguments, "", &self.variables())
    }

    fn nodes(&self) -> Vec<Value> {
        self.run(&["nodes", "--json"]).done().json().as_array().unwrap().clone()
    }

    fn wait_for_nodes(&self, count: usize) {
        within_a_second("they are recorded", || {
            let nodes = self.nodes();
            nodes.len() == count && nodes.iter().all(|node| node["behind"] == 0)
        });
    }

    fn signing(&self) -> String {
        let keys = self.run(&["key", "list", "--json"]).done().json();
        let mut keys = keys.as_array().unwrap().iter();
        keys.find(|key| key["state"] == "signing").unwrap()["kid"].as_str().unwrap().to_owned()
    }
}

/// The addresses of servers in a part of what a command reports.
fn addresses(said: &Value, part: &str) -> Vec<String> {
    let nodes = said["nodes"][part].as_array().unwrap_or_else(|| panic!("{said}"));
    let mut addresses: Vec<String> =
        nodes.iter().map(|node| node["address"].as_str().unwrap().to_owned()).collect();
    addresses.sort();
    addresses
}

#[test]
fn s_10_op_20_a_server_that_has_not_followed_a_revocation_is_named() {
    for site in Site::all() {
        let servers = [site.serve(&[]), site.serve(&[]), site.serve(&[])];
        site.wait_for_nodes(3);
        site.run(&["client", "add", "etl"]).done();
        let said = site.run(&["revoke", "--client", "etl"]).done();
        assert!(said.out.contains("; all 3 running servers apply it") && said.err.is_empty(), "{}", said.out);
        let mut all = servers.each_ref().map(|server| server.url.clone()).to_vec();
        all.sort();

        let [frozen, running @ ..] = &servers;
        let mut others = running.each_ref().map(|server| server.url.clone());
        others.sort();
        // A server may be stopped while it has the lock of the file; then another attempt is made.
        let said = (0..10).find_map(|_| {
            frozen.signal("STOP");
            let said = site.run(&["key", "revoke", &site.signing(), "--json"]);
            if said.code == 0 {
                return Some(said);
            }
            assert!(said.err.contains("locked"), "{}", said.err);
            frozen.signal("CONT");
            None
        });
        let said = said.expect("a key can be revoked while a server does not run");
        let json = said.json();
        assert_eq!(addresses(&json, "behind"), [frozen.url.as_str()], "{json}");
        assert_eq!(addresses(&json, "followed"), others, "{json}");
        let behind = &json["nodes"]["behind"][0];
        let (host, since) = (behind["host"].as_str().unwrap(), behind["since"].as_str().unwrap());
        for word in [host, since, &frozen.url, "has not followed the change within 3s", "last seen"] {
            assert!(said.err.contains(word), "{word}: {}", said.err);
        }
        let said = site.run(&["client", "disable", "etl"]).done();
        assert!(
            said.out.contains("; 2 of 3 servers apply it") && said.err.contains(&frozen.url),
            "{}",
            said.err
        );
        let said = site.run(&["revoke", "--client", "etl", "--no-wait", "--json"]).done();
        assert!(said.json()["nodes"].is_null() && said.err.is_empty(), "{}", said.err);
        within_a_second("it alone is behind", || {
            let late = |node: &Value| node["behind"] != 0;
            let late: Vec<_> = site.nodes().into_iter().filter(late).collect();
            late.len() == 1 && late[0]["address"] == frozen.url.as_str()
        });

        frozen.signal("CONT");
        site.wait_for_nodes(3);
        let said = site.run(&["subject", "disable", "alice", "--json"]).done();
        assert_eq!(addresses(&said.json(), "followed"), all);
    }
}

#[test]
fn op_20_nodes_lists_the_servers_that_run_and_those_that_ended_without_notice() {
    for site in Site::all() {
        let [mut killed, mut stopped] = [site.serve(&[]), site.serve(&[])];
        assert!(site.run(&["nodes"]).code == 0);
        site.wait_for_nodes(2);
        for node in site.nodes() {
            assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
            assert!([&killed.url, &stopped.url].iter().any(|url| node["address"] == url.as_str()), "{node}");
            assert!(node["seen"] == true && node["fault"].is_null(), "{node}");
            assert_eq!(node["clock_offset_milliseconds"].is_null(), site.variables.is_empty(), "{node}");
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
            assert_eq!(node["host"], host.trim());
        }
        let shown = site.run(&["nodes"]).done().out;
        assert!(shown.starts_with("HOST ") && shown.contains(&killed.url), "{shown}");
        stopped.signal("TERM");
        assert_eq!(stopped.ended().code(), Some(0));
        killed.signal("KILL");
        killed.ended();
        let left = site.nodes();
        assert!(left.len() == 1 && left[0]["address"] == killed.url.as_str(), "{left:?}");
        // A command does not wait for a server that is not seen any more.
        let (id, old) = (left[0]["id"].as_str().unwrap(), "seen_at - 3600000");
        if site.variables.is_empty()
            && site.place.sql(&format!("UPDATE nodes SET seen_at = {old} WHERE id = '{id}'"))
        {
            site.run(&["client", "add", "etl"]).done();
            let said = site.run(&["client", "disable", "etl"]).done();
            assert!(said.out.contains("; 0 of 1 servers apply it"), "{}", said.out);
            assert!(
                said.err.contains("last seen 1h") && said.err.contains("ended without notice"),
                "{}",
                said.err
            );
            let table = site.place.on_terminal(&["nodes"], "").done().out;
            let widest = table.lines().take(2).map(|line| line.chars().count()).max();
            assert!(widest <= Some(80) && table.contains("ended without notice"), "{table}");
        }
    }
}

#[test]
fn op_20_without_a_server_a_revocation_says_so() {
    let site = Site::on_sqlite();
    site.run(&["client", "add", "etl"]).done();
    let said = site.run(&["revoke", "--client", "etl"]).done();
    assert!(said.out.contains("; no running server is recorded in the store"), "{}", said.out);
    assert_eq!(site.nodes(), Vec::<Value>::new());
    assert!(site.run(&["nodes"]).done().out.contains("no server is recorded"));
}

#[test]
fn op_20_servers_seen_and_expected_are_metrics() {
    let site = Site::on_sqlite();
    let more = ["--ops-listen", "127.0.0.1:0", "--expect-nodes", "3"];
    let servers = [site.serve(&more), site.serve(&more)];
    site.wait_for_nodes(2);
    for server in &servers {
        let lines = server.lines();
        let operations = lines.iter().find_map(|line| line.strip_prefix("operations on ")).unwrap();
        let metrics = || get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
        within_a_second("both are seen", || metrics().contains("\ntokenberg_nodes 2\n"));
        assert!(metrics().contains("\ntokenberg_nodes_expected 3\n"));
    }
    assert_eq!(site.place.start(&["--expect-nodes", "0"], &[]).err().unwrap().code, 2);
}

#[test]
fn op_21_a_role_that_may_not_write_the_list_of_servers_is_reported_once_and_serves() {
    let Some(site) = Site::on_postgres() else { return };
    drop(site.serve(&[]));
    let url = site.variables[0].1.clone();
    let Some(psql) = postgres_program("psql") else {
        eprintln!("skipped: PostgreSQL is here without psql");
        return;
    };
    let role = format!(
        "CREATE ROLE rows_only LOGIN PASSWORD '{POSTGRES_PASSWORD}'; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO rows_only; \
         REVOKE ALL ON nodes FROM rows_only; DELETE FROM nodes"
    );
    assert!(Command::new(psql).args([&url, "-qc", &role]).status().unwrap().success());
    let as_role = url.replace("//tokenberg:", "//rows_only:");
    let variables = [("TOKENBERG_STORE", as_role.as_str()), ("TOKENBERG_KEY_FILE", "key")];
    let server =
        site.place.serve_with(&["--issuer", "http://localhost", "--ops-listen", "127.0.0.1:0"], &variables);
    let operations = server.lines()[0].strip_prefix("operations on ").unwrap().to_owned();
    let warnings = || server.log().matches("cannot record this server").count();
    within_a_second("it is reported", || warnings() == 1);
    for n in 0..4 {
        let id = format!("etl{n}");
        let added = site.run(&["client", "add", &id, "--json"]).done().json();
        let secret = added["client_secret"].as_str().unwrap();
        within_a_second("it follows", || server.ask(&id, secret).status == 200);
    }
    assert_eq!(get(&format!("{operations}/readyz")).status, 200);
    assert_eq!((warnings(), site.nodes().len()), (1, 0));
}
