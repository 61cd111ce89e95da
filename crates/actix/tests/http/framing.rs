//! Where a request ends: HT-01 to HT-07, HT-12 and HT-13 of the conformance list, on raw sockets.

use crate::check::*;
use crate::wire::{TIMEOUT, Wire, parse, read_answers, read_until_closed};
use crate::world::*;
use std::io::Write;
use std::time::Instant;

const BASIC: &str = "Authorization: Basic YzE6czEtWjc=";
const PROBE: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: as.test\r\n\r\n";

/// A POST with these header lines and everything else that a good one has.
fn post(lines: &str, body: &str) -> String {
    format!("POST {T} HTTP/1.1\r\nHost: as.test\r\n{BASIC}\r\nContent-Type: {FORM}\r\n{lines}\r\n\r\n{body}")
}

#[test]
fn ht_01_ambiguous_framing_is_refused() {
    let wire = Wire::of(service());
    let chunked = format!("{:x}\r\n{CC}\r\n0\r\n\r\n", CC.len());
    for lines in [
        "Content-Length: 29\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 29",
        "Content-Length: 29\r\nContent-Length: 29",
        "Content-Length: 29\r\nContent-Length: 30",
        "Content-Length: 29, 29",
        "Content-Length: +29",
        "Content-Length: -1",
        "Content-Length: 0x1d",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    ] {
        for body in [CC, &chunked] {
            wire.refused(format!("{}{PROBE}", post(lines, body)), 400);
        }
    }
    let old = post("Transfer-Encoding: chunked", &chunked).replace("HTTP/1.1", "HTTP/1.0");
    wire.refused(format!("{old}{PROBE}"), 400);
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "afterwards");
}

#[test]
fn ht_02_chunks_are_read_strictly() {
    let wire = Wire::of(service());
    let ok = post("Transfer-Encoding: chunked\r\nConnection: close", &format!("1d\r\n{CC}\r\n0\r\n\r\n"));
    check_answer(&parse(&wire.until_closed(ok), &[])[0], Expected::Ok, "chunked");
    let chunked = "Transfer-Encoding: chunked\r\nConnection: close";
    let extended = format!("1d;{}\r\n{CC}\r\n0\r\n\r\n", "x".repeat(1_000_000));
    let answer = parse(&wire.until_closed(post(chunked, &extended)), &[]).remove(0);
    check_answer(&answer, E(400, "invalid_request"), "a megabyte of extension");
    let letters: String = CC.chars().map(|letter| format!("1;x=y\r\n{letter}\r\n")).collect();
    let answer = parse(&wire.until_closed(post(chunked, &format!("{letters}0\r\n\r\n"))), &[]).remove(0);
    assert_ne!(answer.status, 400, "one letter to a chunk is odd, and allowed: {}", answer.text());
    for chunks in [
        format!("0x1d\r\n{CC}\r\n0\r\n\r\n"),
        format!("ffffffffffffffffff\r\n{CC}\r\n0\r\n\r\n"),
        format!("1d\n{CC}\n0\n\n"),
        format!(" 1d\r\n{CC}\r\n0\r\n\r\n"),
        format!("-1d\r\n{CC}\r\n0\r\n\r\n"),
        format!("1d\r\n{CC}XX\r\n0\r\n\r\n"),
        format!("1d;a=\"\n\"\r\n{CC}\r\n0\r\n\r\n"),
        format!("g\r\n{CC}\r\n0\r\n\r\n"),
    ] {
        let bytes = format!("{}{PROBE}", post("Transfer-Encoding: chunked", &chunks));
        let answer = wire.refused(bytes, 400);
        check_answer(&answer, E(400, "invalid_request"), &chunks);
        assert_eq!(answer.header("Connection"), Some("close"));
    }
}

#[test]
fn ht_07_bodies_in_many_small_chunks_are_not_read_to_their_end() {
    let wire = Wire::of(service());
    let head = |path: &str| {
        let form = "grant_type=client_credentials&token=";
        format!(
            "POST {path} HTTP/1.1\r\nHost: as.test\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{form}\r\n",
            form.len()
        )
    };
    let chunks = |count: usize, size: usize| {
        let chunk = format!("{size:x}\r\n{}\r\n", "a".repeat(size));
        format!("{}0\r\n\r\n", chunk.repeat(count))
    };
    let extended =
        |count: usize| format!("{}0\r\n\r\n", "1;x=yyyyyyyyyyyyyyyyyyyyyyyy\r\na\r\n".repeat(count));
    let trailed = |count: usize| format!("1\r\na\r\n0\r\n{}\r\n", "x: y\r\n".repeat(count));
    let introspection = "/v1/oauth/introspect";
    for (path, body, status) in [
        // No client sends a body that is read to its end.
        (T, chunks(10_000, 1), 401),
        (T, extended(1000), 401),
        (introspection, chunks(10_000, 1), 401),
        (introspection, chunks(30_000, 32), 401),
        (introspection, chunks(200, 5000), 401),
        (T, chunks(20_000, 1), 400),
        (T, extended(4000), 400),
        (T, trailed(20_000), 400),
        (introspection, chunks(20_000, 1), 400),
        (introspection, chunks(1_000_000, 1), 400),
        (introspection, chunks(60_000, 8), 400),
    ] {
        let answer = wire.refused(format!("{}{body}", head(path)), status);
        if status == 400 {
            check_answer(&answer, E(400, "invalid_request"), path);
            assert_eq!(answer.header("Connection"), Some("close"));
        }
    }
    // Each body is counted separately.
    let mut stream = wire.connect();
    stream.write_all(format!("{}{}", head(T), chunks(8000, 1)).repeat(3).as_bytes()).unwrap();
    assert!(read_answers(&mut stream, 3).iter().all(|answer| answer.status == 401));
}

