//! Facts: what is configured, in a form in which records of the audit and tables of the store can be compared.

use crate::audit::Links;
use crate::hex::{from_hex, to_hex};
use serde_json::{Map, Value};
use std::fmt;

/// Kinds of things that are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Client,
    Issuer,
    Key,
    DisabledSubject,
    RevokedId,
    RevokedBefore,
}

impl Kind {
    const ALL: [(Self, &str); 6] = [
        (Self::Client, "client"),
        (Self::Issuer, "issuer"),
        (Self::Key, "key"),
        (Self::DisabledSubject, "disabled subject"),
        (Self::RevokedId, "revoked id"),
        (Self::RevokedBefore, "revoked before"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }
}

/// The name of a thing: its kind, and the columns of its primary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) kind: Kind,
    /// Separated by [`BETWEEN`], which none of them contains.
    pub(crate) key: Box<str>,
}

/// A control character, which no identifier may contain.
const BETWEEN: &str = "\u{1f}";

impl Name {
    pub(crate) fn new(kind: Kind, key: &[&str]) -> Self {
        Self { kind, key: key.join(BETWEEN).into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.key.split(BETWEEN);
        let mut next = || parts.next().unwrap_or_default();
        match self.kind {
            Kind::Client => write!(f, "client {}", next()),
            Kind::Issuer => write!(f, "issuer {}", next()),
            Kind::Key => write!(f, "signing key {}", next()),
            Kind::DisabledSubject => match (next(), next()) {
                ("", name) => write!(f, "disabled subject {name}"),
                (issuer, name) => write!(f, "disabled subject {name} of {issuer}"),
            },
            Kind::RevokedId => write!(f, "revocation of {} {}", next(), next()),
            Kind::RevokedBefore => match (next(), next(), next()) {
                (kind, "", name) => write!(f, "revocation of all tokens of {kind} {name}"),
                (_, issuer, "") => write!(f, "revocation of all tokens of {issuer}"),
                (kind, issuer, name) => write!(f, "revocation of all tokens of {kind} {name} of {issuer}"),
            },
        }
    }
}

/// The name of a fact about a thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FactName {
    Enabled,
    Rights,
    Trust,
    Algorithm,
    CreatedAt,
    SignsFrom,
    VerifiesUntil,
    Since,
    Until,
    Before,
    /// When the secret of this name expires.
    SecretEnd(Box<str>),
    /// The digest of the secret of this name.
    SecretDigest(Box<str>),
}

impl FactName {
    const FIXED: [(Self, &'static str); 10] = [
        (Self::Enabled, "enabled"),
        (Self::Rights, "rights"),
        (Self::Trust, "trust"),
        (Self::Algorithm, "alg"),
        (Self::CreatedAt, "created_at"),
        (Self::SignsFrom, "signs_from"),
        (Self::VerifiesUntil, "verifies_until"),
        (Self::Since, "since"),
        (Self::Until, "until"),
        (Self::Before, "before"),
    ];

    fn parse(text: &str) -> Option<Self> {
        let of_secret = |prefix: &str| text.strip_prefix(prefix).map(Box::from);
        let fixed = Self::FIXED.iter().find(|(_, name)| *name == text).map(|(name, _)| name.clone());
        fixed
            .or_else(|| of_secret("secret ").map(Self::SecretEnd))
            .or_else(|| of_secret("digest ").map(Self::SecretDigest))
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretEnd(id) => write!(f, "secret {id}"),
            Self::SecretDigest(id) => write!(f, "digest {id}"),
            fixed @ (Self::Enabled
            | Self::Rights
            | Self::Trust
            | Self::Algorithm
            | Self::CreatedAt
            | Self::SignsFrom
            | Self::VerifiesUntil
            | Self::Since
            | Self::Until
            | Self::Before) => {
                let known = Self::FIXED.iter().find(|(name, _)| name == fixed);
                f.write_str(known.map_or("", |(_, name)| name))
            }
        }
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Records of older versions do not contain it.
    Unknown,
    Nothing,
    Number(i64),
    /// A keyed hash of a longer text.
    Tag([u8; 16]),
}

impl Fact {
    pub(crate) fn of(number: Option<i64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }

