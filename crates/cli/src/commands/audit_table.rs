//! Records of the audit as a table for a terminal: a line of what, by and for whom, and below it the details; conformance SE-05.

use crate::output::on_one_line;
use serde_json::{Map, Value};
use tokenberg_store::AuditEntry;

/// The widths of the columns but the last. A longer value moves the rest of its line.
const WIDTHS: [usize; 4] = [20, 14, 11, 11];

/// The indentation of details.
const INDENT: &str = "    ";

/// The heading.
pub(super) fn heading() -> String {
    row(["TIME", "RESULT", "CLIENT", "SUBJECT", "REQUEST"].map(str::to_owned))
}

/// The lines about a record, for a terminal of this many columns.
pub(super) fn lines(entry: &AuditEntry, width: usize) -> String {
    let time = jiff::Timestamp::from_millisecond(entry.at)
        .map_or_else(|_| entry.at.to_string(), |time| format!("{time:.0}"));
    let Ok(record) = serde_json::from_str::<Map<String, Value>>(&entry.record) else {
        let damaged = row([&time, "DAMAGED", "", "", ""].map(on_one_line));
        let place = format!("number {} of the chain {}: {}", entry.number, entry.chain, entry.record);
        return format!("{damaged}{}", wrapped(&on_one_line(&place), width));
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let result = ["outcome", "change", "event"].map(text).into_iter().find(|text| !text.is_empty());
    let first = [&time, result.unwrap_or_default(), text("client"), text("subject"), text("request_id")];
    let mut all = row(first.map(on_one_line));
    let details = details(&record);
    if !details.is_empty() {
        all.push_str(&wrapped(&on_one_line(&details), width));
    }
    all
}

/// What else operators ask for: why, with which secret, for which scope, and from where.
fn details(record: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = record.get("reason").and_then(Value::as_str) {
        parts.push(reason.to_owned());
    }
    for (name, label) in [
        ("scope_out", "scope"),
        ("secret", "secret"),
        ("owner", "client"),
        ("subject_issuer", "issuer"),
        ("issuer", "issuer"),
        ("actors", "actors"),
        ("aud", "audience"),
        ("key", "key"),
        ("revoked_before", "from before"),
        ("until", "until"),
        ("before", "from before"),
        ("source", "from"),
    ] {
        let Some(value) = record.get(name) else { continue };
        let value = match (name, value) {
            ("until" | "before" | "revoked_before", value) => {
                value.as_i64().and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string())
            }
            (_, Value::String(text)) => Some(text.clone()),
            (_, Value::Array(items)) => {
                Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
            }
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => None,
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            parts.push(if name == "source" && value.starts_with("command") {
                format!("by {value}")
            } else {
                format!("{label} {value}")
            });
        }
    }
    parts.join("; ")
}

fn row(cells: [String; 5]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS.into_iter().chain([0])) {
        line.push_str(&format!("{cell:width$}  "));
    }
    format!("{}\n", line.trim_end())
}

/// The text in indented lines that break between words.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= width {
            lines.push(' ');
            column += 1 + length;
        } else {
            if column > 0 {
                lines.push('\n');
            }
            lines.push_str(INDENT);
            column = INDENT.len() + length;
        }
        lines.push_str(word);
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::text::is_unsafe_to_display;

    fn entry(record: &str) -> AuditEntry {
        AuditEntry { chain: "n1".to_owned(), number: 7, at: 1_795_298_280_123, record: record.to_owned() }
    }

    #[test]
    fn se_06_a_record_fits_80_columns_and_says_which_secret_and_why() {
        let granted = r#"{"outcome":"granted","client":"spark","subject":"spark","request_id":"0123456789abcdef",
            "scope_out":"catalog","secret":"fc5584d2","source":"10.0.0.1","actors":[]}"#;
        let shown = lines(&entry(granted), 80);
        assert_eq!(
            shown,
            "2026-11-21T21:58:00Z  granted         spark        spark        0123456789abcdef\n    \
             scope catalog; secret fc5584d2; from 10.0.0.1\n"
        );
        let reason = "no word of this ends a line in its middle ".repeat(5);
        let refused = format!(r#"{{"outcome":"invalid_client","client":"etl","reason":"{reason}"}}"#);
        let shown = lines(&entry(&refused), 80);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert_eq!(shown.split_whitespace().filter(|word| *word == "middle").count(), 5);
        let revoked = r#"{"change":"revoked","before":1795298280,"source":"command line of uid 0 (root)"}"#;
        assert!(lines(&entry(revoked), 80).contains("from before 2026-11-21T21:58:00Z; by command line"));
        assert!(heading().starts_with("TIME "));
    }

    #[test]
    fn se_05_no_content_of_the_store_controls_a_terminal_or_imitates_a_record() {
        let forged = "\\u001b[2J\\n2026-11-21T21:58:00Z  granted \\u202e";
        for record in [
            format!(r#"{{"outcome":"{forged}","client":"{forged}","reason":"{forged}"}}"#),
            "\u{1b}[2J\nx".to_owned(),
        ] {
            let shown = lines(&entry(&record), 80);
            assert!(!shown.chars().any(|c| c != '\n' && is_unsafe_to_display(c)), "{shown:?}");
            assert!(shown.lines().skip(1).all(|line| line.starts_with(INDENT)), "{shown}");
        }
    }
}
