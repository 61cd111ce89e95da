//! Fetches from real sockets: only permitted addresses are fetched from. Conformance KS-06 and WL-13.

use super::{IssuerAccess, IssuerWeb, held};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{
    AccessTokenClaims, CompactJws, Issuer, KeySource, Keys, SignatureFault, Timestamp, Trust, TrustedIssuer,
};
use tokenberg_jose::{Address, Fetch, FetchLimits, Keyring, generate};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that answers every request with the same bytes, and records the requests.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn plain(answer: impl Into<Vec<u8>>) -> Self {
        Self::of(answer.into(), None)
    }

    fn of(answer: Vec<u8>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answer)));
        let server = Self { port, requests: Arc::clone(&requests), answer: Arc::clone(&answer) };
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let bytes = answer.lock().unwrap().clone();
                match &tls {
                    None => serve(&mut stream, &bytes, &requests),
                    Some(tls) => {
                        let mut connection = rustls::ServerConnection::new(Arc::clone(tls)).unwrap();
                        let mut encrypted = rustls::Stream::new(&mut connection, &mut stream);
                        serve(&mut encrypted, &bytes, &requests);
                        connection.send_close_notify();
                        let _ = connection.write_tls(&mut stream);
                    }
                }
            }
        });
        server
    }

    fn set(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: &mut (impl Read + Write), answer: &[u8], requests: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    // The peer may have closed the connection already, if the answer was too large.
    let _ = stream.write_all(answer).and_then(|()| stream.flush());
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nCache-Control: max-age=77\r\nConnection: close\r\n\r\n{body}"
    )
}

fn address(url: &str, issuer: &str) -> Address {
    Address::of(url, &Issuer::foreign(issuer).unwrap()).unwrap()
}

/// An address of plain http, of an issuer on this machine.
fn here(port: u16) -> Address {
    address(&format!("http://127.0.0.1:{port}/jwks?a=b"), "http://127.0.0.1:1")
}

fn web() -> IssuerWeb {
    IssuerAccess::default().web().unwrap()
}

#[test]
fn ks_06_ic_13_a_fetch_is_one_get_that_discloses_nothing() {
    let server = Server::plain(ok("{}"));
    let document = web().fetch(&here(server.port), 2, PATIENCE).unwrap();
    assert_eq!((document.status, &document.body[..]), (200, &b"{}"[..]));
    assert_eq!(document.cache_control.as_deref(), Some("max-age=77"));
    let requests = server.requests();
    let mut lines: Vec<String> = requests[0].trim_end().lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "get /jwks?a=b http/1.1");
    lines.sort();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        "accept: */*".to_owned(),
        format!("host: 127.0.0.1:{}", server.port),
        format!("user-agent: tokenberg/{version}"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(requests.len(), 1);
}

#[test]
fn ks_06_a_redirect_is_not_followed() {
    let elsewhere = Server::plain(ok("{}"));
    for status in [301, 302, 303, 307, 308] {
        let server = Server::plain(format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            elsewhere.port
        ));
        let document = web().fetch(&here(server.port), 100, PATIENCE).unwrap();
        assert_eq!(document.status, status);
    }
    assert_eq!(elsewhere.requests(), [""; 0]);
}

#[test]
fn ks_06_an_oversized_response_is_not_read_to_its_end() {
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
        + &"a\r\n0123456789\r\n".repeat(1000);
    for answer in [ok(&"x".repeat(101)), endless] {
        let server = Server::plain(answer);
        let fault = web().fetch(&here(server.port), 100, PATIENCE).unwrap_err();
        assert!(fault.contains("limit"), "{fault}");
    }
}

#[test]
fn ks_06_a_server_that_does_not_respond_times_out() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let within = Duration::from_millis(300);
    let fault = web().fetch(&here(silent.local_addr().unwrap().port()), 100, within).unwrap_err();
    assert!(fault.contains("timeout"), "{fault}");
    // A body that stops in the middle.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (held, holds) = std::sync::mpsc::channel::<TcpStream>();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").unwrap();
        held.send(stream).unwrap();
    });
    let fault = web().fetch(&here(port), 100, within).unwrap_err();
    assert!(fault.contains("timeout"), "{fault}");
    drop(holds);
}

