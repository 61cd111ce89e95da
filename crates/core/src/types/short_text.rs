//! A short text stored in place, without its own allocation, because a server may keep a million of them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The longest text that is kept in place: 128 bits in base64url have 22 characters.
const IN_PLACE: usize = 22;

/// A text that never changes, and is mostly short: up to 22 bytes cost no allocation, and no way to somewhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortText(Kept);

// A text is kept in one way only, so that what is equal is kept equally.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    InPlace { length: u8, bytes: [u8; IN_PLACE] },
    Elsewhere(Box<str>),
}

impl ShortText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was made of a text, so it is one.
            Kept::InPlace { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Kept::Elsewhere(text) => text,
        }
    }

    /// The bytes of the text. They are at hand, and [`ShortText::as_str`] has to find out that they are UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::InPlace { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Elsewhere(text) => text.as_bytes(),
        }
    }

    fn in_place(text: &str) -> Option<Self> {
        let mut bytes = [0; IN_PLACE];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(Kept::InPlace { length: u8::try_from(text.len()).ok()?, bytes }))
    }
}

impl From<&str> for ShortText {
    fn from(text: &str) -> Self {
        Self::in_place(text).unwrap_or_else(|| Self(Kept::Elsewhere(text.into())))
    }
}

impl From<String> for ShortText {
    fn from(text: String) -> Self {
        Self::in_place(&text).unwrap_or_else(|| Self(Kept::Elsewhere(text.into_boxed_str())))
    }
}

impl From<ShortText> for String {
    fn from(text: ShortText) -> Self {
        match text.0 {
            Kept::InPlace { .. } => text.as_str().to_owned(),
            Kept::Elsewhere(text) => text.into(),
        }
    }
}

impl Borrow<str> for ShortText {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Hash for ShortText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a `str` does, which finds it.
        state.write(self.as_bytes());
        state.write_u8(0xff);
    }
}

impl PartialOrd for ShortText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ShortText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::fmt::Debug for ShortText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl std::fmt::Display for ShortText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_text_of_any_length_is_stored_unchanged() {
        assert_eq!(size_of::<ShortText>(), 24);
        let texts: Vec<String> = (0..60)
            .flat_map(|length| ["x", "y", "é", "\0"].map(|of| of.repeat(length)))
            .chain(["z".repeat(21) + "é", "é".repeat(11), "client-7".to_owned()])
            .collect();
        for text in &texts {
            let (short, owned) = (ShortText::from(text.as_str()), ShortText::from(text.clone()));
            assert_eq!(short.as_str(), text);
            assert!(short == owned && String::from(owned) == *text);
            assert_eq!(format!("{short} {short:?}"), format!("{text} {text:?}"));
            let among: HashSet<ShortText> = HashSet::from([short.clone()]);
            assert!(among.contains(text.as_str()), "{text:?} is found by its text");
            for other in &texts {
                let others = ShortText::from(other.as_str());
                assert_eq!(short.cmp(&others), text.as_str().cmp(other.as_str()), "{text:?} {other:?}");
                assert_eq!(short == others, text == other);
            }
        }
    }
}
