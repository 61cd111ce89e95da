//! Answers "what if": whether a client would get a token, for itself or for a user, without any secret.

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Map;
use tokenberg_core::Issuer;
use tokenberg_core::explanation::{Explanation, SupposedUser, Verdict, WhatIf, explain_what_if};
use tokenberg_core::issuer::AcceptedAs;

/// The request that is supposed; an empty member is none.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Supposed {
    client: String,
    scope: String,
    audience: String,
    issuer: String,
    subject: String,
    kind: String,
}

/// `GET /ui/what-if`
pub(crate) async fn show(parts: Data<Parts>, supposed: Query<Supposed>) -> HttpResponse {
    let outcome = if supposed.client.is_empty() { None } else { Some(supposed.what_if()) };
    let (status, outcome) = match outcome {
        None => (StatusCode::OK, html! {}),
        Some(Err(fault)) => (StatusCode::BAD_REQUEST, html! { p.note { (fault) } }),
        Some(Ok(what_if)) => {
            let now = Parts::now();
            let explanation = explain_what_if(&parts.endpoint, &what_if, now, &*(parts.answers)(), &());
            (StatusCode::OK, decided(&explanation))
        }
    };
    let content = html! {
        p.dim { "The client is supposed to authenticate, and the user to have a token. Everything else decides as for a real request. Nothing is issued or written." }
        (form(&supposed))
        (outcome)
    };
    frame::page(status, Tab::WhatIf, "What if", content)
}

impl Supposed {
    fn what_if(&self) -> Result<WhatIf, &'static str> {
        let given = |text: &str| (!text.is_empty()).then(|| text.into());
        let client = self.client.parse().map_err(|_| "This is no identifier of a client.")?;
        let user = match (self.issuer.is_empty(), self.subject.is_empty()) {
            (true, true) => None,
            (false, false) => Some(SupposedUser {
                issuer: self.issuer.parse::<Issuer>().map_err(|_| "The issuer is no URL of an issuer.")?,
                subject: self.subject.as_str().into(),
                presented_as: AcceptedAs::ALL
                    .into_iter()
                    .find(|kind| kind.as_str() == self.kind)
                    .unwrap_or(AcceptedAs::IdToken),
                claims: Map::new(),
            }),
            (true, false) | (false, true) => return Err("A user needs an issuer and a subject."),
        };
        Ok(WhatIf { client, scope: given(&self.scope), audience: given(&self.audience), user })
    }
}

fn form(supposed: &Supposed) -> Markup {
    let fields = [
        ("client", "Client", &supposed.client),
        ("scope", "Scope", &supposed.scope),
        ("audience", "Audience", &supposed.audience),
        ("issuer", "Issuer of the user", &supposed.issuer),
        ("subject", "User", &supposed.subject),
    ];
    html! {
        form.filter method="get" action="/ui/what-if" {
            @for (name, label, value) in fields {
                label { (label) input name=(name) value=(value) autocomplete="off"; }
            }
            label { "The user's token is presented as"
                select name="kind" {
                    @for kind in AcceptedAs::ALL {
                        option value=(kind.as_str()) selected[kind.as_str() == supposed.kind] { (kind.as_str()) }
                    }
                }
            }
            button { "Ask" }
        }
    }
}

/// The page that asks about this request.
pub(crate) fn address(supposed: &WhatIf) -> String {
    let user = supposed.user.as_ref();
    let members = [
        ("client", supposed.client.as_str()),
        ("scope", supposed.scope.as_deref().unwrap_or_default()),
        ("audience", supposed.audience.as_deref().unwrap_or_default()),
        ("issuer", user.map_or("", |user| user.issuer.as_str())),
        ("subject", user.map_or("", |user| &user.subject)),
        ("kind", user.map_or("", |user| user.presented_as.as_str())),
    ];
    shown::address("/ui/what-if", &members)
}

pub(crate) fn decided(explanation: &Explanation) -> Markup {
    let now = Parts::now();
    let written = |time| format!("{time} ({})", shown::distance(time, now));
    html! {
        @match &explanation.verdict {
            Verdict::Granted(granting) => {
                p.health.good { strong { "Granted" } }
                (shown::facts(&[
                    ("Subject", granting.claims.subject.to_string()),
                    ("Client", granting.claims.client_id.to_string()),
                    ("Scope", granting.claims.scope.to_string()),
                    ("Audience", granting.claims.audience.join(", ")),
                    ("Until", written(granting.claims.expires_at)),
                ]))
            }
            Verdict::Refused(refusing) => {
                p.health.bad { strong { "Refused" } ": " (shown::text(&refusing.refusal.to_string())) }
                p { "The client receives " (refusing.response.status()) " " code { (refusing.response.code.as_str()) } "." }
                p { "To allow it: " (shown::text(&refusing.remedy)) }
            }
            Verdict::Undecided(outage) => p.health.bad { strong { "Undecided" } ": " (shown::text(&outage.to_string())) }
        }
        h2 { "The rules, in order" }
        ol { @for rule in &explanation.rules { li { strong { (rule.name().replace('_', " ")) } ": " (shown::text(&rule.sentence(&written))) } } }
    }
}
