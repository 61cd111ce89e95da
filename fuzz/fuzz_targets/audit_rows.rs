//! Rows of the audit that were changed in the database: they are read and printed without harm, and verification reports them.
#![no_main]

#[path = "../../crates/cli/src/commands/audit_record.rs"]
mod audit_record;
#[path = "../../crates/cli/src/commands/audit_text.rs"]
mod audit_text;
#[path = "../../crates/cli/src/output.rs"]
#[allow(dead_code, reason = "commands print more than the audit")]
mod output;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::text::is_unsafe_to_display;
use tokenberg_core::{Outcome, Rights, Timestamp};
use tokenberg_store::{AuditCursor, AuditEntry, KekSource, NewSecret, Store, StoreError, StoreUrl, WhenFull};
use tokio::runtime::Runtime;

/// The columns of a table, with the letters that a script has for them.
type Columns = &'static [(u8, &'static str, Kind)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Bytes,
}

const RECORDS: Columns = &[
    (b'c', "chain", Kind::Text),
    (b'n', "number", Kind::Number),
    (b'a', "at", Kind::Number),
    (b't', "record", Kind::Text),
    (b'h', "hash", Kind::Bytes),
];

const HEADS: Columns = &[
    (b'c', "chain", Kind::Text),
    (b'n', "number", Kind::Number),
    (b'h', "hash", Kind::Bytes),
    (b'a', "at", Kind::Number),
    (b'b', "begun", Kind::Number),
    (b'e', "ended", Kind::Number),
    (b's', "seal", Kind::Bytes),
    (b'f', "first", Kind::Number),
    (b'p', "before", Kind::Bytes),
    (b'k', "anchor", Kind::Bytes),
];

const KEEP: &str = "PRAGMA synchronous = OFF; CREATE TABLE kept_records AS SELECT * FROM audit_records; \
    CREATE TABLE kept_heads AS SELECT * FROM audit_heads";
const RESTORE: &str = "BEGIN; DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM kept_records; \
    DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads; COMMIT";

/// A store whose audit has three chains, and an attacker's connection to its database.
struct Audit {
    runtime: Runtime,
    store: Store,
    intruder: SqliteConnection,
    original: [Vec<String>; 2],
    entries: usize,
}

thread_local! {
    static AUDIT: RefCell<Audit> = RefCell::new(Audit::new());
}

fuzz_target!(|script: &[u8]| AUDIT.with_borrow_mut(|audit| audit.check(script)));