    /// The value of a field that may be absent from records of older versions.
    pub(crate) fn of_field(value: Option<&Value>) -> Self {
        match value {
            None => Self::Unknown,
            Some(value) => Self::of(value.as_i64()),
        }
    }

    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Unknown => "?".into(),
            Self::Nothing => Value::Null,
            Self::Number(number) => number.into(),
            Self::Tag(tag) => to_hex(&tag).into(),
        }
    }

    pub(crate) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Number(number) => number.as_i64().map_or(Self::Unknown, Self::Number),
            Value::String(text) => from_hex(text).map_or(Self::Unknown, Self::Tag),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Unknown,
        }
    }
}

/// All facts about a thing, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(Vec<(FactName, Fact)>);

impl Facts {
    pub(crate) fn get(&self, name: &FactName) -> Option<Fact> {
        self.0.binary_search_by(|(other, _)| other.cmp(name)).ok().map(|at| self.0[at].1)
    }

    pub(crate) fn set(&mut self, name: FactName, fact: Fact) {
        match self.0.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(at) => self.0[at].1 = fact,
            Err(at) => self.0.insert(at, (name, fact)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FactName, Fact)> {
        self.0.iter().map(|(name, fact)| (name, *fact))
    }

    pub(crate) fn to_json(&self) -> Value {
        let facts = self.iter().map(|(name, fact)| (name.to_string(), fact.to_json()));
        Value::Object(facts.collect::<Map<_, _>>())
    }

    pub(crate) fn from_json(value: &Value) -> Self {
        let mut facts = Self::default();
        for (name, fact) in value.as_object().into_iter().flatten() {
            if let Some(name) = FactName::parse(name) {
                facts.set(name, Fact::from_json(fact));
            }
        }
        facts
    }
}

impl<const N: usize> From<[(FactName, Fact); N]> for Facts {
    fn from(facts: [(FactName, Fact); N]) -> Self {
        let mut all = Self::default();
        facts.into_iter().for_each(|(name, fact)| all.set(name, fact));
        all
    }
}

/// The tag of a text or of bytes.
pub(crate) fn tag_of(links: &Links, text: impl AsRef<[u8]>) -> Fact {
    Fact::Tag(links.tag(text.as_ref()))
}

/// The tag of JSON, independent of the order of its members.
pub(crate) fn tag_of_json(links: &Links, value: &Value) -> Fact {
    let mut text = String::new();
    write_sorted(value, &mut text);
    tag_of(links, text)
}

/// The tag of a column with JSON. A text that is no JSON counts as a string, as in [`super::Change::with_json`].
pub(crate) fn tag_of_text(links: &Links, text: &str) -> Fact {
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    tag_of_json(links, &value)
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_sorted(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            text.push_str(&scalar.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn se_06_facts_are_read_as_they_were_written() {
        let mut facts = Facts::from([
            (FactName::Rights, Fact::Tag([7; 16])),
            (FactName::Enabled, Fact::Number(1)),
            (FactName::SecretEnd("ab".into()), Fact::Nothing),
            (FactName::SecretDigest("ab".into()), Fact::Unknown),
        ]);
        facts.set(FactName::Enabled, Fact::Number(0));
        assert_eq!(facts.get(&FactName::Enabled), Some(Fact::Number(0)));
        assert_eq!(facts.get(&FactName::Trust), None);
        assert_eq!(Facts::from_json(&facts.to_json()), facts);
        for (name, _) in FactName::FIXED {
            assert_eq!(FactName::parse(&name.to_string()), Some(name));
        }
        for (kind, name) in Kind::ALL {
            assert_eq!((Kind::parse(name), kind.as_str()), (Some(kind), name));
        }
    }

    #[test]
    fn op_31_a_tag_is_the_same_in_every_version_and_for_any_order_of_members() {
        let links = Links::new(&[7; 32]);
        let tag = |value: Value| tag_of_json(&links, &value);
        let one = tag(json!({"a": [1, "x"], "b": {"c": null}}));
        assert_eq!(one, tag(json!({"b": {"c": null}, "a": [1, "x"]})));
        assert_eq!(one, tag_of_text(&links, r#"{"b":{"c":null},"a":[1,"x"]}"#));
        for other in [
            json!({"a": [1, "y"], "b": {"c": null}}),
            json!({"a": ["x", 1], "b": {"c": null}}),
            json!({"a": [1, "x"], "b": {"c": false}}),
            json!({"a": [1, "x"], "b": {}, "c": null}),
            json!([1, ["x"]]),
            json!([1, "x"]),
        ] {
            assert_ne!(one, tag(other.clone()), "{other}");
        }
        let Fact::Tag(tag) = one else { panic!("expected a tag") };
        assert_eq!(to_hex(&tag), "f369c0b794d6822f8e92b4d768e281dc");
    }
}
