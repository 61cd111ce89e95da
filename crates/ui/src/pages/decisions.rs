//! What was decided and changed: the audit with filters, and a page for each record.

use crate::chart;
use crate::frame::{self, Tab};
use crate::pages::{table, what_if};
use crate::parts::Parts;
use crate::record::{Kind, Record};
use crate::search::{Filter, Found, SCREEN, search};
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use tokenberg_core::explanation::{RecordedDecision, explain_recorded};

const SHOW: [(&str, &str); 5] = [
    ("decisions", "All decisions"),
    ("refusals", "Refusals"),
    ("changes", "Changes by operators"),
    ("events", "Events of servers"),
    ("all", "Everything"),
];

/// `GET /ui/decisions`
pub(crate) async fn list(parts: Data<Parts>, filter: Query<Filter>) -> HttpResponse {
    let filter = filter.into_inner();
    let position = match filter.begin() {
        Ok(position) => position,
        Err(fault) => {
            let content = html! { p.note { (fault) } (form(&filter)) };
            return frame::page(StatusCode::BAD_REQUEST, Tab::Decisions, "Decisions", content);
        }
    };
    match search(&parts.store, &filter, position, SCREEN, None).await {
        Ok(found) => {
            let content = html! { (form(&filter)) (results(&filter, &found)) };
            frame::page(StatusCode::OK, Tab::Decisions, "Decisions", content)
        }
        Err(error) => frame::failed(Tab::Decisions, &error),
    }
}

fn form(filter: &Filter) -> Markup {
    let fields = [
        ("client", "Client", &filter.client),
        ("subject", "Subject", &filter.subject),
        ("issuer", "Issuer", &filter.issuer),
        ("outcome", "Result", &filter.outcome),
        ("reason", "Reason contains", &filter.reason),
        ("request", "Request", &filter.request),
        ("until", "Before (2026-11-21T21:58:00Z)", &filter.until),
    ];
    html! {
        form.filter method="get" action="/ui/decisions" {
            @for (name, label, value) in fields {
                label { (label) input name=(name) value=(value) autocomplete="off"; }
            }
            label { "Show"
                select name="show" {
                    @for (value, name) in SHOW {
                        option value=(value) selected[value == filter.show] { (name) }
                    }
                }
            }
            button { "Search" }
        }
    }
}

fn results(filter: &Filter, found: &Found) -> Markup {
    html! {
        @if found.records.is_empty() {
            p { "Nothing was found" @if let (Some(at), true) = (found.back_to, found.next.is_some()) { " back to " (shown::milliseconds(at)) } "." }
        } @else {
            (table::records(&found.records))
        }
        @if let Some(next) = &found.next {
            p { a href=(older(filter, &next.to_string())) rel="next" { "Older records" } }
        }
    }
}

fn older(filter: &Filter, after: &str) -> String {
    let Filter { client, subject, issuer, outcome, reason, request, show, until, after: _ } = filter;
    let members = [
        ("client", client.as_str()),
        ("subject", subject),
        ("issuer", issuer),
        ("outcome", outcome),
        ("reason", reason),
        ("request", request),
        ("show", show),
        ("until", until),
        ("after", after),
    ];
    shown::address("/ui/decisions", &members)
}

/// Where a record is.
#[derive(Deserialize)]
pub(crate) struct Place {
    chain: String,
    number: i64,
}

/// `GET /ui/decision`
pub(crate) async fn one(parts: Data<Parts>, place: Query<Place>) -> HttpResponse {
    match parts.store.audit_record(&place.chain, place.number).await {
        Ok(Some(entry)) => {
            let record = Record::of(entry);
            let (now, answers) = (Parts::now(), (parts.answers)());
            let decision = explain_recorded(&parts.endpoint, &record.members, now, &*answers, &());
            let content = whole(&record, decision.as_ref());
            frame::page(StatusCode::OK, Tab::Decisions, &shown::text(&record.title()), content)
        }
        Ok(None) => {
            let content = html! { p { "There is no such record. It may have expired." } };
            frame::page(StatusCode::NOT_FOUND, Tab::Decisions, "Not found", content)
        }
        Err(error) => frame::failed(Tab::Decisions, &error),
    }
}

/// What the members of a record mean; others are shown by their names.
const MEANINGS: [(&str, &str); 21] = [
    ("endpoint", "Endpoint"),
    ("request_id", "Request"),
    ("source", "Came from"),
    ("client", "Client"),
    ("method", "Authenticated by"),
    ("grant", "Grant"),
    ("subject", "Subject"),
    ("issuer_subject", "Subject at its issuer"),
    ("subject_auth", "Subject known by"),
    ("subject_issuer", "Issuer of the subject"),
    ("scope_in", "Requested scope"),
    ("scope_out", "Granted scope"),
    ("aud", "Audience"),
    ("jti", "Identifier of the token"),
    ("session", "Session"),
    ("bound", "Bound to"),
    ("subject_jti", "Identifier of the subject's token"),
    ("actor_jti", "Identifier of the actor's token"),
    ("outcome", "Result"),
    ("reason", "Reason"),
    ("presented", "Tokens that were presented"),
];

fn whole(record: &Record, decision: Option<&RecordedDecision>) -> Markup {
    let known = MEANINGS.iter().map(|(name, meaning)| (*meaning, record.shown(name)));
    let is_known = |name: &str| MEANINGS.iter().any(|(known, _)| *known == name) || name == "actors";
    let others = record.members.iter().filter(|(name, _)| !is_known(name));
    let client = record.text_of("client");
    html! {
        p { (record.time()) " · " (table::result(record)) }
        @if record.is_refusal() { p.reason { (shown::text(&record.shown("reason"))) } }
        @if record.kind == Kind::Decision && !record.text_of("subject").is_empty() {
            (chart::chain(record.text_of("subject"), &record.list("actors")))
        }
        @if let Some(decision) = decision { (explained(decision)) }
        h2 { "The record" }
        (shown::facts(&known.collect::<Vec<_>>()))
        @if others.clone().next().is_some() {
            h2 { "Other members" }
            dl { @for (name, _) in others { dt { (shown::text(name)) } dd { (shown::text(&record.shown(name))) } } }
        }
        @if record.kind == Kind::Damaged { p { "The row is no valid record:" } pre { (shown::text(&record.text)) } }
        h2 { "Next" }
        @if !client.is_empty() {
            p { a href=(format!("/ui/client?id={}", shown::in_query(client))) { "The client " (shown::text(client)) } " with what it may do" }
        }
        @if record.is_refusal() {
            p { "Explain this very request, from its form in a file:" }
            pre.command { "tokenberg explain --at " (record.time()) " < form.txt" }
        } @else if record.kind == Kind::Decision && !client.is_empty() {
            p { "End all tokens of this client:" }
            (shown::revoke_client(client))
        }
        p.dim { "Record " (record.number) " of the chain " (shown::text(&record.chain)) }
    }
}

/// What was decided, in order, and what would be decided about such a request now.
fn explained(decision: &RecordedDecision) -> Markup {
    html! {
        h2 { "What was decided, in order" }
        ol { @for (name, sentence) in &decision.findings { li { strong { (name) } ": " (shown::text(sentence)) } } }
        @if let Some(remedy) = &decision.remedy {
            p { "To allow it: " (shown::text(remedy)) }
        }
        @if let (Some(now), Some(supposed)) = (&decision.now, &decision.supposed) {
            h2 { "What would be decided now" }
            p.dim {
                "Such a request, with a valid credential and genuine tokens. "
                a href=(what_if::address(supposed)) { "Change it and ask again" }
            }
            (what_if::decided(now))
        }
    }
}