#[test]
fn ht_04_heads_that_are_refused() {
    let wire = Wire::of(service());
    for head in [
        format!("POST {T} HTTP/1.1\r\nHost: as.test\r\nContent-Length : 0\r\n\r\n"),
        format!("POST {T} HTTP/1.1\r\nHost: as.test\r\nX: a\r\n b\r\n\r\n"),
        format!("POST {T} HTTP/1.1\r\nHost: as.test\r\nX: a\0b\r\n\r\n"),
        format!("POST {T} HTTP/1.1\r\nX: no-host\r\n\r\n"),
        format!("POST {T} HTTP/1.1\r\nHost: as.test\r\nHost: as.test\r\n\r\n"),
        format!("POST {T} HTTP/1.1\r\nHost: as.test\r\nX: a\rb\r\n\r\n"),
        format!("POST {T} HTTP/3.0\r\nHost: as.test\r\n\r\n"),
        format!("POST  {T} HTTP/1.1\r\nHost: as.test\r\n\r\n"),
    ] {
        wire.refused(format!("{head}{PROBE}"), 400);
    }
    let get = "GET /.well-known/jwks.json HTTP/1.1\r\nConnection: close\r\n";
    for fields in [
        "Host: a b",
        "Host: a@b",
        "Host: a/b",
        "Host: [::1",
        "Host: a:b:c",
        "Host: as.test\r\nUpgrade: websocket",
    ] {
        let answer = parse(&wire.until_closed(format!("{get}{fields}\r\n\r\n")), &[]).remove(0);
        check_answer(&answer, E(400, "invalid_request"), fields);
    }
    for (target, host, good) in [
        ("http://as.test/.well-known/jwks.json", "as.test", true),
        ("http://AS.test/.well-known/jwks.json", "as.test", true),
        ("http://evil.test/.well-known/jwks.json", "as.test", false),
        ("http://as.test/.well-known/jwks.json", "evil.test", false),
        ("http://as.test:81/.well-known/jwks.json", "as.test", false),
        ("http://x@as.test/.well-known/jwks.json", "as.test", false),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = parse(&wire.until_closed(bytes), &[]).remove(0);
        assert_eq!(answer.status, if good { 200 } else { 400 }, "{target} {host}");
        if !good {
            check_answer(&answer, E(400, "invalid_request"), target);
        }
    }
}

#[test]
fn ht_03_a_head_of_bare_line_feeds_is_one_request_and_no_more() {
    // RFC 9112 §2.2 lets a recipient accept them; what matters is that nothing is read as a second request.
    let wire = Wire::of(service());
    let head = format!("POST {T} HTTP/1.1\nHost: as.test\nConnection: close\nContent-Length: 0\n\n");
    assert_eq!(parse(&wire.until_closed(head), &[]).len(), 1);
}

#[test]
fn ht_05_only_what_is_framed_is_executed() {
    let wire = Wire::of(service());
    let inner = post("Content-Length: 29", CC);
    // The whole inner request is the value of an unknown parameter of the outer one.
    let body = format!("{CC}&x={inner}");
    let got = wire.until_closed(post(&format!("Connection: close\r\nContent-Length: {}", body.len()), &body));
    assert_eq!(parse(&got, &[]).len(), 1);
    // Well-framed requests in one packet are answered in order.
    let mut stream = wire.connect();
    stream.write_all(format!("{inner}{PROBE}{inner}").as_bytes()).unwrap();
    let answers = read_answers(&mut stream, 3);
    check_answer(&answers[0], Expected::Ok, "first");
    assert!(answers[1].json()["keys"].is_array());
    check_answer(&answers[2], Expected::Ok, "third");
}

