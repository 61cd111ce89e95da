//! A small OpenID provider on this machine, whose every answer a test can change, and a person who signs in at it.

use crate::foreign::claims;
use crate::support::{Place, Said, Server};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokenberg_testkit::{ForeignKey, changed, sha256};

pub type Form = BTreeMap<String, String>;

/// The client of the provider.
pub const CLIENT: &str = "laptop";

/// What a test changes about the provider.
pub struct Behavior {
    /// Members of the configuration to replace; null removes one.
    pub metadata: Value,
    /// Claims of ID tokens to replace; null removes one.
    pub claims: Value,
    /// What the token endpoint answers, instead of a token.
    pub refusal: Option<(u16, String)>,
    /// How often a device is told to wait.
    pub pending: u32,
    /// Signs ID tokens.
    pub key: ForeignKey,
    /// The parameters of the latest authorization request.
    pub authorized: Form,
    /// The forms that the endpoints have received.
    pub received: Vec<(String, Form)>,
}

pub struct OpenIdProvider {
    pub url: String,
    pub behavior: Arc<Mutex<Behavior>>,
}

pub fn pairs(text: &str) -> Form {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

impl OpenIdProvider {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behavior = Arc::new(Mutex::new(Behavior {
            metadata: json!({}),
            claims: json!({}),
            refusal: None,
            pending: 0,
            key: ForeignKey::new(Some("k1")),
            authorized: Form::new(),
            received: Vec::new(),
        }));
        let (issuer, shared) = (url.clone(), Arc::clone(&behavior));
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &issuer, &mut shared.lock().unwrap());
            }
        });
        Self { url, behavior }
    }

    pub fn change(&self, change: impl FnOnce(&mut Behavior)) {
        change(&mut self.behavior.lock().unwrap());
    }

    /// The person signs in at the address that the command printed; the redirect that the browser gets.
    pub fn redirect(&self, address: &str, more: &str) -> String {
        let parameters = pairs(address.split_once('?').unwrap().1);
        let uri = parameters["redirect_uri"].clone();
        let state = parameters["state"].clone();
        self.change(|it| it.authorized = parameters);
        format!("{uri}?code=the-code&state={state}{more}")
    }
}

fn serve(mut stream: TcpStream, issuer: &str, it: &mut Behavior) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length, mut basic) = (String::new(), 0, None);
    let _ = reader.read_line(&mut line);
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        } else if name.eq_ignore_ascii_case("authorization") {
            let pair = STANDARD.decode(value.trim().strip_prefix("Basic ").unwrap()).unwrap();
            basic = String::from_utf8(pair)
                .unwrap()
                .split_once(':')
                .map(|(id, secret)| [id, secret].map(str::to_owned));
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let mut form = pairs(&String::from_utf8(body).unwrap());
    if let Some([id, secret]) = basic {
        form.extend([("client_id".to_owned(), id), ("client_secret".to_owned(), format!("basic {secret}"))]);
    }
    let (status, answer) = match &*path {
        "/.well-known/openid-configuration" => (200, configuration(issuer, it).to_string()),
        "/jwks" => (200, it.key.jwks().to_string()),
        "/device" => {
            it.authorized = form.clone();
            (200, device(issuer).to_string())
        }
        "/token" => token(issuer, it, &form),
        "/elsewhere" => (302, String::new()),
        _ => (404, "{}".to_owned()),
    };
    it.received.push((path, form));
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nLocation: /x\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

fn configuration(issuer: &str, it: &Behavior) -> Value {
    let usual = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "jwks_uri": format!("{issuer}/jwks"),
        "code_challenge_methods_supported": ["S256"],
    });
    changed(usual, &it.metadata)
}

fn device(issuer: &str) -> Value {
    json!({
        "device_code": "the-device-code", "user_code": "WDJB-MJHT", "expires_in": 60, "interval": 0,
        "verification_uri": format!("{issuer}/enter"),
        "verification_uri_complete": format!("{issuer}/enter?user_code=WDJB-MJHT"),
    })
}

