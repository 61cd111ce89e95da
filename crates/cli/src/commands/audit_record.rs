//! Checks that a text is a record of the audit, without building a value of it: a search prints hundred thousands.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The members that come first in a printed line, or say that the record is damaged.
const RESERVED: [&str; 4] = ["time", "chain", "number", "damaged"];

/// Whether the text is a JSON object without the members that are printed beside it.
pub(super) fn is_record(text: &str) -> bool {
    serde_json::from_str::<Record>(text).is_ok()
}

struct Record;

/// A JSON value that `serde_json::Value` would accept.
struct Accepted;

struct Members;

struct Any;

/// The name of a member, without a copy if it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        while let Some((Name(name), Accepted)) = map.next_entry()? {
            if RESERVED.contains(&&*name) {
                return Err(Error::custom("a member that no record has"));
            }
        }
        Ok(Record)
    }
}

impl<'de> Deserialize<'de> for Accepted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Accepted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_str<E>(self, _: &str) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_unit<E>(self) -> Result<Accepted, E> {
        Ok(Accepted)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Accepted, A::Error> {
        while list.next_element::<Accepted>()?.is_some() {}
        Ok(Accepted)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Accepted, A::Error> {
        while map.next_entry::<Name<'_>, Accepted>()?.is_some() {}
        Ok(Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    #[test]
    fn se_05_the_same_texts_are_records_as_if_they_were_parsed() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let (deep, too_deep) = (nested(100), nested(200));
        for text in [
            "{}",
            " {\"a\":1}\n",
            "{\"a\":[1,-2,3.5,true,null,\"x\",{\"time\":1}]}",
            "{\"time\":1}",
            "{\"tim\\u0065\":1}",
            "{\"a\":1,\"number\":2}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":[\"\\ud800\"]}",
            "{\"a\":1e999}",
            "{\"a\":[1e999]}",
            "{\"a\":\"\u{1f}\"}",
            "{\"a\":1}}",
            "{\"a\":1",
            "[1]",
            "",
            "null",
            "{\"a\":{\"\\ud800\":1}}",
            &deep,
            &too_deep,
        ] {
            let parsed: Option<Map<String, Value>> = serde_json::from_str(text).ok();
            let expected = parsed.is_some_and(|map| !RESERVED.iter().any(|name| map.contains_key(*name)));
            assert_eq!(is_record(text), expected, "{text}");
        }
    }
}
