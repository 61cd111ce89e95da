//! A running server, with a store that fails, and when it is asked to shut down: CC-15, HT-20, OP-13, OP-30.

use crate::support::{Place, get, within_a_second};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub fn operations(server: &crate::support::Server) -> String {
    server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned()
}

#[test]
fn cc_15_requests_that_need_no_store_are_answered_when_the_store_is_unusable() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = operations(&server);
    assert_eq!(
        (get(&format!("{operations}/healthz")).status, get(&format!("{operations}/readyz")).status),
        (200, 200)
    );
    if !place.sql("ALTER TABLE revisions RENAME TO lost") {
        return;
    }
    within_a_second("it is noticed", || get(&format!("{operations}/readyz")).status == 503);
    assert_eq!(get(&format!("{operations}/healthz")).status, 200);
    for _ in 0..3 {
        assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
        assert_eq!(server.ask("root", "wrong").status, 401);
    }
    let reason = get(&format!("{operations}/readyz")).body.to_string();
    assert!(!reason.to_lowercase().contains("select"), "no SQL: {reason}");
    // Administration commands report the failure instead of acknowledging.
    place.run(&["client", "disable", "root"]).refused();
    assert!(place.sql("ALTER TABLE lost RENAME TO revisions"));
    within_a_second("it is ready again", || get(&format!("{operations}/readyz")).status == 200);
}

#[test]
fn cc_15_requests_that_need_no_store_are_answered_when_the_files_are_removed() {
    let place = Place::new();
    let server = place.serve(&[]);
    for (path, _) in crate::support::files(&place.path("")) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tokenberg.db")) {
            fs::remove_file(path).unwrap();
        }
    }
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    assert!(place.run(&["client", "list"]).refused().err.contains("there is no store"));
}

#[test]
fn se_07_operations_are_on_their_own_listener_only() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0", "--base-path", "/api/catalog"]);
    let operations = operations(&server);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&format!("{}{path}", server.url)).status, 404, "{path}");
        assert_eq!(get(&format!("{}/api/catalog{path}", server.url)).status, 404, "{path}");
    }
    assert_eq!(get(&format!("{operations}/v1/oauth/tokens")).status, 404);
    // The line has no base path; the issuer does.
    let metadata = get(&format!("{}/api/catalog/.well-known/oauth-authorization-server", server.url)).body;
    assert_eq!(metadata["issuer"], format!("{}/api/catalog", server.url));
}

/// Begins a token request whose body is sent later.
fn half_a_request(address: &str) -> (TcpStream, String) {
    let form = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root".to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "POST /v1/oauth/tokens HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{}",
        form.len(),
        &form[..10]
    )
    .unwrap();
    stream.flush().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    (stream, form[10..].to_owned())
}

#[test]
fn op_30_requests_in_progress_are_finished_before_the_server_exits() {
    for name in ["TERM", "INT"] {
        let place = Place::new();
        let mut server = place.serve(&["--ops-listen", "127.0.0.1:0", "--drain-delay", "1s"]);
        let operations = operations(&server);
        let (mut stream, rest) = half_a_request(&server.address());
        server.signal(name);
        within_a_second("it is not ready any more", || get(&format!("{operations}/readyz")).status == 503);
        assert_eq!(server.ask("root", "first-secret-of-root").status, 200, "still accepted for the delay");
        std::thread::sleep(Duration::from_millis(1100));
        assert!(TcpStream::connect(server.address()).is_err(), "nothing new is accepted");
        assert!(server.is_running());
        stream.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("access_token"), "{answer}");
        assert_eq!(server.ended().code(), Some(0), "{name} {}", server.log());
    }
}

/// A load balancer of layer 4 that probes every node and sends new connections to those that are ready.
struct Nodes(Vec<(String, String)>);

