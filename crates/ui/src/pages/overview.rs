//! Health, what ends soon, requests of the last hour, and why requests were refused.

use crate::chart;
use crate::frame::{self, Tab};
use crate::pages::{ending, key_sets};
use crate::parts::Parts;
use crate::record::Record;
use crate::samples::{Interval, value};
use crate::search::{Filter, search};
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::{Markup, html};
use std::collections::HashMap;
use std::time::Duration;
use tokenberg_core::Timestamp;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_store::{AuditPosition, EndingSecret, Store, StoreError};

/// The most refusals that are read for the list of reasons.
const REFUSALS: usize = 5000;
/// The most reasons that are listed.
const LISTED: usize = 10;
const HOUR: i64 = 3_600_000;
/// How long the overview looks for refusals.
const PATIENCE: Duration = Duration::from_millis(40);

/// `GET /ui/`
pub(crate) async fn show(parts: Data<Parts>) -> HttpResponse {
    let exposition = parts.operations.exposition();
    let readiness = parts.operations.state();
    let intervals = parts.samples.intervals();
    let stored = stored(&parts.store).await;
    let content = html! {
        (health(&readiness))
        (states(&exposition))
        h2 { "Requests of the last hour" }
        @if intervals.is_empty() { p.dim { "The first figures come fifteen seconds after the start." } }
        (chart::bars("Granted", "good", &intervals, |interval: &Interval| interval.granted))
        (chart::bars("Refused", "bad", &intervals, |interval: &Interval| interval.refused))
        @match &stored {
            Ok(Stored { secrets, keys, reasons, not_before }) => {
                (why(reasons, *not_before))
                (ending::list(secrets, keys, &exposition, Parts::now()))
            }
            Err(error) => p.note { "The store cannot be read: " (shown::text(&error.to_string())) }
        }
        (key_sets::table(&exposition, Parts::now()))
        h2 { "Figures" }
        (shown::facts(&figures(&exposition)))
    };
    frame::page(StatusCode::OK, Tab::Overview, "Overview", content)
}

fn health(readiness: &Result<String, String>) -> Markup {
    match readiness {
        Ok(more) => {
            html! { p.health.good { strong { "Ready" } @if !more.is_empty() { ": " (shown::text(more)) } } }
        }
        Err(reason) => html! { p.health.bad { strong { "Not ready" } ": " (shown::text(reason)) } },
    }
}

/// What the store says.
struct Stored {
    secrets: Vec<EndingSecret>,
    /// An error while the key-encryption key is being changed; then the rest can be read.
    keys: Result<Vec<KeyMaterial>, StoreError>,
    /// How often each reason was given, and an example.
    reasons: Vec<(u32, Record)>,
    /// How far back the records were read, if that is less than an hour.
    not_before: Option<i64>,
}

async fn stored(store: &Store) -> Result<Stored, StoreError> {
    let now = Parts::now();
    let secrets = store.ending_secrets(now, ending::AHEAD, 50).await?;
    let keys = store.keys().await;
    let filter = Filter { show: "refusals".to_owned(), ..Filter::default() };
    let found = search(store, &filter, AuditPosition::default(), REFUSALS, Some(PATIENCE)).await?;
    let since = now.as_seconds() * 1000 - HOUR;
    let not_before = found.back_to.filter(|at| found.next.is_some() && *at > since);
    let mut reasons: HashMap<(String, String), (u32, Record)> = HashMap::new();
    for record in found.records.into_iter().filter(|record| record.at >= since) {
        let reason = (record.title(), record.shown("reason"));
        reasons.entry(reason).or_insert((0, record)).0 += 1;
    }
    let mut reasons: Vec<(u32, Record)> = reasons.into_values().collect();
    reasons.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.at.cmp(&a.1.at)));
    reasons.truncate(LISTED);
    Ok(Stored { secrets, keys, reasons, not_before })
}

fn why(reasons: &[(u32, Record)], not_before: Option<i64>) -> Markup {
    html! {
        h2 { "Why requests were refused" }
        @if let Some(at) = not_before {
            p.dim { "Of the last hour, only the records from " (shown::milliseconds(at)) " on were read: there are many." }
        }
        @if reasons.is_empty() {
            p { "No refused request was found." }
        } @else {
            ol {
                @for (times, record) in reasons {
                    @let reason = record.shown("reason");
                    li {
                        a href=(format!("/ui/decisions?show=refusals&reason={}", shown::in_query(&reason))) {
                            (times) " × " (shown::text(&record.title()))
                        }
                        ": " (shown::text(&reason))
                    }
                }
            }
        }
    }
}

/// The state of each part in one line.
fn states(exposition: &str) -> Markup {
    let number = |name: &str| value(exposition, name).map_or_else(String::new, |v| format!("{v:.0} s"));
    let key = value(exposition, "tokenberg_signing_key_age_seconds");
    let states = [
        ("Store read", number("tokenberg_snapshot_age_seconds") + " ago"),
        ("ahead of the clock of the database", number("tokenberg_clock_offset_seconds")),
        ("TLS certificate", ending::of_certificate(exposition).map_or_else(String::new, until)),
        ("age of the signing key", key.map_or_else(String::new, days)),
        ("issuers without a usable key", key_sets::without_keys(exposition)),
        ("audit behind by", number("tokenberg_audit_lag_seconds")),
    ];
    let given = states.iter().filter(|(_, state)| !state.is_empty());
    let line: Vec<String> = given.map(|(name, state)| format!("{name}: {state}")).collect();
    html! { p { (line.join("; ")) "." } }
}

fn figures(exposition: &str) -> Vec<(&'static str, String)> {
    let number = |name: &str| value(exposition, name).map_or_else(String::new, |v| format!("{v:.0}"));
    let oldest = value(exposition, "tokenberg_audit_oldest_timestamp_seconds").and_then(ending::time);
    vec![
        ("Clients", number("tokenberg_clients")),
        ("Live revocations", number("tokenberg_revocations")),
        ("Open connections", number("tokenberg_connections")),
        ("Records of the audit that wait", number("tokenberg_audit_waiting")),
        ("Records of the audit in the store", number("tokenberg_audit_stored_records")),
        ("Oldest of these", oldest.map_or_else(String::new, age)),
    ]
}

fn age(since: Timestamp) -> String {
    shown::distance(since, Parts::now())
}

fn until(end: Timestamp) -> String {
    format!("until {end} ({})", shown::distance(end, Parts::now()))
}

fn days(seconds: f64) -> String {
    format!("{:.1} days", seconds / 86_400.0)
}
