//! Writes a command so that it can be pasted into a shell.

use crate::Excerpt;
use crate::text::is_unsafe_to_display;

/// The text as one word of a POSIX shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let is_plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A command about what has this name, with its options, each after a space. A name that begins with a dash stands last, after `--`,
/// because elsewhere it would be read as an option.
#[must_use]
pub fn about(command: &str, name: &str, options: &str) -> String {
    let word = quoted(name);
    if name.starts_with('-') {
        format!("{command}{options} -- {word}")
    } else {
        format!("{command} {word}{options}")
    }
}

/// A space, the option and its value, which may begin with a dash.
#[must_use]
pub fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!(" {name}{between}{}", quoted(value))
}

/// The option with each of the values.
pub(super) fn options<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(|value| option(name, value)).collect()
}

/// A value of a request for a command; `None` if it is longer than 255 bytes, has characters that are unsafe to display, or may be a
/// token or a secret.
pub(super) fn fit(value: &str) -> Option<&str> {
    let is_fit =
        |value: &str| !value.is_empty() && value.len() <= 255 && !value.chars().any(is_unsafe_to_display);
    Some(value).filter(|value| is_fit(value) && !Excerpt::of_claim(value).is_redacted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_as_one_word() {
        for (value, written) in [
            ("okta:", " --x okta:"),
            ("a b", " --x 'a b'"),
            ("it's", r" --x 'it'\''s'"),
            ("-x", " --x=-x"),
            ("", " --x ''"),
            ("$HOME*", " --x '$HOME*'"),
        ] {
            assert_eq!(option("--x", value), written);
        }
        assert_eq!(options("--x", ["a", "-b"]), " --x a --x=-b");
        assert_eq!(about("t c", "a b", " --x y"), "t c 'a b' --x y");
        assert_eq!(about("t c", "--help", " --x y"), "t c --x y -- --help");
        for unfit in ["", "a\nb", "a\u{202e}b", &"x".repeat(256), "tkb0aB0aB0aB0aB0aB0aB0aB0aB"] {
            assert_eq!(fit(unfit), None);
        }
        assert_eq!(fit("it's"), Some("it's"));
    }
}
