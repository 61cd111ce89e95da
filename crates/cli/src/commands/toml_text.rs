//! Writes TOML in which no character can control a terminal or add a line: an earlier version may have registered such a text.

use serde_json::Value;
use std::fmt::Write as _;
use tokenberg_core::text::is_unsafe_to_display;

/// The document as TOML.
///
/// # Errors
/// If a value has no form in TOML.
pub(super) fn written(document: &Value) -> anyhow::Result<String> {
    let mut document = document.clone();
    let mut odd = Vec::new();
    // The writer escapes some of these characters only, so it gets a word in the place of such a text.
    let words = word_prefix(&toml::to_string(&document)?);
    take_odd(&mut document, &words, &mut odd);
    let mut text = toml::to_string_pretty(&document)?;
    for (at, odd) in odd.iter().enumerate() {
        text = text.replace(&format!("\"{words}{at}.\""), &escaped(odd));
    }
    Ok(text)
}

/// The beginning of words that are not in the text.
fn word_prefix(text: &str) -> String {
    (0..).map(|number| format!("escaped-{number}-")).find(|word| !text.contains(word)).unwrap_or_default()
}

fn take_odd(value: &mut Value, words: &str, odd: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().any(is_unsafe_to_display) => {
            let word = format!("{words}{}.", odd.len());
            odd.push(std::mem::replace(text, word));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| take_odd(value, words, odd)),
        Value::Object(members) => members.values_mut().for_each(|value| take_odd(value, words, odd)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A basic string of TOML.
fn escaped(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            written.push('\\');
            written.push(c);
        } else if is_unsafe_to_display(c) {
            // Writing to a string does not fail.
            let _ = write!(written, "\\U{:08X}", u32::from(c));
        } else {
            written.push(c);
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn se_05_a_file_of_registrations_has_no_character_that_controls_a_terminal_or_forges_a_line() {
        let document = json!({"clients": {"a": {"scope": "catalog", "serves": [
            "x\n[clients.evil]\nevery_scope = true", "\u{1b}[2K\u{202e}\"\\", "escaped-0-0.", "'plain\\'", "\u{e0041}",
        ], "labels": {"owner": "a\tb"}}}});
        let text = written(&document).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe_to_display(c)), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("[clients.evil]")), "{text}");
        assert_eq!(toml::from_str::<Value>(&text).unwrap(), document, "{text}");
        let usual = json!({"clients": {"a": {"scope": "catalog"}}});
        assert_eq!(written(&usual).unwrap(), toml::to_string_pretty(&usual).unwrap());
    }
}
