//! A revocation of identifiers that waits to be written: what becomes of it in the tables and in the audit.

use crate::audit::Change;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokenberg_core::Timestamp;

/// A revocation of tokens and sessions, which is one record of the audit.
#[derive(Clone)]
pub(crate) struct RevokedFamily {
    ids: Vec<(&'static str, Box<str>)>,
    until: Timestamp,
}

impl RevokedFamily {
    /// The revocation of these kinds and identifiers.
    pub(crate) fn new(ids: &[(&'static str, &str)], until: Timestamp) -> Self {
        Self { ids: ids.iter().map(|(kind, id)| (*kind, (*id).into())).collect(), until }
    }

    /// Kind, identifier and end of each row, as JSON. An identifier that is revoked twice is there once, with the later end.
    pub(crate) fn rows(families: &[Self]) -> String {
        let mut rows = BTreeMap::new();
        for family in families {
            for id in &family.ids {
                let until = rows.entry(id).or_insert(family.until);
                *until = family.until.max(*until);
            }
        }
        let rows = rows.into_iter().map(|((kind, id), until)| json!([kind, id, until.as_seconds()]));
        Value::from(rows.collect::<Vec<_>>()).to_string()
    }

    /// The record of the audit.
    pub(crate) fn record(&self, source: &str) -> Change {
        let change = Change::new("revoked");
        let change = self.ids.iter().fold(change, |change, (kind, id)| change.with(kind, &**id));
        change.with("until", self.until.as_seconds()).with("source", source)
    }
}
