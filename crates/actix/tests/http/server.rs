//! The start and the shutdown of a server: OP-30 and the listener for operations.

use crate::check::*;
use crate::wire::{TIMEOUT, Wire, parse, read_answers, read_until_closed};
use crate::world::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokenberg_actix::{BasePathFault, Operations, ServerBuilder};

pub(crate) fn get(address: std::net::SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let answer = parse(&read_until_closed(&mut stream), &[]).pop()?;
    Some((answer.status, answer.text().trim_end().to_owned()))
}

#[test]
fn op_30_requests_under_way_are_finished_and_readiness_ends_first() {
    let world = World::new();
    *world.slow.lock().unwrap() = Some(Duration::from_millis(1500));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let operations_at = listener.local_addr().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    let operations = Operations::new(move || {
        if switch.load(Ordering::SeqCst) { Err("no signing key".to_owned()) } else { Ok(String::new()) }
    });
    let wire = Wire::with(world.service(), |builder| {
        builder.operations(listener, operations).drain_delay(Duration::from_secs(1))
    });
    assert_eq!(get(operations_at, "/healthz"), Some((200, "ok".to_owned())));
    assert_eq!(get(operations_at, "/readyz"), Some((200, "ready".to_owned())));
    broken.store(true, Ordering::SeqCst);
    assert_eq!(get(operations_at, "/readyz"), Some((503, "no signing key".to_owned())));
    assert_eq!(get(operations_at, "/healthz"), Some((200, "ok".to_owned())));
    broken.store(false, Ordering::SeqCst);

    let request = form(CC).basic(C1).to_wire();
    let mut begun = wire.connect();
    begun.write_all(&request).unwrap();
    let handle = wire.handle.clone();
    let draining = std::thread::spawn(move || actix_web::rt::System::new().block_on(handle.drain()));
    while get(operations_at, "/readyz") != Some((503, "draining".to_owned())) {}
    // Until the listener closes, clients that have not noticed yet are still served.
    let mut late = wire.connect();
    late.write_all(&request).unwrap();
    for stream in [&mut begun, &mut late] {
        let answers = parse(&read_until_closed(stream), &[]);
        assert_eq!(answers.len(), 1);
        check_answer(&answers[0], Expected::Ok, "begun before the end");
    }
    draining.join().unwrap();
    let refused = TcpStream::connect(wire.address).map(|mut s| s.read(&mut [0]).is_ok_and(|n| n > 0));
    assert!(!refused.is_ok_and(|served| served));
}

/// Reads one answer of a connection that stays open, or ends after it.
fn answered(stream: &mut TcpStream, request: &[u8]) -> Answer {
    stream.write_all(request).unwrap();
    read_answers(stream, 1).remove(0)
}

