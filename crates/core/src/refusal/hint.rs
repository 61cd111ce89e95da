//! What may be told of a text that may be a secret, or as long as a stranger likes?

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

/// The longest text of a stranger that is told whole, in characters; a name of a certificate is shorter.
const LONGEST_TOLD: usize = 256;

/// A text that a stranger may have chosen, so that one short request does not write a long line.
pub(crate) fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(LONGEST_TOLD) {
        None => text.into(),
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Refusal;

    #[test]
    fn ab_10_cwe_779_the_name_of_a_strangers_certificate_is_not_told_to_its_end() {
        let told = |subject: &str| {
            let client = "cm".parse().unwrap();
            Refusal::WrongCertificate { client, subject: subject.into() }.to_string()
        };
        assert!(told("CN=x,O=Test").contains("\"CN=x,O=Test\""));
        // Whoever shows one that he signed himself may write 60 kB into it, and ask as often as he likes.
        let long = told(&"O=\u{1}é,".repeat(12_000));
        assert!(long.len() < 4096 && long.contains("(60000 characters)"), "{}", long.len());
    }
}
