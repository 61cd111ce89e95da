//! The audit cannot be written: requests are refused or losses are counted, as configured, and served again after: SE-06, OP-21.

use crate::support::{Answer, Place, Server, get, post, within_a_second};
use serde_json::Value;
use std::process::Command;
use tokenberg_testkit::{Line, Postgres, Wire, url_at};

const ROOT: &str = "first-secret-of-root";
/// The maximum number of waiting records.
const QUEUE: &str = "64";

/// A server whose store can be made unavailable.
struct Auditing {
    place: Place,
    server: Server,
    operations: String,
    store: String,
    key_file: String,
}

impl Auditing {
    fn on(store: &str, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let place = Place::new();
        let key_file = place.path("tokenberg.db.key").display().to_string();
        let of_store = [
            ("TOKENBERG_STORE", store),
            ("TOKENBERG_KEY_FILE", key_file.as_str()),
            ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root"),
            ("TOKENBERG_AUDIT_QUEUE", QUEUE),
        ];
        // SIGXFSZ is ignored, so a write beyond the limit returns an error, as on a full disk.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tokenberg")]);
        command.current_dir(place.path(""));
        let arguments = [&["--issuer", "http://localhost", "--ops-listen", "127.0.0.1:0"], more].concat();
        let variables = [&of_store[..], variables].concat();
        let server = place.start_by(command, &arguments, &variables);
        let server = server.unwrap_or_else(|said| panic!("did not start: {}", said.err));
        let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
        Self { place, server, operations, store: store.to_owned(), key_file }
    }

    fn figure(&self, name: &str) -> u64 {
        let figures = get(&format!("{}/metrics", self.operations)).body.as_str().unwrap().to_owned();
        let line =
            figures.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap().to_owned();
        line.parse::<f64>().unwrap() as u64
    }

    /// Requests tokens until one is refused or this many were granted; returns their number, and the refusal.
    fn ask(&self, most: u64) -> (u64, Option<Answer>) {
        for granted in 0..most {
            let answer = self.server.ask("root", ROOT);
            if answer.status != 200 {
                return (granted, Some(answer));
            }
        }
        (most, None)
    }

    fn companion(&self, path: &str) -> Answer {
        let form = format!("token=x&client_id=root&client_secret={ROOT}");
        post(&format!("{}/v1/oauth/{path}", self.server.url), None, &form)
    }

    fn audit(&self) -> Vec<Value> {
        let variables = [("TOKENBERG_STORE", self.store.as_str()), ("TOKENBERG_KEY_FILE", &self.key_file)];
        let said = self.place.run_with(&["audit"], "", &variables).done();
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn assert_whole(&self) {
        let variables = [("TOKENBERG_STORE", self.store.as_str()), ("TOKENBERG_KEY_FILE", &self.key_file)];
        self.place.run_with(&["audit", "verify"], "", &variables).done();
    }

    /// The number of recorded tokens, and the number of records that are reported as lost.
    fn recorded(&self) -> (u64, u64) {
        let records = self.audit();
        let granted = records.iter().filter(|record| record["outcome"] == "granted").count();
        let lost = records.iter().filter(|record| record["event"] == "records lost");
        (granted as u64, lost.map(|record| record["records"].as_u64().unwrap()).sum())
    }
}

fn is_refused_temporarily(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (503, "temporarily_unavailable"), "{answer:?}");
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}

