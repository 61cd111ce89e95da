//! Introspection and revocation over HTTP: IN, RV and TX-24 of the conformance list.

use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, web};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokenberg_actix::{Bearer, BearerConfig, TokenService};

const INTROSPECT: &str = "/v1/oauth/introspect";
const REVOKE: &str = "/v1/oauth/revoke";

fn about(token: &str, path: &str) -> Ask {
    form(format!("token={token}")).at(path)
}

/// A success, which must not be cached.
async fn success(service: &TokenService, ask: &Ask) -> Answer {
    let answer = answer(service, ask).await;
    assert_eq!(answer.status, 200, "{ask:?} {}", answer.text());
    for (name, value) in
        [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
    {
        assert_eq!(answer.header(name), Some(value), "{ask:?}");
    }
    answer
}

async fn is_active(service: &TokenService, token: &str) -> bool {
    success(service, &about(token, INTROSPECT).basic(RS1)).await.json()["active"] == true
}

async fn minted(service: &TokenService) -> String {
    check(service, &form(CC).basic(C1), Expected::Ok).await.token()
}

#[actix_web::test]
async fn in_01_rv_10_only_post_and_a_form() {
    let service = service();
    let token = minted(&service).await;
    for path in [INTROSPECT, REVOKE] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let ask = ask(method, &format!("{path}?token={token}&callback=f")).basic(C1);
            let answer = check(&service, &ask, E(405, "invalid_request")).await;
            assert_eq!(answer.header("Allow"), Some("POST"));
        }
        let json =
            about(&token, path).basic(C1).without("Content-Type").header("Content-Type", "application/json");
        check(&service, &json, E(400, "invalid_request")).await;
        check(&service, &about(&token, &format!("{path}?token=x")).basic(C1), E(400, "invalid_request"))
            .await;
        check(&service, &form(CC).basic(C1).at(path), E(400, "invalid_request")).await;
        check(&service, &form("token=x&token=x").basic(C1).at(path), E(400, "invalid_request")).await;
    }
    assert!(is_active(&service, &token).await);
    // No answer becomes a script, whatever the request.
    let answer = success(&service, &form("token=x&callback=f").basic(C1).at(REVOKE)).await;
    assert_eq!(answer.text(), "{}");
}

#[actix_web::test]
async fn in_02_rv_01_tx_24_the_client_is_authenticated() {
    let service = service();
    let token = minted(&service).await;
    for path in [INTROSPECT, REVOKE] {
        let body = format!("token={token}");
        for ask in [
            form(body.clone()),
            form(body.clone()).bearer(&token),
            form(format!("{EXCHANGE}&subject_token={token}&{body}")).bearer(&token),
            form(body.clone()).basic(("c1", "wrong")),
            form(body.clone()).basic(COFF),
            form(body.clone()).basic(CEXP),
            form(format!("{body}&client_id=c1")),
            form(format!("{body}&client_id=c1&client_secret=wrong")),
        ] {
            let answer = check(&service, &ask.at(path), E(401, "invalid_client")).await;
            assert!(answer.header("WWW-Authenticate").unwrap().starts_with("Basic "));
            assert!(!answer.text().contains("active"));
        }
        let both = form(format!("{body}&client_id=c1&client_secret=s1-Z7")).basic(C1);
        check(&service, &both.at(path), E(400, "invalid_request")).await;
    }
    assert!(is_active(&service, &token).await);
}

#[actix_web::test]
async fn in_03_in_08_in_09_the_description_of_an_active_token() {
    let service = service();
    let token = minted(&service).await;
    let expected = json!({"active": true, "scope": "catalog", "client_id": "c1", "token_type": "bearer", "sub": "c1",
        "exp": NOW + 3600, "iat": NOW, "aud": AUDIENCE, "iss": ISSUER, "jti": claims(&token)["jti"]});
    let signed = "application/token-introspection+jwt";
    for ask in [
        about(&token, INTROSPECT).basic(RS1),
        about(&token, INTROSPECT).basic(C1),
        form(format!("token={token}&client_id=rs1&client_secret=srs1-T6&token_type_hint=refresh_token"))
            .at(INTROSPECT),
        about(&token, INTROSPECT).basic(RS1).header("Accept", signed),
    ] {
        assert_eq!(success(&service, &ask).await.json(), expected);
    }
}

