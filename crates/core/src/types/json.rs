//! Reads one JSON object strictly, so that every parser reads the same: RFC 8259, RFC 7515 §4 and RFC 7519 §4.

use super::excerpt::Excerpt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// Why bytes are no strict JSON object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Not JSON, nested deeper than 127, or something after the end.
    #[error("not strict JSON, or nested too deep, at byte {0}")]
    Syntax(usize),
    /// RFC 7519 §4: "The Claim Names within a JWT Claims Set MUST be unique". RFC 7515 §4 says the same of headers.
    #[error("an object with the member {0} twice")]
    Repeated(Box<Excerpt>),
    /// JSON, but an array, a number, a string, a truth value or null.
    #[error("JSON, but not an object")]
    NotAnObject,
}

/// Reads exactly one JSON object; a member name that occurs twice, at any depth and after unescaping, is an error.
pub(crate) fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    // Once for the whole text, so that the parser need not do it for each string.
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::Utf8)?;
    match serde_json::from_str(text) {
        Ok(Unique(Value::Object(members))) => Ok(members),
        Ok(Unique(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            Err(JsonFault::NotAnObject)
        }
        Err(error) => Err(fault(text, &error)),
    }
}

fn fault(text: &str, error: &serde_json::Error) -> JsonFault {
    if !error.is_data() {
        let before: usize =
            text.split('\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
        return JsonFault::Syntax(before + error.column());
    }
    // The one thing that the visitor refuses; serde_json adds the place.
    let text = error.to_string();
    let name = text.rsplit_once(" at line ").map_or(&*text, |(name, _)| name);
    JsonFault::Repeated(Box::new(Excerpt::of_claim(name)))
}

/// A value in which no object has a member twice; `serde_json::Value` itself silently keeps the last.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Unique(value) = members.next_value()?;
            match map.entry(name) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(first) => return Err(A::Error::custom(first.key())),
            };
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw_04_only_one_strict_utf_8_object() {
        for bad in [
            &b"\xef\xbb\xbf{}"[..],
            b"{}x",
            b"{} {}",
            b"{\"a\":NaN}",
            b"{\"a\":1,}",
            b"// c\n{}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{'a':1}",
            b"",
            b"{\"a\":01}",
            "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().leak(),
        ] {
            assert!(matches!(strict_object(bad), Err(JsonFault::Syntax(_) | JsonFault::Utf8)), "{bad:?}");
        }
        assert_eq!(strict_object(b"{\"a\":\"\xff\"}"), Err(JsonFault::Utf8));
        assert_eq!(strict_object(b"{\n\"a\":1,}"), Err(JsonFault::Syntax(9)));
        for not_object in [&b"[]"[..], b"\"x\"", b"1", b"null", b"true"] {
            assert_eq!(strict_object(not_object), Err(JsonFault::NotAnObject));
        }
        assert!(strict_object(b" { \"a\" : [ 1 , { } ] } ").is_ok());
    }

    #[test]
    fn jw_05_repeated_members_are_refused_at_every_depth() {
        for (bad, name) in [
            (r#"{"exp":1,"exp":2}"#, "exp"),
            (r#"{"sub":"a","s\u0075b":"root"}"#, "sub"),
            (r#"{"act":{"sub":"a","sub":"b"}}"#, "sub"),
            (r#"{"a":[{"x":{"y":1,"y":1}}]}"#, "y"),
            (r#"{"a at line 1":1,"a at line 1":1}"#, "a at line 1"),
        ] {
            let fault = JsonFault::Repeated(Box::new(Excerpt::of_claim(name)));
            assert_eq!(strict_object(bad.as_bytes()), Err(fault), "{bad}");
        }
    }

    #[test]
    fn jw_06_depth_is_capped() {
        for open in ["[", "{\"a\":"] {
            let deep = format!("{{\"a\":{}", open.repeat(20_000));
            assert!(matches!(strict_object(deep.as_bytes()), Err(JsonFault::Syntax(at)) if at < 1024));
        }
    }
}
