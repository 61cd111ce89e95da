//! A store is made, migrated and given another issuer only deliberately; conformance OP-12, OP-20.

use crate::support::{Place, Said};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tokenberg_testkit::Postgres;

/// A place whose commands use one PostgreSQL.
struct Site {
    place: Place,
    url: String,
}

impl Site {
    /// A site on a new database, whose key file exists if it `has_key`; `None` without PostgreSQL.
    fn new(has_key: bool) -> Option<Self> {
        let postgres = Postgres::shared()?;
        let site = Self { place: Place::new(), url: postgres.url(&postgres.database()) };
        if has_key {
            site.place.file("key", &"5a".repeat(32));
            fs::set_permissions(site.place.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
        }
        Some(site)
    }

    fn variables<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("TOKENBERG_STORE", self.url.as_str()), ("TOKENBERG_KEY_FILE", "key")], more].concat()
    }

    fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Said {
        self.place.run_with(arguments, "", &self.variables(more))
    }

    fn serve(&self, flags: &[&str], more: &[(&str, &str)]) -> Result<crate::support::Server, Said> {
        let default = ["--issuer", "http://localhost"];
        let flags = if flags.contains(&"--issuer") { flags } else { &[&default, flags].concat() };
        self.place.start(flags, &self.variables(more))
    }
}

const CREDENTIAL: (&str, &str) = ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root");

#[test]
fn s_7_a_server_with_the_key_of_a_store_makes_no_other_one_in_an_empty_database() {
    let Some(site) = Site::new(true) else { return };
    let refused = site.serve(&[], &[]).err().unwrap().refused().err;
    assert!(refused.contains("`tokenberg init`") && refused.contains("--create"), "{refused}");
    assert!(!refused.contains("hush"), "{refused}");
    for changing in [&["client", "add", "etl"][..], &["client", "disable", "etl"], &["client", "list"]] {
        site.run(changing, &[]).refused();
    }
    let said = site.run(&["check"], &[]);
    assert!(said.code == 1 && said.out.contains("problem  store: there is no store"), "{}", said.out);
    assert!(said.out.contains("`tokenberg init` makes one"), "{}", said.out);

    // Several jobs may run it; one makes the store, and the others change nothing.
    let said = std::thread::scope(|scope| {
        let init = || scope.spawn(|| site.run(&["init", "--json"], &[CREDENTIAL]).done());
        [init(), init()].map(|init| init.join().unwrap())
    });
    assert!(said.iter().any(|said| said.json()["made"] == true), "{} {}", said[0].out, said[1].out);
    assert!(said.iter().all(|said| !said.out.contains("first-secret")));
    let again = site.run(&["init"], &[CREDENTIAL]).done().out;
    assert!(again.contains("already; nothing was changed"), "{again}");
    let server = site.serve(&[], &[CREDENTIAL]).unwrap_or_else(|said| panic!("{}", said.err));
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    assert!(server.log().contains("TOKENBERG_BOOTSTRAP_CREDENTIAL is not used"), "{}", server.log());
}

#[test]
fn s_7_op_12_a_first_start_makes_the_store_and_prints_its_credential() {
    for (has_key, flags, variables) in [
        (false, &[][..], &[][..]),
        (true, &["--create"], &[]),
        (true, &[], &[("TOKENBERG_CREATE", "true")]),
        (true, &[], &[CREDENTIAL]),
    ] {
        let Some(site) = Site::new(has_key) else { return };
        let server = site.serve(flags, variables).unwrap_or_else(|said| panic!("{flags:?}: {}", said.err));
        let printed = server.lines().iter().any(|line| line.starts_with("client secret"));
        assert_eq!(printed, !variables.contains(&CREDENTIAL), "{flags:?} {variables:?}");
        drop(server);
        // From then on it is the store.
        drop(site.serve(&[], &[]).unwrap_or_else(|said| panic!("{}", said.err)));
    }
}

