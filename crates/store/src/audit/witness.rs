//! Witnesses: statements of one chain about another, with the number and hash of its last record.
//!
//! ```text
//! a node ── every batch after a change ──> its chain: {"event":"witness","heads":[the head of `installation`]}
//! a node ── begins, ends, every 5 min ──> `installation`: {"event":…,"heads":[the heads of nodes]}
//! ```
//!
//! So a chain can be turned back unnoticed only together with every chain that witnessed it further.

use crate::audit::Head;
use crate::hex::{from_hex, to_hex};
use serde_json::{Value, json};

/// The field of an event that holds the heads.
pub(crate) const HEADS: &str = "heads";

/// The last record of a chain, as another chain or a node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) chain: String,
    /// The number of its last record.
    pub(crate) number: i64,
    /// The hash of the row that ends with this record; older versions did not write it.
    pub(crate) hash: Option<[u8; 32]>,
    /// The record of the installation's chain that names the chain; older versions did not write it.
    pub(crate) begun: Option<i64>,
}

impl From<&Head> for Witness {
    fn from(head: &Head) -> Self {
        Self {
            chain: head.chain.clone(),
            number: head.number,
            hash: Some(head.hash),
            begun: Some(head.begun),
        }
    }
}

/// The value of [`HEADS`].
pub(crate) fn heads<'a>(witnesses: impl IntoIterator<Item = &'a Witness>) -> Value {
    let head = |witness: &Witness| {
        json!({
            "chain": witness.chain,
            "number": witness.number,
            "hash": witness.hash.map(|hash| to_hex(&hash)),
            "begun": witness.begun,
        })
    };
    witnesses.into_iter().map(head).collect()
}

/// The statements in the records of a row about other chains.
pub(crate) fn witnesses(text: &str) -> Vec<Witness> {
    // Quotation marks inside of texts are escaped, so no decision contains these bytes.
    let may_hold = |record: &str| record.contains("\"heads\":[") || record.contains("\"left_at\":");
    if !may_hold(text) {
        return Vec::new();
    }
    let records = crate::audit::row::records(0, text).filter(|(_, record)| may_hold(record));
    records.flat_map(|(_, record)| of_record(record)).collect()
}

fn of_record(record: &str) -> Vec<Witness> {
    let Ok(record) = serde_json::from_str::<Value>(record) else { return Vec::new() };
    if !record["event"].is_string() {
        return Vec::new();
    }
    let head = |head: &Value| {
        Some(Witness {
            chain: head["chain"].as_str()?.to_owned(),
            number: head["number"].as_i64()?,
            hash: head["hash"].as_str().and_then(from_hex),
            begun: head["begun"].as_i64(),
        })
    };
    let mut found: Vec<Witness> = record[HEADS].as_array().into_iter().flatten().filter_map(head).collect();
    // Older versions wrote these fields instead.
    if let (true, Some(other), Some(number)) =
        (found.is_empty(), record["instead_of"].as_str(), record["left_at"].as_i64())
    {
        found.push(Witness { chain: other.to_owned(), number, hash: None, begun: None });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Change;

    #[test]
    fn se_06_heads_are_read_as_written_and_no_decision_is_mistaken_for_them() {
        let head = Head { number: 7, hash: [9; 32], ..Head::new("ab", 3, 0) };
        let witness = Witness::from(&head);
        let event = Change::event("witness").with(HEADS, heads([&witness])).into_text();
        let block = format!("1 {{\"endpoint\":\"\"}}\n2 {event}\n3 {event}\n");
        let old = "{\"event\":\"node began\",\"node\":\"cd\",\"instead_of\":\"ab\",\"left_at\":4}";
        let of_old = Witness { number: 4, hash: None, begun: None, ..witness.clone() };
        let forged = format!("{{\"scope_in\":{},\"outcome\":\"granted\"}}", Value::from(event.as_str()));
        for (text, found) in [
            (event.as_str(), vec![witness.clone()]),
            (&block, vec![witness.clone(), witness.clone()]),
            (old, vec![of_old]),
            (&forged, vec![]),
            ("{\"heads\":[{\"chain\":\"ab\",\"number\":7}]}", vec![]),
            ("{\"event\":\"witness\",\"heads\":[7,{\"chain\":7}]}", vec![]),
            ("\"heads\":[", vec![]),
        ] {
            assert_eq!(witnesses(text), found, "{text}");
        }
    }
}
