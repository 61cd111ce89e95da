//! What a token says, whether it is good here, and as what it would be taken. Nothing of it is stored or logged.

use crate::chart;
use crate::frame::{self, Tab};
use crate::pages::foreign_token;
use crate::parts::Parts;
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenberg_actix::BearerError;
use tokenberg_core::{Timestamp, TokenFault};

/// The form with a token.
#[derive(Deserialize)]
pub(crate) struct Pasted {
    token: String,
    /// The client that would present it, for a token of another issuer.
    #[serde(default)]
    client: String,
}

/// `GET /ui/token`
pub(crate) async fn ask() -> HttpResponse {
    frame::page(StatusCode::OK, Tab::Token, "Inspect a token", form(""))
}

/// `POST /ui/token`
pub(crate) async fn inspect(parts: Data<Parts>, pasted: Form<Pasted>) -> HttpResponse {
    let (token, client) = (compact(&pasted.token), pasted.client.trim());
    let content = match decoded(token) {
        Ok((header, claims)) => {
            html! { (findings(&parts, token, &header, &claims, client).await) (form(client)) }
        }
        Err(fault) => html! { p.note { (fault) } (form(client)) },
    };
    frame::page(StatusCode::OK, Tab::Token, "Inspect a token", content)
}

fn form(client: &str) -> Markup {
    html! {
        form.token method="post" action="/ui/token" {
            label { "A token, as it is or with Bearer before it" textarea name="token" rows="6" required spellcheck="false" autocomplete="off" {} }
            label { "The client that would present it, for a token of another issuer" input name="client" value=(client) autocomplete="off"; }
            button { "Inspect" }
        }
        p.dim { "It is decoded by this server, and neither stored nor logged." }
    }
}

/// The token itself, without what is often copied along with it.
fn compact(pasted: &str) -> &str {
    let pasted = pasted.trim();
    let scheme = pasted.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    scheme.map_or(pasted, |_| pasted[7..].trim())
}

type Members = Map<String, Value>;

fn decoded(token: &str) -> Result<(Members, Members), &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("This is no JWT: it has not three parts with dots between them.");
    };
    let part =
        |part: &str| -> Option<Members> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let header = part(header).ok_or("The header of the token is no base64url of a JSON object.")?;
    let claims = part(claims).ok_or("The claims of the token are no base64url of a JSON object.")?;
    Ok((header, claims))
}

async fn findings(parts: &Parts, token: &str, header: &Members, claims: &Members, client: &str) -> Markup {
    let now = Parts::now();
    let iss = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let verdict = verdict(parts, token, iss, claims, client).await;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    html! {
        h2 { "Is it good?" }
        ul { @for (is_good, sentence) in &verdict { li class=(if *is_good { "good" } else { "bad" }) { (shown::text(sentence)) } } }
        @if !text("sub").is_empty() { h2 { "Who acts for whom" } (chart::chain(text("sub"), &actors(claims))) }
        h2 { "Claims" }
        dl {
            @for (name, value) in claims {
                dt { code { (shown::text(name)) } @if let Some(meaning) = meaning(name) { span.dim { (meaning) } } }
                dd { (claim(name, value, now)) }
            }
        }
        h2 { "Header" }
        dl { @for (name, value) in header { dt { code { (shown::text(name)) } } dd { (shown::text(&plain(value))) } } }
    }
}

/// Sentences about the token, each with whether it is good news.
async fn verdict(
    parts: &Parts,
    token: &str,
    iss: &str,
    claims: &Members,
    client: &str,
) -> Vec<foreign_token::Sentence> {
    if iss == parts.issuer.as_str() {
        return match parts.bearer.verify(token).await {
            Ok(_) => vec![
                (true, "It is an access token of this service: its signature verifies, it has not ended, and it is not revoked.".to_owned()),
                (true, "It would be taken as Bearer by a catalog that expects this audience, and as subject or actor of an exchange by the client it was issued to.".to_owned()),
            ],
            Err(BearerError::InvalidToken(TokenFault::Audience(_))) => vec![
                (true, "It is an access token of this service for the audience that its aud names: its signature verifies, and it has not ended.".to_owned()),
                (false, "Whether it was revoked was not checked here; catalogs of that audience, introspection and /v1/oauth/verify do.".to_owned()),
            ],
            Err(fault) => vec![(false, format!("It is not accepted as an access token of this service: {fault}."))],
        };
    }
    foreign_token::verdict(parts, token, iss, claims, client).await
}

/// The chain of actors in `act` (RFC 8693 §4.1), the present one first.
fn actors(claims: &Members) -> Vec<String> {
    let (mut actors, mut act) = (Vec::new(), claims.get("act"));
    while let (Some(Value::Object(actor)), true) = (act, actors.len() < 32) {
        actors.push(actor.get("sub").map_or_else(|| "(without sub)".to_owned(), plain));
        act = actor.get("act");
    }
    actors
}

fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "iss" => "issuer",
        "sub" => "subject: on whose behalf",
        "aud" => "audience: for whom it is meant",
        "client_id" => "the client that it was issued to",
        "azp" => "authorized party",
        "iat" => "issued at",
        "nbf" => "not before",
        "exp" => "expires",
        "auth_time" => "when the user signed in",
        "jti" => "identifier",
        "scope" => "what it allows",
        "act" => "who acts, and who acted before",
        "may_act" => "who may act for the subject",
        "cnf" => "the key or certificate that it is bound to",
        "tokenberg_session" => "the session that it belongs to",
        _ => return None,
    })
}

fn claim(name: &str, value: &Value, now: Timestamp) -> Markup {
    let time = ["iat", "nbf", "exp", "auth_time"].contains(&name).then(|| value.as_i64()).flatten();
    match time.and_then(|seconds| Timestamp::from_seconds(seconds).ok()) {
        Some(time) => shown::time(time, now),
        None => html! { (shown::text(&plain(value))) },
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_along_is_removed_and_hostile_tokens_are_harmless() {
        assert_eq!(["a.b.c", " Bearer a.b.c\n", "bearer  a.b.c"].map(compact), ["a.b.c"; 3]);
        assert_eq!(compact("éééé"), "éééé");
        for bad in ["", ".", "a.b", "a.b.c.d", "..", "e30.x.y", "bnVsbA.e30."] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
        let deep = (0..100).fold(Value::Null, |act, n| serde_json::json!({"sub": n, "act": act}));
        let claims = Members::from_iter([("act".to_owned(), deep)]);
        assert_eq!(actors(&claims).len(), 32);
    }
}
