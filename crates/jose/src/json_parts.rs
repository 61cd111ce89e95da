//! Splits JSON into its members and elements without reading their values: RFC 8259 §2 to §7.
//!
//! A value is skipped by its quotes and brackets. Text that a parser refuses, such as an unpaired surrogate, a byte that is not
//! UTF-8, a number out of range or deep nesting, therefore affects only the value that contains it. Nothing here recurses, and
//! the only allocation is one byte per open bracket.

use serde_json::Value;

/// The offset, in bytes, of the first byte that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) usize);

/// The text of one value, whose brackets match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    bytes: &'a [u8],
    /// Where it begins in the whole text.
    offset: usize,
}

impl<'a> Part<'a> {
    /// The only value of a text. RFC 8259 §8.1: parsers "MAY ignore the presence of a byte order mark".
    ///
    /// # Errors
    /// If there is no value, or something other than white space after it.
    pub(crate) fn whole(text: &'a [u8]) -> Result<Self, Broken> {
        let start = if text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let start = after_space(text, start);
        let end = after_value(text, start)?;
        let rest = after_space(text, end);
        if rest < text.len() {
            return Err(Broken(rest));
        }
        Ok(Self { bytes: &text[start..end], offset: start })
    }

    /// The type of the value, with its article.
    pub(crate) fn kind(self) -> &'static str {
        match self.bytes {
            [b'{', ..] => "an object",
            [b'[', ..] => "an array",
            [b'"', ..] => "a string",
            [b'-' | b'0'..=b'9', ..] => "a number",
            b"null" => "null",
            b"true" | b"false" => "a boolean",
            _ => "a word that is not JSON",
        }
    }

    /// The members, if it is an object.
    pub(crate) fn members(self) -> Option<Inside<'a>> {
        self.bytes.starts_with(b"{").then(|| Inside::of(self))
    }

    /// The value of a member, if it is an object that has it. RFC 7517 §4 lets parsers take "only the lexically last duplicate
    /// member name", as this one does.
    ///
    /// # Errors
    /// If it is an object with something other than members in it.
    pub(crate) fn member(self, name: &str) -> Result<Option<Self>, Broken> {
        let Some(mut members) = self.members() else { return Ok(None) };
        let mut found = None;
        while let Some((this, value)) = members.member()? {
            if this.string().as_deref() == Some(name) {
                found = Some(value);
            }
        }
        Ok(found)
    }

    /// The elements, if it is an array.
    pub(crate) fn elements(self) -> Option<Inside<'a>> {
        self.bytes.starts_with(b"[").then(|| Inside::of(self))
    }

    /// The value, if it parses.
    pub(crate) fn value(self) -> Option<Value> {
        serde_json::from_slice(self.bytes).ok()
    }

    /// The text, if it is a string.
    pub(crate) fn string(self) -> Option<String> {
        serde_json::from_slice(self.bytes).ok()
    }
}

/// What is between the brackets of an object or an array, from left to right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside<'a> {
    part: Part<'a>,
    at: usize,
    is_first: bool,
}

impl<'a> Inside<'a> {
    fn of(part: Part<'a>) -> Self {
        Self { part, at: 1, is_first: true }
    }

    /// The next element of an array.
    ///
    /// # Errors
    /// If there is something else.
    pub(crate) fn element(&mut self) -> Result<Option<Part<'a>>, Broken> {
        if self.is_over()? { Ok(None) } else { self.next_part().map(Some) }
    }

    /// The next member of an object, as name and value.
    ///
    /// # Errors
    /// If there is something else.
    pub(crate) fn member(&mut self) -> Result<Option<(Part<'a>, Part<'a>)>, Broken> {
        if self.is_over()? {
            return Ok(None);
        }
        if self.part.bytes.get(self.at) != Some(&b'"') {
            return Err(self.broken());
        }
        let name = self.next_part()?;
        self.at = after_space(self.part.bytes, self.at);
        if self.part.bytes.get(self.at) != Some(&b':') {
            return Err(self.broken());
        }
        self.at = after_space(self.part.bytes, self.at + 1);
        Ok(Some((name, self.next_part()?)))
    }

    /// Moves to the next item; `true` if there is none.
    fn is_over(&mut self) -> Result<bool, Broken> {
        // The last byte is the bracket that closes this part.
        let last = self.part.bytes.len() - 1;
        self.at = after_space(self.part.bytes, self.at);
        if self.at == last {
            return Ok(true);
        }
        if !std::mem::take(&mut self.is_first) {
            if self.part.bytes[self.at] != b',' {
                return Err(self.broken());
            }
            self.at = after_space(self.part.bytes, self.at + 1);
        }
        Ok(false)
    }

    fn next_part(&mut self) -> Result<Part<'a>, Broken> {
        let (start, offset) = (self.at, self.part.offset + self.at);
        let end = after_value(self.part.bytes, start).map_err(|Broken(at)| Broken(self.part.offset + at))?;
        self.at = end;
        Ok(Part { bytes: &self.part.bytes[start..end], offset })
    }

    fn broken(&self) -> Broken {
        Broken(self.part.offset + self.at)
    }
}

