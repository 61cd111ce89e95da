//! The start of a server, and its messages when it cannot start: conformance OP-12, HT-19, KS-07.

use crate::support::{Place, get};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn the_first_start_prints_a_curl_line_that_works_when_pasted() {
    let place = Place::new();
    let server = place.serve_with(&["--base-path", "/api/catalog"], &[]);
    let lines = server.lines();
    let curl = lines.iter().find(|line| line.starts_with("curl ")).expect("a curl line");
    if Command::new("curl").arg("--version").output().is_err() {
        println!("SKIPPED: there is no curl here");
        return;
    }
    let output = Command::new("sh").args(["-c", curl]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["scope"], "catalog");
    // The credential is printed only once.
    drop(server);
    let again = place.serve_with(&[], &[]);
    assert_eq!(again.lines(), Vec::<String>::new());
}

#[test]
fn a_given_first_credential_is_not_printed() {
    let place = Place::new();
    let server = place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", "first:with:colons in it")]);
    assert_eq!(server.lines(), Vec::<String>::new());
    assert_eq!(server.ask("first", "with%3Acolons+in+it").status, 200);
    assert!(!server.log().contains("with:colons"));
    drop(server);
    // It prints nothing about a store that is not empty.
    let again = place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", "first:another")]);
    assert_eq!(
        (again.ask("first", "another").status, again.ask("first", "with%3Acolons+in+it").status),
        (401, 200)
    );
    let wrong = Place::new().start(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", "hush")]).err().unwrap();
    assert!(
        wrong.code == 2 && !wrong.err.contains("hush") && wrong.err.contains("ID:SECRET"),
        "{}",
        wrong.err
    );
}

#[test]
fn op_12_a_new_store_beside_the_key_of_another_is_made_with_a_warning() {
    let place = Place::new();
    let first = place.serve_with(&[], &[]);
    assert!(!first.log().contains("a new store is made"), "{}", first.log());
    drop(first);
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(place.path(&format!("tokenberg.db{end}")));
    }
    let second = place.serve_with(&[], &[]);
    let log = second.log();
    assert!(
        log.contains("WARN") && log.contains("a new store is made") && log.contains("restore a backup"),
        "{log}"
    );
}

#[test]
fn two_servers_share_one_store_and_one_first_client() {
    let place = Place::new();
    let servers: Vec<_> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| place.serve_with(&["--issuer", "http://localhost"], &[]));
        [start(), start()].map(|thread| thread.join().unwrap()).into_iter().collect()
    });
    let credentials: Vec<String> = servers
        .iter()
        .flat_map(|server| server.lines())
        .filter(|line| line.starts_with("client secret"))
        .collect();
    assert_eq!(credentials.len(), 1, "exactly one created the first client");
    let secret = credentials[0].rsplit(' ').next().unwrap();
    let jwks =
        servers.iter().map(|s| get(&format!("{}/.well-known/jwks.json", s.url)).body).collect::<Vec<_>>();
    assert_eq!(jwks[0], jwks[1]);
    for server in &servers {
        assert_eq!(server.ask("root", secret).status, 200);
    }
    let added = place.add("later", &[]);
    for server in &servers {
        crate::support::within_a_second("a new client works at both", || {
            server.ask("later", &added).status == 200
        });
    }
}

#[test]
fn op_12_the_first_key_can_be_of_another_algorithm() {
    let place = Place::new();
    let server = place.serve(&["--alg", "EdDSA"]);
    assert_eq!(get(&format!("{}/.well-known/jwks.json", server.url)).body["keys"][0]["crv"], "Ed25519");
    let rsa = Place::new().start(&["--alg", "RS256"], &[]).err().unwrap().refused();
    assert!(rsa.err.contains("openssl genpkey"), "{}", rsa.err);
}

#[test]
fn wl_13_certificates_of_issuers_are_read_before_anything_is_created() {
    let place = Place::new();
    for (file, fault) in
        [("absent.pem".to_owned(), "absent.pem"), (place.file("empty.pem", ""), "no certificate")]
    {
        let said = place.start(&["--issuer-ca", &file], &[]).err().unwrap().refused();
        assert!(said.err.contains(fault), "{}", said.err);
    }
    assert!(!place.path("tokenberg.db").exists());
}

#[test]
fn ht_19_serving_plain_http_on_all_addresses_is_refused_with_both_solutions() {
    let place = Place::new();
    let said = place
        .start(&["--listen", "0.0.0.0:0", "--issuer", "https://a.example"], &[])
        .err()
        .unwrap()
        .refused();
    assert!(said.err.contains("--tls-cert") && said.err.contains("--behind-tls-terminator"), "{}", said.err);
    let said =
        place.start(&["--listen", "0.0.0.0:0", "--behind-tls-terminator"], &[]).err().unwrap().refused();
    assert!(said.err.contains("--issuer"), "{}", said.err);
    assert!(!place.path("tokenberg.db").exists());
    let said = place.start(&["--issuer", "http://a.example"], &[]).err().unwrap();
    assert!(said.code == 2 && said.err.contains("https"), "{}", said.err);
    let open =
        place.serve(&["--listen", "0.0.0.0:0", "--issuer", "https://a.example", "--behind-tls-terminator"]);
    let local = open.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(
        get(&format!("{local}/.well-known/oauth-authorization-server")).body["issuer"],
        "https://a.example"
    );
}

