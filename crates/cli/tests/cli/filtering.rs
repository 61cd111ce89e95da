//! The audit answers questions: by filters, as a table on a terminal, and with the secret that was used: SE-05 and SE-06.

use crate::support::{Place, within_a_second};
use serde_json::Value;
use std::process::Command;
use tokenberg_testkit::{Postgres, postgres_program};

fn records(place: &Place, filter: &[&str]) -> Vec<Value> {
    let said = place.run(&[&["audit"], filter].concat()).done();
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn se_06_filters_select_records_and_a_granted_one_names_the_secret_that_was_used() {
    let place = Place::new();
    let first = place.add("etl", &[]);
    place.add("spark", &[]);
    let second = place.run(&["client", "secret", "add", "etl", "--json"]).done().json();
    let mut server = place.serve(&[]);
    assert_eq!(server.ask("etl", &first).status, 200);
    assert_eq!(server.ask("etl", second["client_secret"].as_str().unwrap()).status, 200);
    assert_eq!(server.ask("etl", "wrong-secret-000").status, 401);
    assert_eq!(server.ask("spark", "wrong-secret-111").status, 401);
    let token = server.ask("etl", &first).token();
    server.renew(&token).token();
    server.signal("TERM");
    assert!(server.ended().success());

    let granted = records(&place, &["--client", "etl", "--outcome", "granted"]);
    let secrets: Vec<&Value> = granted.iter().map(|record| &record["secret"]).collect();
    let shown = place.run(&["client", "show", "etl", "--json"]).done().json();
    let ids: Vec<&Value> = shown["secrets"].as_array().unwrap().iter().map(|one| &one["secret_id"]).collect();
    let one = if *ids[1] == second["secret_id"] { ids[0] } else { ids[1] };
    assert_eq!(secrets[..3], [one, &second["secret_id"], one], "{granted:#?}");
    // A renewal is authenticated by a token and by no secret.
    assert_eq!((secrets.len(), secrets[3]), (4, &Value::Null));
    let refused = records(&place, &["--outcome", "refused"]);
    assert_eq!(refused.len(), 2, "{refused:#?}");
    assert_eq!(records(&place, &["--outcome", "refused", "--client", "spark"]).len(), 1);
    let request = refused[0]["request_id"].as_str().unwrap();
    assert_eq!(records(&place, &["--request", &request[..8]]), refused[..1]);
    assert_eq!(records(&place, &["--subject", "etl"]).len(), 4);
    // What was changed is found by the same name.
    let changes = records(&place, &["--client", "spark"]);
    assert!(changes.iter().any(|record| record["change"] == "client added"), "{changes:#?}");
    let all = records(&place, &[]);
    assert_eq!(records(&place, &["--since", "1h"]), all);
    assert_eq!(records(&place, &["--since", "-1h", "--until", "now"]).len(), all.len());
    assert!(records(&place, &["--until", "1h ago"]).is_empty());
    assert!(records(&place, &["--since", "1767225600", "--until", "2026-01-02"]).is_empty());
    let future = place.run(&["audit", "--since", "+1h"]).done();
    assert!(future.out.is_empty() && future.err.contains("is in the future"), "{}", future.err);
    for (wrong, tip) in [
        (&["--since", "1h", "--until", "2h"][..], "is not before --until"),
        (&["--outcome", "denied"], "invalid_client"),
        (&["--outcome", "grantd"], "did you mean `granted`?"),
    ] {
        let said = place.run(&[&["audit"], wrong].concat());
        assert!(said.code == 2 && said.err.contains(tip), "{wrong:?}: {}", said.err);
    }
}

#[test]
fn se_05_the_audit_is_a_table_on_a_terminal_and_lines_of_json_elsewhere() {
    let place = Place::new();
    let server = place.serve(&[]);
    server.ask("root", "first-secret-of-root").token();
    within_a_second("it is recorded", || !records(&place, &["--outcome", "granted"]).is_empty());
    let said = place.on_terminal(&["audit", "--outcome", "granted"], "").done();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("TIME ") && lines[0].ends_with("REQUEST"), "{}", said.out);
    assert!(lines[1].contains("Z  granted         root         root"), "{}", said.out);
    assert!(lines[2].starts_with("    scope catalog; secret "), "{}", said.out);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", said.out);
    let json = place.on_terminal(&["audit", "--json"], "").done();
    assert!(json.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", json.out);
}

#[test]
fn lists_fit_a_terminal_of_80_columns_and_files_get_them_whole() {
    let place = Place::new();
    place.add(
        "a-client-with-a-rather-long-name",
        &["--scope", "PRINCIPAL_ROLE:analyst", "--token-lifetime", "15m"],
    );
    place.add(
        "many",
        &["--scope", "catalog PRINCIPAL_ROLE:one PRINCIPAL_ROLE:two PRINCIPAL_ROLE:three ns:read"],
    );
    drop(place.serve(&[]));
    let kid = place.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    for command in ["client list", "key list", "client show many"] {
        let words: Vec<&str> = command.split(' ').collect();
        let shown = place.on_terminal(&words, "").done().out;
        let is_table = |line: &&str| !line.starts_with("scope") && !line.starts_with("grants");
        assert!(shown.lines().filter(is_table).all(|line| line.chars().count() <= 80), "{shown}");
    }
    let shown = place.on_terminal(&["key", "list"], "").done().out;
    assert!(shown.contains(&kid[..8]) && !shown.contains(&kid), "{shown}");
    // What is shown is enough for a command.
    let short = shown.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(place.run(&["key", "show", &short, "--json"]).done().json()["kid"], kid.as_str());
    assert!(place.run(&["key", "list"]).done().out.contains(&kid));
    assert!(place.run(&["client", "list"]).done().out.contains("PRINCIPAL_ROLE:three ns:read"));
}

/// The SQL of a section of a document.
fn sql_of(document: &str, heading: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(heading).unwrap();
    let (_, sql) = section.split_once("```sql\n").unwrap();
    sql.split_once("```").unwrap().0.to_owned()
}

#[test]
fn se_06_the_documented_query_reads_the_records_that_the_command_prints() {
    let (Some(postgres), Some(psql)) = (Postgres::shared(), postgres_program("psql")) else {
        println!("skipped: no PostgreSQL with psql here");
        return;
    };
    let place = Place::new();
    let url = postgres.url(&postgres.database());
    let variables = [("TOKENBERG_STORE", url.as_str()), ("TOKENBERG_KEY_FILE", "shared.key")];
    let credential = ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root");
    let mut server = place.serve_with(&[], &[variables[0], variables[1], credential]);
    // Some of them share a row.
    (0..40).for_each(|_| drop(server.ask("root", "first-secret-of-root").token()));
    server.signal("TERM");
    assert!(server.ended().success());
    let printed = place.run_with(&["audit", "--since", "1h"], "", &variables).done();
    let query = sql_of("operations.md", "### Reading records with SQL");
    let query = query.trim().trim_end_matches(';');
    let query = format!(
        "SELECT count(*), count(*) FILTER (WHERE record->>'outcome' = 'granted'), min(time) > now() - interval '1 hour' FROM ({query}) AS q"
    );
    let done =
        Command::new(psql).args([&url, "-At", "-c", &query]).env("PGSSLMODE", "disable").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = format!("{}|40|t\n", printed.out.lines().count());
    assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
}
