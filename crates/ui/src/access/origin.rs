//! From which site a browser asks. A page of another site must not send forms here, nor reach a listener on loopback under a name
//! of its own (DNS rebinding).

use crate::frame;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;
use std::net::IpAddr;

/// Why a request is not answered, with or without a session.
pub(super) fn refusal(request: &HttpRequest) -> Option<HttpResponse> {
    let says = |status, reason: &str| {
        let page = frame::bare("Refused", html! { p { (reason) } });
        Some(HttpResponse::build(status).content_type(frame::HTML).body(page))
    };
    if is_on_loopback(request) && !host(request.headers()).is_some_and(is_local_name) {
        return says(
            StatusCode::MISDIRECTED_REQUEST,
            "This listener is on loopback, and is asked for by a name that is not localhost. Open it as http://127.0.0.1 or http://localhost with its port, or set the Host header of the proxy in front to that.",
        );
    }
    let method = request.method();
    if *method != Method::GET && *method != Method::HEAD && !is_from_here(request.headers()) {
        return says(StatusCode::FORBIDDEN, "The form was sent from a page of another site.");
    }
    None
}

/// Whether the listener is on loopback, as far as the connection shows.
pub(super) fn is_on_loopback(request: &HttpRequest) -> bool {
    request.peer_addr().is_none_or(|address| address.ip().to_canonical().is_loopback())
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A browser says where a form comes from, in one of two headers. A program that says nothing has no cookie that others could use.
fn is_from_here(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN) else { return !headers.contains_key("cookie") };
    let authority =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some() && authority == host(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in ["localhost", "LOCALHOST:8184", "127.0.0.1", "127.0.0.1:8184", "[::1]:8184", "127.9.9.9"]
        {
            assert!(is_local_name(local), "{local}");
        }
        for other in
            ["", "evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
        {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
