//! Properties of every answer: HT-16 to HT-22, HT-30, HT-31, CC-04, IC-16 of the conformance list.

use crate::audit::Log;
use crate::check::*;
use crate::verifying::exposed;
use crate::wire::Wire;
use crate::world::*;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokenberg_actix::{Exposition, Operations, TokenService};
use tracing_subscriber::util::SubscriberInitExt;

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

/// A value of the metrics, if it is one of these.
async fn figure(service: &TokenService, name: &str) -> String {
    let operations = Operations::new(|| Ok(String::new())).metrics(service, |_: &mut Exposition| {});
    let text = exposed(&operations).await;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("{name} in {text}")).trim().to_owned()
}

async fn until_digests(service: &TokenService, state: &str, count: &str) {
    let begun = Instant::now();
    while figure(service, &format!("tokenberg_costly_{state}{{work=\"digest\"}}")).await != count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{count} digests do not become {state}");
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn ic_16_ab_02_overload_is_a_503_that_is_retried_and_it_ends_with_the_queue() {
    let world = World::new();
    // Digests count as costly, and wait for the test.
    *world.slow.lock().unwrap() = Some(Duration::ZERO);
    world.holds_digests.store(true, Ordering::SeqCst);
    let service = world.builder().digests_at_once(1).digests_waiting(1).build();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
    let _logging = subscriber.set_default();
    let ask_as = |client| {
        let service = service.clone();
        actix_web::rt::spawn(async move { answer(&service, &form(CC).basic(client)).await })
    };
    let running = ask_as(C1);
    until_digests(&service, "running", "1").await;
    let waiting = ask_as(("c1", "another secret"));
    until_digests(&service, "waiting", "1").await;
    // The same secret of the same client would wait for the first, and would not be counted.
    for client in [("c1", "a third secret"), ("unknown", "secret")] {
        tracing::callsite::rebuild_interest_cache();
        let refused = ask_as(client).await.unwrap();
        check_answer(&refused, E(503, "temporarily_unavailable"), "overload");
        assert_eq!(refused.header("Retry-After"), Some("1"));
        let event = log.events().pop().unwrap();
        assert_eq!(
            (&event["outcome"], &event["status"]),
            (&json!("temporarily_unavailable"), &json!(503)),
            "{event}"
        );
    }
    assert_eq!(figure(&service, "tokenberg_costly_refused_total{work=\"digest\"}").await, "2");
    // Keys need no digest and are served meanwhile.
    assert_eq!(answer(&service, &ask("GET", "/.well-known/jwks.json")).await.status, 200);
    world.holds_digests.store(false, Ordering::SeqCst);
    check_answer(&running.await.unwrap(), Expected::Ok, "the one that was running");
    check_answer(&waiting.await.unwrap(), E(401, "invalid_client"), "the one that was waiting");
    check_answer(&ask_as(C1).await.unwrap(), Expected::Ok, "afterwards");
    for state in ["running", "waiting"] {
        until_digests(&service, state, "0").await;
    }
}
