//! The members of the record of a decision.

use serde_json::{Map, Value};

/// The members of a record.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Record<'a> {
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn list(self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten()
    }

    pub(super) fn texts(self, name: &str) -> Vec<&'a str> {
        self.list(name).filter_map(Value::as_str).collect()
    }
}

/// The text, if it is all of a claim: earlier versions recorded it between quotation marks, and a long one is cut.
pub(super) fn whole(text: &str) -> Option<&str> {
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    (!text.contains('…') && !text.contains('\\')).then_some(text)
}
