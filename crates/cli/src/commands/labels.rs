//! Notes of the operator about a client, as `owner=data-platform`: who is responsible, and for what it is.

use std::collections::BTreeMap;
use tokenberg_core::text::is_unsafe_to_display;

/// The longest name and the longest text, in bytes.
const LONGEST: (usize, usize) = (64, 256);

/// A name and its text; an empty text removes the note.
pub(super) type Label = (Box<str>, Box<str>);

/// Parses NAME=TEXT.
///
/// # Errors
/// A sentence that describes the expected form.
pub(super) fn parse(text: &str) -> Result<Label, String> {
    let (name, text) = text.split_once('=').ok_or("expected NAME=TEXT, such as owner=data-platform")?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if name.is_empty() || name.len() > LONGEST.0 || !name.bytes().all(is_name) {
        return Err(format!(
            "a name has 1 to {} letters, digits, dots, hyphens, underscores and slashes",
            LONGEST.0
        ));
    }
    if text.len() > LONGEST.1 || text.chars().any(is_unsafe_to_display) {
        return Err(format!("a text has at most {} bytes and no control characters", LONGEST.1));
    }
    Ok((name.into(), text.into()))
}

/// Adds and replaces notes, and removes those with an empty text.
pub(super) fn apply(labels: &mut BTreeMap<Box<str>, Box<str>>, given: Vec<Label>) {
    for (name, text) in given {
        if text.is_empty() {
            labels.remove(&name);
        } else {
            labels.insert(name, text);
        }
    }
}

/// Whether a client has these notes; an empty text selects every client without that note.
pub(super) fn are_in(labels: &BTreeMap<Box<str>, Box<str>>, wanted: &[Label]) -> bool {
    wanted.iter().all(|(name, text)| labels.get(name).map_or("", |found| found) == &**text)
}
