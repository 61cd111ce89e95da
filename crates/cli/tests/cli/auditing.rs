//! The audit records every decision and change, and no secret: SE-01, SE-05, SE-06, OP-10 and OP-21.

use crate::support::{Place, Said, Server, files, post, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const ROOT: &str = "first-secret-of-root";

fn records(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn audit(place: &Place) -> Vec<Value> {
    records(&place.run(&["audit"]).done())
}

/// The number of records in which the field has this value.
fn count(records: &[Value], name: &str, value: &str) -> usize {
    records.iter().filter(|record| record[name] == value).count()
}

fn companion(server: &Server, path: &str, (id, secret): (&str, &str), token: &str) -> u16 {
    let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    post(&format!("{}/v1/oauth/{path}", server.url), Some(&authorization), &format!("token={token}")).status
}

#[test]
fn se_06_se_01_every_decision_and_change_is_a_record_without_any_secret() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    let secret = place.add("etl", &["--scope", "ns:read"]);
    within_a_second("the client is there", || server.ask("etl", &secret).status == 200);
    let token = server.ask("etl", &secret).token();
    assert_eq!(server.ask("etl", "wrong-secret-000").status, 401);
    let form = format!("grant_type=client_credentials&client_id=etl&client_secret={secret}&scope=admin");
    assert_eq!(server.tokens(&form).code(), "invalid_scope");
    assert_eq!(companion(&server, "introspect", ("root", ROOT), &token), 200);
    assert_eq!(companion(&server, "revoke", ("etl", &secret), &token), 200);
    place.run(&["client", "disable", "etl"]).done();
    place.run(&["key", "rotate"]).done();
    server.signal("TERM");
    assert!(server.ended().success());

    let audit = audit(&place);
    for (name, value, least) in [
        ("outcome", "granted", 1),
        ("outcome", "invalid_client", 1),
        ("outcome", "invalid_scope", 1),
        ("outcome", "inactive", 1),
        ("outcome", "revoked", 1),
        ("change", "client added", 2),
        ("change", "key added", 2),
        ("change", "client disabled", 1),
        ("change", "revoked", 1),
        ("event", "node began", 1),
        ("event", "ended", 1),
    ] {
        assert!(count(&audit, name, value) >= least, "{name} {value}: {audit:#?}");
    }
    let granted = audit.iter().rfind(|record| record["outcome"] == "granted").unwrap();
    for (name, value) in [
        ("endpoint", "/v1/oauth/tokens"),
        ("client", "etl"),
        ("grant", "client_credentials"),
        ("method", "client_secret_post"),
        ("subject", "etl"),
        ("source", "127.0.0.1"),
    ] {
        assert_eq!(granted[name], value, "{granted:#}");
    }
    for name in ["time", "chain", "request_id", "jti", "session", "scope_out"] {
        assert!(granted[name].is_string(), "{name}: {granted:#}");
    }
    let scope = audit.iter().find(|record| record["outcome"] == "invalid_scope").unwrap();
    assert_eq!((&scope["scope_in"], scope["reason"].is_string()), (&"admin".into(), true));
    let disabled = audit.iter().find(|record| record["change"] == "client disabled").unwrap();
    assert!(disabled["source"].as_str().unwrap().starts_with("command line"), "{disabled:#}");

    let verified = place.run(&["audit", "verify", "--json"]).done().json();
    assert_eq!((&verified["whole"], verified["records"].as_u64()), (&true.into(), Some(audit.len() as u64)));
    let signature = token.rsplit('.').next().unwrap();
    for hidden in [&secret, "wrong-secret-000", ROOT, &token, signature] {
        for (path, bytes) in
            files(&place.path("")).iter().filter(|(path, _)| path.to_string_lossy().contains("tokenberg.db"))
        {
            assert!(
                !bytes.windows(hidden.len()).any(|w| w == hidden.as_bytes()),
                "{hidden} in {}",
                path.display()
            );
        }
    }
}

#[test]
fn se_06_verify_names_what_was_tampered_with_and_a_note_detects_a_restored_store() {
    let place = Place::new();
    place.serve(&[]).signal("TERM");
    place.add("c1", &[]);
    let bytes = std::fs::read(place.path("tokenberg.db")).unwrap();
    place.add("c2", &[]);
    let verified = place.run(&["audit", "verify", "--json"]).done().json();
    let note = verified["chains"][0]["note"].as_str().unwrap();
    assert!(note.starts_with("installation/"), "{note}");
    place.run(&["audit", "verify", "--noted", note]).done();
    assert_eq!(place.run(&["audit", "verify", "--noted", "installation"]).code, 2);
    // The whole store of an hour ago is restored, which is consistent in itself.
    let turned_back = Place::new();
    std::fs::write(turned_back.path("tokenberg.db"), bytes).unwrap();
    std::fs::copy(place.path("tokenberg.db.key"), turned_back.path("tokenberg.db.key")).unwrap();
    turned_back.run(&["audit", "verify"]).done();
    let refused = turned_back.run(&["audit", "verify", "--noted", note]).refused();
    assert!(refused.err.contains("tampered") && refused.err.contains(note), "{}", refused.err);
    // One byte of a record in the file is changed.
    let mut bytes = std::fs::read(turned_back.path("tokenberg.db")).unwrap();
    let at = bytes.windows(12).rposition(|w| w == b"client added").unwrap();
    bytes[at] = b'C';
    std::fs::write(turned_back.path("tokenberg.db"), bytes).unwrap();
    let refused = turned_back.run(&["audit", "verify"]).refused();
    assert!(
        refused.err.contains("was changed") && refused.err.contains("of the chain installation"),
        "{}",
        refused.err
    );
}

#[test]
fn se_06_follow_prints_new_records_and_ends_cleanly_when_interrupted() {
    let place = Place::new();
    let server = place.serve(&[]);
    server.ask("root", ROOT).token();
    let mut follower =
        place.command().args(["audit", "--follow", "--since", "now"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    // Until one is seen, it is unknown whether the command follows already.
    let (done, asking) = std::sync::mpsc::channel::<()>();
    let endpoint = server.endpoint();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let form = format!("grant_type=client_credentials&client_id=root&client_secret={ROOT}");
            while asking.try_recv().is_err() {
                post(&endpoint, None, &form);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let is_granted = |line: String| serde_json::from_str::<Value>(&line).unwrap()["outcome"] == "granted";
        // The first lines may be of the second in which the command was started.
        let seen = lines.by_ref().map_while(Result::ok).any(is_granted);
        done.send(()).unwrap();
        assert!(seen);
    });
    let number = follower.id().to_string();
    assert!(Command::new("kill").args(["-INT", &number]).status().unwrap().success());
    assert!(follower.wait().unwrap().success());
    let later = records(&place.run(&["audit", "--since", "2040-01-01T00:00:00Z"]).done());
    assert_eq!(later, Vec::<Value>::new());
}

#[test]
fn op_10_se_06_a_killed_server_leaves_a_complete_audit_and_the_next_one_continues() {
    let place = Place::new();
    for round in 1..=3 {
        let server = place.serve(&[]);
        let asked = 20 * round;
        (0..asked).for_each(|_| drop(server.ask("root", ROOT).token()));
        within_a_second("some are recorded", || count(&audit(&place), "outcome", "granted") > 0);
        // Dropping the server kills it.
        drop(server);
        place.run(&["audit", "verify"]).done();
    }
    assert_eq!(count(&audit(&place), "event", "node began"), 3);
    assert_eq!(count(&audit(&place), "event", "ended"), 0);
}

#[test]
fn se_06_verify_names_what_was_restored_removed_or_granted_by_sql_and_writes_nothing() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    place.add("etl", &[]);
    place.run(&["client", "disable", "etl"]).done();
    if !place.sql("CREATE TABLE old_heads AS SELECT * FROM audit_heads; CREATE TABLE old_records AS SELECT * FROM audit_records",
    ) {
        return;
    }
    server.ask("root", ROOT).token();
    place.run(&["revoke", "--client", "etl"]).done();
    within_a_second("the token is recorded", || count(&audit(&place), "outcome", "granted") == 1);
    server.signal("TERM");
    assert!(server.ended().success());
    // The log has the value for `--noted`, so that it is known outside of the store.
    let log = server.log();
    let notes: Vec<&str> = log.split("note=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(notes.len() >= 2, "{log}");
    place.run(&["audit", "verify", "--noted", notes.last().unwrap()]).done();

    assert!(place.sql("PRAGMA wal_checkpoint(TRUNCATE)"));
    let before = std::fs::read(place.path("tokenberg.db")).unwrap();
    let verified = place.run(&["audit", "verify", "--json"]).done().json();
    assert_eq!((&verified["whole"], &verified["uncompared"]), (&true.into(), &0.into()), "{verified:#}");
    assert!(std::fs::read(place.path("tokenberg.db")).unwrap() == before, "it only looks");

    let node = "(SELECT chain FROM old_heads WHERE begun > 0)";
    for (statements, said) in [
        (
            "UPDATE clients SET enabled = 1".to_owned(),
            "client etl has another value of \"enabled\" than in record",
        ),
        (
            "INSERT INTO clients SELECT 'mallory', 1, rights, created_at FROM clients WHERE id = 'root'"
                .to_owned(),
            "client mallory is in the store without a record",
        ),
        (
            "DELETE FROM revoked_before".to_owned(),
            "revocation of all tokens of client etl was removed from the store without a record",
        ),
        (
            format!(
                "DELETE FROM audit_records WHERE chain = {node}; DELETE FROM audit_heads WHERE chain = {node}; \
                 INSERT INTO audit_records SELECT * FROM old_records WHERE chain = {node}; \
                 INSERT INTO audit_heads SELECT * FROM old_heads WHERE chain = {node}"
            ),
            "the chain was turned back: its end was cut off, ",
        ),
        (
            format!(
                "DELETE FROM audit_records WHERE chain = {node}; DELETE FROM audit_heads WHERE chain = {node}"
            ),
            "the whole chain was removed, ",
        ),
    ] {
        assert!(place.sql(&statements));
        let refused = place.run(&["audit", "verify"]).refused();
        assert!(
            refused.err.contains("tampered") && refused.err.contains(said),
            "{statements}: {}",
            refused.err
        );
        assert!(refused.out.contains("BROKEN") || refused.out.contains("DIFFERENT"), "{}", refused.out);
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(place.path(&format!("tokenberg.db{suffix}")));
        }
        std::fs::write(place.path("tokenberg.db"), &before).unwrap();
    }
    place.run(&["audit", "verify"]).done();
}

#[test]
fn se_06_op_20_a_trigger_that_stops_revisions_hides_no_change_and_is_reported() {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("etl", &[]);
    within_a_second("the client is there", || server.ask("etl", &secret).status == 200);
    if !place.sql(
        "CREATE TRIGGER hold AFTER UPDATE ON revisions BEGIN \
         UPDATE revisions SET number = OLD.number WHERE part = OLD.part; END; CREATE TABLE notes (text TEXT)",
    ) {
        return;
    }
    place.run(&["client", "disable", "etl"]).done();
    within_a_second("the client is refused", || server.ask("etl", &secret).status == 401);
    assert!(server.log().contains("changes were recorded that the table revisions does not count"));
    let named = "trigger hold of table revisions is not part of the schema";
    let refused = place.run(&["audit", "verify"]).refused();
    assert!(
        refused.err.contains(named) && refused.out.contains(&format!("SCHEMA: {named}")),
        "{}",
        refused.err
    );
    let json = place.run(&["audit", "verify", "--json"]).json();
    let affects = |found: &&Value| found["affects_servers"] == true;
    let found: Vec<&Value> = json["schema"].as_array().unwrap().iter().filter(affects).collect();
    assert_eq!((json["whole"].as_bool(), found.len(), &found[0]["name"]), (Some(false), 1, &"hold".into()));
    let checked = place.run(&["check"]);
    assert!(checked.out.contains(&format!("problem  schema: {named}")), "{}", checked.out);
    assert!(
        checked.out.contains("note     schema: table notes is not part of the schema"),
        "{}",
        checked.out
    );
    assert!(place.sql("DROP TRIGGER hold"));
    place.run(&["audit", "verify"]).done();
    assert!(
        place
            .run(&["check"])
            .out
            .contains("ok       schema: the tables are those that the migrations create")
    );
}