fn after_space(text: &[u8], at: usize) -> usize {
    let space = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    at + space.count()
}

fn after_value(text: &[u8], start: usize) -> Result<usize, Broken> {
    let mut awaited = Vec::new();
    let mut at = start;
    loop {
        at = match text.get(at) {
            Some(b'"') => after_string(text, at)?,
            Some(b'{') => opened(&mut awaited, b'}', at),
            Some(b'[') => opened(&mut awaited, b']', at),
            Some(close @ (b'}' | b']')) => {
                if awaited.pop() != Some(*close) {
                    return Err(Broken(at));
                }
                at + 1
            }
            Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if !awaited.is_empty() => at + 1,
            Some(byte) if is_word_byte(*byte) => {
                at + text[at..].iter().take_while(|byte| is_word_byte(**byte)).count()
            }
            Some(_) | None => return Err(Broken(at)),
        };
        if awaited.is_empty() {
            return Ok(at);
        }
    }
}

fn opened(awaited: &mut Vec<u8>, close: u8, at: usize) -> usize {
    awaited.push(close);
    at + 1
}

/// Bytes of numbers, of `true`, `false` and `null`, and of words that are written in their place.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn after_string(text: &[u8], start: usize) -> Result<usize, Broken> {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err(Broken(text.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &[u8]) -> Result<Vec<(String, String)>, Broken> {
        let mut members = Part::whole(text)?.members().unwrap();
        let mut found = Vec::new();
        while let Some((name, value)) = members.member()? {
            found.push((name.string().unwrap(), String::from_utf8_lossy(value.bytes).into_owned()));
        }
        Ok(found)
    }

    #[test]
    fn ks_06_a_value_is_skipped_whatever_is_in_it() {
        for value in [
            r#""\ud800""#,
            r#""]}\"{\\""#,
            "\"a\nb\"",
            "1e999",
            "NaN",
            "[1,{\"a\":[]},\"]\"]",
            "{\"a\" : \"}\" , }",
            &"[".repeat(5000).chars().chain("]".repeat(5000).chars()).collect::<String>(),
        ] {
            let text = format!(" {{ \"a\" :{value}, \"\\u0062\":\t1 }}\n");
            let found = members(text.as_bytes()).unwrap();
            assert_eq!(found[0], ("a".to_owned(), value.to_owned()));
            assert_eq!(found[1], ("b".to_owned(), "1".to_owned()));
        }
        assert_eq!(members(b"{\"a\":\"M\xfcller\"}").unwrap()[0].0, "a");
        assert_eq!(members(b"\xef\xbb\xbf{}"), Ok(Vec::new()));
    }

    #[test]
    fn ks_06_the_offset_of_invalid_json_is_reported() {
        for (text, offset) in [
            ("", 0),
            ("{", 1),
            ("{\"a", 3),
            ("{\"a\\", 4),
            ("{\"a\\\"", 5),
            ("{]", 1),
            ("{\"a\":1}}", 7),
            ("{\"a\":1}\n\0", 8),
            ("{\"a\":1,}", 7),
            ("{\"a\"}", 4),
            ("{a:1}", 1),
            ("{\"a\":}", 5),
            ("{\"a\":1 2}", 7),
            ("{\"a\":1 \"b\":2}", 7),
            ("{,\"a\":1}", 1),
            ("{\"a\":1 /* b */}", 7),
            ("<html>", 0),
            ("}", 0),
        ] {
            assert_eq!(members(text.as_bytes()), Err(Broken(offset)), "{text}");
        }
    }
}
