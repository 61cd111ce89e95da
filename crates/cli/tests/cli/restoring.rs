//! A backup is put in the place of a store, and nothing from before is valid afterwards; conformance OP-10, SE-06.

use crate::foreign::{assertion_form, claims};
use crate::support::{Place, Said, Server, post, within_a_second};
use serde_json::{Value, json};
use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokenberg_testkit::{ForeignKey, Postgres, postgres_program};

const ISSUER: &str = "http://localhost";
const ROOT: (&str, &str) = ("root", "first-secret-of-root");

fn serve(place: &Place) -> Server {
    place.serve(&["--issuer", ISSUER])
}

fn is_active(server: &Server, token: &str) -> bool {
    let form = format!("client_id={}&client_secret={}&token={token}", ROOT.0, ROOT.1);
    let answer = post(&format!("{}/v1/oauth/introspect", server.url), None, &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["active"] == true
}

/// The files in the directory whose names begin with that of the store.
fn beside(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("tokenberg.db")).collect();
    names.sort();
    names
}

/// A client that authenticates by its key, and its assertions: each may be used once.
fn signer(run: impl Fn(&[&str]) -> Said, place: &Place) -> impl Fn(&str) -> String {
    let key = ForeignKey::new(Some("own"));
    place.file("signer.json", &key.jwks());
    run(&["client", "add", "signer", "--auth-method", "private_key_jwt", "--jwks", "signer.json"]).done();
    move |id| assertion_form(&key.sign(&claims("signer", "signer", ISSUER, &json!({"jti": id}))))
}

#[test]
fn s_4_f_5_a_restored_store_lets_nothing_in_that_was_revoked_since() {
    let place = Place::new();
    let mut server = serve(&place);
    let sign = signer(|arguments| place.run(arguments), &place);
    for id in ["leaver", "leaked", "back", "kept"] {
        place.add(id, &[]);
    }
    let secret = place.add("rotated", &[]);
    let shown = place.run(&["client", "show", "rotated", "--json"]).done().json();
    let secret_id = shown["secrets"][0]["secret_id"].as_str().unwrap().to_owned();
    place.run(&["backup", "copy.db"]).done();
    let stolen = place.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();

    // What is lost by the restore.
    let token = server.ask(ROOT.0, ROOT.1).token();
    let used = sign("used before");
    within_a_second("the assertion is accepted", || server.tokens(&used).status == 200);
    place.run(&["client", "remove", "leaver"]).done();
    place.run(&["client", "disable", "leaked"]).done();
    place.run(&["client", "disable", "back"]).done();
    place.run(&["client", "enable", "back"]).done();
    place.run(&["client", "secret", "expire", "rotated", &secret_id]).done();
    place.run(&["subject", "disable", "alice"]).done();
    place.run(&["key", "revoke", &stolen]).done();
    place.run(&["client", "add", "later"]).done();
    place.run(&["client", "disable", "later"]).done();
    let exported = place.run(&["audit"]).done().out;
    place.file("audit.jsonl", &exported);

    // Not while a server runs, and with no other key.
    let bytes = fs::read(place.path("copy.db")).unwrap();
    let refused = place.run(&["restore", "copy.db"]).refused().err;
    assert!(refused.contains("is in use"), "{refused}");
    assert_eq!(server.ask(ROOT.0, ROOT.1).status, 200);
    server.signal("KILL");
    server.ended();
    assert!(place.path("tokenberg.db-wal").exists());
    place.file("other.key", &"0".repeat(64));
    fs::set_permissions(place.path("other.key"), fs::Permissions::from_mode(0o600)).unwrap();
    place.file("text", "no database");
    place.file("empty", "");
    for (arguments, reason) in [
        (&["restore", "copy.db", "--key-file", "other.key"][..], "sealed"),
        (&["restore", "absent.db"], "no backup"),
        (&["restore", "text"], "no backup"),
        (&["restore", "empty"], "no backup"),
        (&["restore", "tokenberg.db"], "the store itself"),
        (&["restore", "copy.db", "--replay", "signer.json"], "line 1 of signer.json"),
    ] {
        let refused = place.run(arguments).refused().err;
        assert!(refused.contains(reason), "{arguments:?} {refused}");
    }
    assert!(place.run(&["client", "list"]).done().out.contains("later"), "the store is as it was");

    let said = place.run(&["restore", "copy.db", "--replay", "audit.jsonl", "--json"]).done();
    let done = said.json();
    assert_eq!(done["revoked_keys"], json!([stolen]));
    let applied = done["replayed"]["applied"].as_array().unwrap();
    let applied: Vec<&str> = applied.iter().map(|what| what.as_str().unwrap()).collect();
    for what in ["leaver is removed", "leaked is disabled", "rotated ends", "alice is disabled"] {
        assert!(applied.iter().any(|applied| applied.contains(what)), "{what}: {applied:?}");
    }
    assert_eq!(applied.len(), 4, "{applied:?}");
    assert_eq!(done["replayed"]["absent"], json!(["client later is disabled"]));
    assert!(fs::read(place.path("copy.db")).unwrap() == bytes, "the backup is as it was");

    // The store of before is whole under its other name, and its files are not beside the new one.
    let kept = done["kept"].as_str().unwrap().to_owned();
    let names = beside(&place);
    assert!(!names.iter().any(|name| name == "tokenberg.db-wal" || name.contains("restoring")), "{names:?}");
    let kept_store = format!("sqlite:{kept}");
    let listed =
        place.run(&["client", "list", "--store", &kept_store, "--key-file", "tokenberg.db.key"]).done();
    assert!(listed.out.contains("later"), "{}", listed.out);

    let server = serve(&place);
    assert!(!is_active(&server, &token));
    assert_eq!(server.renew(&token).status, 401);
    let fresh = server.ask(ROOT.0, ROOT.1).token();
    assert!(is_active(&server, &fresh));
    assert_eq!(server.tokens(&used).status, 401, "it was used before");
    assert_eq!(server.tokens(&sign("after")).status, 200);
    assert_eq!(server.ask("rotated", &secret).status, 401);
    let clients = place.run(&["client", "list", "--json"]).done().json();
    let states: Vec<(&str, bool)> = clients.as_array().unwrap().iter().map(state).collect();
    for (id, is_enabled) in [("leaked", false), ("back", true), ("kept", true), ("rotated", true)] {
        assert!(states.contains(&(id, is_enabled)), "{id} {states:?}");
    }
    assert!(!states.iter().any(|(id, _)| ["leaver", "later"].contains(id)), "{states:?}");
    let verified = place.run(&["audit", "verify", "--json"]).done().json();
    assert!(verified["whole"] == true && verified["restores"].as_array().unwrap().len() == 1, "{verified}");
    place.run(&["check", "--issuer", ISSUER]);
}

