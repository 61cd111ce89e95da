//! What may be told of a text that may be a secret?

/// The beginning of a text that may be a secret: enough to recognise a slip, not enough to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint(Box<str>);

impl Hint {
    pub(crate) fn of(text: &str) -> Self {
        let characters = text.chars().count();
        let shown: String = text.chars().take(characters.min(12) / 3).collect();
        Self(format!("{shown}… ({characters} characters)").into())
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
