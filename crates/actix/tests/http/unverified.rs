//! Requests without client authentication are marked, cut and bounded in the log, and others are reported in full: SE-06, CWE-779.

use crate::audit::logged;
use crate::check::*;
use crate::world::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokenberg_testkit::{ForeignKey, alice};

const INTROSPECT: &str = "/v1/oauth/introspect";
const REVOKE: &str = "/v1/oauth/revoke";
const ID_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";

/// The form with a scope of four kilobytes.
fn long(form_text: &str) -> String {
    format!("{form_text}&scope={}", "s".repeat(4000))
}

fn assertion(jwt: &str) -> String {
    let kind = encoded("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    format!("client_assertion={jwt}&client_assertion_type={kind}")
}

/// Each event has to be marked or not; a marked one is short, and no other is cut.
async fn check_all(world: &std::sync::Arc<World>, asks: Vec<(bool, Ask)>) {
    let service = world.builder().unverified_bytes_per_minute(u32::MAX).build();
    for (is_unverified, ask) in asks {
        let (log, answers) = logged(&service, std::slice::from_ref(&ask)).await;
        let [event] = &log.events()[..] else { panic!("{:?}", log.events()) };
        let said = format!("{} {event:#}", answers[0].status);
        assert_eq!(event["unverified"] == true, is_unverified, "{said}");
        let length = event.to_string().len();
        if is_unverified {
            assert!(length < 2048, "{length}: {said}");
            let is_cut = |text: &str| text.is_empty() || text.ends_with("… (cut, 4000 bytes)");
            assert!(event["scope_in"].as_str().is_none_or(is_cut), "{said}");
        } else if let Some(scope) = event["scope_in"].as_str() {
            assert!(scope.is_empty() || scope.len() == 4000, "{said}");
        }
    }
}

#[actix_web::test]
async fn se_06_cwe_779_unauthenticated_records_are_marked_and_truncated_and_no_others() {
    let world = World::new();
    let minted = logged(&world.service(), &[form(CC).basic(C1)]).await.1[0].token();
    let key = ForeignKey::new(None);
    let bound_by = key.proof(at(NOW), "1", &json!({}));
    let bound = logged(&world.service(), &[form(CC).basic(C1).dpop(&bound_by)]).await.1[0].token();
    let x = "x".repeat(4000);
    let unknown_key = ForeignKey::new(Some("k"));
    let unknown = unknown_key.sign(&json!({"iss": &x, "sub": &x, "jti": &x, "aud": ISSUER, "exp": NOW + 60}));
    let wrong = unknown_key
        .sign(&json!({"iss": "cj", "sub": "cj", "jti": &x, "aud": ISSUER, "iat": NOW, "exp": NOW + 60}));
    let foreign =
        world.idp.sign(&json!({"sub": &x, "aud": "https://elsewhere.test", "exp": NOW + 60, "jti": &x}));
    let renewal = format!("{EXCHANGE}&subject_token={bound}&subject_token_type={ACCESS_TOKEN}");
    let by_secret = |form_text: &str| form(long(form_text)).basic(C1);
    let exchange = format!("{EXCHANGE}&subject_token={foreign}&subject_token_type={ID_TOKEN}");
    check_all(
        &world,
        vec![
            // Without credentials, or with unreadable, unknown, wrong, disabled and expired ones.
            (true, form(long(CC))),
            (true, form(long(CC)).basic_raw("nothing")),
            (true, form(long(CC)).header("Authorization", format!("Bearer {x}"))),
            (true, form(long(CC)).basic((&x, "y"))),
            (true, form(long(CC)).basic(("c1", "wrong"))),
            (true, form(long(CC)).basic(COFF)),
            (true, form(long(CC)).basic(CEXP)),
            (true, form(long(CC)).basic(C1).header("Authorization", "Basic x")),
            (true, form(format!("{}&client_id={x}&client_id={x}", long(CC)))),
            (true, form(format!("{}&{}", long(CC), assertion(&unknown)))),
            (true, form(format!("{}&{}", long(CC), assertion(&wrong)))),
            (true, form(format!("{}&{}", long(CC), assertion(&x)))),
            (true, form(format!("{}&client_id={x}&{}", long(CC), assertion(&wrong)))),
            (true, form(long(&renewal)).bearer(&unknown)),
            (true, form(long(&renewal)).bearer(&bound)),
            (true, form(long(&renewal)).bearer(&bound).dpop(&x)),
            (
                true,
                form(long(&renewal)).bearer(&bound).dpop(&key.proof(at(NOW), "2", &json!({"htm": "GET"}))),
            ),
            (true, form(long(CC)).without("Content-Type")),
            (true, form(vec![b'x'; 100_000])),
            (true, form(format!("token={x}&{}", assertion(&unknown))).at(INTROSPECT)),
            (true, form(format!("token={x}")).basic(("rs1", "wrong")).at(INTROSPECT)),
            (true, form(format!("token={unknown}")).at(REVOKE)),
            // With a valid credential, whatever else is wrong.
            (false, by_secret(CC)),
            (false, by_secret("grant_type=x")),
            (false, by_secret(EXCHANGE)),
            (false, by_secret(&exchange)),
            (false, by_secret(&format!("{CC}&resource=%20"))),
            (false, by_secret(CC).dpop(&x)),
            (false, by_secret(CC).dpop(&key.proof(at(NOW), "3", &json!({"htm": "GET"})))),
            (false, form(long(&renewal.replace(&bound, &minted))).bearer(&minted)),
            (false, form("token=x").basic(RS1).at(INTROSPECT)),
            (false, form("").basic(RS1).at(INTROSPECT)),
            (false, form(format!("token={minted}")).basic(C2).at(REVOKE)),
            (false, form(format!("token={minted}")).basic(C1).at(REVOKE)),
        ],
    )
    .await;
}

#[actix_web::test]
async fn se_06_cwe_779_an_outage_that_a_client_meets_is_reported_in_full_and_one_that_anyone_can_cause_is_not()
 {
    let world = World::new();
    let fetched = world.idp.sign(&alice(&json!({"iss": FETCHED})));
    let workload = world.idp.sign(&json!({"iss": FETCHED, "sub": "x", "aud": ISSUER, "exp": NOW + 60}));
    world.is_issuer_down.store(true, Ordering::Relaxed);
    let exchange = format!("{EXCHANGE}&subject_token={fetched}&subject_token_type={ID_TOKEN}");
    let by_workload = form(format!("{}&client_id=cw&{}", long(CC), assertion(&workload)));
    check(&world.service(), &by_workload, E(503, "temporarily_unavailable")).await;
    check_all(&world, vec![(false, form(long(&exchange)).basic(C1)), (true, by_workload)]).await;
    world.is_issuer_down.store(false, Ordering::Relaxed);
    world.is_store_down.store(true, Ordering::Relaxed);
    let own = json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "once"});
    let proof = ForeignKey::new(None).proof(at(NOW), "1", &json!({}));
    check_all(
        &world,
        vec![
            (false, form(CC).basic(C1).dpop(&proof)),
            (true, form(format!("{CC}&{}", assertion(&world.cj.sign(&own))))),
        ],
    )
    .await;
    world.keys.gone.store(true, Ordering::Relaxed);
    check_all(&world, vec![(false, form(CC).basic(C1))]).await;
}