fn state(client: &Value) -> (&str, bool) {
    (client["client_id"].as_str().unwrap(), client["enabled"] == true)
}

#[test]
fn f_5_a_backup_that_was_copied_beside_files_of_another_store_is_named_and_restore_mends_it() {
    let place = Place::new();
    let mut server = serve(&place);
    place.run(&["backup", "copy.db"]).done();
    for n in 0..40 {
        place.run(&["client", "add", &format!("client-{n}"), "--json"]).done();
    }
    server.signal("KILL");
    server.ended();
    // What is left of a store after a copy, and a -wal file that does not belong to it.
    let copy = || {
        fs::write(place.path("tokenberg.db-wal"), "of another store").unwrap();
        fs::write(place.path("tokenberg.db"), "this is no database, but it is long enough to look like one")
            .unwrap();
    };
    for command in [&["client", "list"][..], &["check"], &["serve", "--listen", "127.0.0.1:0"]] {
        copy();
        let said = place.run(command);
        let text = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, 1, "{text}");
        assert!(text.contains("tokenberg.db-wal") && text.contains("`tokenberg restore FILE`"), "{text}");
    }
    copy();
    let done = place.run(&["restore", "copy.db", "--json"]).done().json();
    let kept = done["kept"].as_str().unwrap();
    assert!(fs::read(place.path(kept)).unwrap().starts_with(b"this is no database"));
    assert!(!place.path("tokenberg.db-wal").exists());
    let listed = place.run(&["client", "list"]).done().out;
    assert!(listed.contains("root") && !listed.contains("client-0"), "{listed}");
    assert_eq!(serve(&place).ask(ROOT.0, ROOT.1).status, 200);
}

#[test]
fn op_10_a_backup_is_restored_where_there_is_no_store_and_an_older_one_is_migrated() {
    let place = Place::new();
    drop(serve(&place));
    if !place.sql(crate::deliberate::BACK_TO_4) {
        return;
    }
    place.run(&["backup", "older.db"]).done();
    let arguments =
        ["restore", "older.db", "--store", "sqlite:new.db", "--key-file", "tokenberg.db.key", "--json"];
    let done = place.run(&arguments).done().json();
    assert_eq!(done["kept"], Value::Null);
    let plan = place.run(&["migrate", "--plan", "--store", "sqlite:new.db", "--json"]).done().json();
    assert_eq!(plan["from"], 7);
}

