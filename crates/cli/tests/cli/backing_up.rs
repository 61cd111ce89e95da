//! A backup is complete and usable: OP-10, with a server that writes meanwhile.

use crate::support::{Place, post, within_a_second};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokenberg_testkit::{Postgres, postgres_program};

#[test]
fn op_10_a_backup_during_writes_is_consistent_and_a_server_continues_from_it() {
    let place = Place::new();
    let mut server = place.serve(&["--issuer", "https://tokens.example"]);
    let secret = place.add("before", &[]);
    within_a_second("the client is there", || server.ask("before", &secret).status == 200);
    let early = server.ask("before", &secret).token();
    let who = format!("client_id=before&client_secret={secret}");
    let (endpoint, revocation) = (server.endpoint(), format!("{}/v1/oauth/revoke", server.url));
    let revoke = |token: &str| post(&revocation, None, &format!("{who}&token={token}")).status;
    assert_eq!(revoke(&early), 200);

    // Another thread revokes tokens while copies are made.
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let form = format!("grant_type=client_credentials&{who}");
                assert_eq!(revoke(&post(&endpoint, None, &form).token()), 200);
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        for n in 0..5 {
            let at = written.load(Ordering::SeqCst);
            within_a_second("it is written", || written.load(Ordering::SeqCst) > at + 2);
            let said = place.run(&["backup", &format!("copy-{n}.db"), "--json"]).done();
            let length = fs::metadata(place.path(&format!("copy-{n}.db"))).unwrap().len();
            assert_eq!(said.json()["bytes"], length);
        }
        stop.store(true, Ordering::SeqCst);
    });
    place.add("after", &[]);

    for n in 0..5 {
        let copy = place.path(&format!("copy-{n}.db"));
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let store = format!("sqlite:copy-{n}.db");
        place.run(&["check", "--store", &store, "--key-file", "tokenberg.db.key"]).done();
    }
    assert!(!crate::support::files(&place.path("")).iter().any(|(path, _)| path.ends_with(".tmp")));

    // Restores the backup as the help describes it.
    server.signal("TERM");
    server.ended();
    for beside in ["tokenberg.db-wal", "tokenberg.db-shm"] {
        // These files exist only if the server was killed.
        let _ = fs::remove_file(place.path(beside));
    }
    fs::copy(place.path("copy-4.db"), place.path("tokenberg.db")).unwrap();
    let server = place.serve(&["--issuer", "https://tokens.example"]);
    assert_eq!(server.ask("before", &secret).status, 200);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    let introspected =
        post(&format!("{}/v1/oauth/introspect", server.url), None, &format!("{who}&token={early}"));
    assert_eq!(introspected.body["active"], false, "what was revoked before the copy is revoked");
    assert!(!place.run(&["client", "list"]).done().out.contains("after"));
    place.add("later", &[]);
}

#[test]
fn op_10_a_backup_replaces_nothing_and_leaves_nothing_behind() {
    let place = Place::new();
    place.run(&["backup", "copy.db"]).refused();
    drop(place.serve(&[]));
    place.file("taken", "mine");
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).unwrap();
    for (name, why) in [
        ("taken", "there already"),
        ("dangling", "there already"),
        ("tokenberg.db", "there already"),
        ("no/such/directory", "cannot be written"),
    ] {
        let said = place.run(&["backup", name]).refused();
        assert!(said.err.contains(why) && said.err.contains(name), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(place.path("taken")).unwrap(), "mine");
    let said = place.run(&["backup", "it's a copy.db"]).done();
    assert!(said.out.contains("it's a copy.db") && said.err.contains("tokenberg.db.key"), "{}", said.err);
    let names: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{names:?}");
    // Neither the key nor a secret is in the copy.
    let copy = fs::read(place.path("it's a copy.db")).unwrap();
    for secret in ["first-secret-of-root", fs::read_to_string(place.path("tokenberg.db.key")).unwrap().trim()]
    {
        assert!(!copy.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

/// As docs/operations.md describes it: `pg_dump` of the one database, and the key-encryption key, which is not in it.
#[test]
fn op_10_a_pg_dump_of_a_store_is_complete_and_useless_without_its_key() {
    let Some(postgres) = Postgres::shared() else { return };
    let (Some(pg_dump), Some(psql)) = (postgres_program("pg_dump"), postgres_program("psql")) else {
        println!("skipped: PostgreSQL is here without pg_dump and psql");
        return;
    };
    let place = Place::new();
    let key_file = place.path("shared.key").display().to_string();
    let on = |url: &str| {
        let variables = [
            ("TOKENBERG_STORE", url.to_owned()),
            ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret".into()),
        ];
        variables.into_iter().chain([("TOKENBERG_KEY_FILE", key_file.clone())]).collect::<Vec<_>>()
    };
    let (url, other) = (postgres.url(&postgres.database()), postgres.url(&postgres.database()));
    let serve = |url: &str| {
        let variables = on(url);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        place.start(&["--issuer", "http://localhost"], &variables)
    };
    let run = |program: &std::path::Path, arguments: &[&str]| {
        let said = Command::new(program).args(arguments).current_dir(place.path("")).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    let about = |server: &crate::support::Server, what: &str, token: &str| {
        let form = format!("client_id=root&client_secret=first-secret&token={token}");
        post(&format!("{}/v1/oauth/{what}", server.url), None, &form)
    };
    let server = serve(&url).unwrap_or_else(|said| panic!("{}", said.err));
    let (kept, revoked) =
        (server.ask("root", "first-secret").token(), server.ask("root", "first-secret").token());
    assert_eq!(about(&server, "revoke", &revoked).status, 200);
    run(&pg_dump, &["--no-owner", "--file", "dump.sql", &url]);
    let later = server.ask("root", "first-secret").token();
    assert_eq!(about(&server, "revoke", &later).status, 200);
    drop(server);

    let dump = fs::read_to_string(place.path("dump.sql")).unwrap();
    for secret in ["first-secret", fs::read_to_string(&key_file).unwrap().trim(), &kept, &revoked] {
        assert!(!dump.contains(secret));
    }
    run(
        &psql,
        &["--quiet", "--output", "/dev/null", "--set", "ON_ERROR_STOP=1", "--file", "dump.sql", &other],
    );
    fs::rename(&key_file, place.path("aside.key")).unwrap();
    let refused = serve(&other).err().expect("it has no key").err;
    assert!(refused.contains("key"), "{refused}");
    let _ = fs::remove_file(&key_file);
    fs::rename(place.path("aside.key"), &key_file).unwrap();
    let server = serve(&other).unwrap_or_else(|said| panic!("{}", said.err));
    for (token, active) in [(&kept, true), (&revoked, false), (&later, true)] {
        assert_eq!(
            about(&server, "introspect", token).body["active"],
            active,
            "as it was when it was copied"
        );
    }
    let variables = on(&other);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    place.run_with(&["audit", "verify"], "", &variables).done();
}
