//! Several requests on a connection at a time: HT-05, HT-10 and HT-12 of the conformance list, RFC 9112 §9.3.2 and §9.6.

use crate::check::*;
use crate::server::get;
use crate::tls::{certify, connect};
use crate::wire::{TIMEOUT, Wire, parse, read_answers, read_until_closed};
use crate::world::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokenberg_actix::{Operations, tls};

const KEYS: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: as.test\r\n\r\n";
const OPENAPI: &str = "GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n";

/// A token request with a body that is sent in chunks.
fn chunked(lines: &str) -> String {
    let (first, second) = CC.split_at(7);
    format!(
        "POST {T} HTTP/1.1\r\nHost: as.test\r\nAuthorization: Basic YzE6czEtWjc=\r\nContent-Type: {FORM}\r\n{lines}\
         Transfer-Encoding: chunked\r\n\r\n7;x=y\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nTrailer: x\r\n\r\n",
        second.len()
    )
}

fn posted(lines: &str) -> String {
    format!(
        "POST {T} HTTP/1.1\r\nHost: as.test\r\nAuthorization: Basic YzE6czEtWjc=\r\nContent-Type: {FORM}\r\n{lines}\
         Content-Length: {}\r\n\r\n{CC}",
        CC.len()
    )
}

/// Answers to HTTP/1.0 as the tests read them.
fn as_1_1(got: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(got).replace("HTTP/1.0 ", "HTTP/1.1 ").into_bytes()
}

/// A connection with the smallest receive buffer that the system allows.
pub(crate) fn narrow(wire: &Wire) -> TcpStream {
    let address = wire.address;
    let connected = actix_web::rt::System::new().block_on(async move {
        let socket = actix_web::rt::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1024).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    connected.set_nonblocking(false).unwrap();
    connected.set_read_timeout(Some(TIMEOUT)).unwrap();
    connected.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    connected
}

#[test]
fn ht_05_any_number_of_requests_in_one_packet_is_answered_in_order() {
    let wire = Wire::of(service());
    let large = format!("{CC}&scope={}", "a".repeat(60_000));
    let units = [
        (KEYS.to_owned(), 200),
        (posted(""), 200),
        (chunked(""), 200),
        ("\r\n\r\nGET /nowhere HTTP/1.1\nHost: as.test\n\n".to_owned(), 404),
        (posted("").replace(CC, &large).replace("Length: 29", &format!("Length: {}", large.len())), 400),
        (OPENAPI.to_owned(), 200),
    ];
    let bytes = units.iter().map(|(unit, _)| unit.as_str()).collect::<String>().repeat(20);
    let expected: Vec<u16> = units.iter().map(|(_, status)| *status).collect::<Vec<_>>().repeat(20);
    for slice in [bytes.len(), 50_000, 1000, 61] {
        let mut sending = wire.connect();
        let mut reading = sending.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                bytes.as_bytes().chunks(slice).for_each(|part| sending.write_all(part).unwrap());
                // A half-closed connection is answered to its end.
                sending.shutdown(Shutdown::Write).unwrap();
            });
            let answers = parse(&read_until_closed(&mut reading), &[]);
            assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), expected, "{slice}");
        });
    }
}

#[test]
fn ht_12_nothing_that_follows_close_is_processed() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let certificate = certify(directory.path());
    let tls = tls::load(directory.path().join("cert.pem"), directory.path().join("key.pem")).unwrap();
    let plain = Wire::of(world.service());
    let secure = Wire::with(world.service(), |builder| builder.tls(tls.config().unwrap()));
    let token = plain.ask(&form(CC).basic(C1)).token();
    // If it were processed, the token would be revoked.
    let revoke = form(format!("token={token}")).at("/v1/oauth/revoke").basic(C1).to_wire();
    let old = |request: &str| request.replace("HTTP/1.1", "HTTP/1.0");
    let get = |lines: &str| KEYS.replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"));
    for first in [
        get("Connection: close"),
        get("connection: CLOSE"),
        get("Connection: keep-alive, Close"),
        get("Connection: close, keep-alive"),
        get("Connection:\tx ,close"),
        get("Connection: keep-alive\r\nConnection: close"),
        get("Connection: close\r\nConnection: keep-alive"),
        get("Connection: upgrade, close"),
        get("Content-Length: 0\r\nConnection: close"),
        old(KEYS),
        old(OPENAPI),
        old(&get("Connection: close")),
        old(&get("Connection: close, keep-alive")),
        old(&get("Connection: x")),
        old(&posted("")),
        posted("Connection: close\r\n"),
        chunked("Connection: close\r\n"),
        posted("Connection: close\r\nExpect: 100-continue\r\n"),
        KEYS.replace("GET", "HEAD").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
        OPENAPI.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
        "GET /nowhere HTTP/1.0\r\n\r\n".to_owned(),
        get("Connection: close\r\nHost: as.test"),
    ] {
        let bytes = [first.as_bytes(), &revoke].concat();
        let heads = [first.starts_with("HEAD")];
        let got = plain.until_closed(&bytes);
        let over_tls = {
            let mut client = connect(&secure, &certificate, &[]).unwrap();
            client.write_all(&bytes).unwrap();
            read_until_closed(&mut client)
        };
        for got in [got, over_tls] {
            let mut answers = parse(&as_1_1(&got), &heads);
            answers.retain(|answer| answer.status != 100);
            assert_eq!(answers.len(), 1, "{first:?}: {}", String::from_utf8_lossy(&got));
            assert!(world.revoked.lock().unwrap().is_empty(), "{first:?}");
        }
    }
    // A connection to be kept is kept, and answered.
    let kept = old(&get("Connection: Keep-Alive"));
    let mut stream = plain.connect();
    stream.write_all(&[kept.as_bytes(), &revoke].concat()).unwrap();
    let mut got = Vec::new();
    while parse(&as_1_1(&got), &[]).len() < 2 {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(world.revoked.lock().unwrap().len(), 1);
}