#[test]
fn ht_06_heads_are_limited() {
    let wire = Wire::of(service());
    let head = |lines: &str| format!("GET /.well-known/jwks.json HTTP/1.1\r\nHost: as.test\r\n{lines}\r\n");
    let fields = |n: usize| (0..n).map(|i| format!("x{i}: y\r\n")).collect::<String>();
    let large = |n: usize| format!("x: {}\r\n", "y".repeat(n));
    // The first of 96 is Host.
    for lines in [fields(80), fields(95), large(30_000)] {
        let mut stream = wire.connect();
        stream.write_all(head(&lines).as_bytes()).unwrap();
        assert_eq!(read_answers(&mut stream, 1)[0].status, 200);
    }
    for lines in [
        large(33_000),
        large(120_000),
        large(2_000_000),
        format!("{}{}", large(17_000), large(17_000)),
        fields(96),
        fields(97),
        fields(99),
        fields(120),
        fields(4000),
        format!("{}Content-Length: 5\r\n", fields(96)),
    ] {
        let answer = wire.refused(head(&lines), 431);
        check_answer(&answer, E(431, "invalid_request"), "431");
        assert_eq!(answer.header("Connection"), Some("close"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
    // However the last field arrives, and whatever stands before and behind it.
    for (lines, status) in [(fields(95), 200), (fields(96), 431)] {
        let bytes = format!("\r\n{}", head(&lines));
        for at in bytes.len() - 12..bytes.len() {
            let mut stream = wire.connect();
            stream.write_all(&bytes.as_bytes()[..at]).unwrap();
            let _ = stream.write_all(format!("{}{PROBE}", &bytes[at..]).as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let answers = parse(&read_until_closed(&mut stream), &[]);
            let expected: &[u16] = if status == 200 { &[200, 200] } else { &[431] };
            assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), expected, "{at}");
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: as.test\r\n\r\n", "y".repeat(100_000));
    check_answer(&wire.refused(long, 431), E(431, "invalid_request"), "a long target");
    // Nothing more than the head has to arrive, and not all of it.
    let endless = head(&large(60_000)).replace("\r\n\r\n", "");
    check_answer(&wire.refused(endless, 431), E(431, "invalid_request"), "a head without end");
    wire.refused(format!("{}{PROBE}", "\r\n".repeat(10_000)), 200);
    let nothing = wire.until_closed("\r\n".repeat(50_000));
    assert!(nothing.is_empty(), "empty lines without end: {}", String::from_utf8_lossy(&nothing));
}

#[test]
fn ht_07_ht_12_bodies_are_limited_and_end_the_connection() {
    let wire = Wire::of(service());
    let closed = |answer: &Answer| {
        check_answer(answer, E(413, "invalid_request"), "413");
        assert_eq!(answer.header("Connection"), Some("close"));
    };
    // Refused by its declaration; nothing of the body was sent.
    closed(&wire.refused(post("Content-Length: 65537", ""), 413));
    closed(&wire.refused(post("Content-Length: 65537\r\nExpect: nothing", ""), 413));
    // What follows is body, never a request.
    closed(&wire.refused(format!("{}{PROBE}{PROBE}", post("Content-Length: 65537", "")), 413));
    let chunk = format!("2000\r\n{}\r\n", "a".repeat(0x2000));
    // Endless: the client continues as long as the server reads.
    let mut stream = wire.connect();
    stream.write_all(post("Transfer-Encoding: chunked", "").as_bytes()).unwrap();
    let begin = Instant::now();
    while stream.write_all(chunk.as_bytes()).is_ok() {
        assert!(begin.elapsed() < TIMEOUT, "an endless body is read without end");
    }
    let body = format!("{}0\r\n\r\n", chunk.repeat(9));
    closed(&wire.refused(post("Transfer-Encoding: chunked", &body), 413));
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "afterwards");
}

#[test]
fn ht_12_an_unread_body_never_becomes_a_request() {
    let wire = Wire::of(service());
    for (method, path) in
        [("PUT", T), ("POST", "/.well-known/jwks.json"), ("POST", "/nowhere"), ("GET", "/openapi.json")]
    {
        for lines in ["Content-Length: 5000", "Transfer-Encoding: chunked"] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: as.test\r\n{lines}\r\n\r\n");
            let got = wire.until_closed(format!("{head}{PROBE}{PROBE}"));
            assert_eq!(parse(&got, &[]).len(), 1, "{method} {path}: {}", String::from_utf8_lossy(&got));
        }
    }
    // Wrongly declared bodies are not read either.
    let json = post("Content-Length: 5000", CC).replace(FORM, "application/json");
    check_answer(&wire.refused(format!("{json}{PROBE}"), 400), E(400, "invalid_request"), "json");
}

#[test]
fn ht_12_nothing_is_done_on_a_connection_that_was_ended() {
    let wire = Wire::of(service());
    let json = post("Content-Length: 29", CC).replace(FORM, "application/json");
    let inner = post("Content-Length: 29", CC);
    let mut stream = wire.connect();
    stream.write_all(format!("{json}{inner}").as_bytes()).unwrap();
    let answers = parse(&read_until_closed(&mut stream), &[]);
    assert!(!answers.is_empty());
    for answer in &answers {
        check_answer(answer, E(400, "invalid_request"), "ended");
        assert_eq!(answer.header("Connection"), Some("close"));
    }
}

#[test]
fn ht_13_http_2_is_not_spoken() {
    let wire = Wire::of(service());
    let got = wire.until_closed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&got));
    let upgrade = PROBE.replace(
        "\r\n\r\n",
        "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    let mut stream = wire.connect();
    stream.write_all(upgrade.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let got = read_until_closed(&mut stream);
    assert!(got.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&got));
}
