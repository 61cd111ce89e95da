//! The servers that began with this store, as far as the audit says.

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::record::{Kind, Record};
use crate::search::{Filter, search};
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::html;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokenberg_store::AuditPosition;

/// The most events that are looked through: some months of starts and ends.
const EVENTS: usize = 5000;
const PATIENCE: Duration = Duration::from_millis(500);

/// `GET /ui/nodes`
pub(crate) async fn list(parts: Data<Parts>) -> HttpResponse {
    let filter = Filter { show: "events".to_owned(), ..Filter::default() };
    let found = search(&parts.store, &filter, AuditPosition::default(), EVENTS, Some(PATIENCE)).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return frame::failed(Tab::Nodes, &error),
    };
    let mut seen: HashMap<&str, i64> = HashMap::new();
    let mut ended: HashMap<&str, i64> = HashMap::new();
    for record in found.records.iter().filter(|record| record.kind == Kind::Event) {
        seen.entry(&record.chain).or_insert(record.at);
        if record.text_of("event") == "node ended" {
            let heads = record.members.get("heads").and_then(Value::as_array);
            let chain = heads.and_then(|heads| heads.first()?.get("chain")?.as_str());
            ended.entry(chain.unwrap_or_default()).or_insert(record.at);
        }
    }
    let began: Vec<&Record> =
        found.records.iter().filter(|record| record.text_of("event") == "node began").collect();
    let content = html! {
        p { "Each start of a server is a node with a chain of records of its own." }
        div.wide tabindex="0" role="region" aria-label="Nodes" {
            table {
                thead { tr { th { "Node" } th { "Began" } th { "State" } th { "Last event" } th { "More" } } }
                tbody {
                    @for record in &began {
                        @let node = record.text_of("node");
                        tr {
                            td { code { (shown::text(node)) } }
                            td { (record.time()) }
                            td { @if let Some(at) = ended.get(node) { "ended " (shown::milliseconds(*at)) } @else { "has not ended, or was killed" } }
                            td { @if let Some(at) = seen.get(node) { (shown::milliseconds(*at)) } }
                            td { (shown::text(&more(record))) }
                        }
                    }
                }
            }
        }
        @if let (Some(at), true) = (found.back_to, found.next.is_some()) {
            p { "Earlier ones were not looked for: the search ended at " (shown::milliseconds(at)) "." }
        }
    };
    frame::page(StatusCode::OK, Tab::Nodes, "Nodes", content)
}

fn more(record: &Record) -> String {
    let names = ["host", "version", "address", "issuer"];
    let known = names.iter().map(|name| (name, record.shown(name))).filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}
