//! Tests the framing alone, and beside actix's own decoder.

use super::*;
use actix_http::h1::{Codec, Message};
use actix_http::{Request, ServiceConfig};
use actix_web::web::BytesMut;
use tokio_util::codec::Decoder;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// How long the first request is, or none if it does not end.
fn length_of_first(bytes: &[u8]) -> Option<usize> {
    let mut framer = Framer::default();
    let portion = framer.read(bytes);
    (portion.ends_head && framer.is_between()).then_some(portion.length)
}

#[test]
fn ht_05_each_request_ends_where_rfc_9112_says() {
    let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    for (first, ends) in [
        (GET.to_owned(), true),
        (format!("\r\n\n\r\n{GET}"), true),
        ("GET / HTTP/1.0\n\n".to_owned(), true),
        (format!("{}abc", head("Content-Length: 3\r\n")), true),
        (format!("{}abc", head("cONTENT-lENGTH:\t3 \r\n")), true),
        (head("Content-Length: 0\r\n"), true),
        (format!("{}3\r\nabc\r\n0\r\n\r\n", head("Transfer-Encoding: chunked\r\n")), true),
        (format!("{}3\r\nabc\r\n0\r\n\r\n", head("Transfer-Encoding:CHUNKED\r\n")), true),
        (
            format!("{}3;a=b\r\nabc\r\n00\r\na: b\r\nc: d\r\n\r\n", head("Transfer-Encoding: chunked\r\n")),
            true,
        ),
        // Of these actix waits for more, or answers 400.
        (format!("{}ab", head("Content-Length: 3\r\n")), false),
        (format!("{}3\r\nabc\r\n0\r\n", head("Transfer-Encoding: chunked\r\n")), false),
        (format!("{}3\r\nabcd", head("Transfer-Encoding: chunked\r\n")), false),
        (format!("{}g\r\n", head("Transfer-Encoding: chunked\r\n")), false),
    ] {
        let whole = format!("{first}{}", if ends { GET } else { "" });
        assert_eq!(length_of_first(whole.as_bytes()), ends.then_some(first.len()), "{first:?}");
        // However it arrives.
        let mut framer = Framer::default();
        let mut heads = 0;
        for at in 0..first.len() {
            let portion = framer.read(&whole.as_bytes()[at..=at]);
            assert!(portion.length == 1 || framer.is_lost(), "{first:?} at {at}");
            heads += usize::from(portion.ends_head);
        }
        assert_eq!((heads, framer.is_between()), (1, ends), "{first:?}");
    }
}

#[actix_web::test]
async fn ht_06_a_head_that_is_too_large_is_cut_off_so_that_it_can_be_answered() {
    let long = "y".repeat(LARGEST_RAW_HEAD);
    for (begin, answered) in [
        (format!("GET /{long}"), true),
        (format!("GET / HTTP/1.1\r\nHost: x\r\na: {long}"), true),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{long}"), true),
        (format!("GET / HTTP/1.1\r\nHost: x\r\na: {long}\r\n"), true),
        ("\r\n".repeat(LARGEST_RAW_HEAD), false),
    ] {
        let mut framer = Framer::default();
        assert_eq!(framer.read(begin.as_bytes()).length, begin.len());
        let end = framer.cut_off().unwrap();
        assert_eq!(framer.read(b"x"), Portion { length: 0, ends_head: false });
        assert_eq!(end.is_empty(), !answered);
        if answered {
            let mut bytes = BytesMut::from(begin.as_bytes());
            bytes.extend_from_slice(end);
            let decoded = Codec::default().decode(&mut bytes).unwrap();
            assert!(matches!(decoded, Some(Message::Item(_))), "{}", &begin[..30]);
        }
    }
    let mut framer = Framer::default();
    framer.read(format!("GET / HTTP/1.1\r\na: {}", &long[..LARGEST_RAW_HEAD - 30]).as_bytes());
    assert_eq!(framer.cut_off(), None);
}

/// Pseudo-random numbers, the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_of<'a>(&mut self, parts: &[&'a str]) -> &'a str {
        parts[self.below(parts.len())]
    }
}

const REQUESTS: [&str; 5] = [
    GET,
    "HEAD / HTTP/1.0\nConnection: keep-alive\n\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
];

