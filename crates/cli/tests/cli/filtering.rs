//! The audit answers questions: by filters, as a table on a terminal, and with the secret that was used: SE-05 and SE-06.

use crate::support::{Place, get, within_a_second};
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
    let last =
        |more: &[&str]| records(&place, &[&["--client", "etl", "--outcome", "granted"], more].concat());
    assert_eq!(last(&["--last", "2"]), granted[2..]);
    assert_eq!(last(&["--last", "100", "--since", "1h", "--until", "now"]), granted);
    assert!(last(&["--last", "3", "--until", "1h ago"]).is_empty());
    assert!(last(&["--last", "3", "--since", "+1h"]).is_empty());
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
        (&["--last", "0"], "--last"),
        (&["--last", "1", "--follow"], "--follow"),
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

/// The statements in a section of a document, after a line that begins with these words.
fn statements_after(words: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("### Reading records with SQL").unwrap();
    let (_, section) = section.split_once(&format!("\n{words}")).unwrap();
    let (_, sql) = section.split_once("```sql\n").unwrap();
    sql.split_once("```").unwrap().0.to_owned()
}

/// What a program prints.
fn printed(command: &mut Command) -> Option<String> {
    let done = command.output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn se_06_the_documented_views_have_the_records_that_the_command_prints() {
    let postgres = Postgres::shared().zip(postgres_program("psql"));
    let place = Place::new();
    let urls = [
        Some("sqlite:tokenberg.db".to_owned()),
        postgres.as_ref().map(|(postgres, _)| postgres.url(&postgres.database())),
    ];
    for url in urls.iter().flatten() {
        let variables = [("TOKENBERG_STORE", url.as_str()), ("TOKENBERG_KEY_FILE", "shared.key")];
        let credential = ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root");
        let mut server = place.serve_with(&[], &[variables[0], variables[1], credential]);
        // Some of them share a row.
        (0..40).for_each(|_| drop(server.ask("root", "first-secret-of-root").token()));
        // Texts that JSON and SQL escape.
        for hostile in ["%5C%22%0A+n", "%5Cn%5C%5Cn", "%01%22%2C%22"] {
            server.tokens(&format!(
                "grant_type=client_credentials&client_id=root&client_secret=x&scope={hostile}"
            ));
        }
        server.signal("TERM");
        assert!(server.ended().success());
        let lines = place.run_with(&["audit", "--since", "1h"], "", &variables).done().out;
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let is_sqlite = url.starts_with("sqlite:");
        let view = statements_after(if is_sqlite { "SQLite" } else { "PostgreSQL" });
        let query = if is_sqlite {
            "SELECT json_object('time', time, 'chain', chain, 'number', number, 'record', json(record)) FROM audit_log \
             WHERE row_at >= (unixepoch() - 3600) * 1000"
        } else {
            "SELECT json_build_object('time', to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'chain', chain, \
             'number', number, 'record', record) FROM audit_log WHERE row_at >= (extract(epoch FROM now()) - 3600) * 1000"
        };
        let read = match (is_sqlite, &postgres) {
            (true, _) => {
                let file = place.path("tokenberg.db");
                printed(Command::new("sqlite3").arg(&file).arg(&view))
                    .and_then(|_| printed(Command::new("sqlite3").arg(&file).arg(query)))
            }
            (false, Some((_, psql))) => {
                let psql = || {
                    let mut command = Command::new(psql);
                    command.args([url.as_str(), "-At", "-c"]).env("PGSSLMODE", "disable");
                    command
                };
                let read = printed(psql().arg(&view)).and_then(|_| printed(psql().arg(query)));
                let of_day =
                    statements_after("A report") + "REFRESH MATERIALIZED VIEW CONCURRENTLY audit_day";
                for statement in of_day.split(';') {
                    printed(psql().arg(statement));
                }
                let same = "SELECT COUNT(*) FROM audit_day FULL JOIN audit_log USING (chain, number) WHERE outcome IS DISTINCT FROM \
                            record ->> 'outcome' OR request_id IS DISTINCT FROM record ->> 'request_id' OR audit_day IS NULL";
                let count = "SELECT COUNT(*) FROM audit_day WHERE outcome = 'granted'";
                assert_eq!(printed(psql().arg(same)).as_deref(), Some("0\n"));
                assert_eq!(printed(psql().arg(count)).as_deref(), Some("40\n"));
                read
            }
            (false, None) => None,
        };
        let Some(read) = read else {
            eprintln!("skipped: no sqlite3 here");
            continue;
        };
        let mut found: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for row in &mut found {
            let Value::Object(record) = row["record"].take() else { panic!("{row}") };
            let row = row.as_object_mut().unwrap();
            row.remove("record");
            row.extend(record);
        }
        let sorted = |mut rows: Vec<Value>| {
            rows.sort_by_key(|row| (row["chain"].to_string(), row["number"].as_i64()));
            rows
        };
        let (found, lines) = (sorted(found), sorted(lines));
        assert_eq!(found.len(), lines.len(), "{url}");
        for (found, line) in found.iter().zip(&lines) {
            assert_eq!(found, line, "{url}");
        }
        // The view is not the store's, and no fault.
        place.run_with(&["audit", "verify"], "", &variables).done();
    }
    if postgres.is_none() {
        eprintln!("skipped: no PostgreSQL with psql here");
    }
}

#[test]
fn se_06_a_recorded_refusal_is_explained_without_the_request() {
    let place = Place::new();
    let secret = place.add("etl", &["--scope", "catalog"]);
    let mut server = place.serve(&[]);
    let form = format!("grant_type=client_credentials&client_id=etl&client_secret={secret}&scope=ns%3Aread");
    assert_eq!(server.tokens(&form).code(), "invalid_scope");
    server.ask("etl", &secret).token();
    server.ask("etl", "wrong-secret-000");
    server.signal("TERM");
    assert!(server.ended().success());
    let request = |outcome: &str| {
        let found = records(&place, &["--client", "etl", "--outcome", outcome]);
        found[0]["request_id"].as_str().unwrap().to_owned()
    };
    let explain = |id: &str| place.run(&["explain", "--request", id]);
    // The identifier may be shortened, and what would allow the request comes last.
    let refused = explain(&request("invalid_scope")[..12]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    for part in [
        "client     it was the client etl",
        "decision   invalid_scope",
        "ns:read",
        "tokenberg client change etl --scope",
    ] {
        assert!(refused.out.contains(part), "{part}: {}", refused.out);
    }
    let granted = explain(&request("granted")).done().out;
    assert!(granted.contains("with the secret ") && !granted.contains("to allow it"), "{granted}");
    let wrong = explain(&request("invalid_client")).done().out;
    assert!(
        wrong.contains("to allow it: the client has to send a live secret")
            && wrong.contains("client secret add etl"),
        "{wrong}"
    );
    let value = place.run(&["explain", "--request", &request("invalid_scope"), "--json"]).json();
    assert_eq!((&value["recorded"]["refused"], &value["now"]["verdict"]), (&true.into(), &"refused".into()));
    assert!(value["to_allow_it"].as_str().unwrap().contains("client change"), "{value}");
    // After the change, such a request would be granted.
    place.run(&["client", "change", "etl", "--scope", "catalog ns:read"]).done();
    assert!(explain(&request("invalid_scope")).done().out.contains("would be granted now"));
    let absent = place.run(&["explain", "--request", "ffffffffffffffff"]).refused();
    assert!(absent.err.contains("no decision about the request"), "{}", absent.err);
    // One that is made of the beginnings of several.
    let first: Vec<String> =
        records(&place, &[]).iter().filter_map(|r| Some(r["request_id"].as_str()?[..1].to_owned())).collect();
    if let Some(shared) = first.iter().find(|one| first.iter().filter(|other| other == one).count() > 1) {
        assert!(explain(shared).refused().err.contains("several requests begin with"));
    }
    assert_eq!(place.run(&["explain", "--request", "x", "--client", "etl"]).code, 2);
    // An attacker who removes the head of the chain hides no record.
    let id = request("granted");
    if place.sql("DELETE FROM audit_heads WHERE chain <> 'installation'") {
        assert!(explain(&id).done().out.contains("with the secret "), "{id}");
        assert_eq!(place.run(&["audit", "verify"]).code, 1);
    }
}

#[test]
fn op_20_se_06_records_are_counted_exported_and_pruned_with_a_trace() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    (0..5).for_each(|_| drop(server.ask("root", "first-secret-of-root").token()));
    server.signal("TERM");
    assert!(server.ended().success());
    let size = place.run(&["audit", "size", "--json"]).done().json();
    assert_eq!(size["records"], records(&place, &[]).len());
    let events = place.run(&["audit", "--format", "ocsf", "--outcome", "granted"]).done().out;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((events.len(), &events[0]["type_uid"]), (5, &300_201.into()));
    let all = records(&place, &[]).len();
    let plan = place.run(&["audit", "prune", "--before", "0s", "--dry-run"]).done().out;
    assert!(plan.contains("would remove audit records"), "{plan}");
    assert_eq!(records(&place, &[]).len(), all);
    let nothing = place.run(&["audit", "prune", "--older-than", "1h", "--yes", "--json"]).done().json();
    assert_eq!(nothing["removed"], 0);
    assert_eq!(records(&place, &[]).len(), all);
    // Times are of seconds, and a server that runs keeps its own records.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let nodes = || place.run(&["nodes", "--json"]).done().json();
    within_a_second("the server is recorded", || nodes()[0]["since"].is_string());
    let began = nodes()[0]["since"].as_str().unwrap().to_owned();
    let plan = place.run(&["audit", "prune", "--before", &began, "--dry-run"]).done().out;
    let removed = place.run(&["audit", "prune", "--before", &began, "--json"]).done().json();
    assert!(removed["removed"].as_u64().unwrap() >= 5, "{removed}");
    let left = records(&place, &[]);
    let trace = left.iter().find(|record| record["change"] == "audit pruned").unwrap();
    assert!(trace["source"].as_str().unwrap().contains("command line"), "{trace}");
    assert_eq!(trace["records"], removed["removed"]);
    assert!(plan.contains(&format!("{} records", removed["removed"])), "{plan} {removed}");
    // It is no change of the configuration that the servers have missed.
    place.run(&["client", "add", "after"]).done();
    within_a_second("the server has followed", || nodes()[0]["behind"] == 0);
    let metrics = get(&format!("{operations}/metrics")).body;
    assert!(metrics.as_str().unwrap().contains("tokenberg_store_rereads_total 0"), "{metrics}");
    assert!(records(&place, &["--outcome", "granted"]).is_empty());
    place.run(&["audit", "verify"]).done();
    assert_eq!(place.run(&["audit", "prune"]).code, 2);
    assert_eq!(place.run(&["audit", "prune", "--before", "+1h"]).code, 2);
}
