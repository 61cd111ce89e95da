//! The part of a possible secret that an operator may read.

use crate::text::is_unsafe_to_display;

/// The beginning of a text that may be a secret: half of it, at most four characters. That is enough to recognize an identifier with a
/// typo, and not enough to use a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted(Box<str>);

impl Redacted {
    /// The hint at this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let characters = text.chars().count();
        let beginning = text.chars().take(characters.div_ceil(2).min(4).min(characters.saturating_sub(1)));
        let mut escaped = String::new();
        for c in beginning {
            if is_unsafe_to_display(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
        }
        Self(format!("{escaped}… ({characters} characters)").into())
    }
}

impl std::fmt::Display for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Redacted;

    #[test]
    fn se_01_a_hint_shows_half_of_a_short_text_and_four_characters_at_most() {
        for (text, escaped) in [
            ("", "… (0 characters)"),
            ("x", "… (1 characters)"),
            ("c9", "c… (2 characters)"),
            ("etl", "et… (3 characters)"),
            ("spark", "spa… (5 characters)"),
            ("trino-etl", "trin… (9 characters)"),
            ("wrong-secret-444", "wron… (16 characters)"),
            ("é\u{202e}é\u{202e}", "é\\u{202e}… (4 characters)"),
        ] {
            assert_eq!(Redacted::of(text).to_string(), escaped);
        }
    }
}