const PARTS: [&str; 33] = [
    "HEAD / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n",
    "Content-Length: 5\r\n",
    "content-length:28\r\n",
    "Content-Length: 05 \r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length:\u{a0}5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding:\tchunked\x0b\r\n",
    "Connection: close\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    " folded: 5\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "5\r\nabcde\r\n",
    "1c;x=\"\r\n",
    "0\r\n\r\n",
    "00000000000000001\r\nx\r\n",
    "ffffffffffffffff\r\n",
    "0\r\nTrailer: x\n\r\n",
    "5 \t\r\nabcde\r\n",
    "abcde",
    "\0",
    "0;\x0b\r\n\r\n",
];

/// Gives actix's decoder what the framer hands out, and returns how many requests there were in each turn.
fn requests_in_turns(bytes: &[u8], noise: &mut Noise, config: &ServiceConfig) -> Vec<usize> {
    let mut codec = Codec::new(config.clone());
    let (mut framer, mut given) = (Framer::default(), BytesMut::new());
    let mut decode = |given: &mut BytesMut| {
        let mut requests = 0;
        loop {
            match codec.decode(given) {
                Ok(Some(Message::Item::<Request>(_))) => requests += 1,
                Ok(Some(Message::Chunk(_))) => {}
                Ok(None) => return (requests, true),
                Err(_) => return (requests, false),
            }
        }
    };
    let (mut at, mut turns) = (0, Vec::new());
    while at < bytes.len() && !framer.is_lost() {
        let (mut is_unanswered, mut requests) = (false, 0);
        while at < bytes.len() && !framer.is_lost() && !(is_unanswered && framer.is_between()) {
            let arrived = &bytes[at..bytes.len().min(at + 1 + noise.below(80))];
            let portion = framer.read(arrived);
            given.extend_from_slice(&arrived[..portion.length]);
            at += portion.length;
            is_unanswered |= portion.ends_head;
            if noise.below(3) == 0 {
                let (more, goes_on) = decode(&mut given);
                requests += more;
                if !goes_on {
                    return [turns, vec![requests]].concat();
                }
            }
        }
        let (more, goes_on) = decode(&mut given);
        turns.push(requests + more);
        if !goes_on {
            return turns;
        }
    }
    turns
}

#[actix_web::test]
async fn ht_05_ht_12_actix_never_has_two_requests_of_a_connection_whatever_the_bytes() {
    let (mut noise, config) = (Noise(7), ServiceConfig::default());
    let (mut requests, mut cases_of_several) = (0, 0);
    for _ in 0..40_000 {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..=noise.below(12) {
            let part = if noise.below(2) == 0 { noise.one_of(&PARTS) } else { noise.one_of(&REQUESTS) };
            bytes.extend_from_slice(part.as_bytes());
        }
        for _ in 0..noise.below(3) {
            let at = noise.below(bytes.len());
            bytes[at] = b"\r\n :;0a\0"[noise.below(8)];
        }
        let turns = requests_in_turns(&bytes, &mut noise, &config);
        assert!(turns.iter().all(|turn| *turn <= 1), "{turns:?} {:?}", String::from_utf8_lossy(&bytes));
        requests += turns.iter().sum::<usize>();
        cases_of_several += usize::from(turns.iter().sum::<usize>() > 1);
    }
    assert!(requests > 20_000 && cases_of_several > 5000, "{requests} {cases_of_several}");
}

#[actix_web::test]
async fn ht_05_well_formed_requests_are_all_handed_out() {
    let (mut noise, config) = (Noise(11), ServiceConfig::default());
    for _ in 0..2000 {
        let (mut bytes, mut count) = (String::new(), 0);
        for _ in 0..=noise.below(9) {
            count += 1;
            let body = "a=b&".repeat(noise.below(40));
            bytes.push_str(&match noise.below(4) {
                0 => GET.to_owned(),
                1 => format!("HEAD /x HTTP/1.0\n{}\n", "a: b\n".repeat(noise.below(5))),
                2 => format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                _ => format!(
                    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n{:X};q\r\n{body}-\r\n0\r\nt: u\r\n\r\n",
                    body.len() + 1
                ),
            });
        }
        let turns = requests_in_turns(bytes.as_bytes(), &mut noise, &config);
        assert_eq!(turns, vec![1; count], "{bytes}");
    }
}
