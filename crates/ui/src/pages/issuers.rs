//! The trusted issuers, and a page for each.

use crate::frame::{self, Tab};
use crate::pages::clients;
use crate::parts::Parts;
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use tokenberg_core::issuer::{AcceptedAs, ScopeMapping, SubjectNames};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{Issuer, KeySource, Trust};
use tokenberg_store::{Store, StoreError};

/// `GET /ui/issuers`
pub(crate) async fn list(parts: Data<Parts>) -> HttpResponse {
    let now = Parts::now();
    let issuers = match parts.store.issuers().await {
        Ok(issuers) => issuers,
        Err(error) => return frame::failed(Tab::Issuers, &error),
    };
    let content = html! {
        @if issuers.is_empty() {
            p { "No other issuer is trusted. To trust an identity provider:" }
            (shown::command(&["tokenberg", "issuer", "add", "--help"]))
        } @else {
            div.wide tabindex="0" role="region" aria-label="Issuers" {
                table {
                    thead { tr { th { "Issuer" } th { "State" } th { "Accepted as" } th { "Keys" } th { "Added" } } }
                    tbody {
                        @for record in &issuers {
                            tr {
                                td { a href=(address(record.trusted.issuer.as_str())) { (shown::text(record.trusted.issuer.as_str())) } }
                                td { (clients::state(record.trusted.enabled)) }
                                td { (accepted(&record.trusted.trust)) }
                                td { (shown::text(&keys(&record.trusted.trust.keys))) }
                                td { (shown::distance(record.created_at, now)) }
                            }
                        }
                    }
                }
            }
        }
    };
    frame::page(StatusCode::OK, Tab::Issuers, "Trusted issuers", content)
}

/// The address of the page of an issuer.
pub(super) fn address(issuer: &str) -> String {
    format!("/ui/issuer?url={}", shown::in_query(issuer))
}

/// The issuer of a page.
#[derive(Deserialize)]
pub(crate) struct Named {
    url: String,
}

/// `GET /ui/issuer`
pub(crate) async fn one(parts: Data<Parts>, named: Query<Named>) -> HttpResponse {
    let Ok(issuer) = named.url.parse::<Issuer>() else {
        let content = html! { p { "This is no URL of an issuer." } };
        return frame::page(StatusCode::BAD_REQUEST, Tab::Issuers, "Not an issuer", content);
    };
    match whole(&parts.store, &issuer).await {
        Ok(content) => frame::page(StatusCode::OK, Tab::Issuers, &shown::text(issuer.as_str()), content),
        Err(error) => frame::failed(Tab::Issuers, &error),
    }
}

async fn whole(store: &Store, issuer: &Issuer) -> Result<Markup, StoreError> {
    let now = Parts::now();
    let record = store.issuer(issuer).await?;
    let federated = store.federated_with(issuer).await?;
    let (trust, name) = (&record.trusted.trust, issuer.as_str());
    let joined = |list: Vec<String>| list.join(", ");
    let facts = [
        ("Accepted as", accepted(trust)),
        ("Keys", keys(&trust.keys)),
        ("Audiences", trust.audiences.join(", ")),
        ("Algorithms", joined(trust.algorithms.iter().map(Algorithm::to_string).collect())),
        ("Claim with the subject", trust.subject_claim.to_string()),
        ("Prefix of names", trust.subject_prefix.as_deref().unwrap_or_default().to_owned()),
        ("Names of its users", names(trust).to_owned()),
        ("Sessions", sessions(trust).to_owned()),
        ("Scope of its users", trust.scope.to_string()),
        ("Scope by claims", joined(trust.map.iter().map(ScopeMapping::to_string).collect())),
        ("Oldest token", trust.max_age.to_string()),
        ("Leeway", trust.leeway.to_string()),
        ("Plain HTTP", if trust.insecure_http { "allowed, for trials" } else { "" }.to_owned()),
    ];
    Ok(html! {
        p { (clients::state(record.trusted.enabled)) ", added " (shown::time(record.created_at, now)) }
        (shown::facts(&facts))
        @if !federated.is_empty() {
            h2 { "Clients that authenticate with its tokens" }
            ul { @for id in &federated { li { a href=(clients::address(id)) { (shown::text(id.as_str())) } } } }
        }
        p { a href=(format!("/ui/decisions?issuer={}", shown::in_query(name))) { "Decisions about its users" } }
        h2 { "Commands" }
        @if record.trusted.enabled {
            p { "Refuse its tokens and the sessions of its users until it is enabled again:" }
            (shown::command(&["tokenberg", "issuer", "disable", name]))
        } @else {
            p { "Enable it:" } (shown::command(&["tokenberg", "issuer", "enable", name]))
        }
        p { "End everything that was obtained with its tokens until now, after one of its keys leaked:" }
        (shown::command(&["tokenberg", "revoke", "--issuer", name]))
        p { "Change how far it is trusted:" }
        (shown::command(&["tokenberg", "issuer", "change", name, "--help"]))
    })
}

fn accepted(trust: &Trust) -> String {
    if trust.accept.is_empty() {
        return "workload identities only".to_owned();
    }
    trust.accept.iter().map(|kind: &AcceptedAs| kind.as_str()).collect::<Vec<_>>().join(", ")
}

/// What a user with the name of a client is (conformance CC-17).
fn names(trust: &Trust) -> &'static str {
    match trust.subject_names {
        SubjectNames::Separate => "separate: a user with the name of a client gets no token",
        SubjectNames::Shared => "shared: equal names are one principal",
        SubjectNames::Undecided => "not decided: `tokenberg check` says how to",
    }
}

fn sessions(trust: &Trust) -> &'static str {
    if trust.outlives_subject {
        "may outlive the user's token (--outlives-subject)"
    } else {
        "end with the user's token"
    }
}

fn keys(source: &KeySource) -> String {
    match source {
        KeySource::Jwks(_) => "registered here".to_owned(),
        KeySource::JwksUri(address) => address.to_string(),
        KeySource::Discovery => "discovered from its metadata".to_owned(),
    }
}
