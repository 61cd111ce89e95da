//! Speaks HTTP/1.1 over a socket, byte by byte, and checks each answer against what holds for every answer.

use crate::identities::Identities;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request, taken apart so that it can be changed.
#[derive(Clone)]
pub struct Sent {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
    /// The parameters of the form, still encoded.
    pub form: Vec<(String, String)>,
    /// A body that is not a form.
    pub raw: Option<Vec<u8>>,
    /// The number of the certificate that the connection shows.
    pub shown: Option<usize>,
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn body(&self) -> Vec<u8> {
        let pair = |(name, value): &(String, String)| format!("{name}={value}");
        match &self.raw {
            Some(raw) => raw.clone(),
            None => self.form.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes(),
        }
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let body = self.body();
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(name.as_bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        bytes.extend(body);
        bytes
    }

    pub fn header(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.to_owned(), value.into()));
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        first
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.shown.map(|number| format!(" (certificate {number})")).unwrap_or_default();
        write!(f, "{}{shown}", String::from_utf8_lossy(&self.bytes("server")))
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}\n{}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Connections to a server that stay open: one for each certificate, and one without.
pub struct Wire {
    address: String,
    identities: Option<Identities>,
    open: [Option<Box<dyn Stream>>; 4],
}

impl Wire {
    /// Connections to this address, with TLS where there are identities.
    pub fn to(address: String, identities: Option<Identities>) -> Self {
        Self { address, identities, open: [None, None, None, None] }
    }

    pub fn has_tls(&self) -> bool {
        self.identities.is_some()
    }

    /// Sends the request and reads the answer. A connection that the server closed in the meantime is opened again.
    pub fn exchange(&mut self, sent: &Sent) -> Answer {
        let place = sent.shown.map_or(3, |number| number);
        let bytes = sent.bytes(&self.address);
        for is_fresh in [self.open[place].is_none(), true] {
            let mut stream = match self.open[place].take() {
                Some(stream) => stream,
                None => self.connect(sent.shown),
            };
            let asked = stream.write_all(&bytes).and_then(|()| stream.flush());
            match asked.and_then(|()| read(&mut stream, sent.method == "HEAD")) {
                Ok(answer) => {
                    let closes = answer.header("Connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
                    self.open[place] = Some(stream).filter(|_| !closes);
                    return answer;
                }
                Err(fault) => assert!(!is_fresh, "no answer to {sent:?}: {fault}"),
            }
        }
        unreachable!("a fresh connection answers or fails");
    }

    fn connect(&self, shown: Option<usize>) -> Box<dyn Stream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        match &self.identities {
            None => Box::new(stream),
            Some(identities) => {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let tls = ClientConnection::new(identities.client(shown), name).unwrap();
                Box::new(StreamOwned::new(tls, stream))
            }
        }
    }
}

fn read(stream: &mut dyn Stream, is_head: bool) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut room = [0; 16 * 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend(&room[..n]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").expect("a header"))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let mut answer = Answer { status: status.expect("a status"), headers, body: bytes[end + 4..].to_vec() };
    let length = answer.header("Content-Length").map_or(0, |length| length.parse::<usize>().unwrap());
    while !is_head && answer.body.len() < length {
        match stream.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => answer.body.extend(&room[..n]),
        }
    }
    assert!(is_head || answer.body.len() == length, "more than one answer: {answer:?}");
    Ok(answer)
}

/// Checks what holds for every answer of the token endpoint and its companions: section 0 of the conformance page.
pub fn check(sent: &Sent, answer: &Answer) {
    let described = || format!("\nsent: {sent:?}\nanswer: {answer:?}");
    assert!(answer.status < 500, "without a cause{}", described());
    assert!(
        answer.header("Cache-Control").is_some_and(|v| v.contains("no-store")),
        "no-store{}",
        described()
    );
    assert_eq!(answer.header("Pragma"), Some("no-cache"), "Pragma{}", described());
    assert_eq!(answer.header("Set-Cookie"), None, "{}", described());
    assert_eq!(answer.header("Content-Encoding"), None, "{}", described());
    if sent.method != "HEAD" && !answer.body.is_empty() {
        let kind = answer.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{kind}{}", described());
        assert!(answer.json().is_object(), "an object{}", described());
    }
    if answer.status != 200 {
        check_error(sent, answer, &described);
    }
    check_secrecy(sent, answer, &described);
}

fn check_error(sent: &Sent, answer: &Answer, described: &dyn Fn() -> String) {
    assert!(matches!(answer.status, 400 | 401 | 405), "{}", described());
    let challenges: Vec<_> =
        answer.headers.iter().filter(|h| h.0.eq_ignore_ascii_case("www-authenticate")).collect();
    assert_eq!(
        answer.status == 401,
        !challenges.is_empty(),
        "a challenge with every 401, and no other{}",
        described()
    );
    for (_, value) in &challenges {
        let is_bearer = value.starts_with("Bearer ") && value.contains("error=\"invalid_token\"");
        assert!(value.starts_with("Basic realm=") || is_bearer, "{}", described());
    }
    assert_eq!(answer.status == 405, answer.header("Allow") == Some("POST"), "{}", described());
    if sent.method == "HEAD" {
        return;
    }
    let body = answer.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        members.iter().all(|m| matches!(*m, "error" | "error_description" | "error_uri")),
        "{}",
        described()
    );
    assert!(body["error"].is_string(), "CC-14{}", described());
    for text in members.iter().filter_map(|member| body[member].as_str()) {
        assert!(
            text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{}",
            described()
        );
    }
}

/// Checks that no secret, token or assertion of the request is in the answer.
fn check_secrecy(sent: &Sent, answer: &Answer, described: &dyn Fn() -> String) {
    const SECRETS: [&str; 6] =
        ["client_secret", "subject_token", "actor_token", "assertion", "client_assertion", "token"];
    let text = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    let of_form = sent.form.iter().filter(|(name, _)| SECRETS.contains(&name.as_str())).map(|p| p.1.clone());
    let is_secret = |name: &str| matches!(name, "Authorization" | "DPoP");
    let of_headers = sent.headers.iter().filter(|(name, _)| is_secret(name));
    let of_headers = of_headers.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    for secret in of_form.chain(of_headers) {
        // A token is recognized by its signature: introspection may return its content.
        let secret = secret.rsplit(['.', ' ']).next().unwrap_or_default();
        assert!(secret.len() < 16 || !text.contains(secret), "an echo{}", described());
    }
}
