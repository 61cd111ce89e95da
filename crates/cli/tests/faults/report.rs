//! Writes what a test measured, for the tables of `docs/operations` that `.ci/faults/run --report` makes.

use crate::tally::{Tally, count};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;
use tokenberg_testkit::postgres_version;

/// What a table says of a fault besides the numbers.
pub struct Fault {
    pub what: &'static str,
    /// What clients see meanwhile.
    pub clients: &'static str,
    /// What can be lost.
    pub lost: &'static str,
}

/// What is known at the end of a fault.
pub struct End {
    /// How long it took until every node acknowledged writes again, once the cause was gone.
    pub back: Option<Duration>,
    /// How many changes were acknowledged.
    pub facts: usize,
    /// How many of these did not hold at some node afterwards.
    pub honored: usize,
}

impl Fault {
    /// Prints the counts, fails if any answer was wrong, and adds a row to the table.
    pub fn report(&self, tally: &Tally, end: &End) {
        let back = end.back.map(|back| back.as_secs_f64());
        let took = back.map_or(String::new(), |back| format!("; writes again after {back:.1} s"));
        tally.print(
            self.what,
            &format!("{took}; {} acknowledged changes, {} of them lost", end.facts, end.honored),
        );
        write(json!({
            "kind": "fault", "what": self.what, "clients": self.clients, "lost": self.lost,
            "sent": count(&tally.sent), "answered": count(&tally.answered), "unavailable": count(&tally.unavailable),
            "cut": count(&tally.lost), "back": back, "facts": end.facts, "honored": end.honored,
        }));
    }

    /// Adds a row without counts, for a fault that was tried without load, and how long writes took to work again.
    pub fn note(&self, back: Option<Duration>) {
        write(json!({
            "kind": "fault", "what": self.what, "clients": self.clients, "lost": self.lost,
            "sent": null, "back": back.map(|back| back.as_secs_f64()), "facts": null, "honored": null,
        }));
    }
}

/// Adds a line to the file that `TOKENBERG_FAULT_REPORT` names, with the test and the database.
pub fn write(mut line: Value) {
    let Some(path) = std::env::var_os("TOKENBERG_FAULT_REPORT") else { return };
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or_default();
    line["test"] = test.into();
    line["postgres"] = postgres_version().into();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}
