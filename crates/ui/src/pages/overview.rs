//! Health, what ends soon, requests of the last hour, and why requests were refused.

use crate::chart;
use crate::frame::{self, Tab};
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
use tokenberg_core::Lifetime;
use tokenberg_store::{AuditPosition, EndingSecret, Store, StoreError};

/// How far ahead ends are listed: 30 days.
const AHEAD: Lifetime = Lifetime::from_seconds(30 * 24 * 3600);
/// The most refusals that are looked at for the list of reasons.
const REFUSALS: usize = 5000;
/// The most reasons and secrets that are listed.
const LISTED: usize = 10;
const HOUR: i64 = 3_600_000;
/// How long the overview looks for refusals.
const PATIENCE: Duration = Duration::from_millis(80);

/// `GET /ui/`
pub(crate) async fn show(parts: Data<Parts>) -> HttpResponse {
    let exposition = parts.operations.exposition();
    let readiness = parts.operations.state();
    let intervals = parts.samples.intervals();
    let stored = stored(&parts.store).await;
    let content = html! {
        (health(&readiness))
        h2 { "Requests of the last hour" }
        @if intervals.is_empty() { p.dim { "The first figures come fifteen seconds after the start." } }
        (chart::bars("Granted", "good", &intervals, |interval: &Interval| interval.granted))
        (chart::bars("Refused", "bad", &intervals, |interval: &Interval| interval.refused))
        @match &stored {
            Ok(Stored { ending, reasons, not_before }) => { (why(reasons, *not_before)) (ends(ending)) }
            Err(error) => p.note { "The store cannot be read: " (shown::text(&error.to_string())) }
        }
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
    ending: Vec<EndingSecret>,
    /// How often each reason was given, and an example.
    reasons: Vec<(u32, Record)>,
    /// How far back the records were looked at, if that is less than an hour.
    not_before: Option<i64>,
}

async fn stored(store: &Store) -> Result<Stored, StoreError> {
    let now = Parts::now();
    let ending = store.ending_secrets(now, AHEAD, 50).await?;
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
    Ok(Stored { ending, reasons, not_before })
}

fn why(reasons: &[(u32, Record)], not_before: Option<i64>) -> Markup {
    html! {
        h2 { "Why requests were refused" }
        @if let Some(at) = not_before {
            p.dim { "Of the last hour, only the records from " (shown::milliseconds(at)) " on were looked at: there are many." }
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

fn ends(ending: &[EndingSecret]) -> Markup {
    let now = Parts::now();
    html! {
        h2 { "What ends within 30 days" }
        @if ending.is_empty() { p { "No secret." } } @else {
            ul {
                @for secret in ending {
                    li {
                        "The secret " code { (secret.secret_id) } " of "
                        a href=(crate::pages::clients::address(&secret.client)) { (shown::text(secret.client.as_str())) }
                        ": " (shown::time(secret.expires_at, now))
                    }
                }
            }
        }
    }
}

/// The figures that show a problem before it is one.
fn figures(exposition: &str) -> Vec<(&'static str, String)> {
    let number = |name: &str, unit: &str| {
        value(exposition, name).map_or_else(String::new, |v| format!("{v:.0}{unit}"))
    };
    vec![
        ("Clients", number("tokenberg_clients", "")),
        ("Age of what is known of the store", number("tokenberg_snapshot_age_seconds", " s")),
        ("Difference to the clock of the database", number("tokenberg_clock_offset_seconds", " s")),
        (
            "Age of the signing key",
            value(exposition, "tokenberg_signing_key_age_seconds").map_or_else(String::new, days),
        ),
        ("Records of the audit that wait", number("tokenberg_audit_waiting", "")),
        ("Age of the oldest of them", number("tokenberg_audit_lag_seconds", " s")),
        ("Open connections", number("tokenberg_connections", "")),
        ("Live revocations", number("tokenberg_revocations", "")),
    ]
}

fn days(seconds: f64) -> String {
    format!("{:.1} days", seconds / 86_400.0)
}
