//! The output of `tokenberg audit`: records as lines of JSON, and the result of verifying them; conformance SE-05, SE-06.

use super::audit_record::is_record;
use crate::output::{counted, in_sight, on_one_line, table};
use serde_json::{Value, json};
use tokenberg_store::{
    AcknowledgedRestore, AuditEntry, AuditReport, Break, ChainReport, Difference, SchemaDifference, StoreLoss,
};

/// One line of JSON, in which no character can control a terminal, whatever the store contains.
///
/// An entry that is not a record of ours, an object without the three members that come first here, is printed as a text.
pub(crate) fn line(entry: &AuditEntry) -> String {
    let mut line = format!(
        "{{\"time\":{},\"chain\":{},\"number\":{}",
        Value::from(written(entry.at)),
        Value::from(entry.chain.as_str()),
        entry.number
    );
    match members(&entry.record) {
        Some("") => line.push('}'),
        Some(members) => line.extend([",", members, "}"]),
        None => {
            let record = Value::from(entry.record.as_str());
            line.push_str(&format!(",\"damaged\":true,\"record\":{record}}}"));
        }
    }
    // Most records have nothing else.
    if !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        // In JSON these are raw only between strings.
        line = in_sight(&line.replace(['\n', '\r', '\t'], " "));
    }
    line.push('\n');
    line
}

/// The members of a record, without the braces.
fn members(record: &str) -> Option<&str> {
    if !is_record(record) {
        return None;
    }
    record.trim_ascii().strip_prefix('{')?.strip_suffix('}').map(str::trim_ascii)
}

/// A time of a record.
pub(super) fn written(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |time| format!("{time:.3}"))
}

/// What is wrong with a chain, and how many records it has lost, as far as that is known.
pub(crate) fn finding(chain: &ChainReport, what: Break) -> String {
    match chain.missing() {
        0 => what.to_string(),
        1 => format!("{what}, 1 record is missing"),
        missing => format!("{what}, {missing} records are missing"),
    }
}

fn note(chain: &ChainReport) -> String {
    let hash: String = chain.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/{}/{hash}", chain.chain, chain.last)
}

/// The report as JSON.
pub(crate) fn value(report: &AuditReport) -> Value {
    let chain = |chain: &ChainReport| {
        json!({
            "chain": chain.chain,
            "first": chain.first,
            "last": chain.last,
            "witnessed": chain.witnessed,
            "missing": chain.missing(),
            "since": chain.since.map(written),
            "ended": chain.ended,
            "note": note(chain),
            "broken": chain.broken.map(|(number, what)| json!({"number": number, "what": what.to_string()})),
        })
    };
    let difference = |difference: &Difference| json!({"thing": difference.thing, "record": difference.record, "what": difference.to_string()});
    let schema = |found: &SchemaDifference| {
        json!({"kind": found.kind, "name": found.name, "table": found.table, "what": found.to_string(),
            "affects_servers": found.affects_servers()})
    };
    let restore = |restore: &AcknowledgedRestore| json!({"record": restore.record, "time": written(restore.at), "lost": restore.lost});
    let loss = |loss: &StoreLoss| {
        json!({"at": written(loss.at), "was_at": loss.was_at, "is_at": loss.is_at, "timelines": loss.timelines,
            "what": loss_text(loss)})
    };
    let losses: Vec<Value> = report.losses.iter().map(loss).collect();
    let chains: Vec<Value> = report.chains.iter().map(chain).collect();
    let differences: Vec<Value> = report.differences.iter().map(difference).collect();
    json!({
        "whole": report.is_whole(),
        "records": report.records(),
        "chains": chains,
        "losses": losses,
        "differences": differences,
        "schema": report.schema.iter().map(schema).collect::<Vec<_>>(),
        "restores": report.restores.iter().map(restore).collect::<Vec<_>>(),
        "uncompared": report.uncompared,
    })
}

