//! Sends requests to the service and checks what holds for every answer.

use crate::world::{C1, C2, CEXP, CNX, COFF, TORTURE};
use actix_web::http::Method;
use actix_web::{App, test};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::net::SocketAddr;
use tokenberg_actix::TokenService;

pub(crate) const T: &str = "/v1/oauth/tokens";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const CC: &str = "grant_type=client_credentials";
pub(crate) const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: Option<SocketAddr>,
}

/// `method path` alone.
pub(crate) fn ask(method: &str, path: &str) -> Ask {
    Ask { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new(), peer: None }
}

/// `POST T {form}`.
pub(crate) fn form(body: impl Into<Vec<u8>>) -> Ask {
    Ask { body: body.into(), ..ask("POST", T).header("Content-Type", FORM) }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn at(self, path: &str) -> Self {
        Self { path: path.into(), ..self }
    }

    /// `Basic(id, secret)`.
    pub(crate) fn basic(self, (id, secret): (&str, &str)) -> Self {
        self.basic_raw(format!("{}:{}", encoded(id), encoded(secret)))
    }

    /// `BasicRaw(x)`.
    pub(crate) fn basic_raw(self, x: impl AsRef<[u8]>) -> Self {
        self.header("Authorization", format!("Basic {}", STANDARD.encode(x)))
    }

    /// A DPoP header.
    pub(crate) fn dpop(self, proof: &str) -> Self {
        self.header("DPoP", proof)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// The same as bytes of HTTP/1.1.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\nHost: as.test\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            wire.extend_from_slice(name.as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value);
            wire.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() {
            wire.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(&self.body);
        wire
    }
}

/// Form-encoded, with every possible escape.
pub(crate) fn encoded(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (b as char).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is repeated: {all:?}");
        all.first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }

    pub(crate) fn token(&self) -> String {
        self.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", self.text())).to_owned()
    }
}

/// The payload of a token.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Sends a request to the service, mounted in an app that has nothing else.
pub(crate) async fn answer(service: &TokenService, ask: &Ask) -> Answer {
    let app =
        test::init_service(App::new().configure(service.configure()).configure(service.configure_openapi()))
            .await;
    let mut request = test::TestRequest::with_uri(&ask.path)
        .method(Method::from_bytes(ask.method.as_bytes()).unwrap())
        .set_payload(ask.body.clone());
    for (name, value) in &ask.headers {
        request = request.append_header((name.as_str(), value.as_slice()));
    }
    if let Some(peer) = ask.peer {
        request = request.peer_addr(peer);
    }
    let response = match test::try_call_service(&app, request.to_request()).await {
        Ok(response) => response.into_parts().1,
        Err(error) => error.error_response(),
    };
    let text = |v: &actix_web::http::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
        body: actix_web::body::to_bytes(response.into_body()).await.unwrap().to_vec(),
    }
}

/// The expected answer of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// `OK{…}`.
    Ok,
    /// The same with `token_type` `DPoP`.
    Bound,
    /// Status and `error`.
    Error(u16, &'static str),
}
pub(crate) use Expected::Error as E;

/// Sends a request, and checks all that holds for every answer of the token endpoint (section 0 of the conformance list).
pub(crate) async fn check(service: &TokenService, ask: &Ask, expected: Expected) -> Answer {
    let answer = answer(service, ask).await;
    check_answer(&answer, expected, &format!("{} {} {:?}", ask.method, ask.path, ask.headers));
    answer
}

/// The same for an answer that came another way. The description ends with the name of the request in the log, except if
/// authentication failed.
fn names_request(answer: &Answer, description: &str) -> String {
    let text = description.split(" (request ").next().unwrap();
    match answer.header("X-Request-Id") {
        Some(id) if description.contains("request ") && text != description => {
            format!("{text} (request {id})")
        }
        Some(_) | None => text.to_owned(),
    }
}

pub(crate) fn check_answer(answer: &Answer, expected: Expected, what: &str) {
    let what = format!("{what}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/json"), "{what}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("Pragma"), Some("no-cache"), "{what}");
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{what}");
    assert_eq!(answer.header("X-Request-Id").map(str::len), Some(16), "{what}");
    for absent in ["Set-Cookie", "Server", "Location", "Access-Control-Allow-Origin"] {
        assert_eq!(answer.header(absent), None, "{what}");
    }
    // In the app of a host, it keeps the host from compressing the answer.
    assert!(answer.header("Content-Encoding").is_none_or(|coding| coding == "identity"), "{what}");
    for (_, secret) in [C1, C2, TORTURE, CNX, COFF, CEXP] {
        let whole = format!("{:?}{}", answer.headers, answer.text());
        assert!(!whole.contains(secret) && !whole.contains(&encoded(secret)), "{what}");
    }
    let json = answer.json();
    let members = json.as_object().unwrap();
    let bound = expected == Expected::Bound;
    match expected {
        Expected::Ok | Expected::Bound => {
            assert_eq!(answer.status, 200, "{what}");
            let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
            names.sort_unstable();
            let all = ["access_token", "expires_in", "issued_token_type", "scope", "token_type"];
            assert_eq!(names, all, "{what}");
            assert_eq!(json["token_type"], if bound { "DPoP" } else { "bearer" }, "{what}");
            assert!(json["expires_in"].as_u64().is_some_and(|s| s > 0), "{what}");
            assert!(json["scope"].as_str().is_some_and(|s| !s.is_empty()), "{what}");
        }
        Expected::Error(status, code) => {
            assert_eq!((answer.status, &json["error"]), (status, &Value::from(code)), "{what}");
            let plain = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            let description = json["error_description"].as_str().unwrap_or_else(|| panic!("{what}"));
            assert!(description.bytes().all(plain), "{what}");
            assert_eq!(description, names_request(answer, description), "{what}");
            assert!(members.keys().all(|name| name == "error" || name == "error_description"), "{what}");
            assert_eq!(answer.header("WWW-Authenticate").is_some(), status == 401, "{what}");
            assert_eq!(answer.header("Retry-After").is_some(), [429, 503].contains(&status), "{what}");
        }
    }
}