#[test]
fn s_7_init_makes_a_store_of_sqlite_and_prints_the_first_secret_once() {
    let place = Place::new();
    let made = place.run(&["init", "--alg", "EdDSA", "--json"]).done().json();
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(made["made"] == true && made["client_id"] == "root", "{made}");
    assert_eq!(place.run(&["key", "list", "--json"]).done().json()[0]["alg"], "EdDSA");
    assert_eq!(place.run(&["init", "--json"]).done().json()["made"], false);
    let server = place.serve_with(&[], &[]);
    assert!(server.lines().is_empty());
    assert_eq!(server.ask("root", &secret).status, 200);
}

/// The text of the findings of `check` about a part.
fn findings(said: &Said, about: &str) -> Vec<(String, String)> {
    let findings = said.json()["findings"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_part = findings.iter().filter(|finding| finding["about"] == about);
    of_part.map(|finding| (text(&finding["state"]), text(&finding["text"]))).collect()
}

/// Makes a store one of the schema 4.
pub(crate) const BACK_TO_4: &str = "DROP TABLE nodes; DROP TABLE audit_segments; DROP INDEX audit_records_time; \
    DELETE FROM schema_version WHERE version >= 5";

#[test]
fn f_2_s_14_commands_that_only_read_migrate_nothing_and_check_names_the_command() {
    let place = Place::new();
    drop(place.serve(&[]));
    if !place.sql(BACK_TO_4) {
        return;
    }
    let said = place.run(&["check", "--json"]);
    assert_eq!(said.code, 1);
    let found = findings(&said, "schema");
    let named = |(state, text): &(String, String)| {
        state == "problem"
            && ["schema 4", "`tokenberg migrate`", "to 7", "back it up"]
                .iter()
                .all(|word| text.contains(word))
    };
    assert!(found.iter().any(named), "{found:?}");
    let key = place.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    for reading in [
        &["client", "list"][..],
        &["client", "show", "root"],
        &["issuer", "list"],
        &["subject", "list"],
        &["key", "list"],
        &["key", "show", &key],
        &["audit"],
        &["audit", "verify"],
        &["backup", "before.db"],
        &["migrate", "--plan"],
    ] {
        let said = place.run(reading).done();
        let is_plan = reading.contains(&"--plan");
        assert!(said.err.contains("back it up first") || is_plan, "{reading:?} {}", said.err);
    }
    let form = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root";
    place.run_with(&["explain"], form, &[]).done();
    for changing in [&["client", "add", "etl"][..], &["revoke", "--client", "root"]] {
        assert!(place.run(changing).refused().err.contains("`tokenberg migrate`"), "{changing:?}");
    }
    let plan = place.run(&["migrate", "--plan", "--json"]).done().json();
    assert_eq!((&plan["from"], &plan["to"], &plan["migrated"]), (&4.into(), &7.into(), &false.into()));
    let done = place.run(&["migrate"]).done().out;
    assert!(done.contains("from schema 4 to schema 7"), "{done}");
    assert_eq!(place.run(&["migrate", "--json"]).done().json()["migrated"], false);
    place.run(&["check"]).done();
    place.run(&["client", "add", "etl"]).done();
    // The copy of before is read as it was, and a server migrates it.
    place.file("before.db.key", &fs::read_to_string(place.path("tokenberg.db.key")).unwrap());
    fs::set_permissions(place.path("before.db.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(place.run(&["client", "list", "--store", "sqlite:before.db"]).done().err.contains("schema 4"));
    drop(place.serve(&["--store", "sqlite:before.db"]));
    assert!(place.run(&["client", "list", "--store", "sqlite:before.db"]).done().err.is_empty());
    // Without a store, there is nothing to migrate, and none is made.
    place.run(&["migrate", "--store", "sqlite:absent.db"]).refused();
    assert!(!place.path("absent.db").exists());
}

const WARNED: &str = "the issuer was another one before";

#[test]
fn a_14_another_issuer_of_a_store_on_sqlite_is_refused_unless_it_is_to_be_changed() {
    let place = Place::new();
    let started = |flags: &[&str]| place.serve(flags).log();
    // The default has another port each time, and so has one that is given for trying.
    assert!(!started(&[]).contains(WARNED));
    assert!(started(&[]).contains(WARNED));
    assert!(started(&["--issuer", "http://127.0.0.1:8183"]).contains(WARNED));
    assert!(started(&["--issuer", "http://localhost:8183"]).contains(WARNED));
    let (one, other) = ("https://one.example", "https://other.example");
    assert!(started(&["--issuer", one]).contains(WARNED));
    assert!(!started(&["--issuer", one]).contains(WARNED));
    for flags in [["--issuer", other], ["--issuer", "http://127.0.0.1:8183"]] {
        let problem = place.run(&[&["check"], &flags[..]].concat());
        assert!(problem.code == 1 && problem.out.contains("the issuer of this store is https://one.example"));
        let refused = place.start(&flags, &[]).err().unwrap().refused().err;
        for word in [one, flags[1], "--change-issuer-from"] {
            assert!(refused.contains(word), "{refused}");
        }
    }
    assert!(place.run(&["check"]).done().out.contains("the servers of the store have https://one.example"));
    let default = started(&[]);
    assert!(default.contains("refuse the tokens of this one"), "{default}");
    let change = ["--issuer", other, "--change-issuer-from", one];
    place.run(&[&["check"], &change[..]].concat()).done();
    let changed = started(&change);
    assert!(changed.contains(WARNED) && changed.contains(one), "{changed}");
    assert!(!started(&["--issuer", other]).contains(WARNED));
    place.run(&["audit", "verify"]).done();
}

#[test]
fn s_8_a_node_on_postgresql_with_another_issuer_is_refused_unless_it_is_to_be_changed() {
    let Some(site) = Site::new(false) else { return };
    let started =
        |flags: &[&str]| site.serve(flags, &[]).unwrap_or_else(|said| panic!("{flags:?}: {}", said.err));
    let (one, other) = ("http://localhost/one", "http://localhost/other");
    let first = started(&["--issuer", one]);
    let refused = site.serve(&["--issuer", other], &[]).err().unwrap().refused().err;
    for word in [one, other, "--change-issuer-from"] {
        assert!(refused.contains(word), "{refused}");
    }
    let problem = site.run(&["check", "--issuer", other], &[]);
    assert!(problem.code == 1 && problem.out.contains("the issuer of this store is http"), "{}", problem.out);
    site.run(&["check", "--issuer", one], &[]).done();
    let second = started(&["--issuer", one]);
    assert!(!second.log().contains(WARNED) && first.url != second.url);
    let wrong = ["--issuer", other, "--change-issuer-from", "http://localhost/third"];
    site.serve(&wrong, &[]).err().unwrap().refused();
    let change = ["--issuer", other, "--change-issuer-from", one];
    // The nodes with the present issuer would refuse the tokens of this one.
    let running = site.serve(&change, &[]).err().unwrap().refused().err;
    for word in [&*first.url, &second.url, "s ago", "stop them first"] {
        assert!(running.contains(word), "{running}");
    }
    for mut node in [first, second] {
        node.signal("TERM");
        assert_eq!(node.ended().code(), Some(0));
    }
    site.run(&[&["check"], &change[..]].concat(), &[]).done();
    assert!(started(&change).log().contains(WARNED));
    // The option may stay, and the old issuer is refused now.
    assert!(!started(&change).log().contains(WARNED));
    site.serve(&["--issuer", one], &[]).err().unwrap().refused();
}

#[test]
fn a_5_the_record_of_a_nodes_begin_says_which_node_it_is() {
    let place = Place::new();
    let server = place.serve(&["--issuer", "https://tokens.example"]);
    let audit = place.run(&["audit"]).done().out;
    let lines = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let began: Vec<Value> = lines.filter(|record| record["event"] == "node began").collect();
    assert_eq!(began.len(), 1);
    assert_eq!(began[0]["issuer"], "https://tokens.example");
    assert_eq!(began[0]["address"], server.url);
    assert_eq!(began[0]["version"], env!("CARGO_PKG_VERSION"));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(began[0]["host"], host.trim());
}
