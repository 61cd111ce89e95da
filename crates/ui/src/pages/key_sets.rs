//! The key sets of issuers as this server has them, for the overview.

use crate::pages::ending::time;
use crate::pages::issuers;
use crate::samples::{label, samples};
use crate::shown;
use maud::{Markup, html};
use std::collections::BTreeMap;
use tokenberg_core::Timestamp;

/// The most key sets that are listed.
const LISTED: usize = 50;

/// What the figures say about the keys of an issuer.
#[derive(Default)]
struct KeySet {
    usable: Option<f64>,
    failed: f64,
    fetched_at: Option<Timestamp>,
    usable_until: Option<Timestamp>,
}

/// A table of the key sets; nothing without a trusted issuer.
pub(super) fn table(exposition: &str, now: Timestamp) -> Markup {
    let sets = read(exposition);
    let more = sets.len().saturating_sub(LISTED);
    html! {
        @if !sets.is_empty() {
            h2 { "Key sets of issuers" }
            div.wide tabindex="0" role="region" aria-label="Key sets of issuers" {
                table {
                    thead { tr {
                        th { "Issuer" } th { "Usable keys" } th { "Fetched" } th { "Used until" } th { "Failed fetches" }
                    } }
                    tbody {
                        @for (issuer, set) in sets.iter().take(LISTED) {
                            tr {
                                td { a href=(issuers::address(issuer)) { (shown::text(issuer)) } }
                                td { (usable(set)) }
                                td { @if let Some(at) = set.fetched_at { (shown::distance(at, now)) } }
                                td { @if let Some(at) = set.usable_until { (shown::time(at, now)) } }
                                td { (format!("{:.0}", set.failed)) }
                            }
                        }
                    }
                }
            }
            p.dim {
                "These are the figures of this server. Keys are fetched when a token needs them, and used until the stated time if no \
                 further fetch succeeds."
                @if more > 0 { " " (more) " more are not listed." }
            }
        }
    }
}

fn usable(set: &KeySet) -> String {
    match set.usable {
        Some(0.0) => "none: its tokens are answered 503".to_owned(),
        Some(keys) => format!("{keys:.0}"),
        None => "not fetched yet".to_owned(),
    }
}

/// How many issuers publish no key that can be used; empty without a trusted issuer.
pub(super) fn without_keys(exposition: &str) -> String {
    let sets = read(exposition);
    let without = sets.values().filter(|set| set.usable == Some(0.0)).count();
    if sets.is_empty() { String::new() } else { format!("{without} of {}", sets.len()) }
}

fn read(exposition: &str) -> BTreeMap<&str, KeySet> {
    let mut sets: BTreeMap<&str, KeySet> = BTreeMap::new();
    for (name, labels, value) in samples(exposition) {
        let Some(issuer) = name.starts_with("tokenberg_issuer_").then(|| label(labels, "issuer")).flatten()
        else {
            continue;
        };
        let set = sets.entry(issuer).or_default();
        match name {
            "tokenberg_issuer_usable_keys" => set.usable = Some(value),
            "tokenberg_issuer_keys_fetched_timestamp_seconds" => set.fetched_at = time(value),
            "tokenberg_issuer_keys_end_timestamp_seconds" => set.usable_until = time(value),
            "tokenberg_issuer_key_fetches_total" if label(labels, "outcome") == Some("failed") => {
                set.failed = value;
            }
            _ => {}
        }
    }
    sets
}
