//! Acknowledged restores: records of the installation's chain that say which records of chains a restore of the database lost, so that
//! `audit verify` tells a restore from tampering.
//!
//! Each statement about a record that does not exist any more is listed with its number and hash. So a later loss, also of records with
//! the same numbers, is still found.

use crate::audit::claims::Claims;
use crate::hex::{from_hex, to_hex};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The event of the record.
pub(crate) const RESTORED: &str = "restored";

/// The field with the statements about lost records.
pub(crate) const LOST: &str = "lost";

/// A record that is stated somewhere, and does not exist: chain, number, hash where it is known.
pub(crate) type Lost = (String, i64, Option<[u8; 32]>);

/// A restore of the database that the operator acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "readers take it apart, so that they overlook no member")]
pub struct AcknowledgedRestore {
    /// The record of the chain `installation` that acknowledges it.
    pub record: i64,
    /// When that was, in milliseconds since 1970.
    pub at: i64,
    /// How many statements of servers about lost records it acknowledges.
    pub lost: usize,
}

/// All restores that the installation's chain acknowledges.
#[derive(Default)]
pub(crate) struct Acknowledged {
    pub(crate) restores: Vec<AcknowledgedRestore>,
    lost: HashSet<Lost>,
}

impl Acknowledged {
    /// Reads the next record of the installation's chain, if it acknowledges a restore.
    pub(crate) fn read(&mut self, record: i64, at: i64, text: &str) {
        // Quotation marks inside of texts are escaped, so no other record contains it.
        if !text.contains("\"event\":\"restored\"") {
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else { return };
        let lost: Vec<Lost> = value[LOST].as_array().into_iter().flatten().filter_map(parsed).collect();
        self.restores.push(AcknowledgedRestore { record, at, lost: lost.len() });
        self.lost.extend(lost);
    }

    /// Removes the statements that are acknowledged.
    pub(crate) fn settle(&self, claims: &mut Claims) {
        claims.remove(|chain, number, hash| self.lost.contains(&(chain.to_owned(), number, hash)));
    }
}

/// The value of [`LOST`].
pub(crate) fn to_json(lost: &[Lost]) -> Value {
    let one = |(chain, number, hash): &Lost| json!({"chain": chain, "number": number, "hash": hash.as_ref().map(|hash| to_hex(hash))});
    lost.iter().map(one).collect()
}

fn parsed(value: &Value) -> Option<Lost> {
    let hash = value["hash"].as_str().and_then(from_hex);
    Some((value["chain"].as_str()?.to_owned(), value["number"].as_i64()?, hash))
}