fn token(issuer: &str, it: &mut Behavior, form: &Form) -> (u16, String) {
    let error = |code: &str| (400, json!({"error": code, "error_description": "as it is"}).to_string());
    if let Some(refusal) = &it.refusal {
        return refusal.clone();
    }
    if it.pending > 0 {
        it.pending -= 1;
        return error("authorization_pending");
    }
    let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes())) != it.authorized["code_challenge"] {
        return error("invalid_grant");
    }
    let nonce = if is("grant_type", "authorization_code") {
        if !is("code", "the-code") || !is("redirect_uri", &it.authorized["redirect_uri"]) {
            return error("invalid_grant");
        }
        it.authorized.get("nonce").cloned()
    } else {
        assert!(is("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), "{form:?}");
        None
    };
    if !is("client_id", CLIENT) {
        return error("invalid_client");
    }
    let usual = claims(issuer, "ada", CLIENT, &json!({"nonce": nonce, "email": "ada@example.com"}));
    let id_token = it.key.sign(&changed(usual, &it.claims));
    (
        200,
        json!({"access_token": "of-the-provider", "token_type": "Bearer", "id_token": id_token}).to_string(),
    )
}

/// A `tokenberg login` that waits for the person.
pub struct Waiting {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Waiting {
    /// Starts the command in the place, with its own state directory.
    pub fn start(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = place.command();
        command.arg("login").args(arguments).env("XDG_STATE_HOME", place.path("state"));
        command.envs(variables.iter().copied());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok())
        });
        Self { child, lines, seen: String::new() }
    }

    /// The next line on standard error that is an address.
    pub fn address(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) {
            self.seen = format!("{}{line}\n", self.seen);
            if line.starts_with("http") {
                return line;
            }
        }
        panic!("no address: {}", self.seen);
    }

    /// How the command ends.
    pub fn said(mut self) -> Said {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let rest: Vec<String> = self.lines.iter().collect();
        Said { code, out, err: format!("{}{}", self.seen, rest.join("\n")) }
    }
}

/// What a browser gets at this address, head and body.
pub fn visit(address: &str) -> String {
    let url: url::Url = address.parse().unwrap();
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let target = &url[url::Position::BeforePath..];
    send(host, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

/// What a program gets that sends this.
pub fn send(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A provider, and a token service that trusts it and has its client.
pub struct Setting {
    pub place: Place,
    pub server: Server,
    pub provider: OpenIdProvider,
}

impl Setting {
    pub fn new(terms: &[&str]) -> Self {
        let (place, provider) = (Place::new(), OpenIdProvider::new());
        let server = place.serve(&[]);
        let key = provider.behavior.lock().unwrap().key.jwks();
        place.file("idp.json", &key);
        let add = ["issuer", "add", &provider.url, "--jwks", "idp.json", "--accept", "id_token"];
        place.run(&[&add[..], &["--outlives-subject"]].concat()).done();
        let pattern = format!("{}|*", provider.url);
        let add = ["client", "add", CLIENT, "--auth-method", "none", "--may-impersonate", &pattern];
        place.run(&[&add[..], terms].concat()).done();
        Self { place, server, provider }
    }

    pub fn login(&self, more: &[&str]) -> Waiting {
        let terms = ["--server", &self.server.url, "--client-id", CLIENT, "--issuer", &self.provider.url];
        Waiting::start(&self.place, &[&terms[..], more].concat(), &[])
    }

    /// Signs in with a browser.
    pub fn signed_in(&self, more: &[&str]) -> Said {
        let mut login = self.login(more);
        visit(&self.provider.redirect(&login.address(), ""));
        login.said().done()
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let state = self.place.path("state").display().to_string();
        self.place.run_with(arguments, "", &[("XDG_STATE_HOME", &state)])
    }
}

/// The claims of a token, unverified.
pub fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