#[test]
fn op_30_while_it_drains_each_answer_ends_its_connection_and_idle_ones_are_closed_at_the_end() {
    let wire = Wire::with(service(), |builder| builder.drain_delay(Duration::from_secs(2)));
    let request = form(CC).basic(C1).to_wire();
    let (mut kept, mut idle, mut half) = (wire.connect(), wire.connect(), wire.connect());
    for stream in [&mut kept, &mut idle, &mut half] {
        assert_eq!(answered(stream, &request).header("Connection"), None);
    }
    // The head of a request that will be whole before the server ends.
    half.write_all(&request[..20]).unwrap();
    let handle = wire.handle.clone();
    let draining = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(handle.drain());
        std::time::Instant::now()
    });
    let begun = std::time::Instant::now();
    let last = loop {
        let mut other = wire.connect();
        let answer = answered(&mut other, &request);
        check_answer(&answer, Expected::Ok, "while it drains");
        if answer.header("Connection") == Some("close") {
            break answer;
        }
        assert!(begun.elapsed() < TIMEOUT);
    };
    assert_eq!(last.status, 200);
    let answer = answered(&mut kept, &request);
    check_answer(&answer, Expected::Ok, "on a kept connection");
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(read_until_closed(&mut kept), b"");
    half.write_all(&request[20..]).unwrap();
    let answers = parse(&read_until_closed(&mut half), &[]);
    assert_eq!((answers.len(), answers[0].header("Connection")), (1, Some("close")));
    // It ends without a reset, and not before the delay is over.
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert!(draining.join().unwrap() - begun > Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn te_27_a_wrong_path_or_method_is_answered_with_the_right_one() {
    let service = service();
    let metrics = || {
        let mut found = Vec::new();
        let operations = Operations::new(|| Ok(String::new())).metrics(&service, |_| {});
        let runtime = actix_web::rt::System::new();
        let text = runtime.block_on(crate::verifying::exposed(&operations));
        for wrong in ["path", "method"] {
            let start = format!("tokenberg_misdirected_total{{wrong=\"{wrong}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap();
            found.push(line.parse::<u32>().unwrap());
        }
        (found[0], found[1])
    };
    let wire = Wire::with(service.clone(), |builder| builder.base_path("/api/catalog").unwrap());
    let token_endpoint = "the token endpoint is POST /api/catalog/v1/oauth/tokens";
    let paths = [
        ("/api/catalog/v1/oauth/token", token_endpoint),
        ("/api/catalog/oauth/tokens", token_endpoint),
        ("/token", token_endpoint),
        ("/oauth2/token", token_endpoint),
        ("/v1/oauth/tokens", token_endpoint),
        ("/oauth2/introspect", "introspection is POST /api/catalog/v1/oauth/introspect"),
        ("/api/catalog/v1/oauth/revocation", "revocation is POST /api/catalog/v1/oauth/revoke"),
        ("/realms/x/protocol/openid-connect/certs", "the keys are GET /api/catalog/.well-known/jwks.json"),
        (
            "/.well-known/oauth-authorization-server",
            "the metadata are GET /api/catalog/.well-known/oauth-authorization-server",
        ),
    ];
    for (path, right) in paths {
        let answer = wire.ask(&form(CC).basic(C1).at(path));
        check_answer(&answer, E(404, "invalid_request"), path);
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        let starts = format!("there is nothing at this path; {right} (request ");
        assert!(description.starts_with(&starts), "{path}: {description}");
    }
    assert_eq!(metrics(), (9, 0));
    for (method, path, right) in [
        ("GET", "/api/catalog/v1/oauth/tokens", "POST"),
        ("PUT", "/api/catalog/v1/oauth/introspect", "POST"),
        ("POST", "/api/catalog/.well-known/jwks.json", "GET, HEAD"),
    ] {
        let answer = wire.ask(&ask(method, path));
        check_answer(&answer, E(405, "invalid_request"), path);
        assert_eq!(answer.header("Allow"), Some(right));
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        let starts = format!("the method is not allowed here; it answers {right} (request ");
        assert!(description.starts_with(&starts), "{path}: {description}");
    }
    assert_eq!(metrics(), (9, 3));
}

#[test]
fn se_07_ht_31_metrics_are_on_the_operations_listener_and_count_panics() {
    let world = World::new();
    let service = world.service();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let operations_at = listener.local_addr().unwrap();
    let operations = Operations::new(|| Ok(String::new()))
        .metrics(&service, |to| to.gauge("mine", "What an app adds.", 7.0));
    let wire = Wire::with(service, |builder| builder.operations(listener, operations));
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "counted");
    for switch in [&world.lookup_panics, &world.digest_panics] {
        switch.store(true, Ordering::SeqCst);
        check_answer(&wire.ask(&form(CC).basic(C1)), E(500, "server_error"), "panic");
        switch.store(false, Ordering::SeqCst);
    }
    let (status, metrics) = get(operations_at, "/metrics").unwrap();
    assert_eq!(status, 200);
    let of = |outcome: &str, status: u16| {
        format!(
            "tokenberg_requests_total{{endpoint=\"token\",grant=\"client_credentials\",outcome=\"{outcome}\",status=\"{status}\"}}"
        )
    };
    let lines =
        [format!("{} 1", of("granted", 200)), format!("{} 2", of("server_error", 500)), "mine 7".to_owned()];
    for line in lines {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    assert_eq!(wire.ask(&ask("GET", "/metrics")).status, 404);
}

#[test]
fn te_27_invalid_base_paths_are_refused() {
    for bad in ["api", "/", "/api/", "/a//b", "/{x}", "/a b", "/a?b", "/ä"] {
        assert_eq!(ServerBuilder::new(service()).base_path(bad).err(), Some(BasePathFault), "{bad}");
    }
    for good in ["", "/api", "/api/catalog", "/~a-b_c.d/1"] {
        assert!(ServerBuilder::new(service()).base_path(good).is_ok(), "{good}");
    }
}

#[test]
fn op_30_an_address_in_use_is_an_immediate_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(ServerBuilder::new(service()).bind(taken.local_addr().unwrap()).is_err());
}

#[test]
fn op_30_several_listeners_and_a_free_port() {
    let builder = ServerBuilder::new(service()).bind("127.0.0.1:0").unwrap().bind("127.0.0.1:0").unwrap();
    actix_web::rt::System::new().block_on(async {
        let running = builder.workers(1).run().unwrap();
        let addresses = running.addresses().to_vec();
        let handle = running.handle();
        let serving = actix_web::rt::spawn(running.serve());
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            let openapi = actix_web::rt::task::spawn_blocking(move || get(address, "/openapi.json"));
            assert_eq!(openapi.await.unwrap().map(|(status, _)| status), Some(200));
        }
        handle.drain().await;
        serving.await.unwrap().unwrap();
    });
}
