//! The spans that a collector of OpenTelemetry receives, which hold no secret; SE-01, in builds with the feature `otlp`.

use crate::support::Place;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

/// Accepts requests and returns them, head and body, as they were sent.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
            let is_whole = |got: &[u8]| {
                let end = got.windows(4).position(|w| w == b"\r\n\r\n")?;
                let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
                (got.len() >= end + 4 + length.parse::<usize>().ok()?).then_some(())
            };
            while is_whole(&got).is_none() {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            if send.send(got).is_err() {
                return;
            }
        }
    });
    (url, received)
}

#[test]
fn se_01_spans_are_sent_and_contain_no_secret() {
    let place = Place::new();
    let (url, received) = collector();
    let variables = [
        ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("TOKENBERG_LOG", "warn"),
    ];
    let mut server = place.serve_with(&[], &variables);
    let token = server.ask("root", "first-secret-of-root").token();
    assert_eq!(server.ask("root", "wr0ng-Xq7").status, 401);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let mut sent = Vec::new();
    // The remaining spans are sent at shutdown, possibly in several requests.
    while let Ok(more) =
        received.recv_timeout(Duration::from_millis(if sent.is_empty() { 10_000 } else { 300 }))
    {
        sent.extend(more);
    }
    let text = String::from_utf8_lossy(&sent).into_owned();
    for part in [
        "POST /v1/traces ",
        "tokenberg",
        "/v1/oauth/tokens",
        "client_credentials",
        "granted",
        "invalid_client",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for secret in ["first-secret", "Xq7", token.as_str(), &token[..30], "root"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(
        !server.log().contains("/v1/oauth/tokens"),
        "what is filtered out of the log stays out: {}",
        server.log()
    );
}

#[test]
fn op_12_an_unreachable_collector_does_not_stop_the_server() {
    let place = Place::new();
    let variables = [
        ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
    ];
    let mut server = place.serve_with(&[], &variables);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}
