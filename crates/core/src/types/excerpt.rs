//! The part that an operator may read of a text chosen by a client or another issuer: truncated, escaped, and never a token or a secret;
//! conformance SE-01 and SE-05, CWE-117, CWE-779.

use super::subject::is_unsafe_to_display;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// The longest excerpt, in bytes as it is written, escapes included.
pub const LONGEST_EXCERPT: usize = 128;

/// A displayable part of a text that a client or another issuer chose: at most 128 bytes, with escapes for characters that are unsafe to
/// display. If the text may be a token or a secret, only its first characters are included.
///
/// Its `Display` is for a sentence: `"alice"`, `"aaaa…" (300 bytes)`, `"eyJh…" (812 characters, redacted)`, `12`, `an object`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Excerpt {
    shown: Box<str>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// All of a text.
    Whole,
    /// The beginning of a text, and the length of the text in bytes.
    Cut(usize),
    /// The beginning of a text that may be a token or a secret, and its length in characters.
    Redacted(usize),
    /// No text, but a number, a list or a description.
    Bare,
}

impl Excerpt {
    /// An excerpt of a claim, of a header member, or of another name that is no secret unless it looks like one: a JWT, or a
    /// secret that Tokenberg generated.
    #[must_use]
    pub fn of_claim(text: &str) -> Self {
        Self::of_checked(text, is_token(text) || has_generated_secret(text))
    }

    /// An excerpt of a parameter or header field of a request. A client may have put its secret into the wrong one, so everything
    /// that looks random is redacted, too.
    #[must_use]
    pub fn of_parameter(text: &str) -> Self {
        Self::of_checked(text, is_token(text) || has_generated_secret(text) || looks_random(text))
    }

    /// An excerpt of a parameter whose values are registered names, such as a grant type. What is neither a URI nor made of small
    /// letters, `_` and `-` alone may be a secret, even one that a person chose, and is redacted.
    #[must_use]
    pub fn of_keyword(text: &str) -> Self {
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'));
        if is_name(text) || text.split_once(':').is_some_and(|(scheme, _)| is_name(scheme)) {
            return Self::of_parameter(text);
        }
        Self::of_checked(text, true)
    }

    /// As [`Excerpt::of_claim`], without a copy if the text is unchanged.
    #[must_use]
    pub(crate) fn of_owned(text: Box<str>) -> Self {
        let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if text.len() <= LONGEST_EXCERPT
            && text.bytes().all(is_plain)
            && !is_token(&text)
            && !has_generated_secret(&text)
        {
            return Self { shown: text, form: Form::Whole };
        }
        Self::of_claim(&text)
    }

    /// An excerpt of a claim of any JSON type; `None` if it is missing.
    #[must_use]
    pub fn of_value(value: Option<&Value>) -> Self {
        match value {
            None => Self::bare("missing"),
            Some(Value::String(text)) => Self::of_claim(text),
            Some(Value::Array(values)) => {
                Self::bare(&list(values.iter().map(|value| Self::of_value(Some(value)))))
            }
            Some(Value::Object(_)) => Self::bare("an object"),
            Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Self::bare(&value.to_string()),
        }
    }

