//! Who may look: a session that a one-time code opened, or a token with the scope of auditors. Everything else gets the page that
//! says how to sign in.

mod headers;
mod origin;

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::sessions::LASTS;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::{Extensions, Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Data, Query};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, ResponseError};
use maud::html;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokenberg_actix::{Bearer, BearerError};

/// The scope of a token with which the pages can be read.
pub const SCOPE: &str = "tokenberg:audit";

/// The name of the cookie that holds the identifier of a session.
const COOKIE: &str = "tokenberg_ui";

/// What needs no session: signing in, and the style of that page.
const OPEN: [&str; 2] = ["/ui/enter", "/ui/style.css"];

/// Answers only those who may look, and sets the headers of all answers.
pub(crate) async fn guard<B: MessageBody + 'static>(
    parts: Arc<Parts>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refusal = match origin::refusal(request.request()) {
        None if OPEN.contains(&request.path()) => None,
        None => refusal(&parts, &mut request).await,
        refused => refused,
    };
    let mut answer = match refusal {
        Some(refusal) => request.into_response(refusal),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    headers::secure(answer.headers_mut());
    Ok(answer)
}

/// Why the visitor may not look; `None` if they may.
async fn refusal(parts: &Parts, request: &mut ServiceRequest) -> Option<HttpResponse> {
    let cookie = request.cookie(COOKIE);
    if cookie.is_some_and(|cookie| parts.sessions.is_open(cookie.value(), Parts::now())) {
        return None;
    }
    if !request.headers().contains_key(AUTHORIZATION) {
        return Some(sign_in(StatusCode::UNAUTHORIZED, None));
    }
    let mut data = Extensions::new();
    data.insert(parts.bearer.clone());
    request.add_data_container(Rc::new(data));
    match Bearer::from_request(request.request(), &mut Payload::None).await {
        Ok(bearer) => bearer.require_scope(SCOPE).err().map(|error| error.error_response()),
        Err(refusal) if refusal.error == BearerError::NoCredentials => {
            Some(sign_in(StatusCode::UNAUTHORIZED, None))
        }
        Err(refusal) => Some(refusal.error_response()),
    }
}

/// `GET /ui/enter?code=…`: opens a session.
pub(crate) async fn enter(
    request: HttpRequest,
    parts: Data<Parts>,
    query: Query<HashMap<String, String>>,
) -> HttpResponse {
    // HEAD is safe (RFC 9110 §9.2.1), and a browser that loads a page before its user opens it must not use up the code, either.
    let is_ahead =
        ["sec-purpose", "purpose", "x-moz"].iter().any(|name| request.headers().contains_key(*name));
    if is_ahead || *request.method() == Method::HEAD {
        return HttpResponse::NoContent().finish();
    }
    let Some(code) = query.get("code") else { return sign_in(StatusCode::OK, None) };
    let now = Parts::now();
    let from = request.peer_addr().map_or_else(String::new, |address| address.ip().to_string());
    match parts.store.use_page_code(code, now, &from).await {
        Ok(true) => {}
        Ok(false) => {
            let reason = "This link was used before, is older than five minutes, or is of another store.";
            return sign_in(StatusCode::FORBIDDEN, Some(reason));
        }
        Err(error) => {
            tracing::warn!(%error, "cannot open the page");
            return sign_in(
                StatusCode::SERVICE_UNAVAILABLE,
                Some("The store cannot be reached at the moment."),
            );
        }
    }
    let Some(id) = parts.sessions.open(now) else {
        return sign_in(StatusCode::SERVICE_UNAVAILABLE, Some("There are no random numbers."));
    };
    let cookie = Cookie::build(COOKIE, id)
        .path("/ui")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(!origin::is_on_loopback(&request))
        .max_age(Duration::seconds(LASTS.into()))
        .finish();
    // Not a redirect: a browser that follows one from another site would not send the cookie.
    let page = frame::passing(
        "Signed in",
        "/ui/",
        html! {
            p { "Signed in for an hour." }
            p { a href="/ui/" { "Open the overview" } }
        },
    );
    HttpResponse::Ok().cookie(cookie).content_type(frame::HTML).body(page)
}

/// `POST /ui/leave`: ends the session.
pub(crate) async fn leave(request: HttpRequest, parts: Data<Parts>) -> HttpResponse {
    if let Some(cookie) = request.cookie(COOKIE) {
        parts.sessions.end(cookie.value());
    }
    let mut answer = sign_in(StatusCode::OK, Some("Signed out."));
    let gone = Cookie::build(COOKIE, "").path("/ui").finish();
    // It fails only if the cookie cannot be written as a header.
    let _ = answer.add_removal_cookie(&gone);
    answer
}

/// `GET /ui/style.css`
pub(crate) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .body(include_str!("../../style.css"))
}

/// Every other path below `/ui`.
pub(crate) async fn nothing_here(request: HttpRequest) -> HttpResponse {
    let status = if *request.method() == Method::GET || *request.method() == Method::HEAD {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::METHOD_NOT_ALLOWED
    };
    frame::page(status, Tab::None, "Nothing here", html! { p { "There is no such page." } })
}

fn sign_in(status: StatusCode, reason: Option<&str>) -> HttpResponse {
    let page = frame::bare(
        "Sign in",
        html! {
            @if let Some(reason) = reason { p.note { (reason) } }
            p { "This page shows the state of a token service to those who operate it. To open it, run this command on a machine that has the store and its key:" }
            pre { "tokenberg ui" }
            p { "It prints a link that works once, within five minutes, and opens a session of an hour." }
            p { "Programs send a token of this service with the scope " code { (SCOPE) } " as Bearer." }
        },
    );
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2: a 401 has a challenge. Browsers ask for nothing by it.
        answer.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"tokenberg\""));
    }
    answer.content_type(frame::HTML).body(page)
}
