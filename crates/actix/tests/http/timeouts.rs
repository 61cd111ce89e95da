//! How long a slow client can hold anything: HT-08 to HT-11 of the conformance list.

use crate::check::*;
use crate::wire::{TIMEOUT, Wire, parse, read_answers, read_until_closed};
use crate::world::*;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn quick() -> Wire {
    let service = World::new().builder().body_timeout(Duration::from_millis(700)).build();
    Wire::with(service, |builder| builder.head_timeout(Duration::from_secs(1)))
}

/// Sends bytes one by one until the server refuses more, and returns its answer.
fn drip(mut stream: TcpStream, bytes: &[u8], pause: Duration) -> Vec<Answer> {
    let begin = Instant::now();
    for byte in bytes {
        assert!(begin.elapsed() < TIMEOUT, "still waits for a slow client");
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    parse(&read_until_closed(&mut stream), &[])
}

#[test]
fn ht_08_a_slow_head_times_out() {
    let wire = quick();
    let mut stream = wire.connect();
    stream.write_all(b"POST /v1/oauth/tokens HTTP/1.1\r\nHost: ").unwrap();
    let answers = parse(&read_until_closed(&mut stream), &[]);
    assert_eq!(answers.iter().map(|a| a.status).collect::<Vec<_>>(), [408]);
    let request = form(CC).basic(C1).to_wire();
    let statuses: Vec<u16> =
        drip(wire.connect(), &request, Duration::from_millis(10)).iter().map(|a| a.status).collect();
    // The answer may be lost when the client goes on to send; the end of the connection may not.
    assert!(statuses.is_empty() || statuses == [408], "{statuses:?}");
}

#[test]
fn ht_08_a_slow_head_of_a_later_request_times_out() {
    let wire =
        Wire::with(service(), |b| b.head_timeout(Duration::from_secs(1)).keep_alive(Duration::from_secs(60)));
    let mut stream = wire.connect();
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n").unwrap();
    assert_eq!(read_answers(&mut stream, 1)[0].status, 200);
    // A byte now and then does not prolong it.
    let begun = Instant::now();
    for byte in GET[..GET.len() - 4].iter().chain(std::iter::repeat(&b'y')) {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < TIMEOUT, "still waits for a slow client");
    }
    assert!(read_until_closed(&mut stream).is_empty());
}

#[test]
fn ht_09_a_slow_body_times_out() {
    let wire = quick();
    let head = |length: usize| {
        format!(
            "POST {T} HTTP/1.1\r\nHost: as.test\r\nContent-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    for bytes in
        [head(12), format!("{}grant", head(12)), chunked.clone(), format!("{chunked}1d\r\ngrant_type")]
    {
        let answer = wire.refused(&bytes, 408);
        check_answer(&answer, E(408, "invalid_request"), &bytes);
        assert_eq!(answer.header("Connection"), Some("close"));
    }
    // A byte now and then does not prolong it.
    let mut stream = wire.connect();
    stream.write_all(head(60_000).as_bytes()).unwrap();
    let statuses: Vec<u16> =
        drip(stream, &[b'a'; 60_000], Duration::from_millis(10)).iter().map(|a| a.status).collect();
    assert!(statuses.is_empty() || statuses == [408], "{statuses:?}");
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "afterwards");
}

#[test]
fn ht_10_idle_connections_block_no_client() {
    let wire = Wire::with(service(), |builder| builder.keep_alive(Duration::from_secs(30)));
    let idle: Vec<TcpStream> = (0..2_000)
        .map(|n| {
            let mut stream = wire.connect();
            // Half of them have sent one request, the others nothing yet.
            if n % 2 == 0 {
                stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n").unwrap();
                assert_eq!(read_answers(&mut stream, 1)[0].status, 200);
            }
            stream
        })
        .collect();
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "beside 2,000 idle connections");
    drop(idle);
}

#[test]
fn ht_07_ab_03_few_large_bodies_are_read_at_a_time() {
    let wire = Wire::of(service());
    let large = |length: usize| {
        let mut stream = wire.connect();
        let head = format!(
            "POST /v1/oauth/introspect HTTP/1.1\r\nHost: as.test\r\nConnection: close\r\nContent-Type: {FORM}\r\nContent-Length: 500000\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&vec![b'a'; length]);
        stream
    };
    let stalled: Vec<TcpStream> = (0..8).map(|_| large(200_000)).collect();
    // Until all eight hold their permits, one more may get one.
    let begin = Instant::now();
    let refused = loop {
        assert!(begin.elapsed() < TIMEOUT, "any number of large bodies is read");
        let answers = parse(&read_until_closed(&mut large(499_000)), &[]);
        match answers.into_iter().next() {
            Some(answer) if answer.status == 503 => break answer,
            Some(_) | None => {}
        }
    };
    assert_eq!(refused.header("Retry-After"), Some("1"));
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "token requests go on");
    drop(stalled);
}