#[actix_web::test]
async fn se_06_cwe_779_beyond_the_budget_there_is_neither_an_event_nor_a_record_but_a_count() {
    let world = World::new();
    let service = world.builder().unverified_bytes_per_minute(8 * 1024).failures_per_client(1).build();
    let asks: Vec<Ask> = (0..200)
        .map(|n| {
            let mut ask = match n % 3 {
                0 => form(long(CC)).basic(("c1", "wrong")),
                1 => form(format!("token={n}")).at(INTROSPECT),
                _ => form(format!("{}&client_id=c{n}&client_secret=x", long(CC))),
            };
            ask.peer = Some(format!("192.0.2.{n}:4711").parse().unwrap());
            ask
        })
        .collect();
    let (log, _) = logged(&service, &asks).await;
    let events = log.events();
    assert!((5..40).contains(&events.len()), "{}", events.len());
    // An authenticated client is still reported.
    let (log, answers) = logged(&service, &[form(CC).basic(C1), form(long(CC)).basic(C1)]).await;
    assert_eq!((answers[0].status, log.events().len()), (200, 2));
    let log = crate::audit::captured(|| service.report_left_out());
    let [summary] = &log.events()[..] else { panic!("{:?}", log.events()) };
    assert_eq!(summary["records"], Value::from(200 - events.len()));
    let log = crate::audit::captured(|| service.report_left_out());
    assert_eq!(log.events().len(), 0, "each is counted once");
}