/// Makes the store unavailable by `away`, and available again by `back`.
fn nothing_is_granted_without_a_record(auditing: &Auditing, away: impl FnOnce(), back: impl FnOnce()) {
    let most: u64 = QUEUE.parse().unwrap();
    let (mut granted, refused) = auditing.ask(3);
    assert!(refused.is_none());
    within_a_second("they are recorded", || auditing.figure("tokenberg_audit_records_total") == 3);
    away();
    let (more, refused) = auditing.ask(most * 2);
    granted += more;
    is_refused_temporarily(&refused.expect("there is no room for so many"));
    // The queue is full, except for the part that is reserved for requests in progress.
    assert_eq!(more, most - most / 8);
    is_refused_temporarily(&auditing.companion("introspect"));
    is_refused_temporarily(&auditing.server.ask("root", "wrong"));
    for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"] {
        assert_eq!(get(&format!("{}{path}", auditing.server.url)).status, 200, "it needs no record");
    }
    assert_eq!(auditing.figure("tokenberg_audit_refused_total"), 3);
    assert_eq!(auditing.figure("tokenberg_audit_lost_total"), 0);
    assert!((more..=most).contains(&auditing.figure("tokenberg_audit_waiting")));
    back();
    within_a_second("it is served again", || {
        let is_served = auditing.server.ask("root", ROOT).status == 200;
        granted += u64::from(is_served);
        is_served
    });
    // The first batch to be written may make room for one record only.
    within_a_second("so is introspection", || auditing.companion("introspect").status == 200);
    within_a_second("all is recorded", || auditing.figure("tokenberg_audit_waiting") == 0);
    assert_eq!(auditing.recorded(), (granted, 0));
    let reasons =
        auditing.audit().into_iter().filter_map(|record| record["reason"].as_str().map(str::to_owned));
    assert!(
        reasons.into_iter().any(|reason| reason.contains("record")),
        "the refusals are on record as well"
    );
    auditing.assert_whole();
}

#[test]
fn se_06_op_21_on_a_full_disk_nothing_is_granted_without_a_record_if_so_configured() {
    let auditing = Auditing::on("sqlite:tokenberg.db", &[], &[("TOKENBERG_AUDIT_WHEN_FULL", "refuse")]);
    if !auditing.server.limit_files("unlimited") {
        return;
    }
    let set = |bytes: &str| assert!(auditing.server.limit_files(bytes));
    nothing_is_granted_without_a_record(&auditing, || set("4096"), || set("unlimited"));
}

#[test]
fn se_06_op_21_without_postgresql_nothing_is_granted_without_a_record_if_so_configured() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let url = url_at(wire.port(), &postgres.database());
    let auditing = Auditing::on(&url, &["--audit-when-full", "refuse"], &[]);
    nothing_is_granted_without_a_record(&auditing, || wire.set(Line::Cut), || wire.set(Line::Open));
}

/// Lost records are counted, and every request is served; returns the number of tokens that were granted meanwhile.
fn all_clients_are_served(auditing: &Auditing, away: impl FnOnce(), back: impl FnOnce()) -> u64 {
    away();
    let asked = 150;
    let (granted, refused) = auditing.ask(asked);
    assert!(refused.is_none(), "{refused:?}");
    assert_eq!(auditing.companion("introspect").status, 200);
    let lost = auditing.figure("tokenberg_audit_lost_total");
    assert!(lost >= asked - QUEUE.parse::<u64>().unwrap(), "{lost}");
    assert_eq!(auditing.figure("tokenberg_audit_refused_total"), 0);
    back();
    within_a_second("what waited is recorded", || auditing.figure("tokenberg_audit_waiting") == 0);
    // They are in the next batch, if they were lost after this one had been made.
    within_a_second("what was lost is recorded", || auditing.recorded().1 == lost);
    let (recorded, logged) = auditing.recorded();
    // One more than tokens: the introspection, which came when the queue was full already.
    assert_eq!((recorded + logged, logged), (granted + 1, lost));
    auditing.assert_whole();
    granted
}

#[test]
fn se_06_op_21_on_a_full_disk_all_clients_are_served_and_lost_records_are_counted() {
    let auditing = Auditing::on("sqlite:tokenberg.db", &[], &[]);
    if !auditing.server.limit_files("unlimited") {
        return;
    }
    let set = |bytes: &str| assert!(auditing.server.limit_files(bytes));
    all_clients_are_served(&auditing, || set("4096"), || set("unlimited"));
}

#[test]
fn se_06_op_21_without_postgresql_all_clients_are_served_and_lost_records_are_logged() {
    let Some(postgres) = Postgres::shared() else { return };
    let wire = Wire::to(postgres.port());
    let url = url_at(wire.port(), &postgres.database());
    let place = Place::new();
    let config = place.file("t.toml", "audit-when-full = \"drop\"\n");
    let auditing = Auditing::on(&url, &["--config", &config], &[]);
    let granted = all_clients_are_served(&auditing, || wire.set(Line::Cut), || wire.set(Line::Open));
    assert_eq!(auditing.server.log().matches("granted a token").count() as u64, granted);
}