impl Audit {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let directory = directory();
        let (store, intruder) = runtime.block_on(begun(&directory));
        let mut audit = Self { runtime, store, intruder, original: [vec![], vec![]], entries: 0 };
        audit.original = audit.rows().0;
        audit.entries = audit.read(AuditCursor::default()).len();
        assert!(audit.entries > 8, "{} records", audit.entries);
        audit
    }

    fn check(&mut self, script: &[u8]) {
        let restore = sqlx::raw_sql(RESTORE).execute(&mut self.intruder);
        self.runtime.block_on(restore).expect("the original");
        for line in script.split(|byte| *byte == b'\n').take(3) {
            self.change(line);
        }
        let (rows, lines) = self.rows();
        let is_changed = rows != self.original;
        let reached =
            Timestamp::from_seconds(i64::try_from(script.len()).unwrap_or_default()).expect("a time");
        for cursor in [AuditCursor::default(), AuditCursor::since(Some(reached))] {
            let entries = self.read(cursor);
            assert!(entries.len() <= lines, "{} entries of {lines} lines", entries.len());
            assert!(is_changed || entries.len() == self.entries);
            entries.iter().for_each(|entry| check_line(entry, is_changed));
        }
        // A cell that is of another type, and so cannot be read at all, is reported as well.
        let Ok(report) = self.runtime.block_on(self.store.verify_audit()) else {
            assert!(is_changed, "what is whole cannot be verified");
            return;
        };
        assert_eq!(report.is_whole(), !is_changed, "{report:?}");
        let text = audit_text::text(&report);
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe_to_display(c)), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("CHAIN ")).count(), 1);
        let printed = output::escaped(&audit_text::value(&report));
        assert!(!printed.chars().any(|c| c != '\n' && is_unsafe_to_display(c)), "{printed:?}");
        let value: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(value["whole"], !is_changed);
    }

    /// The records that can be read from there on; none is read twice.
    fn read(&self, mut cursor: AuditCursor) -> Vec<AuditEntry> {
        let mut entries = Vec::new();
        let mut read = || {
            let take = |entry| -> Result<(), StoreError> {
                entries.push(entry);
                Ok(())
            };
            let outcome = self.runtime.block_on(self.store.read_audit(&mut cursor, take));
            (outcome.is_ok(), entries.len())
        };
        let (is_read, count) = read();
        assert!(!is_read || read() == (true, count), "read twice");
        entries
    }

    /// One change: the table, the number of a row, and a column or a change of the row; then the value.
    fn change(&mut self, line: &[u8]) {
        let [table, row, what, value @ ..] = line else { return };
        let (table, columns) =
            if *table == b'h' { ("audit_heads", HEADS) } else { ("audit_records", RECORDS) };
        let place = |row: &u8| {
            let row = row.wrapping_sub(b'0');
            format!(
                "(SELECT rowid FROM {table} ORDER BY chain, number LIMIT 1 OFFSET \
                     {row} % max(1, (SELECT count(*) FROM {table})))"
            )
        };
        let (here, value_text) = (place(row), String::from_utf8_lossy(value).into_owned());
        let number = value_text.parse::<i64>();
        let names: Vec<&str> = columns.iter().map(|(_, name, _)| *name).collect();
        let sql = match what {
            b'D' => format!("DELETE FROM {table} WHERE rowid = {here}"),
            // A copy of the row, with another number.
            b'C' => {
                let names = names.join(", ");
                let values = names.replacen("number", "?", 1);
                format!(
                    "INSERT OR IGNORE INTO {table} ({names}) SELECT {values} FROM {table} WHERE rowid = {here}"
                )
            }
            // The contents of another row.
            b'S' => {
                let other = place(value.first().unwrap_or(&b'0'));
                let names = names.iter().filter(|name| !matches!(**name, "chain" | "number"));
                let names = names.copied().collect::<Vec<_>>().join(", ");
                format!(
                    "UPDATE {table} SET ({names}) = (SELECT {names} FROM {table} WHERE rowid = {other}) \
                         WHERE rowid = {here}"
                )
            }
            b'X' => return self.flip(table, columns, &here, value),
            letter => {
                let column = columns.iter().find(|(name, ..)| name == letter).unwrap_or(&columns[0]);
                format!("UPDATE OR IGNORE {table} SET {} = ? WHERE rowid = {here}", column.1)
            }
        };
        let takes_value = sql.contains('?');
        let query = sqlx::query(AssertSqlSafe(sql));
        let is_bytes = columns.iter().any(|(name, _, kind)| name == what && *kind == Kind::Bytes);
        let query = match number {
            _ if !takes_value => query,
            Ok(number) if !is_bytes => query.bind(number),
            Ok(_) | Err(_) if is_bytes => query.bind(value.to_vec()),
            Ok(_) | Err(_) => query.bind(value_text),
        };
        self.runtime.block_on(query.execute(&mut self.intruder)).expect("a change");
    }

    /// Flips a bit of a cell: the letter of the column, the place and the bit.
    fn flip(&mut self, table: &str, columns: Columns, here: &str, value: &[u8]) {
        let [letter, at, bit, ..] = value else { return };
        let (_, column, kind) = columns.iter().find(|(name, ..)| name == letter).unwrap_or(&columns[0]);
        let select = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE rowid = {here}");
        let cell = sqlx::query_scalar::<_, Vec<u8>>(AssertSqlSafe(select));
        let cell = self.runtime.block_on(cell.fetch_optional(&mut self.intruder)).expect("a cell");
        let Some(mut cell) = cell.filter(|cell| !cell.is_empty()) else { return };
        let place = usize::from(*at) % cell.len();
        cell[place] ^= 1 << (bit % 8);
        let cast = match kind {
            Kind::Number => "CAST(CAST(? AS TEXT) AS INTEGER)",
            Kind::Text => "CAST(? AS TEXT)",
            Kind::Bytes => "?",
        };
        let update = format!("UPDATE OR IGNORE {table} SET {column} = {cast} WHERE rowid = {here}");
        let query = sqlx::query(AssertSqlSafe(update)).bind(cell);
        self.runtime.block_on(query.execute(&mut self.intruder)).expect("a change");
    }

    /// Every byte of both tables, and how many lines the records have.
    fn rows(&mut self) -> ([Vec<String>; 2], usize) {
        let mut all = |table: &str, columns: Columns| {
            let cells: Vec<String> = columns.iter().map(|(_, name, _)| format!("hex({name})")).collect();
            let select = format!("SELECT {} FROM {table} ORDER BY chain, number", cells.join("||' '||"));
            let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch_all(&mut self.intruder);
            self.runtime.block_on(rows).expect("rows")
        };
        let rows = [all("audit_records", RECORDS), all("audit_heads", HEADS)];
        // Each line may be a record; 0A is an end of one.
        let ends = |row: &String| {
            let record = row.split(' ').nth(3).unwrap_or_default();
            1 + record.as_bytes().chunks(2).filter(|byte| *byte == b"0A").count()
        };
        let lines = rows[0].iter().map(ends).sum();
        (rows, lines)
    }
}

