//! Standard output: one JSON value, or text for people; never both.

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use tokenberg_core::text::is_unsafe_to_display;

/// The format of results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether `--json` was given.
    pub(crate) json: bool,
}

impl Output {
    /// Prints the value, or the text for people.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn show(self, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json {
            return print(&format!("{}\n", escaped(&value())));
        }
        let mut text = without_controls(&text());
        if !text.ends_with('\n') {
            text.push('\n');
        }
        print(&text)
    }
}

impl Output {
    /// The columns of the terminal that tables are printed on; `None` if the output is JSON or goes to a file or a program.
    pub(crate) fn table_width(self) -> Option<usize> {
        if self.json { None } else { terminal_width() }
    }
}

/// The columns of the terminal on standard output, if it is one.
fn terminal_width() -> Option<usize> {
    let out = io::stdout();
    let size = terminal_size::terminal_size_of(&out);
    out.is_terminal().then(|| size.map_or(80, |(columns, _)| usize::from(columns.0)).max(40))
}

/// Writes to standard output and flushes it.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The value as indented JSON in which no character can control a terminal.
pub(crate) fn escaped(value: &Value) -> String {
    in_sight(&format!("{value:#}"))
}

/// The same JSON without characters that can control a terminal; line ends stay.
pub(crate) fn in_sight(json: &str) -> String {
    // All that most records have.
    if json.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c != '\n' && is_unsafe_to_display(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// The text without characters by which a file or a server could control the terminal.
pub(crate) fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe_to_display(c) && c != '\n' {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The same, with line ends escaped, too: for a name within a line.
pub(crate) fn on_one_line(text: &str) -> String {
    without_controls(&text.replace('\n', "\\n"))
}

/// The number with the name of what it counts, which gets an `s` unless it is one.
pub(crate) fn counted(number: impl Into<i128>, name: &str) -> String {
    let number: i128 = number.into();
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

/// The rows below a heading, as columns of equal width.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows = rows.map(|row| row.map(|cell| on_one_line(&cell)));
    columns(&std::iter::once(heading.map(str::to_owned)).chain(rows).collect::<Vec<_>>())
}

/// The same for a list, whose lines are cut to the width of a terminal. Files and programs get them whole.
pub(crate) fn list<const N: usize>(heading: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let whole = table(heading, rows);
    match terminal_width() {
        None => whole,
        Some(width) => whole.lines().map(|line| cut(line, width)).collect(),
    }
}

/// The line, with an ellipsis in the last column if it is longer than that.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return format!("{line}\n");
    }
    let kept: String = line.chars().take(width - 1).collect();
    format!("{kept}…\n")
}

/// Columns of equal width with two spaces between them.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Names and values, one a line; names without a value are omitted.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    // A value cannot begin a line that looks like another fact.
    let rows = facts.iter().filter(|(_, value)| !value.is_empty());
    columns(&rows.map(|(name, value)| [(*name).to_owned(), on_one_line(value)]).collect::<Vec<_>>())
}

/// The state of a client or an issuer.
pub(crate) fn state(is_enabled: bool) -> &'static str {
    if is_enabled { "enabled" } else { "disabled" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn se_05_json_for_people_has_no_character_that_controls_a_terminal() {
        let value = json!({"sub": "a\u{1b}[2J\u{9b}\u{202e}\u{61c}\u{ad}\u{2800}\u{e0041}é"});
        let text = escaped(&value);
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe_to_display(c)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn se_05_printed_text_cannot_control_a_terminal() {
        assert_eq!(without_controls("a\u{1b}[31m\u{202e}\u{9b}é"), "a\\u{1b}[31m\\u{202e}\\u{9b}é");
        assert_eq!(on_one_line("a\nb\u{9b}"), "a\\nb\\u{9b}");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["ccc".to_owned(), String::new()]];
        assert_eq!(table(["a", "b"], rows.into_iter()), "a    b\nccc\n");
        assert_eq!((cut("abcd", 4), cut("abcde", 4)), ("abcd\n".to_owned(), "abc…\n".to_owned()));
    }
}
