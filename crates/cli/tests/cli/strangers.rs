//! The amount that requests without client authentication make the server write is bounded: SE-06, CWE-779.

use crate::support::{Place, Server, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use tokenberg_actix::AUDIT;

const ROOT: &str = "first-secret-of-root";
/// The number of requests that each kind of stranger sends.
const EACH: usize = 400;
/// The number of bytes that strangers may write to the audit in a minute, by default.
const BUDGET: usize = 128 * 1024;

/// A connection that is used for one request after the other.
struct Kept {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Kept {
    fn to(server: &Server) -> Self {
        let stream = BufReader::new(TcpStream::connect(server.address()).unwrap());
        Self { stream, host: server.address() }
    }

    fn post(&mut self, path: &str, source: &str, more: &str, form: &str) -> u16 {
        let request = format!(
            "POST /v1/oauth/{path} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {source}\r\n{more}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.host,
            form.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut status = String::new();
        self.stream.read_line(&mut status).unwrap();
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        status.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// A JWT with any claims and an invalid signature.
fn badly_signed(claims: &Value) -> String {
    let header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"}).to_string();
    [header, claims.to_string(), "none".repeat(16)].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// Sends the n-th request of a kind, with everything varied that can be; returns its status.
fn send(kept: &mut Kept, kind: usize, n: usize) -> u16 {
    let long = |what: &str| format!("{what}{n}-{}", "x".repeat(3500));
    // The sources are networks of IPv4 and IPv6, and invalid addresses.
    let source = match n % 3 {
        0 => format!("203.{}.{}.{}", kind, n / 250, n % 250),
        1 => format!("2001:db8:{kind:x}:{n:x}::1"),
        _ => "198.51.100.7".to_owned(),
    };
    let jwt = badly_signed(&json!({"iss": long("iss"), "sub": long("sub"), "jti": long("jti"), "aud": "x"}));
    let assertion = format!(
        "client_assertion={jwt}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let scope = format!("grant_type=client_credentials&scope={}", long("s"));
    let header = format!("X-Long: {}\r\n", "h".repeat(n % 8000));
    match kind {
        0 => kept.post("tokens", &source, "", &format!("{scope}&{assertion}")),
        1 => kept.post("introspect", &source, &header, &format!("token={}&{assertion}", long("t"))),
        2 => kept.post("revoke", &source, "", &format!("token={jwt}&{assertion}")),
        3 => kept.post("tokens", &source, &header, &format!("{scope}&client_id={}", long("c"))),
        4 => {
            let bearer = format!("Authorization: Bearer {jwt}\r\n");
            let form = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
            let token = "subject_token_type=urn:ietf:params:oauth:token-type:access_token";
            kept.post(
                "tokens",
                &source,
                &bearer,
                &format!("{form}&{token}&subject_token={jwt}&scope={}", long("s")),
            )
        }
        // Here source and client repeat, so that all but the first are 429; below the client always differs.
        5 => kept.post("tokens", "192.0.2.66", "", &format!("{scope}&client_id=root&client_secret=wrong")),
        _ => kept.post("tokens", "192.0.2.67", "", &format!("{scope}&client_id=c{n}&client_secret=wrong")),
    }
}

fn figure(operations: &str, name: &str) -> u64 {
    let figures = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
    let of_it = figures.lines().filter(|line| line.starts_with(name));
    of_it.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

fn audit(place: &Place) -> Vec<Value> {
    place.run(&["audit"]).done().out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn se_06_cwe_779_records_of_an_unauthenticated_flood_are_limited_and_no_client_is_harmed() {
    for policy in ["refuse", "drop"] {
        let place = Place::new();
        let secret = place.add("etl", &["--scope", "ns:read"]);
        let mut server = place.serve(&[
            "--audit-when-full",
            policy,
            // The queue is so short that the flood would fill it if it could.
            "--audit-queue",
            "64",
            "--trusted-proxy",
            "127.0.0.0/8",
            "--failures-per-client",
            "1",
            "--failures-per-source",
            "2",
            "--ops-listen",
            "127.0.0.1:0",
        ]);
        let begun = Instant::now();
        let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
        let (mut honest, mut misconfigured) = (Kept::to(&server), Kept::to(&server));
        let good = format!("grant_type=client_credentials&client_id=etl&client_secret={secret}");
        let wrong_scope = format!("{good}&scope=ns:write");
        assert_eq!(misconfigured.post("tokens", "192.0.2.9", "", &wrong_scope), 400);
        assert_eq!(misconfigured.post("tokens", "192.0.2.9", "", &format!("{good}x")), 401);
        let (mut sent, mut granted) = (0, 0);
        std::thread::scope(|threads| {
            let flood: Vec<_> = (0..7)
                .map(|kind| {
                    let mut kept = Kept::to(&server);
                    threads.spawn(move || (0..EACH).filter(|n| send(&mut kept, kind, *n) != 200).count())
                })
                .collect();
            for _ in 0..60 {
                assert_eq!(honest.post("tokens", "192.0.2.8", "", &good), 200, "{policy}");
                granted += 1;
            }
            sent = flood.into_iter().map(|kind| kind.join().unwrap()).sum();
        });
        assert_eq!(sent, 7 * EACH);
        assert_eq!(figure(&operations, "tokenberg_audit_lost_total"), 0);
        assert_eq!(figure(&operations, "tokenberg_audit_refused_total"), 0);
        let left_out = figure(&operations, "tokenberg_audit_left_out_total");
        assert!(left_out > 0);
        server.signal("TERM");
        assert!(server.ended().success());

        let records = audit(&place);
        let count = |record: &&Value| 1 + record["repeated"].as_u64().unwrap_or(0);
        let of_strangers: Vec<&Value> =
            records.iter().filter(|record| record["unverified"] == true).collect();
        let bytes: usize = of_strangers.iter().map(|record| record.to_string().len()).sum();
        // Half of it immediately and half in every minute; with chain, number and time, which `audit` adds to each.
        let minutes = 2 + usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
        let may = BUDGET / 2 * minutes + 120 * of_strangers.len();
        assert!(bytes <= may, "{bytes} of {may} in {} records", of_strangers.len());
        let longest = of_strangers.iter().map(|record| record.to_string().len()).max().unwrap();
        assert!(longest < 2048, "{longest}");
        // Omitted records are counted exactly.
        let summaries: Vec<&Value> = records.iter().filter(|record| record["event"] == "left out").collect();
        let counted: u64 = summaries.iter().map(|record| record["records"].as_u64().unwrap()).sum();
        assert_eq!(counted, left_out);
        let recorded: u64 = of_strangers.iter().map(count).sum();
        assert_eq!(recorded + counted, sent as u64 + 1, "and the wrong secret of the client");
        assert!(
            summaries.len() <= minutes && summaries.iter().all(|record| !record.to_string().contains("xxx"))
        );
        // All records of clients are complete.
        let of_clients = |outcome: &str| records.iter().filter(|record| record["outcome"] == outcome).count();
        assert_eq!(of_clients("granted"), granted);
        let refused = records.iter().find(|record| record["outcome"] == "invalid_scope").unwrap();
        assert_eq!((&refused["scope_in"], &refused["unverified"]), (&"ns:write".into(), &Value::Null));
        let wrong =
            records.iter().find(|record| record["client"] == "etl" && record["source"] == "192.0.2.9");
        assert!(wrong.is_some(), "a client that is misconfigured is found");
        let said = of_strangers.iter().filter_map(|record| record["tokens"][0].as_str()).next().unwrap();
        assert!(said.starts_with("jti"), "and so is what a token claims to be: {said}");
        place.run(&["audit", "verify"]).done();

        let log = server.log();
        let longest = log.lines().map(str::len).max().unwrap();
        assert!(longest < 3072, "{longest}");
        let lines = log.lines().filter(|line| line.contains(AUDIT)).count();
        assert!(lines <= of_strangers.len() + granted + 10, "{lines}");
        assert!(log.contains("left out requests without client authentication"), "{log}");
        let database = std::fs::metadata(place.path("tokenberg.db")).unwrap().len();
        assert!(database < (minutes as u64) << 20, "{database}");
    }
}

#[test]
fn se_06_cwe_779_with_a_limit_of_zero_unauthenticated_requests_are_counted_and_not_recorded() {
    let place = Place::new();
    let mut server = place.serve(&["--audit-unauthenticated-bytes", "0"]);
    for _ in 0..5 {
        assert_eq!(server.ask("root", "wrong").status, 401);
    }
    server.ask("root", ROOT).token();
    server.signal("TERM");
    assert!(server.ended().success());
    let records = audit(&place);
    assert!(records.iter().all(|record| record["unverified"].is_null()));
    let summary = records.iter().find(|record| record["event"] == "left out").unwrap();
    assert_eq!(summary["outcomes"], json!({"invalid_client": 5}));
}

#[test]
fn se_06_cwe_779_log_lines_about_invalid_http_are_bounded() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    for n in 0..300 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        // Every other request is a head that is refused, the rest are no request at all.
        let head = if n % 2 == 0 {
            "GET /openapi.json HTTP/1.1\r\nHost: [\r\n\r\n"
        } else {
            "\u{16}\u{3}\u{1}\r\n\r\n"
        };
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }
    server.signal("TERM");
    assert!(server.ended().success());
    let log = server.log();
    // Each of the two kinds of stranger has 60 lines a minute.
    assert!((10..150).contains(&log.lines().count()), "{}", log.lines().count());
}
