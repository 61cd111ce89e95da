//! A server whose permits are all taken: which connections make room, and what is never broken off. HT-10 of the conformance
//! list.

use crate::check::*;
use crate::pipelining::narrow;
use crate::wire::{TIMEOUT, Wire, answers_or_end, read_answers};
use crate::world::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const KEYS: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: as.test\r\n\r\n";
const OPENAPI: &str = "GET /openapi.json HTTP/1.1\r\nHost: as.test\r\n\r\n";

/// A token request, up to its body.
fn head() -> String {
    format!(
        "POST {T} HTTP/1.1\r\nHost: as.test\r\nAuthorization: Basic YzE6czEtWjc=\r\nContent-Type: {FORM}\r\n\
         Content-Length: {}\r\n\r\n",
        CC.len()
    )
}

#[test]
fn ht_10_a_flood_of_clients_that_do_not_go_on_keeps_no_other_waiting() {
    const MINUTE: Duration = Duration::from_secs(60);
    let chunked = head().replace(&format!("Content-Length: {}", CC.len()), "Transfer-Encoding: chunked");
    for (what, bytes) in [
        ("no body", head()),
        ("half a body", head() + &CC[..9]),
        ("half a chunk", format!("{chunked}1d\r\n{}", &CC[..9])),
        ("half a head", head().replace("\r\n\r\n", "\r\n")),
        ("nothing", String::new()),
        ("reads nothing", OPENAPI.repeat(200)),
        ("reads nothing after it was refused", head().repeat(4)),
    ] {
        // Nothing else ends any of them during the test.
        let service = World::new().builder().body_timeout(MINUTE).build();
        let wire = Wire::with(service, |builder| {
            builder.most_connections(32).head_timeout(MINUTE).write_timeout(MINUTE)
        });
        // Three times as many as there are permits, so the last wait to be accepted.
        let flood: Vec<TcpStream> = (0..96)
            .map(|_| {
                let mut stream = if what == "reads nothing" { narrow(&wire) } else { wire.connect() };
                let _ = stream.write_all(bytes.as_bytes());
                stream
            })
            .collect();
        for _ in 0..3 {
            check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, what);
        }
        drop(flood);
    }
}

#[test]
fn ht_10_no_connection_is_kept_while_its_permit_is_needed() {
    let world = World::new();
    *world.slow.lock().unwrap() = Some(Duration::from_millis(500));
    let service = world.builder().digests_at_once(1).build();
    let wire = Wire::with(service, |builder| builder.most_connections(16));
    let mut eager = wire.connect();
    let busy: Vec<TcpStream> = (0..15)
        .map(|_| {
            let mut stream = wire.connect();
            stream.write_all(format!("{}{CC}", head()).as_bytes()).unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    let is_kept = || {
        // While this thread is not scheduled, the connection is idle, and may be ended between two requests.
        let is_sent = eager.write_all(KEYS.as_bytes()).is_ok();
        let Some(Ok(answers)) = is_sent.then(|| answers_or_end(&mut eager, 1)) else { return false };
        assert_eq!(answers[0].status, 200);
        answers[0].header("Connection") != Some("close")
    };
    assert!(std::iter::repeat_with(is_kept).any(|is_kept| !is_kept || begun.elapsed() > TIMEOUT));
    assert!(begun.elapsed() <= TIMEOUT, "a client keeps its permit from request to request");
    drop(busy);
}

/// Stops every thread that passes it while it is shut.
#[derive(Default)]
struct Gate {
    /// Whether it is shut, and how many wait.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn shut(&self, is_shut: bool) {
        self.state.lock().unwrap().0 = is_shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.0).unwrap();
        state.1 -= 1;
    }

    fn wait_for_one(&self) {
        let state = self.state.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, TIMEOUT, |state| state.1 == 0).unwrap();
        assert!(state.1 > 0, "nothing came");
    }
}

#[test]
fn ht_10_a_request_that_has_arrived_in_full_is_answered_though_its_connection_has_to_end() {
    for (first, rest) in [("", KEYS.to_owned()), (&*head(), CC.to_owned())] {
        let gate = Arc::new(Gate::default());
        let clock = Arc::clone(&gate);
        let service = World::new().builder().clock(move || {
            clock.pass();
            at(NOW)
        });
        let wire = Wire::with(service.build(), |builder| builder.most_connections_of_a_source(2));
        let mut stream = wire.connect();
        stream.write_all(OPENAPI.as_bytes()).unwrap();
        assert_eq!(read_answers(&mut stream, 1)[0].status, 200);
        stream.write_all(first.as_bytes()).unwrap();
        // One more of the source requests its end while the only thread is held, so that it has not read the rest.
        gate.shut(true);
        let mut holding = wire.connect();
        holding.write_all(format!("{}{CC}", head()).as_bytes()).unwrap();
        gate.wait_for_one();
        let more: Vec<TcpStream> = (0..2).map(|_| wire.connect()).collect();
        // So long that a body that has not come is late.
        std::thread::sleep(Duration::from_millis(1100));
        stream.write_all(rest.as_bytes()).unwrap();
        gate.shut(false);
        assert_eq!(read_answers(&mut stream, 1)[0].status, 200, "{rest:?}");
        check_answer(&read_answers(&mut holding, 1)[0], Expected::Ok, "the other");
        drop(more);
    }
}