const GET: &[u8] = b"GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n";

/// A connection that has been used once and is kept.
fn kept(wire: &Wire) -> TcpStream {
    let mut stream = wire.connect();
    stream.write_all(GET).unwrap();
    assert_eq!(read_answers(&mut stream, 1)[0].status, 200);
    stream
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn ht_10_one_source_has_so_many_connections_and_its_idle_ones_make_room() {
    let world = World::new();
    let wire = Wire::with(world.service(), |builder| builder.most_connections_of_a_source(3));
    let mut held: Vec<TcpStream> = (0..4).map(|_| kept(&wire)).collect();
    assert!(read_until_closed(&mut held[0]).is_empty(), "the one that was idle for longest");
    assert!(held[1..].iter().all(is_open));
    // Connections that are being answered are not ended for another.
    *world.slow.lock().unwrap() = Some(Duration::from_secs(2));
    for stream in &mut held[1..] {
        stream.write_all(&form(CC).basic(C1).to_wire()).unwrap();
    }
    let closing = [&GET[..GET.len() - 2], b"Connection: close\r\n\r\n"].concat();
    let begin = Instant::now();
    while !wire.until_closed(&closing).is_empty() {
        // It came before the server had read the three requests, and took the permit of one.
        assert!(begin.elapsed() < TIMEOUT, "the fourth is never refused");
        held.push(wire.connect());
        held.last_mut().unwrap().write_all(&form(CC).basic(C1).to_wire()).unwrap();
    }
    drop(held);
    // The permits are free as soon as the server has seen that the connections ended.
    *world.slow.lock().unwrap() = None;
    let begin = Instant::now();
    while wire.until_closed(&closing).is_empty() {
        assert!(begin.elapsed() < TIMEOUT, "no permit became free again");
    }
}

#[test]
fn ht_10_idle_connections_are_ended_before_new_ones_wait() {
    let wire = Wire::with(service(), |builder| builder.most_connections(16));
    // Some have sent nothing, and some a part of a request.
    let mut silent: Vec<TcpStream> = (0..8).map(|_| wire.connect()).collect();
    for stream in &mut silent[4..] {
        stream.write_all(&GET[..20]).unwrap();
    }
    // They are spared briefly, because a request may arrive.
    let (begun, mut earlier) = (Instant::now(), Vec::new());
    while silent.iter().any(is_open) {
        assert!(begun.elapsed() < TIMEOUT, "others are ended for them");
        earlier.push(kept(&wire));
    }
    let mut held: Vec<TcpStream> = (0..60).map(|_| kept(&wire)).collect();
    assert!(held[59..].iter().all(is_open));
    for stream in silent.iter_mut().chain(&mut held[..44]) {
        assert!(read_until_closed(stream).is_empty());
    }
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "beside as many as there may be");
}

#[test]
fn ht_10_idle_connections_are_closed() {
    let wire = Wire::with(service(), |builder| builder.keep_alive(Duration::from_secs(1)));
    let mut stream = wire.connect();
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n").unwrap();
    assert_eq!(parse(&read_until_closed(&mut stream), &[]).len(), 1);
}

#[test]
fn ht_11_a_declared_body_that_does_not_arrive_times_out() {
    let wire = quick();
    let head = format!(
        "POST {T} HTTP/1.1\r\nHost: as.test\r\nContent-Type: {FORM}\r\nContent-Length: 29\r\nExpect: 100-continue\r\n\r\n"
    );
    let answers = parse(&wire.until_closed(&head), &[]);
    assert_eq!(answers.iter().map(|a| a.status).collect::<Vec<_>>(), [100, 408]);
    let mut stream = wire.connect();
    let good = head.replace("Expect", "Authorization: Basic YzE6czEtWjc=\r\nExpect");
    stream.write_all(good.as_bytes()).unwrap();
    assert_eq!(read_answers(&mut stream, 1)[0].status, 100);
    stream.write_all(CC.as_bytes()).unwrap();
    check_answer(&read_answers(&mut stream, 1)[0], Expected::Ok, "continued");
}
