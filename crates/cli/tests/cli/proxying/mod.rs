//! Real proxies in front of a catalog, with the configurations of `docs/proxies.md`; RI-04 of the conformance list.

mod haproxy;

use crate::support::*;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tokenberg_core::Timestamp;
use tokenberg_testkit::{ForeignKey, free_port};

/// A catalog that returns the bytes of each request.
fn catalog() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || echo(stream));
        }
    });
    address
}

fn echo(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && length(head).unwrap_or_default() <= body.len()
        {
            break;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", request.len());
    let _ = stream.write_all(&[head.as_bytes(), &request].concat());
}

fn length(head: &str) -> Option<usize> {
    value(head, "content-length")?.parse().ok()
}

/// The only value of a header.
fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut values = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(of, _)| of.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim());
    let first = values.next();
    assert_eq!(values.next(), None, "{name} is repeated: {head}");
    first
}

/// A proxy, which is ended when it is dropped.
struct Proxy {
    child: Child,
    address: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // They end their workers on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The block of this language in the documentation.
fn sample(page: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n```{language}\n")).unwrap_or_else(|| panic!("no {language}"));
    rest.split_once("\n```\n").unwrap().0.to_owned()
}

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// The headers of the verification, by their last words.
const NAMES: [&str; 5] = ["Subject", "Issuer", "Client", "Scope", "Actors"];

/// What a client sends to replace or remove this header: every spelling that a catalog may take for it, and a `Connection` that names all five.
fn attack(name: &str) -> String {
    let mut headers =
        format!("Connection: {}\r\n", NAMES.map(|of| format!("X-Auth-Request-{of}")).join(", "));
    let separators = ["-", "_", "."];
    for (first, second) in separators.iter().flat_map(|first| separators.map(|second| (first, second))) {
        for third in separators {
            let spelling = format!("X{first}Auth{second}Request{third}{name}");
            headers += &format!("{spelling}: root\r\n{}: root\r\n", spelling.to_lowercase());
        }
    }
    headers
}

/// Whether the program is installed, with a note if it is not.
fn is_installed(program: &str) -> bool {
    let paths = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let found = paths.iter().any(|path| Path::new(path).join(program).exists());
    if !found {
        eprintln!("skipped: there is no {program} here");
    }
    found
}

/// The server, its clients, the catalog behind the proxy, and the proxy.
struct Site {
    place: Place,
    server: Server,
    secret: String,
    token_endpoint: String,
    catalog: String,
    proxy: Option<Proxy>,
}

impl Site {
    fn new(flags: &[&str]) -> Self {
        let place = Place::new();
        let server = place.serve(flags);
        let more = ["--audience", "warehouse", "--audience", "other", "--scope", "catalog ns:read"];
        let secret = place.add("a etl,%", &more);
        let form = format!("grant_type=client_credentials&client_id=a+etl%2C%25&client_secret={secret}");
        within_a_second("the server knows the client", || server.tokens(&form).status == 200);
        let issuer = flags.iter().skip_while(|flag| **flag != "--issuer").nth(1);
        let token_endpoint = format!("{}/v1/oauth/tokens", issuer.unwrap_or(&server.url.as_str()));
        Self { place, server, secret, token_endpoint, catalog: catalog(), proxy: None }
    }

    /// The samples with the addresses of this test.
    fn sample(&self, language: &str, address: &str) -> String {
        sample("proxies.md", language)
            .replace("127.0.0.1:8183", &self.server.address())
            .replace("127.0.0.1:8181", &self.catalog)
            .replace("127.0.0.1:8080", address)
    }

    /// Starts the proxy, and waits until it accepts connections.
    fn start(&mut self, address: &str, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let path = format!("/usr/sbin:{}", std::env::var("PATH").unwrap_or_default());
        command.args(arguments).env("PATH", path).env("HOME", self.place.path("")).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "{program} ended");
            assert!(begun.elapsed() < Duration::from_secs(60), "{program} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.proxy = Some(Proxy { child, address: address.to_owned() });
    }

    /// Starts nginx with this content of its `http`.
    fn start_nginx(&mut self, address: &str, content: &str) {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {};\n", self.place.path(of).display()))
            .concat();
        let configuration = format!(
            "daemon off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{content}\n}}\n",
            self.place.path("nginx.pid").display(),
        );
        let file = self.place.file("nginx.conf", &configuration);
        self.start(address, "nginx", &["-c", &file]);
    }