#[test]
fn ht_05_a_request_of_http_1_0_ends_no_connection_of_another_client() {
    let wire = Wire::of(service());
    for (stranger, ends) in [
        ("GET /nowhere HTTP/1.0\r\n\r\n".to_owned(), true),
        (KEYS.replace("1.1", "1.0"), true),
        (posted("").replace("1.1", "1.0"), true),
        (KEYS.replace("1.1", "1.0").replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"), false),
    ] {
        // As many heads of answers as actix may keep for the next.
        for mut stream in (0..8).map(|_| wire.connect()).collect::<Vec<_>>() {
            stream.write_all(stranger.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let got = read_until_closed(&mut stream);
            assert_eq!(String::from_utf8_lossy(&got).contains("keep-alive"), !ends, "{stranger:?}");
        }
        let mut stream = wire.connect();
        stream.write_all(format!("{KEYS}{KEYS}{OPENAPI}{}", posted("")).repeat(4).as_bytes()).unwrap();
        for answer in read_answers(&mut stream, 16) {
            assert_eq!((answer.status, answer.header("Connection")), (200, None), "after {stranger:?}");
        }
    }
}

#[test]
fn ht_12_an_answer_that_ends_the_connection_is_not_lost_because_of_later_requests() {
    let wire = Wire::of(service());
    let first = OPENAPI.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    for _ in 0..20 {
        let mut stream = wire.connect();
        // More than was read before the answer; the server may have closed before it is all there.
        let _ = stream.write_all(format!("{first}{}", KEYS.repeat(2000)).as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        assert_eq!(parse(&read_until_closed(&mut stream), &[]).len(), 1);
    }
}

#[test]
fn ht_05_ht_10_a_client_that_reads_slowly_gets_every_answer() {
    let wire = Wire::with(service(), |builder| builder.write_timeout(Duration::from_secs(60)));
    let count = 300;
    let stream = narrow(&wire);
    let (mut sending, mut reading) = (stream.try_clone().unwrap(), stream);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            sending.set_write_timeout(None).unwrap();
            sending.write_all(OPENAPI.repeat(count).as_bytes()).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        for turn in 0.. {
            // So small that the server has to wait for the client now and then.
            if turn % 64 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            match reading.read(&mut buffer).unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
        let answers = parse(&got, &[]);
        assert_eq!(answers.len(), count);
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    });
}

/// Sends requests until the server ends the connection, and returns how many bytes it took until then.
fn send_until_ended(mut stream: impl Write) -> usize {
    let (begun, bytes) = (Instant::now(), OPENAPI.repeat(200));
    let mut sent = 0;
    loop {
        match stream.write(bytes.as_bytes()) {
            Ok(n) => sent += n,
            Err(e) if ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind()) => return sent,
            Err(_) => {}
        }
        assert!(begun.elapsed() < 2 * TIMEOUT, "it is still there, after {sent} bytes");
    }
}

#[test]
fn ht_10_a_client_that_reads_nothing_is_read_no_further_and_ended_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = certify(directory.path());
    let tls = tls::load(directory.path().join("cert.pem"), directory.path().join("key.pem")).unwrap();
    for is_secure in [false, true] {
        let service = service();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let operations_at = listener.local_addr().unwrap();
        let operations = Operations::new(|| Ok(String::new())).metrics(&service, |_| {});
        let wire = Wire::with(service, |builder| {
            let builder = builder.operations(listener, operations).write_timeout(Duration::from_secs(1));
            if is_secure { builder.tls(tls.config().unwrap()) } else { builder }
        });
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (wire, certificate) = (&wire, &certificate);
                scope.spawn(move || {
                    let stream = narrow(wire);
                    // One of them reads a byte now and then.
                    let mut reading = (number == 0 && !is_secure).then(|| stream.try_clone().unwrap());
                    let (stopped, stop) = std::sync::mpsc::channel::<()>();
                    scope.spawn(move || {
                        let pause = Duration::from_millis(50);
                        while stop.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                            reading.as_mut().map(|stream| stream.read(&mut [0]));
                        }
                    });
                    let sent = if is_secure {
                        send_until_ended(crate::tls::over(stream, certificate).unwrap())
                    } else {
                        send_until_ended(stream)
                    };
                    drop(stopped);
                    // Only what the system holds for both sides.
                    assert!(sent < 32 << 20, "{sent}");
                });
            }
        });
        let (_, metrics) = get(operations_at, "/metrics").unwrap();
        let ended = "tokenberg_connections_ended_total{reason=\"stalled\"} 3";
        assert!(metrics.lines().any(|line| line == ended), "{metrics}");
    }
}
