//! Tables of records, which several pages show.

use crate::record::{Kind, Record};
use crate::shown;
use maud::{Markup, html};

/// The records as a table, each with a link to its page.
pub(crate) fn records(records: &[Record]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Records" {
            table {
                thead { tr { th { "Time" } th { "Result" } th { "Client" } th { "Subject" } th { "Why, or what" } } }
                tbody {
                    @for record in records {
                        tr {
                            td { a href=(address(record)) { (record.time()) } }
                            td { (result(record)) }
                            td { (shown::text(&record.shown("client"))) }
                            td { (shown::text(&record.shown("subject"))) }
                            td { (shown::text(&what(record))) }
                        }
                    }
                }
            }
        }
    }
}

/// The address of the page of a record.
pub(crate) fn address(record: &Record) -> String {
    format!("/ui/decision?chain={}&number={}&at={}", shown::in_query(&record.chain), record.number, record.at)
}

pub(crate) fn result(record: &Record) -> Markup {
    let class = if record.is_refusal() || record.kind == Kind::Damaged { "bad" } else { "good" };
    html! { span class=(class) { (shown::text(&record.title())) } }
}

fn what(record: &Record) -> String {
    match record.kind {
        Kind::Decision if record.is_refusal() => record.shown("reason"),
        Kind::Decision => record.shown("scope_out"),
        Kind::Change | Kind::Event => {
            let names = ["key", "issuer", "secret", "node", "from"];
            names
                .into_iter()
                .map(|name| record.shown(name))
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        }
        Kind::Damaged => record.text.clone(),
    }
}