/// One line, which is JSON, and in which no character steers a terminal.
fn check_line(entry: &AuditEntry, is_changed: bool) {
    let line = audit_text::line(entry);
    let text = line.strip_suffix('\n').expect("an end of the line");
    assert!(!text.chars().any(is_unsafe_to_display), "{text:?}");
    let value: Value = serde_json::from_str(text).expect(text);
    assert!(value.is_object() && value["time"].is_string(), "{text}");
    assert_eq!((&value["chain"], &value["number"]), (&entry.chain.as_str().into(), &entry.number.into()));
    assert!(is_changed || value.get("damaged").is_none(), "{text}");
}

/// A store with the chain of the installation, that of a node that wrote its records one by one, and that of one that wrote them
/// together.
async fn begun(directory: &Path) -> (Store, SqliteConnection) {
    let path = directory.join("tokenberg.db");
    let key = KekSource::File(directory.join("tokenberg.db.key"));
    let store = Store::open(&StoreUrl::sqlite(&path), key).await.expect("a store");
    let now = Timestamp::from_seconds(1_800_000_000).expect("a time");
    for id in ["c1", "c2"] {
        let rights = Rights::new(AllowedScope::Only("catalog".parse().expect("a scope")));
        let id = id.parse().expect("a client");
        let added = store.add_client(now, &id, &rights, Some(NewSecret::Generate)).await;
        assert!(added.is_ok());
    }
    for is_slow in [true, false] {
        let trail = store.audit_trail(WhenFull::Drop);
        for n in 1..=4 {
            let jti = Some(format!("jti-{n}").into());
            let mut record = AuditRecord::new("", Outcome::Granted);
            record.jti = jti;
            trail.record(&record);
            while is_slow && trail.metrics().written < n {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        trail.end().await;
    }
    let options = SqliteConnectOptions::new().filename(&path);
    let mut intruder = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::raw_sql(KEEP).execute(&mut intruder).await.expect("a copy");
    (store, intruder)
}

/// A directory of this process. The fuzzer ends without destructors, so those of earlier processes are removed here.
fn directory() -> PathBuf {
    const NAME: &str = "tokenberg-fuzz-audit-rows-";
    let memory = Path::new("/dev/shm");
    let all = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(NAME).map(|process| Path::new("/proc").join(process));
        if process.is_some_and(|process| !process.exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let directory = all.join(format!("{NAME}{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}