#[test]
fn in_04_an_inactive_answer_is_the_same_in_every_byte() {
    let world = World::new();
    let wire = Wire::of(world.service());
    let token = wire.ask(&form(CC).basic(C1)).token();
    let tampered = format!("{}AAAA", &token[..token.len() - 4]);
    let mut answers = Vec::new();
    let mut ask = |ask: Ask| {
        let mut answer = wire.ask(&ask);
        answer.headers.retain(|(name, _)| !["x-request-id", "date"].contains(&&*name.to_lowercase()));
        answers.push(answer);
    };
    ask(about("garbage", INTROSPECT).basic(RS1));
    ask(about(&tampered, INTROSPECT).basic(RS1));
    ask(about(&"x".repeat(1_000_000), INTROSPECT).basic(RS1));
    ask(about(&token, INTROSPECT).basic(RS2));
    ask(about(&token, INTROSPECT).basic(C2));
    world.disable("c1");
    ask(about(&token, INTROSPECT).basic(RS1));
    world.pass(3600);
    ask(about(&token, INTROSPECT).basic(RS1));
    assert_eq!((answers[0].text(), answers[0].header("Content-Length")), (r#"{"active":false}"#, Some("16")));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    // A token above even that limit is not read.
    let too_large = about(&"x".repeat(2_000_000), INTROSPECT).basic(RS1);
    check_answer(&wire.ask(&too_large), E(413, "invalid_request"), "too large");
}

#[actix_web::test]
async fn rv_02_rv_05_an_invalid_token_counts_as_revoked() {
    let world = World::new();
    let service = world.service();
    let (first, second) = (minted(&service).await, minted(&service).await);
    let mut answers = Vec::new();
    for ask in [
        about(&first, REVOKE).basic(C1),
        about(&first, REVOKE).basic(C1),
        about("garbage", REVOKE).basic(C1),
        about("garbage", REVOKE).basic(C2),
        form(format!("token={second}&token_type_hint=unknown")).basic(C1).at(REVOKE),
    ] {
        answers.push(success(&service, &ask).await.text().to_owned());
    }
    let third = minted(&service).await;
    world.pass(3600);
    answers.push(success(&service, &about(&third, REVOKE).basic(C1)).await.text().to_owned());
    assert_eq!(answers, ["{}"; 6]);
    let written = world.revoked.lock().unwrap().len();
    assert_eq!(
        written, 3,
        "only what was worth something, as an expired token is that could still be renewed"
    );
}

#[actix_web::test]
async fn rv_03_rv_07_in_10_a_revoked_token_is_refused_everywhere_immediately() {
    let world = World::new();
    let service = world.service();
    let catalog = App::new()
        .configure(service.configure())
        .app_data(BearerConfig::of(&service))
        .route("/catalog", web::get().to(async |token: Bearer| token.subject().to_string()));
    let catalog = init_service(catalog).await;
    let load = async |token: &str| {
        let request =
            TestRequest::get().uri("/catalog").append_header(("Authorization", format!("Bearer {token}")));
        match try_call_service(&catalog, request.to_request()).await {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.error_response().status().as_u16(),
        }
    };
    let exchange =
        |token: &str| form(format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}"));
    let token = minted(&service).await;
    let renewed = check(&service, &exchange(&token).bearer(&token), Expected::Ok).await.token();
    let other = minted(&service).await;
    for good in [&token, &renewed, &other] {
        assert!(is_active(&service, good).await && load(good).await == 200);
    }
    success(&service, &about(&token, REVOKE).basic(C1)).await;
    for dead in [&token, &renewed] {
        assert!(!is_active(&service, dead).await);
        assert_eq!(load(dead).await, 401);
        check(&service, &exchange(dead).basic(C1), E(400, "invalid_request")).await;
    }
    assert!(is_active(&service, &other).await && load(&other).await == 200);
}

#[actix_web::test]
async fn rv_04_the_token_of_another_stays() {
    let service = service();
    let token = minted(&service).await;
    for who in [C2, RS1] {
        check(&service, &about(&token, REVOKE).basic(who), E(400, "unauthorized_client")).await;
    }
    assert!(is_active(&service, &token).await);
}

#[actix_web::test]
async fn rv_06_cve_2020_15223_a_revocation_that_was_not_written_is_not_acknowledged() {
    let world = World::new();
    let service = world.service();
    let token = minted(&service).await;
    world.is_store_down.store(true, Ordering::SeqCst);
    let revoke = about(&token, REVOKE).basic(C1);
    let answer = check(&service, &revoke, E(503, "temporarily_unavailable")).await;
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert!(is_active(&service, &token).await);
    // Requests that need no store are answered.
    assert_eq!(
        success(&service, &about("garbage", REVOKE).basic(C1)).await.json(),
        Value::Object(Default::default())
    );
    check(&service, &about(&token, REVOKE).basic(C2), E(400, "unauthorized_client")).await;
    world.is_store_down.store(false, Ordering::SeqCst);
    success(&service, &revoke).await;
    assert!(!is_active(&service, &token).await);
}

/// Another node may have made its key meanwhile.
#[actix_web::test]
async fn rv_06_a_token_of_an_unknown_key_is_invalid_only_if_the_store_can_be_read() {
    let (world, other) = (World::new(), World::new());
    let service = world.service();
    let revoke = about(&minted(&other.service()).await, REVOKE).basic(C1);
    success(&service, &revoke).await;
    world.is_store_down.store(true, Ordering::SeqCst);
    check(&service, &revoke, E(503, "temporarily_unavailable")).await;
    world.is_store_down.store(false, Ordering::SeqCst);
    success(&service, &revoke).await;
    assert!(world.revoked.lock().unwrap().is_empty());
}
