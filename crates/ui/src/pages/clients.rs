//! The clients, a screen at a time, and a page for each with what it may do.

use crate::frame::{self, Tab};
use crate::pages::table;
use crate::parts::Parts;
use crate::search::{Filter, search};
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use tokenberg_core::registration::{AllowedScope, SubjectPattern, UserPattern};
use tokenberg_core::{AuthMethod, ClientId, GrantType, Rights, Timestamp};
use tokenberg_store::{AuditPosition, ClientRecord, Store, StoreError};

/// The most clients of a screen.
const SCREEN: u32 = 100;
/// The most records of a client's page.
const RECORDS: usize = 10;

/// Which clients are listed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listed {
    /// Part of the identifier.
    part: String,
    /// The last one of the screen before.
    after: String,
}

/// `GET /ui/clients`
pub(crate) async fn list(parts: Data<Parts>, listed: Query<Listed>) -> HttpResponse {
    match listing(&parts.store, &listed).await {
        Ok(content) => frame::page(StatusCode::OK, Tab::Clients, "Clients", content),
        Err(error) => frame::failed(Tab::Clients, &error),
    }
}

async fn listing(store: &Store, listed: &Listed) -> Result<Markup, StoreError> {
    let now = Parts::now();
    let clients = store.clients_after(&listed.part, &listed.after, SCREEN).await?;
    let more = clients.last().filter(|_| clients.len() == SCREEN as usize);
    Ok(html! {
        form.filter method="get" action="/ui/clients" {
            label { "Identifier contains" input name="part" value=(listed.part) autocomplete="off"; }
            button { "Search" }
        }
        @if clients.is_empty() { p { "There is no such client." } } @else {
            div.wide tabindex="0" role="region" aria-label="Clients" {
                table {
                    thead { tr { th { "Client" } th { "State" } th { "Authenticates by" } th { "Scope" } th { "Last used" } th { "Added" } } }
                    tbody { @for client in &clients { (row(client, now)) } }
                }
            }
        }
        @if let Some(last) = more {
            p { a rel="next" href=(format!("/ui/clients?part={}&after={}", shown::in_query(&listed.part), shown::in_query(last.id.as_str()))) { "More clients" } }
        }
    })
}

fn row(client: &ClientRecord, now: Timestamp) -> Markup {
    let used = client.secrets.iter().filter_map(|secret| secret.last_used_at).max();
    html! {
        tr {
            td { a href=(address(&client.id)) { (shown::text(client.id.as_str())) } }
            td { (state(client.enabled)) }
            td { (client.rights.auth_method.as_str()) }
            td { (shown::text(&scope(&client.rights))) }
            td { @if let Some(at) = used { (shown::distance(at, now)) } }
            td { (shown::distance(client.created_at, now)) }
        }
    }
}

pub(crate) fn address(id: &ClientId) -> String {
    format!("/ui/client?id={}", shown::in_query(id.as_str()))
}

pub(crate) fn state(enabled: bool) -> Markup {
    if enabled {
        html! { span.good { "enabled" } }
    } else {
        html! { span.bad { "disabled" } }
    }
}

/// The client of a page.
#[derive(Deserialize)]
pub(crate) struct Named {
    id: String,
}

/// `GET /ui/client`
pub(crate) async fn one(parts: Data<Parts>, named: Query<Named>) -> HttpResponse {
    let Ok(id) = named.id.parse::<ClientId>() else {
        let content = html! { p { "This is no identifier of a client." } };
        return frame::page(StatusCode::BAD_REQUEST, Tab::Clients, "Not a client", content);
    };
    match whole(&parts.store, &id).await {
        Ok(content) => frame::page(StatusCode::OK, Tab::Clients, &shown::text(id.as_str()), content),
        Err(error) => frame::failed(Tab::Clients, &error),
    }
}

