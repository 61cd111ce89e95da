//! What all pages have in common: the head, the navigation, the foot.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use tokenberg_store::StoreError;

pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// The part of the navigation that a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Decisions,
    Clients,
    Issuers,
    Keys,
    Nodes,
    WhatIf,
    Token,
    Request,
    None,
}

const TABS: [(Tab, &str, &str); 9] = [
    (Tab::Overview, "/ui/", "Overview"),
    (Tab::Decisions, "/ui/decisions", "Decisions"),
    (Tab::Clients, "/ui/clients", "Clients"),
    (Tab::Issuers, "/ui/issuers", "Issuers"),
    (Tab::Keys, "/ui/keys", "Keys"),
    (Tab::Nodes, "/ui/nodes", "Nodes"),
    (Tab::WhatIf, "/ui/what-if", "What if"),
    (Tab::Token, "/ui/token", "Inspect a token"),
    (Tab::Request, "/ui/request", "Build a request"),
];

/// A page for those who have signed in.
pub(crate) fn page(status: StatusCode, tab: Tab, title: &str, content: Markup) -> HttpResponse {
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header {
            nav aria-label="Pages" {
                ul {
                    @for (of, address, name) in TABS {
                        li { a href=(address) aria-current=[(of == tab).then_some("page")] { (name) } }
                    }
                }
            }
            form method="post" action="/ui/leave" { button { "Sign out" } }
        }
        main id="content" tabindex="-1" { h1 { (title) } (content) }
    };
    HttpResponse::build(status).content_type(HTML).body(document(title, html! {}, body))
}

/// A page without navigation, for those who have not.
pub(crate) fn bare(title: &str, content: Markup) -> String {
    document(title, html! {}, alone(title, content))
}

/// The same, which the browser leaves for another one at once.
pub(crate) fn passing(title: &str, to: &str, content: Markup) -> String {
    let refresh = html! { meta http-equiv="refresh" content=(format!("0; url={to}")); };
    document(title, refresh, alone(title, content))
}

fn alone(title: &str, content: Markup) -> Markup {
    html! { main id="content" { h1 { (title) } (content) } }
}

/// The answer while the store cannot be read.
pub(crate) fn failed(tab: Tab, error: &StoreError) -> HttpResponse {
    let is_missing = matches!(error, StoreError::NoSuchClient { .. } | StoreError::NoSuchIssuer { .. });
    let (status, title) = if is_missing {
        (StatusCode::NOT_FOUND, "Not found")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "The store cannot be read")
    };
    page(status, tab, title, html! { p { (crate::shown::text(&error.to_string())) } })
}

fn document(title: &str, more: Markup, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Tokenberg" }
                link rel="stylesheet" href="/ui/style.css";
                (more)
            }
            body { (body) }
        }
    }
    .into_string()
}