    /// An excerpt of several texts, such as the audiences that are accepted.
    #[must_use]
    pub fn of_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::bare(&list(texts.into_iter().map(Self::of_claim)))
    }

    fn bare(text: &str) -> Self {
        Self { shown: text.into(), form: Form::Bare }
    }

    fn of_checked(text: &str, is_secret: bool) -> Self {
        if is_secret {
            let characters = text.chars().count();
            // A third of a short text, so that most of it stays unknown.
            let beginning: String = text.chars().take(characters.min(12) / 3).collect();
            let (shown, _) = escaped(&beginning);
            return Self { shown: shown.into(), form: Form::Redacted(characters) };
        }
        let (shown, is_whole) = escaped(text);
        Self { shown: shown.into(), form: if is_whole { Form::Whole } else { Form::Cut(text.len()) } }
    }

    /// The text itself, or an excerpt if it may be a token or a secret as in [`Excerpt::of_claim`].
    #[must_use]
    pub fn redacted(text: &str) -> Cow<'_, str> {
        let excerpt = Self::of_claim(text);
        if excerpt.is_redacted() { excerpt.to_plain().into() } else { text.into() }
    }

    /// Whether the text may be a token or a secret, so that only its beginning is in it.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        matches!(self.form, Form::Redacted(_))
    }

    /// Whether it is the whole text, unchanged.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.form == Form::Whole && *self.shown == *text
    }

    /// The same without quotation marks, for a field of a record.
    #[must_use]
    pub fn to_plain(&self) -> String {
        match self.form {
            Form::Whole | Form::Bare => self.shown.to_string(),
            Form::Cut(bytes) => format!("{}… ({bytes} bytes)", self.shown),
            Form::Redacted(characters) => format!("{}… ({characters} characters, redacted)", self.shown),
        }
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.form {
            Form::Whole => write!(f, "\"{}\"", self.shown),
            Form::Cut(bytes) => write!(f, "\"{}…\" ({bytes} bytes)", self.shown),
            Form::Redacted(characters) => {
                write!(f, "\"{}…\" ({characters} characters, redacted)", self.shown)
            }
            Form::Bare => f.write_str(&self.shown),
        }
    }
}

/// As [`Excerpt::to_plain`].
impl serde::Serialize for Excerpt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_plain())
    }
}

/// The text as far as it fits, with escapes; and whether it fits.
fn escaped(text: &str) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(LONGEST_EXCERPT));
    for c in text.chars() {
        let before = shown.len();
        if is_unsafe_to_display(c) {
            shown.extend(c.escape_unicode());
        } else {
            if matches!(c, '"' | '\\') {
                shown.push('\\');
            }
            shown.push(c);
        }
        if shown.len() > LONGEST_EXCERPT {
            shown.truncate(before);
            return (shown, false);
        }
    }
    (shown, true)
}

/// `["a", "b"]`, as far as it fits: `["a", "b", …] (300 values)`.
fn list(values: impl Iterator<Item = Excerpt>) -> String {
    let mut text = String::from("[");
    let (mut count, mut is_whole) = (0_usize, true);
    for value in values {
        count += 1;
        let before = text.len();
        let between = if count == 1 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{between}{value}");
        // The first is always included: it has its own limit.
        if is_whole && count > 1 && text.len() > LONGEST_EXCERPT {
            is_whole = false;
        }
        if !is_whole {
            text.truncate(before);
        }
    }
    if is_whole { text + "]" } else { format!("{text}, …] ({count} values)") }
}

/// Whether there is a JWT or a part of one in it: base64 of a JSON object begins with one of these.
fn is_token(text: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["eyJ", "eyA", "ewo", "ewk", "ew0"];
    let is_base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut words = text.split(|c| !is_base64url(c)).filter(|word| word.len() >= 16);
    words.any(|word| BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)))
}

/// Whether there is a secret that Tokenberg generates in it, or most of one: `tkb` and 49 letters and digits.
fn has_generated_secret(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 24);
    words.any(|word| word.starts_with("tkb"))
}

