//! The signing keys and their states.

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::html;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::key_schedule::KeyState;

/// `GET /ui/keys`
pub(crate) async fn list(parts: Data<Parts>) -> HttpResponse {
    let now = Parts::now();
    let keys = match parts.store.keys().await {
        Ok(keys) => keys,
        Err(error) => return frame::failed(Tab::Keys, &error),
    };
    let state =
        |key: &KeyMaterial| KeyState::of(key.times(), keys.iter().map(KeyMaterial::times), now).as_str();
    let content = html! {
        div.wide tabindex="0" role="region" aria-label="Signing keys" {
            table {
                thead { tr { th { "Key" } th { "Algorithm" } th { "State" } th { "Signs from" } th { "Verifies until" } th { "Private half" } } }
                tbody {
                    @for key in &keys {
                        tr {
                            td { code { (shown::text(key.id.as_str())) } }
                            td { (key.algorithm.as_str()) }
                            td { (state(key)) }
                            td { (shown::time(key.signs_from, now)) }
                            td { @if let Some(end) = key.verifies_until { (shown::time(end, now)) } @else { "7d 1h after its successor begins to sign" } }
                            td { @if let Some(held) = key.private.device() { code { (shown::text(&held.uri)) } } @else { "in the store" } }
                        }
                    }
                }
            }
        }
        h2 { "Commands" }
        p { "Introduce the next key. It is published first and signs once verifiers have it:" }
        (shown::command(&["tokenberg", "key", "rotate"]))
        p { "After a key leaked: another one signs at once, and what the old one signed is refused:" }
        (shown::command(&["tokenberg", "key", "revoke", "KID"]))
    };
    frame::page(StatusCode::OK, Tab::Keys, "Signing keys", content)
}