    fn token(&self, more: &str, dpop: Option<&str>) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=a+etl%2C%25&client_secret={}{more}",
            self.secret
        );
        let config = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let mut request =
            config.post(self.server.endpoint()).content_type("application/x-www-form-urlencoded");
        if let Some(proof) = dpop {
            request = request.header("DPoP", proof);
        }
        let text = request.send(&form).unwrap().body_mut().read_to_string().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Status and head of the answer to a request through the proxy, and the request as the catalog got it.
    fn ask(&self, method: &str, token: Option<&str>, headers: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.proxy.as_ref().unwrap().address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        write!(
            stream,
            "{method} /v1/namespaces?audience=other&scope=x HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}{headers}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        // Some close the connection with a reset.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// Checks that the request is refused, with this challenge.
    fn refused(&self, token: Option<&str>, status: u16, challenge: &str) {
        // Whatever a client adds, it gets no further.
        let added = "X-Auth-Request-Required-Audience: other\r\nX-Auth-Request-Required-Scope: catalog\r\n";
        for headers in ["", added] {
            let (got, head, body) = self.ask("GET", token, headers, "");
            assert_eq!(got, status, "{head} {body}");
            let got = value(&head, "www-authenticate").unwrap_or_default();
            assert!(got.starts_with("Bearer realm=\"") && got.ends_with(challenge), "{got}");
        }
    }

    /// A token that is bound to a key.
    fn bound_token(&self) -> String {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap()).unwrap();
        let proof = ForeignKey::new(None).proof(now, "1", &json!({"htu": self.token_endpoint}));
        self.token("", Some(&proof))
    }

    /// Checks everything that holds for a proxy with any of the configurations. Returns a good token.
    fn check(&self, sees: &[(&str, &str)]) -> String {
        const INVALID: &str = r#"", error="invalid_token""#;
        self.refused(None, 401, "\"");
        self.refused(Some("garbage"), 401, INVALID);
        let good = self.token("", None);
        self.refused(Some(&good[..good.len() - 4]), 401, INVALID);
        self.refused(Some(&self.token("&audience=other", None)), 401, INVALID);
        self.refused(Some(&self.bound_token()), 401, INVALID);
        let insufficient = r#", error="insufficient_scope", scope="catalog""#;
        self.refused(Some(&self.token("&scope=ns:read", None)), 403, insufficient);
        let methods = [("GET", ""), ("POST", "{\"namespace\": [\"a\"]}"), ("DELETE", "")];
        for ((method, body), forged) in methods.iter().copied().cycle().zip(NAMES.map(attack)) {
            let (status, head, request) = self.ask(method, Some(&good), &forged, body);
            assert_eq!(status, 200, "{head} {request}");
            let (seen, seen_body) = request.split_once("\r\n\r\n").unwrap();
            assert!(
                seen.starts_with(&format!("{method} /v1/namespaces?audience=other&scope=x HTTP/")),
                "{seen}"
            );
            assert_eq!(seen_body, body);
            assert_eq!(value(seen, "authorization"), None, "{seen}");
            assert!(!seen.contains("root"), "{seen}");
            let connection = value(seen, "connection").unwrap_or_default();
            assert!(!connection.to_lowercase().contains("x-auth"), "{seen}");
            for (name, expected) in sees {
                let got = value(seen, &format!("X-Auth-Request-{name}")).unwrap_or_default();
                assert_eq!(got, *expected, "{name} in {seen}");
            }
        }
        good
    }

    /// Checks the same for a proxy that asks the server, and that it refuses what the server does not know any more.
    fn check_asking(mut self) {
        let issuer = self.server.url.clone();
        let name = "a%20etl%2C%25";
        let good = self.check(&[
            ("Subject", name),
            ("Issuer", &issuer),
            ("Client", name),
            ("Scope", "catalog"),
            ("Actors", ""),
        ]);
        self.place.run(&["client", "disable", "a etl,%"]).done();
        within_a_second("the disabled client is refused", || self.ask("GET", Some(&good), "", "").0 == 401);
        let log = self.server.log();
        assert!(log.contains(r#"reason="the token is not acceptable: its aud is [\"other\"]"#), "{log}");
        assert!(!log.contains(&good) && !log.contains("ERROR"), "{log}");
        self.server.signal("TERM");
        self.server.ended();
        let (status, head, _) = self.ask("GET", Some(&good), "", "");
        assert!(matches!(status, 502 | 503), "{head}");
    }
}

#[test]
fn ri_04_nginx_asks_about_every_request() {
    if !is_installed("nginx") {
        return;
    }
    let (mut site, address) = (Site::new(&[]), free_address());
    site.start_nginx(&address, &site.sample("nginx", &address));
    site.check_asking();
}

/// What Polaris makes, and what its clients keep while Polaris's tokens are replaced.
#[test]
fn op_12_only_the_token_endpoint_of_polaris_is_routed_here() {
    if !is_installed("nginx") {
        return;
    }
    let (mut site, address) = (Site::new(&[]), free_address());
    let (id, secret) = ("6f1c0b9e8d7a5b42", "8d2b5c3f9e7a41d6b0c2f4a6e8d01357");
    let file = site.place.file("spark.secret", secret);
    site.place.run(&["client", "add", id, "--secret-file", &file, "--audience", "polaris"]).done();
    let configuration = sample("catalogs/polaris-migration.md", "nginx matrix")
        .replace("127.0.0.1:8183", &site.server.address())
        .replace("127.0.0.1:8181", &site.catalog)
        .replace("127.0.0.1:8080", &address);
    site.start_nginx(&address, &configuration);
    let endpoint = format!("http://{address}/api/catalog/v1/oauth/tokens");
    let all = "grant_type=client_credentials&scope=PRINCIPAL_ROLE:ALL";
    let body = format!("{all}&client_id={id}&client_secret={secret}");
    within_a_second("the client is there", || post(&endpoint, None, &body).status == 200);
    let basic = Some("Basic NmYxYzBiOWU4ZDdhNWI0Mjo4ZDJiNWMzZjllN2E0MWQ2YjBjMmY0YTZlOGQwMTM1Nw==");
    let token = post(&endpoint, basic, all).token();
    let renewal = |token: &str| {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        let form = format!("grant_type={grant}&subject_token={token}&subject_token_type={kind}");
        (form.clone(), post(&endpoint, Some(&format!("Bearer {token}")), &form))
    };
    let renewed = renewal(&token).1.token();
    site.place.file("token", &renewed);
    let verify = ["verify", "token", "--issuer", &site.server.url, "--audience", "polaris", "--json"];
    assert_eq!(site.place.run(&verify).done().json()["claims"]["sub"], id);
    // One of Polaris's tokens, by the beginnings of its two algorithms, goes where it came from, with everything that it came with.
    for old in ["eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.x", "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.x"] {
        let (form, answer) = renewal(old);
        let seen = answer.body.as_str().unwrap();
        assert!(
            seen.starts_with("POST /api/catalog/v1/oauth/tokens HTTP/") && seen.ends_with(&form),
            "{seen}"
        );
        assert_eq!(value(seen, "authorization"), Some(format!("Bearer {old}").as_str()));
        assert!(!site.server.log().contains(old));
    }
    // Everything else is Polaris's, with either token.
    for token in ["eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.x", &token] {
        let (_, _, seen) = site.ask("GET", Some(token), "", "");
        assert!(seen.starts_with("GET /v1/namespaces?audience=other&scope=x HTTP/"), "{seen}");
        assert_eq!(value(&seen, "authorization"), Some(format!("Bearer {token}").as_str()));
    }
}

#[test]
fn ri_04_apache_asks_about_every_request() {
    if !is_installed("apache2") || !Path::new("/usr/share/lua/5.3/socket/http.lua").exists() {
        eprintln!("skipped: this needs apache2 and lua-socket");
        return;
    }
    let (mut site, address) = (Site::new(&[]), free_address());
    let script = site.place.file("verify.lua", &site.sample("lua", &address));
    let modules: String = ["mpm_event", "authz_core", "proxy", "proxy_http", "lua"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let configuration = format!(
        "ServerRoot {0}\nServerName localhost\nPidFile {0}/apache.pid\nErrorLog {0}/apache.log\nListen {address}\nUser www-data\n\
         Group www-data\n{modules}{1}\n",
        site.place.path("").display(),
        site.sample("apache", &address).replace("/etc/apache2/verify.lua", &script),
    );
    let file = site.place.file("apache.conf", &configuration);
    // The workers of Apache do not run as root.
    Command::new("chmod").arg("755").arg(site.place.path("")).status().unwrap();
    site.start(&address, "apache2", &["-D", "FOREGROUND", "-f", &file]);
    site.check_asking();
}

#[test]
fn ri_04_caddy_asks_about_every_request() {
    if !is_installed("caddy") {
        return;
    }
    let (mut site, address) = (Site::new(&[]), free_address());
    let configuration =
        format!("{{\n    admin off\n    auto_https off\n}}\n\n{}\n", site.sample("caddyfile", &address));
    let file = site.place.file("Caddyfile", &configuration);
    site.start(&address, "caddy", &["run", "--adapter", "caddyfile", "--config", &file]);
    site.check_asking();
}
