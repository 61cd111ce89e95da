//! Texts of clients and records as they are shown: characters that could reorder or hide text are visible.

use maud::{Markup, html};
use tokenberg_core::Timestamp;
use tokenberg_core::text::is_unsafe_to_display;

/// The longest text that is shown whole, in characters.
const LONGEST: usize = 4096;

/// The text without characters by which it could look like another one.
pub(crate) fn text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            clean.push('…');
            break;
        }
        if is_unsafe_to_display(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The time and its distance from now.
pub(crate) fn time(time: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(time) { (time) } " " span.dim { "(" (distance(time, now)) ")" } }
}

/// A time of a record, in milliseconds since 1970.
pub(crate) fn milliseconds(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |time| format!("{time:.3}"))
}

/// `in 5m`, `2h ago` or `now`.
pub(crate) fn distance(time: Timestamp, now: Timestamp) -> String {
    time.distance_from(now)
}

/// A command about what has this name, to paste.
pub(crate) fn command_about(command: &str, name: &str) -> Markup {
    let line = tokenberg_core::explanation::about(command, name, "");
    html! { pre.command { (text(&line)) } }
}

/// The command that revokes all tokens of a client.
pub(crate) fn revoke_client(name: &str) -> Markup {
    let option = tokenberg_core::explanation::option("--client", name);
    html! { pre.command { (text(&format!("tokenberg revoke{option}"))) } }
}

/// A command to paste; each part is quoted where a shell needs it.
pub(crate) fn command(parts: &[&str]) -> Markup {
    let quoted: Vec<String> = parts.iter().map(|part| tokenberg_core::explanation::quoted(part)).collect();
    html! { pre.command { (text(&quoted.join(" "))) } }
}

/// Percent-encodes a value for the query of an address.
pub(crate) fn in_query(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// An address with these members of its query; members without a value are omitted.
pub(crate) fn address(path: &str, members: &[(&str, &str)]) -> String {
    let given = members.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", in_query(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Names and values; names without a value are omitted.
pub(crate) fn facts(facts: &[(&str, String)]) -> Markup {
    html! {
        dl {
            @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) }
                dd { (text(value)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_harmless() {
        assert_eq!(text("a\u{202e}b\0"), "a\\u{202e}b\\u{0}");
        assert_eq!(text(&"x".repeat(5000)).chars().count(), LONGEST + 1);
        let shown = facts(&[("name", "<script>alert(1)</script>".to_owned())]).into_string();
        assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script>"));
        assert_eq!(in_query("a b&c=\"é"), "a%20b%26c%3D%22%C3%A9");
        let pasted = command(&["tokenberg", "client", "show", "a b'<"]).into_string();
        assert!(!pasted.contains("a b'<"), "{pasted}");
        let pasted = command_about("tokenberg client show", "--help").into_string();
        assert!(pasted.contains("show -- --help"), "{pasted}");
    }
}
