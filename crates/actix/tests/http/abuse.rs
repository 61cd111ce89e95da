//! Clients that guess secrets, over HTTP: AB-01 to AB-04, IC-12, IC-16, D26, HT-19 and HT-22 of the conformance list.

use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokenberg_actix::{TokenService, TrustedProxies};

const HERE: &str = "192.0.2.1:40000";
const ELSEWHERE: &str = "198.51.100.7:40000";
const PROXY: &str = "10.0.0.1:40000";

fn from(ask: Ask, peer: &str) -> Ask {
    Ask { peer: Some(peer.parse::<SocketAddr>().unwrap()), ..ask }
}

fn wrong(id: &str, n: usize) -> Ask {
    form(CC).basic((id, &format!("wrong-{n}")))
}

const THROTTLED: Expected = E(429, "temporarily_unavailable");

fn is_retried_later(answer: &Answer) {
    let seconds: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
}

/// Fails until it is refused, and returns the number of failures before.
async fn fail_until_refused(service: &TokenService, ask: impl Fn(usize) -> Ask) -> usize {
    for n in 0..1000 {
        let answer = answer(service, &ask(n)).await;
        if answer.status == 429 {
            check_answer(&answer, THROTTLED, "too many");
            is_retried_later(&answer);
            return n;
        }
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    panic!("never refused");
}

#[actix_web::test]
async fn ab_01_fifty_wrong_secrets_are_429_and_the_right_one_from_elsewhere_works() {
    let world = World::new();
    let service = world.service();
    let failed = fail_until_refused(&service, |n| from(wrong("c1", n), HERE)).await;
    assert!((10..50).contains(&failed), "{failed}");
    // Nothing is hashed any more: it would panic.
    world.digest_panics.store(true, Ordering::SeqCst);
    is_retried_later(&check(&service, &from(wrong("c1", 0), HERE), THROTTLED).await);
    is_retried_later(&check(&service, &from(form(CC).basic(C1), HERE), THROTTLED).await);
    world.digest_panics.store(false, Ordering::SeqCst);
    check(&service, &from(form(CC).basic(C1), ELSEWHERE), Expected::Ok).await;
    check(&service, &from(form(CC).basic(C2), HERE), Expected::Ok).await;
    // The companions count and refuse in the same way.
    for path in ["/v1/oauth/introspect", "/v1/oauth/revoke"] {
        let ask = from(form("token=x").basic(C1).at(path), HERE);
        is_retried_later(&check(&service, &ask, THROTTLED).await);
        let service = world.service();
        fail_until_refused(&service, |n| from(Ask { path: path.into(), ..wrong("c1", n) }, HERE)).await;
        check(&service, &from(form(CC).basic(C1), HERE), THROTTLED).await;
    }
}

#[actix_web::test]
async fn ab_01_ca_18_unknown_and_disabled_clients_are_refused_as_soon_as_known_ones() {
    let world = World::new();
    let mut failures = Vec::new();
    for id in ["c1", "unknown", "coff", "no\u{e9}body"] {
        failures.push(fail_until_refused(&world.service(), |n| from(wrong(id, n), HERE)).await);
    }
    let service = world.service();
    failures.push(fail_until_refused(&service, |_| from(form(CC).basic(COFF), HERE)).await);
    assert!(failures.iter().all(|n| n == &failures[0]), "{failures:?}");
}

#[actix_web::test]
async fn ab_01_limits_are_the_operators() {
    let service = World::new().builder().failures_per_client(3).failures_per_source(5).build();
    assert_eq!(fail_until_refused(&service, |n| from(wrong("c1", n), HERE)).await, 3);
    assert_eq!(fail_until_refused(&service, |n| from(wrong(&format!("x{n}"), n), HERE)).await, 2);
    check(&service, &from(form(CC).basic(C1), ELSEWHERE), Expected::Ok).await;
}

#[actix_web::test]
async fn ic_12_a_storm_of_failing_renewals_refuses_no_client() {
    let service = service();
    let token = check(&service, &from(form(CC).basic(C1), HERE), Expected::Ok).await.token();
    let renewal = format!("{EXCHANGE}&subject_token={token}x&subject_token_type={ACCESS_TOKEN}");
    for _ in 0..6 {
        let ask = from(form(renewal.clone()).bearer(&format!("{token}x")), HERE);
        check(&service, &ask, E(401, "invalid_client")).await;
    }
    check(&service, &from(form(renewal).basic(("c1", "wrong")), HERE), E(401, "invalid_client")).await;
    check(&service, &from(form(CC).basic(C1), HERE), Expected::Ok).await;
    // A hundred more: tokens cannot be guessed, so they do not count.
    for _ in 0..100 {
        let ask = from(form(format!("{EXCHANGE}&subject_token=x")).bearer("x"), HERE);
        assert_eq!(answer(&service, &ask).await.status, 401);
    }
    check(&service, &from(form(CC).basic(C1), HERE), Expected::Ok).await;
}

#[actix_web::test]
async fn ab_04_r11_bursts_of_successes_refuse_no_client() {
    let service = World::new().builder().failures_per_client(1).failures_per_source(1).build();
    for n in 0..2000 {
        let ask = from(form(CC).basic(if n % 2 == 0 { C1 } else { C2 }), HERE);
        assert_eq!(answer(&service, &ask).await.status, 200, "{n}");
    }
    // Authenticated, and refused for another reason: not a failed authentication.
    for _ in 0..20 {
        let ask = from(form(format!("{CC}&scope=admin")).basic(C1), HERE);
        check(&service, &ask, E(400, "invalid_scope")).await;
    }
}

#[actix_web::test]
async fn ht_22_failures_belong_to_the_client_behind_a_trusted_proxy_only() {
    let proxies: TrustedProxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    let service = World::new().builder().failures_per_client(3).trusted_proxies(proxies).build();
    let forwarded = |ask: Ask, client: &str| from(ask.header("X-Forwarded-For", client), PROXY);
    let failed = fail_until_refused(&service, |n| forwarded(wrong("c1", n), "203.0.113.1")).await;
    assert_eq!(failed, 3);
    check(&service, &forwarded(form(CC).basic(C1), "203.0.113.2"), Expected::Ok).await;
    check(&service, &forwarded(form(CC).basic(C1), "203.0.113.1"), THROTTLED).await;
    // The client's own values are left of what the proxy adds.
    check(&service, &forwarded(form(CC).basic(C1), "203.0.113.2, 203.0.113.1"), THROTTLED).await;
    // A peer that is not a trusted proxy is the origin, whatever its headers say.
    let failed = fail_until_refused(&service, |n| {
        from(wrong("c1", n).header("X-Forwarded-For", format!("203.0.113.{n}")), HERE)
    });
    assert_eq!(failed.await, 3);
}

#[actix_web::test]
async fn ht_19_ht_21_plain_http_in_front_of_a_trusted_proxy_is_refused_and_not_redirected() {
    let proxies: TrustedProxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    let world = World::new();
    let service = world.builder().trusted_proxies(proxies).build();
    for (name, plain, secure) in [
        ("X-Forwarded-Proto", "http", "https"),
        // Behind two proxies.
        ("X-Forwarded-Proto", "http, https", "https,http"),
        ("Forwarded", "for=203.0.113.1;proto=http", "proto=https"),
        ("Forwarded", "for=_hidden;proto=http", "for=_hidden;proto=https, for=10.0.0.2;proto=http"),
    ] {
        world.digest_panics.store(true, Ordering::SeqCst);
        for path in [T, "/v1/oauth/introspect", "/v1/oauth/revoke"] {
            let ask = form(CC).basic(C1).header(name, plain).at(path);
            check(&service, &from(ask, PROXY), E(400, "invalid_request")).await;
        }
        world.digest_panics.store(false, Ordering::SeqCst);
        check(&service, &from(form(CC).basic(C1).header(name, secure), PROXY), Expected::Ok).await;
        check(&service, &from(form(CC).basic(C1).header(name, plain), HERE), Expected::Ok).await;
    }
}

#[test]
fn ab_02_a_flood_of_wrong_secrets_leaves_permits_to_others() {
    let world = World::new();
    *world.slow.lock().unwrap() = Some(Duration::from_millis(50));
    let proxies: TrustedProxies = ["127.0.0.1".parse().unwrap()].into_iter().collect();
    let service = world.builder().digests_at_once(1).failures_per_client(5).trusted_proxies(proxies).build();
    let wire = Wire::of(service);
    let of = |ask: Ask, client: &str| ask.header("X-Forwarded-For", client);
    let statuses: Vec<u16> = (0..50).map(|n| wire.ask(&of(wrong("c1", n), "203.0.113.1")).status).collect();
    assert!(statuses[..5].iter().all(|s| *s == 401), "{statuses:?}");
    assert!(statuses.iter().filter(|s| **s == 429).count() >= 40, "{statuses:?}");
    check_answer(&wire.ask(&of(form(CC).basic(C1), "203.0.113.2")), Expected::Ok, "another source");
}
