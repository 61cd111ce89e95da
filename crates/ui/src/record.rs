//! A record of the audit as the pages show it.

use crate::shown;
use serde_json::{Map, Value};
use tokenberg_core::Outcome;
use tokenberg_store::AuditEntry;

/// What kind of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request was decided.
    Decision,
    /// An operator changed something.
    Change,
    /// A process began, ended, or wrote a witness.
    Event,
    /// The row is no record.
    Damaged,
}

/// A record.
pub(crate) struct Record {
    pub(crate) at: i64,
    pub(crate) chain: String,
    pub(crate) number: i64,
    pub(crate) kind: Kind,
    pub(crate) members: Map<String, Value>,
    /// The text of a row that is no record.
    pub(crate) text: String,
}

impl Record {
    pub(crate) fn of(entry: AuditEntry) -> Self {
        let AuditEntry { chain, number, at, record } = entry;
        match serde_json::from_str::<Map<String, Value>>(&record) {
            Ok(members) => {
                let kind = if members.contains_key("outcome") {
                    Kind::Decision
                } else if members.contains_key("change") {
                    Kind::Change
                } else {
                    Kind::Event
                };
                Self { at, chain, number, kind, members, text: String::new() }
            }
            Err(_) => Self { at, chain, number, kind: Kind::Damaged, members: Map::new(), text: record },
        }
    }

    /// A member that is a text; empty if there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A member as a text, whatever it is.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.members.get(name).map_or_else(String::new, written)
    }

    /// The elements of a member that is a list of texts.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let list = self.members.get(name).and_then(Value::as_array);
        list.into_iter().flatten().map(written).collect()
    }

    /// The time, as the pages write it.
    pub(crate) fn time(&self) -> String {
        shown::milliseconds(self.at)
    }

    /// What happened, in a few words.
    pub(crate) fn title(&self) -> String {
        match self.kind {
            Kind::Decision => self.text_of("outcome").to_owned(),
            Kind::Change => self.text_of("change").to_owned(),
            Kind::Event => self.text_of("event").to_owned(),
            Kind::Damaged => "damaged row".to_owned(),
        }
    }

    /// Whether a request was refused or failed.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == Kind::Decision && Outcome::is_error(self.text_of("outcome"))
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().map(written).collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