#[test]
fn ks_06_a_name_that_resolves_to_this_machine_is_refused_unless_allowed() {
    let server = Server::plain(ok("{}"));
    for host in ["localhost", "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let url = address(&format!("https://{host}:{}/jwks", server.port), "https://idp.test");
        let fault = web().fetch(&url, 100, PATIENCE).unwrap_err();
        assert!(fault.contains("--allow-private-issuers"), "{host}: {fault}");
    }
    let metadata_service = address("https://169.254.169.254/latest/meta-data", "https://idp.test");
    assert!(web().fetch(&metadata_service, 100, PATIENCE).unwrap_err().contains("--allow-private-issuers"));
    assert_eq!(server.requests(), [""; 0], "no connection was made");
}

#[test]
fn ks_06_plain_http_is_fetched_only_if_allowed_and_never_from_a_cloud_metadata_service() {
    let signer = signer();
    let server = Server::plain(ok(&signer.jwks()));
    let trusted = |url: String, insecure_http: bool| {
        let mut trust = Trust::new(KeySource::JwksUri(url.into()));
        trust.insecure_http = insecure_http;
        let issuer = Issuer::foreign("http://keycloak.test:8080/realms/x").unwrap();
        TrustedIssuer { issuer, enabled: true, trust }
    };
    let checked = |url: String, insecure_http: bool| {
        let keys = held(&IssuerAccess::default(), FetchLimits::default(), Arc::default()).unwrap();
        keys.verify_blocking(&trusted(url, insecure_http), &token(&signer), at(0))
    };
    let here = || format!("http://127.0.0.1:{}/jwks", server.port);
    assert!(checked(here(), false).unwrap_err().reason.contains("is not https"));
    assert_eq!(server.requests(), [""; 0]);
    assert!(checked(here(), true).unwrap().is_ok());
    assert_eq!(server.requests().len(), 1);
    for url in ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest", "http://0.0.0.0:1/"] {
        let fault = checked(url.to_owned(), true).unwrap_err().reason;
        assert!(fault.contains("from which keys are never fetched"), "{url}: {fault}");
    }
}

#[test]
fn wl_13_keys_of_a_cluster_are_fetched_with_its_ca_and_after_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, ca) = authority(folder.path());
    let (first, second) = (signer(), signer());
    let server = Server::of(ok(&first.jwks()).into_bytes(), Some(tls));
    let url = format!("https://localhost:{}/jwks", server.port);
    let trusted = TrustedIssuer {
        issuer: Issuer::foreign("https://cluster.test").unwrap(),
        enabled: true,
        trust: Trust::new(KeySource::JwksUri(url.into())),
    };
    let access = IssuerAccess { issuer_ca: Some(ca), allow_private_issuers: true };
    let keys = held(&access, FetchLimits::default(), Arc::default()).unwrap();
    let good = |token: &CompactJws, now| keys.verify_blocking(&trusted, token, at(now)).unwrap();
    assert!(good(&token(&first), 0).is_ok());
    server.set(ok(&second.jwks()));
    assert!(good(&token(&second), 1).is_ok());
    assert!(matches!(good(&token(&first), 2), Err(SignatureFault::NoKey(_))));
    assert_eq!(server.requests().len(), 3);
    // The public roots do not include the certificate, and a server with any other certificate is not trusted either.
    let keys =
        held(&IssuerAccess { issuer_ca: None, ..access }, FetchLimits::default(), Arc::default()).unwrap();
    let fault = keys.verify_blocking(&trusted, &token(&second), at(0)).unwrap_err().to_string();
    assert!(fault.contains("https://localhost"), "{fault}");
    // It connected, and sent nothing.
    assert!(server.requests().iter().skip(3).all(String::is_empty));
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds).unwrap()
}

fn signer() -> Keyring {
    Keyring::read(&[generate(Algorithm::ES256, at(0), at(0)).unwrap()], at(0)).unwrap()
}

fn token(signer: &Keyring) -> CompactJws {
    let payload = json!({"iss":"https://cluster.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,
        "exp":2,"jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
    let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
    CompactJws::parse(signer.sign(&claims, at(0)).unwrap().expose()).ok().unwrap()
}

/// An authority of our own, as the configuration of a server called `localhost` and as a file.
fn authority(folder: &Path) -> (Arc<rustls::ServerConfig>, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (Arc::new(config), ca)
}