async fn whole(store: &Store, id: &ClientId) -> Result<Markup, StoreError> {
    let now = Parts::now();
    let client = store.client(id).await?;
    let filter = Filter { client: id.to_string(), ..Filter::default() };
    let last = search(store, &filter, AuditPosition::default(), RECORDS, None).await?;
    let name = id.as_str();
    Ok(html! {
        p { (state(client.enabled)) ", added " (shown::time(client.created_at, now)) }
        @if !client.rights.labels.is_empty() {
            ul { @for (label, text) in &client.rights.labels { li { (shown::text(label)) ": " (shown::text(text)) } } }
        }
        h2 { "What it may do" }
        ul { @for sentence in sentences(&client.rights) { li { (shown::text(&sentence)) } } }
        @if !client.secrets.is_empty() { h2 { "Secrets" } (secrets(&client, now)) }
        h2 { "Last decisions" }
        @if last.records.is_empty() { p { "None was found among the youngest records." } } @else { (table::records(&last.records)) }
        p { a href=(format!("/ui/decisions?client={}", shown::in_query(name))) { "All decisions about it" } }
        h2 { "Commands" }
        (rotation(client.rights.auth_method, name))
        @if client.enabled {
            p { "Refuse it and its tokens until it is enabled again:" } (shown::command_about("tokenberg client disable", name))
        } @else {
            p { "Enable it:" } (shown::command_about("tokenberg client enable", name))
        }
        p { "End all its tokens and sessions:" } (shown::revoke_client(name))
        p { "Change what it may do:" } (shown::command(&["tokenberg", "client", "change", "--help"]))
    })
}

/// How its credential is rotated, where that is a command here.
fn rotation(method: AuthMethod, name: &str) -> Markup {
    match method {
        AuthMethod::ClientSecret => html! {
            p { "Add a second secret for a rotation:" } (shown::command_about("tokenberg client secret add", name))
        },
        AuthMethod::PrivateKeyJwt => html! {
            p { "Add a second key for a rotation:" } (shown::command_about("tokenberg client key new --out FILE", name))
        },
        AuthMethod::TlsClientAuth | AuthMethod::Federated | AuthMethod::Public => html! {},
    }
}

fn secrets(client: &ClientRecord, now: Timestamp) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Secrets" {
            table {
                thead { tr { th { "Secret" } th { "Added" } th { "Ends" } th { "Last used" } } }
                tbody {
                    @for secret in &client.secrets {
                        tr {
                            td { (secret.id) }
                            td { (shown::time(secret.created_at, now)) }
                            td { @if let Some(end) = secret.expires_at { (shown::time(end, now)) } @else { "never" } }
                            td { @if let Some(at) = secret.last_used_at { (shown::time(at, now)) } @else { "never" } }
                        }
                    }
                }
            }
        }
    }
}

fn scope(rights: &Rights) -> String {
    match &rights.scope {
        AllowedScope::Every => "(every)".to_owned(),
        AllowedScope::Only(scope) => scope.to_string(),
    }
}

/// The rights in words.
fn sentences(rights: &Rights) -> Vec<String> {
    let method = match rights.auth_method {
        AuthMethod::ClientSecret => "It authenticates with a secret.",
        AuthMethod::PrivateKeyJwt => "It authenticates with assertions that it signs with its own key.",
        AuthMethod::TlsClientAuth => "It authenticates with a TLS client certificate.",
        AuthMethod::Federated => "It authenticates with tokens of another issuer, without a secret.",
        AuthMethod::Public => "It has no credential, and exchanges ID tokens that were issued to it.",
    };
    let mut sentences = vec![method.to_owned()];
    for grant in &rights.grants {
        let what = match grant {
            GrantType::ClientCredentials => "It may get tokens for itself.",
            GrantType::TokenExchange => {
                "It may exchange tokens: renew its own, and act for users as far as it is allowed below."
            }
            GrantType::JwtBearer => "It may get tokens for users by the JWT-bearer grant.",
        };
        sentences.push(what.to_owned());
    }
    let mut list = |what: &str, list: Vec<String>| {
        if !list.is_empty() {
            sentences.push(format!("{what} {}.", list.join(", ")));
        }
    };
    list("Its scope may be", vec![scope(rights)]);
    list("Without a requested scope it gets", vec![rights.default_scope.to_string()]);
    list("Its tokens are for", rights.audiences.iter().map(ToString::to_string).collect());
    let patterns =
        |patterns: &[SubjectPattern]| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    list("It may act for", patterns(&rights.may_act_for));
    list("It may impersonate, without being named in the token,", patterns(&rights.may_impersonate));
    let users = rights.may_assert_users.iter().map(UserPattern::as_str).map(str::to_owned);
    list("It may name users without any proof:", users.collect());
    let foreign = rights.federations.iter().map(|known| format!("{} of {}", known.subject, known.issuer));
    list("It is", foreign.collect());
    list("It may introspect tokens for", rights.serves.iter().map(ToString::to_string).collect());
    sentences.push(format!(
        "Its tokens last {}, and a session at most {}.",
        rights.token_lifetime, rights.session_lifetime
    ));
    if rights.dpop_bound {
        sentences.push("It gets tokens only with a DPoP proof.".to_owned());
    }
    sentences
}
