//! The running servers of this store, and those that began with it, as far as the audit says.

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::record::{Kind, Record};
use crate::search::{Filter, search};
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::{Markup, html};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokenberg_store::{AuditPosition, Node, Position, StoreError};

/// The most events that are looked through: some months of starts and ends.
const EVENTS: usize = 5000;
const PATIENCE: Duration = Duration::from_millis(500);

/// `GET /ui/nodes`
pub(crate) async fn list(parts: Data<Parts>) -> HttpResponse {
    let running = async { Ok::<_, StoreError>((parts.store.position().await?, parts.store.nodes().await?)) };
    let (position, running) = match running.await {
        Ok(running) => running,
        Err(error) => return frame::failed(Tab::Nodes, &error),
    };
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
        (table_of(&running, &position))
        h2 { "Starts" }
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

/// The servers that have recorded themselves in the store.
fn table_of(running: &[Node], position: &Position) -> Markup {
    html! {
        p {
            "A server records itself every 10s and after each change. One that was not seen for 30s has ended without notice, hangs, or \
             cannot write to the store. Servers of versions before schema 6 are not listed."
        }
        div.wide tabindex="0" role="region" aria-label="Running servers" {
            table {
                thead {
                    tr {
                        th { "Host" } th { "Version" } th { "Address" } th { "Since" } th { "Clock" } th { "Changes behind" }
                        th { "Last seen" }
                    }
                }
                tbody {
                    @for node in running {
                        tr {
                            td { (shown::text(&node.host)) }
                            td { (shown::text(&node.version)) }
                            td { (shown::text(&node.address)) }
                            td { (node.since) }
                            td { @if let Some(ahead) = node.clock { (ahead) " ms" } @else { "-" } }
                            td {
                                (node.followed.behind(position))
                                @if let Some(fault) = &node.fault { ": " (shown::text(fault)) }
                            }
                            td { (node.seen_at) @if !node.is_seen() { strong { " not seen for 30s" } } }
                        }
                    }
                }
            }
        }
    }
}

fn more(record: &Record) -> String {
    let names = ["host", "version", "address", "issuer"];
    let known = names.iter().map(|name| (name, record.shown(name))).filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}