/// The report for people. Names come from the store, where anyone with access to it may have written them.
pub(crate) fn text(report: &AuditReport) -> String {
    let heading = ["CHAIN", "FIRST", "LAST", "WITNESSED", "SINCE", "STATE"];
    let row = |chain: &ChainReport| {
        let state = match chain.broken {
            Some((number, what)) => format!("BROKEN at {number}: {}", finding(chain, what)),
            None if chain.ended => "whole, ended".to_owned(),
            None => "whole".to_owned(),
        };
        let since = chain.since.map(written).unwrap_or_default();
        let numbers = [chain.first, chain.last, chain.witnessed].map(|number| number.to_string());
        let [first, last, witnessed] = numbers;
        [on_one_line(&chain.chain), first, last, witnessed, since, state]
    };
    let mut text = format!("{}\n", table(heading, report.chains.iter().map(row)));
    for difference in &report.differences {
        text.push_str(&on_one_line(&format!("DIFFERENT: {difference}")));
        text.push('\n');
    }
    for found in &report.schema {
        text.push_str(&on_one_line(&format!("SCHEMA: {found}")));
        text.push('\n');
    }
    for AcknowledgedRestore { record, at, lost } in &report.restores {
        text.push_str(&format!(
            "RESTORED: at {}, record {record} of the chain installation acknowledged that the database was restored; {lost} statements about \
             records that this lost are no finding.\n",
            written(*at)
        ));
    }
    for loss in &report.losses {
        text.push_str(&format!("LOST: {}\n", on_one_line(&loss_text(loss))));
    }
    if report.uncompared > 0 {
        text.push_str(&format!(
            "{} clients, issuers, keys, disabled users or revocations have no record yet and were not compared; a server of this \
             version records them when it starts.\n",
            report.uncompared
        ));
    }
    let unwitnessed =
        report.chains.iter().filter(|chain| chain.witnessed == 0 && chain.last > 0).count() as u64;
    if unwitnessed > 0 {
        text.push_str(&format!(
            "Without a witness: {}, because only earlier versions wrote there or no other chain has witnessed it yet; the removal of \
             the last records would not be detected.\n",
            counted(unwitnessed, "chain")
        ));
    }
    let notes: Vec<String> = report
        .chains
        .iter()
        .filter(|chain| chain.last > 0 && !chain.ended)
        .map(|chain| on_one_line(&note(chain)))
        .collect();
    text.push_str(&format!(
        "{}. Keep these notes outside of the store, and verify them later with --noted:\n{}\n",
        counted(report.records(), "record"),
        notes.join("\n")
    ));
    text
}

/// What a server has found of a store that had lost changes.
pub(super) fn loss_text(loss: &StoreLoss) -> String {
    let cause = match &loss.timelines {
        Some([was, is]) => {
            format!("the timeline of the database changed from {was} to {is}, as by a failover or a restore")
        }
        None => "a failover or a restore causes it, and so does a change of the tables".to_owned(),
    };
    format!(
        "at {} a server found the chain installation at {} after it had read it at {}: {cause}",
        written(loss.at),
        loss.is_at,
        loss.was_at
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_05_a_record_is_printed_on_one_line_whatever_the_store_contains() {
        for (record, printed) in [
            ("{\"reason\":\"a\u{202e}\u{1f}b\"}", None),
            ("{\"reason\":\"a\u{202e}b\"}", Some(json!({"reason": "a\u{202e}b"}))),
            (" {\"a\":\n1}\r\n", Some(json!({"a": 1}))),
            ("{}", Some(json!({}))),
            ("{\"a\":1}\n{\"forged\":1}", None),
            ("{\"a\":1}}", None),
            ("{\"a\":1", None),
            ("{\"number\":1,\"a\":2}", None),
            ("{\"tim\\u0065\":\"2026-01-01T00:00:00Z\"}", None),
            ("[{\"a\":1}]", None),
            ("", None),
            ("no object", None),
        ] {
            let entry = AuditEntry {
                chain: "a\nb".to_owned(),
                number: 7,
                at: 1_795_298_280_123,
                record: record.to_owned(),
            };
            let line = line(&entry);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(!line.trim_end().chars().any(tokenberg_core::text::is_unsafe_to_display), "{line}");
            let start = "{\"time\":\"2026-11-21T21:58:00.123Z\",\"chain\":\"a\\nb\",\"number\":7";
            assert!(line.starts_with(start), "{line}");
            let mut value: Value = serde_json::from_str(&line).expect(record);
            let members = value.as_object_mut().expect("an object");
            for name in ["time", "chain", "number"] {
                assert!(members.remove(name).is_some(), "{name}");
            }
            let damaged = json!({"damaged": true, "record": record});
            assert_eq!(value, printed.unwrap_or(damaged), "{line}");
        }
    }

    #[test]
    fn se_05_names_in_the_store_add_no_line_and_no_control_character_to_a_report() {
        let broken = ChainReport {
            chain: "node\u{1b}[2J\u{202e}\nall is well".to_owned(),
            first: 1,
            last: 3,
            hash: [7; 32],
            since: Some(0),
            ended: false,
            witnessed: 4,
            broken: Some((4, Break::TurnedBack)),
        };
        let report = AuditReport {
            chains: vec![broken],
            differences: Vec::new(),
            schema: Vec::new(),
            restores: Vec::new(),
            uncompared: 0,
            losses: Vec::new(),
        };
        let text = text(&report);
        assert!(!text.chars().any(|c| c != '\n' && tokenberg_core::text::is_unsafe_to_display(c)), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("all is well")), "{text}");
    }
}