/// Whether there are 20 characters of base64 one after another, with small and capital letters and digits.
fn looks_random(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=');
    let mut words = text.split(|c| !is_base64(c)).filter(|word| word.len() >= 20);
    words.any(|word| {
        let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
        has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn se_05_cwe_117_cwe_779_an_excerpt_is_short_and_escapes_quotes_and_unsafe_characters() {
        for piece in
            ["a", "\u{0}", "\u{202e}", "é", "\u{10ffff}", "\\", "\"", "\u{7f}\n", "\u{e0041}", "\" x \""]
        {
            let long = piece.repeat(8192);
            for excerpt in [
                Excerpt::of_claim(&long),
                Excerpt::of_parameter(&long),
                Excerpt::of_owned(long.as_str().into()),
                Excerpt::of_value(Some(&json!(long))),
                Excerpt::of_value(Some(&json!([long, long]))),
                Excerpt::of_list([long.as_str(); 300]),
            ] {
                for text in [excerpt.to_string(), excerpt.to_plain()] {
                    assert!(text.len() <= LONGEST_EXCERPT + 60, "{piece:?}: {}", text.len());
                    assert!(!text.chars().any(is_unsafe_to_display), "{text}");
                }
                let inside = excerpt.shown.replace("\\\\", "").replace("\\\"", "");
                assert!(excerpt.form == Form::Bare || !inside.contains('"'), "{excerpt}");
            }
        }
        assert_eq!(Excerpt::of_claim("a\u{202e}\"b").to_string(), r#""a\u{202e}\"b""#);
        assert_eq!(
            Excerpt::of_claim(&"x".repeat(300)).to_string(),
            format!("\"{}…\" (300 bytes)", "x".repeat(128))
        );
        assert_eq!(Excerpt::of_claim(&"x".repeat(128)).to_string(), format!("\"{}\"", "x".repeat(128)));
    }

    #[test]
    fn an_excerpt_of_a_value_states_its_type_or_text() {
        for (value, written) in [
            (json!("alice"), r#""alice""#),
            (json!(12), "12"),
            (json!(null), "null"),
            (json!(true), "true"),
            (json!({"a": 1}), "an object"),
            (json!([]), "[]"),
            (json!(["a", 1, {"b": 2}, ["c"]]), r#"["a", 1, an object, ["c"]]"#),
        ] {
            assert_eq!(Excerpt::of_value(Some(&value)).to_string(), written);
        }
        assert_eq!(Excerpt::of_value(None).to_string(), "missing");
        let many: Vec<String> = (0..300).map(|n| format!("api://{n:04}")).collect();
        let many = Excerpt::of_list(many.iter().map(String::as_str)).to_string();
        assert!(
            many.starts_with(r#"["api://0000", "api://0001""#) && many.ends_with(", …] (300 values)"),
            "{many}"
        );
    }

    #[test]
    fn se_01_a_token_or_a_secret_is_redacted_anywhere_in_a_text() {
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
        let secret = format!("tkb{}", "0aB".repeat(17));
        for text in [
            jwt.to_owned(),
            format!("Bearer {jwt}"),
            format!("https://idp.test/#access_token={jwt}"),
            jwt.split('.').nth(1).unwrap().to_owned(),
            secret.clone(),
            format!("spark:{secret}"),
            secret[..30].to_owned(),
        ] {
            for excerpt in [
                Excerpt::of_claim(&text),
                Excerpt::of_parameter(&text),
                Excerpt::of_owned(text.as_str().into()),
                Excerpt::of_value(Some(&json!([text]))),
            ] {
                let written = excerpt.to_string();
                assert!(written.contains("redacted") && written.len() < 60, "{written}");
                assert!(!excerpt.to_plain().contains(&text[..5]), "{excerpt}");
            }
        }
        // Another's secret looks random: it is redacted where a client may have put it by mistake.
        let other = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
        assert!(Excerpt::of_parameter(other).to_string().ends_with("(38 characters, redacted)"));
        // One that a person chose may stand in the place of a keyword.
        for chosen in ["wrong-secret-444", "p+a%ss:w&=/ chosen~", "Correct-Horse"] {
            let written = Excerpt::of_keyword(chosen).to_string();
            assert!(written.ends_with("characters, redacted)"), "{written}");
        }
        for keyword in ["password", "refresh_token", "", "urn:ietf:params:oauth:grant-type:saml2-bearer"] {
            assert!(Excerpt::of_keyword(keyword).is(keyword));
        }
        // What identifies a subject, an audience or a role stays.
        for name in [
            "repo:octo-org/octo-repo:environment:Production2026",
            "system:serviceaccount:etl:spark-operator",
            "https://login.microsoftonline.com/7d1c0f5e-1111-2222-3333-444455556666/v2.0",
            "api://7d1c0f5e-1111-2222-3333-444455556666",
            "spiffe://td.example/ns/etl/sa/spark",
            "arn:aws:iam::123456789012:role/DataEngineers",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "PRINCIPAL_ROLE:data_engineers_of_the_north",
        ] {
            for excerpt in [Excerpt::of_claim(name), Excerpt::of_parameter(name)] {
                assert!(excerpt.is(name), "{excerpt}");
            }
        }
        // Pairwise subjects of Entra, and user ids of Okta, look random.
        for name in ["AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "00u1a2b3c4D5E6f7g8h9"] {
            assert!(Excerpt::of_claim(name).is(name));
        }
    }
}