impl Nodes {
    fn ready(&self) -> Option<&str> {
        let is_ready = |operations: &str| {
            let address = operations.strip_prefix("http://").unwrap();
            let Ok(mut stream) = TcpStream::connect(address) else { return false };
            let asked = write!(stream, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let mut answer = String::new();
            asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
        };
        self.0.iter().find(|(_, operations)| is_ready(operations)).map(|(address, _)| address.as_str())
    }
}

/// Sends requests on kept connections until told to stop, and never repeats one. Returns how many were answered, and each failure.
fn keep_asking(nodes: &Nodes, is_over: &AtomicBool) -> (u32, Vec<String>) {
    let form = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root";
    let request = format!(
        "POST /v1/oauth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let (mut answered, mut failures, mut kept) = (0, Vec::new(), None);
    while !is_over.load(Ordering::SeqCst) {
        let mut stream = kept.take().unwrap_or_else(|| {
            let address = nodes.ready().expect("one node is ready");
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        let mut failure = stream.write_all(request.as_bytes()).err().map(|error| error.to_string());
        while failure.is_none() && !answer.ends_with(b"}") {
            match stream.read(&mut buffer) {
                Ok(0) => failure = Some("the connection was closed".to_owned()),
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
                Err(error) => failure = Some(error.to_string()),
            }
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        match failure {
            None if answer.starts_with("http/1.1 200") => answered += 1,
            None => failures.push(answer.clone()),
            Some(failure) => failures.push(failure),
        }
        if !answer.contains("connection: close") {
            kept = Some(stream);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (answered, failures)
}

#[test]
fn op_30_nodes_are_replaced_behind_layer_4_without_a_failed_request() {
    let place = Place::new();
    let flags = ["--ops-listen", "127.0.0.1:0", "--drain-delay", "2s", "--issuer", "https://tokens.example"];
    let mut servers = [place.serve(&flags), place.serve(&flags)];
    let nodes = Nodes(servers.iter().map(|server| (server.address(), operations(server))).collect());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| keep_asking(&nodes, &is_over))).collect();
        std::thread::sleep(Duration::from_millis(500));
        // All clients are on the first node.
        servers[0].signal("TERM");
        let status = servers[0].ended();
        std::thread::sleep(Duration::from_millis(500));
        is_over.store(true, Ordering::SeqCst);
        let (answered, failures): (Vec<u32>, Vec<Vec<String>>) =
            clients.into_iter().map(|client| client.join().unwrap()).unzip();
        assert_eq!(failures.concat(), Vec::<String>::new());
        assert!(answered.iter().all(|count| *count > 10), "{answered:?}");
        assert_eq!(status.code(), Some(0));
    });
}

#[test]
fn op_30_a_second_signal_ends_at_once() {
    // While it drains, and while it waits for a request.
    for (name, delay, code) in [("TERM", "0s", 143), ("INT", "1h", 130)] {
        let place = Place::new();
        let mut server = place.serve(&["--drain-delay", delay]);
        let (_stream, _) = half_a_request(&server.address());
        server.signal(name);
        within_a_second("it says how to end it", || {
            server.log().contains("a second signal stops immediately")
        });
        assert!(server.is_running());
        server.signal(name);
        let status = server.ended();
        assert_eq!((status.code(), status.signal()), (Some(code), None));
    }
}

fn certificate(place: &Place) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    place.file("key.pem", &made.signing_key.serialize_pem());
    place.file("cert.pem", &made.cert.pem());
    made.cert.pem()
}

#[test]
fn ht_20_tls_is_served_and_certificates_change_without_a_restart() {
    let place = Place::new();
    let first = certificate(&place);
    let config = place.file("t.toml", "tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nlog = \"info\"\n");
    let server = place.serve(&["--config", &config]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    place.file("secret", "first-secret-of-root");
    let ask = |ca: &str| {
        place.file("ca.pem", ca);
        let who = ["--client-id", "root", "--secret-file", "secret", "--ca-file", "ca.pem"];
        place.run(&[&["token", "--server", &server.url][..], &who].concat())
    };
    let token = ask(&first).done().out;
    place.file("token", &token);
    place.run(&["verify", "token", "--issuer", &server.url, "--ca-file", "ca.pem"]).done();
    place.run(&["verify", "token", "--issuer", &server.url]).refused();

    // OP-13: invalid files are reported, and the old ones stay in use.
    place.file("cert.pem", "nonsense");
    server.signal("HUP");
    within_a_second("the bad one is reported", || server.log().contains("the old one stays"));
    ask(&first).done();
    place.file("t.toml", "tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nunknown = 1\n");
    server.signal("HUP");
    within_a_second("the unknown key is reported", || server.log().contains("`unknown`"));
    ask(&first).done();
    let second = certificate(&place);
    place.file("t.toml", "tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nlog = \"debug\"\nworkers = 7\n");
    server.signal("HUP");
    within_a_second("it is read again", || server.log().contains("reloaded the configuration"));
    assert!(server.log().contains("workers has changed; restart the server"));
    ask(&second).done();
    ask(&first).refused();
}