#[test]
fn op_12_a_failed_start_reports_its_reason_in_one_sentence() {
    let place = Place::new();
    let server = place.serve(&[]);
    // The port is in use.
    let said = Place::new().start(&["--listen", &server.address()], &[]).err().unwrap().refused();
    assert!(said.err.contains(&server.address()) && said.err.contains("in use"), "{}", said.err);
    drop(server);
    // Another key, no key, a key that every user can read.
    fs::copy(place.path("tokenberg.db.key"), place.path("saved")).unwrap();
    place.file("other", &"0".repeat(64));
    fs::set_permissions(place.path("other"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = place.start(&["--key-file", "other"], &[]).err().unwrap().refused();
    assert!(said.err.contains("other") && said.err.contains("sealed"), "{}", said.err);
    let said = place.start(&["--key-file", "missing"], &[]).err().unwrap().refused();
    assert!(said.err.contains("missing"), "{}", said.err);
    let said = place.run(&["check", "--issuer-ca", "absent.pem"]);
    assert!(said.code == 1 && said.out.contains("issuer-ca: cannot read absent.pem"), "{}", said.out);
    fs::set_permissions(place.path("tokenberg.db.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = place.start(&[], &[]).err().unwrap().refused();
    assert!(said.err.contains("chmod 600"), "KS-07: {}", said.err);
    fs::remove_file(place.path("tokenberg.db.key")).unwrap();
    place.start(&[], &[]).err().unwrap().refused();
    // The key itself in a variable.
    let key = fs::read_to_string(place.path("saved")).unwrap();
    assert_eq!(
        place.serve_with(&[], &[("TOKENBERG_KEY", key.trim())]).ask("root", "first-secret-of-root").status,
        200
    );
    let said = place.start(&[], &[("TOKENBERG_KEY", "hush")]).err().unwrap().refused();
    assert!(!said.err.contains("hush"));
    // No such directory; no database.
    let said = place.start(&["--store", "sqlite:no/such/directory.db"], &[]).err().unwrap().refused();
    assert!(said.err.contains("no/such/directory.db"), "{}", said.err);
    place.file("text", &"this is no database ".repeat(100));
    let said = place.start(&["--store", "sqlite:text"], &[]).err().unwrap().refused();
    assert!(said.err.contains("the SQLite file is corrupt"), "{}", said.err);
}

#[test]
fn op_12_the_file_is_read_strictly_and_overridden_by_variable_and_flag() {
    let place = Place::new();
    let good = place.file(
        "good.toml",
        "store = \"sqlite:of-file.db\"\nissuer = \"https://file.example\"\nstrict-iceberg-errors = true\nlog = \"warn\"\n",
    );
    let server = place.serve(&["--config", &good]);
    assert!(place.path("of-file.db").exists() && !place.path("tokenberg.db").exists());
    let issuer = |server: &crate::support::Server| {
        get(&format!("{}/.well-known/oauth-authorization-server", server.url)).body["issuer"].clone()
    };
    assert_eq!(issuer(&server), "https://file.example");
    let target = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root&audience=x";
    assert_eq!(server.tokens(target).code(), "invalid_request");
    let variables = [
        ("TOKENBERG_CONFIG", good.as_str()),
        ("TOKENBERG_ISSUER", "https://variable.example"),
        ("TOKENBERG_STRICT_ICEBERG_ERRORS", "false"),
    ];
    let server = place.serve_with(&["--change-issuer-from", "https://file.example"], &variables);
    assert_eq!(issuer(&server), "https://variable.example");
    assert_eq!(server.tokens(target).code(), "invalid_target");
    let changed = ["--issuer", "https://flag.example", "--change-issuer-from", "https://variable.example"];
    let server = place.serve_with(&changed, &variables);
    assert_eq!(issuer(&server), "https://flag.example");
    // Administration finds the store in the same file.
    assert!(place.run(&["client", "list", "--config", &good]).done().out.contains("root"));

    let bad = place.file("bad.toml", "listen = \"127.0.0.1:0\"\nlisten-on = 1\n");
    let said = place.start(&["--config", &bad], &[]).err().unwrap().refused();
    assert!(said.err.contains("bad.toml") && said.err.contains("`listen-on`"), "{}", said.err);
    let said = place.start(&["--config", "missing.toml"], &[]).err().unwrap().refused();
    assert!(said.err.contains("missing.toml"), "{}", said.err);
}

#[test]
fn op_12_check_reports_what_would_not_work() {
    let place = Place::new();
    let fresh = place.run(&["check"]).done();
    assert!(fresh.out.contains("does not exist yet"), "{}", fresh.out);
    assert!(!place.path("tokenberg.db").exists(), "check changes nothing");
    drop(place.serve(&[]));
    let good = place.run(&["check", "--json"]).done().json();
    assert_eq!(good["ok"], true);
    let said = place.run(&["check", "--listen", "0.0.0.0:0", "--tls-cert", "x", "--tls-key", "y"]);
    assert!(said.code == 1 && said.out.contains("--issuer"), "{}", said.out);
    let said = place.run(&["check", "--issuer-ca", "absent.pem"]);
    assert!(said.code == 1 && said.out.contains("issuer-ca: cannot read absent.pem"), "{}", said.out);
    fs::set_permissions(place.path("tokenberg.db.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = place.run(&["check", "--json"]);
    assert_eq!((said.code, said.json()["ok"].as_bool()), (1, Some(false)));
    assert!(said.out.contains("chmod 600"), "{}", said.out);
}
