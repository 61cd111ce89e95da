//! What an operator may read of a text that may be a secret.

use crate::deceives;

/// The beginning of a text that may be a secret: enough to recognise a slip, not enough to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint(Box<str>);

impl Hint {
    pub(crate) fn of(text: &str) -> Self {
        let characters = text.chars().count();
        let beginning = text.chars().take(characters.min(12) / 3);
        let mut shown = String::new();
        for c in beginning {
            if deceives(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
        }
        Self(format!("{shown}… ({characters} characters)").into())
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