/// A program of PostgreSQL that must succeed.
fn run(program: &Path, place: &Place, arguments: &[&str]) {
    let said = Command::new(program).args(arguments).current_dir(place.path("")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn s_4_a_restored_postgresql_revokes_the_stolen_key_and_its_audit_is_whole_again() {
    let Some(postgres) = Postgres::shared() else { return };
    let programs: Option<(PathBuf, PathBuf)> = postgres_program("pg_dump").zip(postgres_program("psql"));
    let Some((pg_dump, psql)) = programs else {
        println!("skipped: PostgreSQL is here without pg_dump and psql");
        return;
    };
    let place = Place::new();
    let url = postgres.url(&postgres.database());
    let variables = [("TOKENBERG_STORE", url.as_str()), ("TOKENBERG_KEY_FILE", "key")];
    let command = |arguments: &[&str]| place.run_with(arguments, "", &variables);
    let credential = format!("{}:{}", ROOT.0, ROOT.1);
    let start = || {
        let variables = [&variables[..], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", &credential)]].concat();
        place.start(&["--issuer", ISSUER], &variables).unwrap_or_else(|said| panic!("{}", said.err))
    };
    let server = start();
    let sign = signer(command, &place);
    run(&pg_dump, &place, &["--no-owner", "--file", "dump.sql", &url]);
    let stolen = command(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    let token = server.ask(ROOT.0, ROOT.1).token();
    let used = sign("used before");
    within_a_second("the assertion is accepted", || server.tokens(&used).status == 200);
    command(&["key", "revoke", &stolen]).done();
    within_a_second("the server follows", || !is_active(&server, &token));
    let begun = command(&["audit", "verify", "--json"]).done().json();
    assert_eq!(begun["whole"], true);

    // Back to the dump. A server that ran meanwhile would revoke the key again.
    drop(server);
    let schema = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
    run(&psql, &place, &["--quiet", "--set", "ON_ERROR_STOP=1", "--command", schema, &url]);
    let quiet = ["--quiet", "--output", "/dev/null", "--set", "ON_ERROR_STOP=1", "--file", "dump.sql", &url];
    run(&psql, &place, &quiet);
    assert!(is_active(&start(), &token), "the stolen key is back in service");

    let done = command(&["restored", "--json"]).done().json();
    assert_eq!(done["revoked_keys"], json!([stolen]));
    // The one server reports what it knew; without a word, that is a finding.
    let verified = command(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("RESTORED"), "{}", verified.out);
    let server = start();
    assert!(!is_active(&server, &token));
    assert!(is_active(&server, &server.ask(ROOT.0, ROOT.1).token()));
    assert_eq!(server.tokens(&used).status, 401);
    assert_eq!(server.tokens(&sign("after")).status, 200);
    let again = command(&["restored", "--only-acknowledge", "--json"]).done().json();
    assert_eq!(again["acknowledged"], 0);
    let refused = place.run_with(&["restore", "dump.sql"], "", &variables).refused().err;
    assert!(refused.contains("`tokenberg restored`"), "{refused}");
}

#[test]
fn f_5_a_backup_that_no_server_could_read_is_refused_and_a_link_is_kept() {
    let place = Place::new();
    place.add("etl", &[]);
    place.run(&["backup", "good.db"]).done();
    if !place.sql("UPDATE clients SET rights = 'ZZ' WHERE id = 'etl'") {
        return;
    }
    place.run(&["backup", "bad.db"]).done();
    place.run(&["restore", "good.db"]).done();
    let before = fs::read(place.path("tokenberg.db")).unwrap();
    let refused = place.run(&["restore", "bad.db"]).refused();
    assert!(refused.err.contains("the backup is damaged"), "{}", refused.err);
    assert!(fs::read(place.path("tokenberg.db")).unwrap() == before);
    // The store may be a link to a file on another volume.
    std::os::unix::fs::symlink(place.path("tokenberg.db"), place.path("link.db")).unwrap();
    fs::copy(place.path("tokenberg.db.key"), place.path("link.db.key")).unwrap();
    place.add("spark", &[]);
    place.run(&["restore", "good.db", "--store", "sqlite:link.db"]).done();
    assert!(fs::symlink_metadata(place.path("link.db")).unwrap().is_symlink());
    let listed = place.run(&["client", "list"]).done().out;
    assert!(listed.contains("etl") && !listed.contains("spark"), "{listed}");
}

#[test]
fn op_13_what_only_looks_changes_no_byte_of_a_backup() {
    let place = Place::new();
    place.add("etl", &[]);
    place.run(&["backup", "copy.db"]).done();
    let before = fs::read(place.path("copy.db")).unwrap();
    let exported = place.run(&["export"]).done().out;
    place.file("all.toml", &exported);
    for command in [
        &["export"][..],
        &["diff", "all.toml"],
        &["apply", "all.toml", "--dry-run"],
        &["ui", "--at", "http://127.0.0.1:8184"],
        &["client", "list"],
        &["audit"],
        &["explain", "--client", "etl"],
    ] {
        let store = ["--store", "sqlite:copy.db", "--key-file", "tokenberg.db.key"];
        let said = place.run(&[command, &store].concat()).done();
        assert!(fs::read(place.path("copy.db")).unwrap() == before, "{command:?} {}", said.out);
    }
}

#[test]
fn op_13_check_reports_a_store_that_cannot_be_written() {
    let place = Place::new();
    place.add("etl", &[]);
    fs::set_permissions(place.path("tokenberg.db"), fs::Permissions::from_mode(0o444)).unwrap();
    let said = place.run(&["check"]);
    if File::options().write(true).open(place.path("tokenberg.db")).is_ok() {
        println!("skipped: this user may write everything");
        return;
    }
    assert!(said.code == 1 && said.out.contains("but not written"), "{}", said.out);
}
