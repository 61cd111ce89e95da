//! Writes a command so that it can be pasted into a shell.

/// The text as one word of a POSIX shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let is_plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A space, the option and its value, which may begin with a dash.
pub(super) fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!(" {name}{between}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_whatever_is_in_it() {
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
    }
}
