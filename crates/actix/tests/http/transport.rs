//! Properties of every answer: HT-16 to HT-22, HT-30, HT-31, CC-04, IC-16 of the conformance list.

use crate::check::*;
use crate::wire::{Wire, read_answers};
use crate::world::*;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn cc_04_no_response_may_be_cached() {
    let world = World::new();
    let wire = Wire::of(world.service());
    for (ask, expected) in [
        (form(CC).basic(C1), Expected::Ok),
        (form("").basic(C1), E(400, "invalid_request")),
        (form(CC), E(401, "invalid_client")),
        (form(CC).basic(C1).at("/v1/oauth/token"), E(404, "invalid_request")),
        (form(CC).basic(C1).at("/V1/OAUTH/TOKENS"), E(404, "invalid_request")),
        (form(CC).basic(C1).at("/v1/oauth/../oauth/tokens"), E(404, "invalid_request")),
        (ask("GET", T), E(405, "invalid_request")),
        (form(CC).header("X", "y".repeat(40_000)), E(431, "invalid_request")),
        (form("a".repeat(70_000)), E(413, "invalid_request")),
    ] {
        check_answer(&wire.ask(&ask), expected, &ask.path);
    }
    world.keys.gone.store(true, Ordering::SeqCst);
    check_answer(&wire.ask(&form(CC).basic(C1)), E(500, "server_error"), "500");
}

#[test]
fn te_02_head_has_no_body_and_te_04_trace_no_echo() {
    let wire = Wire::of(service());
    let answer = wire.ask(&ask("HEAD", T).basic(C1));
    assert_eq!((answer.status, answer.text(), answer.header("Allow")), (405, "", Some("POST")));
    let answer = wire.ask(&ask("TRACE", T).basic(C1).header("X-Echo", "echo-me"));
    check_answer(&answer, E(405, "invalid_request"), "TRACE");
    assert!(!answer.text().contains("echo-me"));
}

#[test]
fn te_26_ht_21_unusual_paths_are_served_and_never_redirected() {
    let wire = Wire::of(service());
    for path in [T, "//v1/oauth/tokens", "/v1/oauth/tokens/", "/v1/oauth/token%73"] {
        check_answer(&wire.ask(&form(CC).basic(C1).at(path)), Expected::Ok, path);
    }
    for path in
        ["/v1/oauth/tokens//", "///v1/oauth/tokens", "/v1/oauth", "/v1//oauth/tokens", "/v1/oauth/tokens/%2e"]
    {
        let answer = wire.ask(&form(CC).basic(C1).at(path));
        check_answer(&answer, E(404, "invalid_request"), path);
    }
    let proxied = form(CC).basic(C1).header("X-Forwarded-Proto", "http");
    check_answer(&wire.ask(&proxied), Expected::Ok, "X-Forwarded-Proto");
}

#[test]
fn ht_16_no_header_contains_what_a_client_sent() {
    let wire = Wire::of(service());
    let hostile = "x%0d%0aSet-Cookie:x";
    for body in [
        format!("{CC}&client_id={hostile}&client_secret=y"),
        format!("{CC}&scope={hostile}"),
        format!("{CC}&resource=https://a/{hostile}"),
        format!("grant_type={hostile}"),
        format!("{EXCHANGE}&subject_token={hostile}&subject_token_type={ACCESS_TOKEN}"),
    ] {
        let answer = wire.ask(&form(body).basic(C1));
        assert!(answer.status == 400 || answer.status == 401);
        assert!(
            answer.headers.iter().all(|(name, value)| !name.starts_with("Set-") && !value.contains("Set-"))
        );
    }
    let answer = wire.ask(&form(CC).basic(C1).at(&format!("/nowhere/{hostile}?{hostile}")));
    check_answer(&answer, E(404, "invalid_request"), "path");
}

#[test]
fn ht_17_ht_18_bodies_are_declared_json() {
    let wire = Wire::of(service());
    for path in
        [T, "/.well-known/jwks.json", "/openapi.json", "/nowhere", "/.well-known/openid-configuration"]
    {
        let answer = wire.ask(&ask("GET", path));
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Server"), None);
        assert_eq!(answer.header("Strict-Transport-Security"), None);
        assert!(answer.json().is_object());
        assert!(answer.header("Date").is_some());
    }
}

#[actix_web::test]
async fn ht_30_cors_is_off_but_for_documents() {
    let service = service();
    for request in [
        form(CC).basic(C1),
        ask("OPTIONS", T).header("Access-Control-Request-Method", "POST"),
        ask("GET", "/openapi.json"),
    ] {
        for origin in ["https://x", "null"] {
            let answer = answer(&service, &request.clone().header("Origin", origin)).await;
            let cors = |(name, _): &(String, String)| name.starts_with("access-control");
            assert!(!answer.headers.iter().any(cors), "{answer:?}");
        }
    }
}

#[test]
fn ht_31_a_panic_is_one_500_and_the_worker_goes_on() {
    let world = World::new();
    let wire = Wire::of(world.service());
    let panicking = [&world.lookup_panics, &world.digest_panics];
    for switch in panicking {
        for slow in [None, Some(Duration::ZERO)] {
            *world.slow.lock().unwrap() = slow;
            switch.store(true, Ordering::SeqCst);
            check_answer(&wire.ask(&form(CC).basic(C1)), E(500, "server_error"), "panic");
            switch.store(false, Ordering::SeqCst);
            check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "after a panic");
        }
    }
}

#[actix_web::test]
async fn ht_31_noise_is_never_a_500() {
    let service = service();
    let mut state: u32 = 7;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for _ in 0..500 {
        let length = usize::from(noise());
        let body: Vec<u8> = (0..length).map(|_| b"=&%+ act_typ0\xff\0"[usize::from(noise()) % 15]).collect();
        let credentials: Vec<u8> = (0..noise() % 40).map(|_| noise()).collect();
        let answer =
            answer(&service, &form([CC.as_bytes(), b"&", &body].concat()).basic_raw(credentials)).await;
        assert!(answer.status == 400 || answer.status == 401, "{}", answer.text());
    }
}

#[test]
fn ic_16_overload_is_a_503_that_is_tried_again() {
    let world = World::new();
    *world.slow.lock().unwrap() = Some(Duration::from_millis(800));
    let wire = Wire::of(world.builder().digests_at_once(1).digests_waiting(1).build());
    let request = form(CC).basic(C1).header("Connection", "close").to_wire();
    let mut streams: Vec<_> = (0..6)
        .map(|_| {
            let mut stream = wire.connect();
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    // Keys need no digest and are served meanwhile.
    assert_eq!(wire.ask(&ask("GET", "/.well-known/jwks.json")).status, 200);
    let mut granted = 0;
    for stream in &mut streams {
        let answer = read_answers(stream, 1).remove(0);
        if answer.status == 200 {
            granted += 1;
        } else {
            check_answer(&answer, E(503, "temporarily_unavailable"), "overload");
            assert_eq!(answer.header("Retry-After"), Some("1"));
        }
    }
    assert!((2..6).contains(&granted), "{granted}");
    check_answer(&wire.ask(&form(CC).basic(C1)), Expected::Ok, "afterwards");
}
