//! The tokens that a catalog accepts: RI-03 to RI-05 and IC-05 to IC-07 of the conformance list.

use crate::check::{self, *};
use crate::world::*;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, test, web};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokenberg_actix::{Bearer, BearerConfig, BearerError, TokenService, one_method_only};
use tokenberg_core::{Answers, TokenVerification};

pub(crate) async fn table(token: Bearer) -> Result<HttpResponse, BearerError> {
    token.require_scope("ns:read")?;
    let actors: Vec<&str> = token.actors().map(|actor| actor.subject.as_str()).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "subject": token.subject().as_str(),
        "client": token.client_id().as_str(),
        "scope": token.scope().as_str(),
        "jti": token.claims().token_id.as_str(),
        "actors": actors,
    })))
}

/// A catalog that returns the caller's token.
pub(crate) async fn catalog(config: BearerConfig, ask: &Ask) -> Answer {
    let form = |_: Bearer, body: String| async move { body };
    let app = App::new()
        .app_data(config)
        .route("/table", web::get().to(table))
        .service(web::resource("/form").wrap(from_fn(one_method_only)).route(web::post().to(form)));
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::with_uri(&ask.path).set_payload(ask.body.clone());
    request = request.method(ask.method.parse().unwrap());
    for (name, value) in &ask.headers {
        request = request.append_header((name.as_str(), value.as_slice()));
    }
    let response = match test::try_call_service(&app, request.to_request()).await {
        Ok(response) => response.into_parts().1,
        Err(error) => error.error_response(),
    };
    let text = |v: &header::HeaderValue| v.to_str().unwrap().to_owned();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
        body: actix_web::body::to_bytes(response.into_body()).await.unwrap().to_vec(),
    }
}

pub(crate) fn get() -> Ask {
    ask("GET", "/table")
}

async fn mint(service: &TokenService, client: (&str, &str), scope: &str) -> String {
    check::check(service, &form(format!("{CC}&scope={}", encoded(scope))).basic(client), Expected::Ok)
        .await
        .token()
}

/// Checks an error in the catalog's form: status, type, and the challenge after the realm.
fn check_error(answer: &Answer, status: u16, kind: &str, challenge: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&kind.into(), &status.into()));
    assert!(error["message"].is_string());
    let expected = challenge.map(|c| format!(r#"Bearer realm="tokenberg"{c}"#));
    assert_eq!(answer.header("WWW-Authenticate"), expected.as_deref());
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
}

const INVALID: Option<&str> = Some(r#", error="invalid_token""#);

#[actix_web::test]
async fn ri_04_ri_05_tokens_in_the_authorization_header() {
    let service = service();
    let config = BearerConfig::of(&service);
    let token = mint(&service, C1, "catalog ns:read").await;
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let answer =
            catalog(config.clone(), &get().header("Authorization", format!("{scheme} {token}"))).await;
        assert_eq!(answer.status, 200, "{scheme} {}", answer.text());
        let json = answer.json();
        assert_eq!((&json["subject"], &json["client"]), (&"c1".into(), &"c1".into()));
        assert_eq!((&json["scope"], &json["actors"]), (&"catalog ns:read".into(), &serde_json::json!([])));
    }
    let lines: [(Option<String>, Option<&str>); 12] = [
        (None, Some("")),
        (Some("Basic YzE6czEtWjc=".to_owned()), Some("")),
        (Some(format!("DPoP {token}")), Some("")),
        (Some("Bearer".to_owned()), INVALID),
        (Some("Bearer ".to_owned()), INVALID),
        (Some("Bearer a b".to_owned()), INVALID),
        (Some(format!("Bearer {token},{token}")), INVALID),
        (Some(format!("Bearer \"{token}\"")), INVALID),
        (Some(format!("Bearer {token}=")), INVALID),
        (Some(format!("Bearer {}", &token[..token.len() - 4])), INVALID),
        (Some("Bearer eyJhbGciOiJub25lIn0.e30.".to_owned()), INVALID),
        (Some("Bearer ====".to_owned()), INVALID),
    ];
    for (header, challenge) in lines {
        let ask = header.iter().fold(get(), |ask, value| ask.header("Authorization", value));
        check_error(&catalog(config.clone(), &ask).await, 401, "NotAuthorizedException", challenge);
    }
    let narrow = mint(&service, C1, "catalog").await;
    let insufficient = Some(r#", error="insufficient_scope", scope="ns:read""#);
    let answer = catalog(config, &get().bearer(&narrow)).await;
    check_error(&answer, 403, "ForbiddenException", insufficient);
}

#[actix_web::test]
async fn ri_03_a_token_comes_by_one_way_only() {
    let service = service();
    let config = BearerConfig::of(&service);
    let token = mint(&service, C1, "catalog ns:read").await;
    let several = Some(r#", error="invalid_request""#);
    let query = |ask: Ask| ask.at(&format!("/table?a=b&access_token={token}"));
    let answer = catalog(config.clone(), &query(get())).await;
    check_error(&answer, 401, "NotAuthorizedException", Some(""));
    let asks =
        [query(get().bearer(&token)), get().bearer(&token).bearer(&token), get().basic(C1).bearer(&token)];
    for ask in asks {
        check_error(&catalog(config.clone(), &ask).await, 400, "BadRequestException", several);
    }
    let post = |body: &str| Ask { body: body.into(), ..ask("POST", "/form").header("Content-Type", FORM) };
    let both = post(&format!("x=1&access_token={token}"));
    check_error(
        &catalog(config.clone(), &both.clone().bearer(&token)).await,
        400,
        "BadRequestException",
        several,
    );
    check_error(&catalog(config.clone(), &both).await, 401, "NotAuthorizedException", Some(""));
    let answer = catalog(config, &post("x=1&y=2").bearer(&token)).await;
    assert_eq!((answer.status, answer.text()), (200, "x=1&y=2"));
}

#[actix_web::test]
async fn ic_05_ic_06_ic_07_an_expired_token_is_a_401_or_a_419_and_never_a_500() {
    let world = World::new();
    let service = world.service();
    let config = BearerConfig::of(&service);
    let token = mint(&service, C1, "catalog ns:read").await;
    world.pass(3599);
    assert_eq!(catalog(config.clone(), &get().bearer(&token)).await.status, 200);
    world.pass(1);
    let answer = catalog(config.clone(), &get().bearer(&token)).await;
    check_error(&answer, 401, "NotAuthorizedException", INVALID);
    let answer = catalog(config.clone().expired_as_419(), &get().bearer(&token)).await;
    check_error(&answer, 419, "AuthenticationTimeoutException", INVALID);
    // Only expiry is a timeout.
    let answer = catalog(config.expired_as_419(), &get().bearer("x.y.z")).await;
    check_error(&answer, 401, "NotAuthorizedException", INVALID);
}

#[actix_web::test]
async fn cc_19_a_revocation_takes_effect_immediately() {
    let world = World::new();
    let service = world.service();
    let config = BearerConfig::of(&service);
    let (one, two) = (mint(&service, C1, "ns:read").await, mint(&service, C1, "ns:read").await);
    let id = catalog(config.clone(), &get().bearer(&one)).await.json()["jti"].as_str().unwrap().to_owned();
    world.revoked.lock().unwrap().push(tokenberg_core::TokenId::parse(&id).unwrap());
    let answer = catalog(config.clone(), &get().bearer(&one)).await;
    check_error(&answer, 401, "NotAuthorizedException", INVALID);
    assert_eq!(catalog(config.clone(), &get().bearer(&two)).await.status, 200);
    world.disable("c1");
    let answer = catalog(config, &get().bearer(&two)).await;
    check_error(&answer, 401, "NotAuthorizedException", INVALID);
}

#[actix_web::test]
async fn op_21_a_catalog_accepts_no_token_while_revocations_are_unknown() {
    let (world, is_too_old) = (World::new(), Arc::new(AtomicBool::new(false)));
    let policy = tokenberg_core::Policy::new(ISSUER.parse().unwrap());
    let clock = Arc::clone(&world.clock);
    let service = TokenService::builder(policy, OldWorld(Arc::clone(&world), Arc::clone(&is_too_old)))
        .audiences([AUDIENCE])
        .clock(move || at(clock.load(Ordering::SeqCst)))
        .build();
    let config = BearerConfig::of(&service);
    let token = mint(&service, C1, "ns:read").await;
    assert_eq!(catalog(config.clone(), &get().bearer(&token)).await.status, 200);
    is_too_old.store(true, Ordering::SeqCst);
    let answer = catalog(config.clone(), &get().bearer(&token)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "ServiceUnavailableException");
    assert_eq!(answer.header("www-authenticate"), None, "a client drops its token after a 401");
    // A bad token stays bad, whatever happened since.
    check_error(&catalog(config, &get().bearer("x.y.z")).await, 401, "NotAuthorizedException", INVALID);
}

#[actix_web::test]
async fn ri_04_jw_40_a_token_for_another_audience_or_of_another_issuer_is_not_ours() {
    let world = World::new();
    let token = mint(&world.service(), C1, "ns:read").await;
    let others = [
        world.builder().audiences(["https://other.test"]).build(),
        world.builder_at("https://other.test").build(),
    ];
    // Whether or not a service with the same keys, whose audience it is, has cached it.
    for _ in 0..2 {
        for service in &others {
            let answer = catalog(BearerConfig::of(service), &get().bearer(&token)).await;
            check_error(&answer, 401, "NotAuthorizedException", INVALID);
        }
        let answer = catalog(BearerConfig::of(&world.service()), &get().bearer(&token)).await;
        assert_eq!(answer.status, 200);
    }
}

#[actix_web::test]
async fn ri_04_a_catalog_elsewhere_has_only_the_keys() {
    let world = World::new();
    let token = mint(&world.service(), C1, "ns:read").await;
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![AUDIENCE.into()]);
    let (keys, clock) = (Arc::clone(&world), Arc::clone(&world.clock));
    let verify = move |token: &tokenberg_core::CompactJws| keys.keys().verify(token, at(0));
    let config = BearerConfig::verifying(verification, verify, move || at(clock.load(Ordering::SeqCst)));
    assert_eq!(catalog(config.clone(), &get().bearer(&token)).await.status, 200);
    let stranger = mint(&World::new().service(), C1, "ns:read").await;
    check_error(
        &catalog(config.clone(), &get().bearer(&stranger)).await,
        401,
        "NotAuthorizedException",
        INVALID,
    );
    world.pass(3600);
    check_error(&catalog(config, &get().bearer(&token)).await, 401, "NotAuthorizedException", INVALID);
}

#[actix_web::test]
async fn tx_50_actors_are_listed_the_outermost_first() {
    let service = service();
    let (subject, actor) = (mint(&service, C1, "ns:read").await, mint(&service, C2, "ns:read").await);
    let body = format!(
        "{EXCHANGE}&subject_token={subject}&subject_token_type={ACCESS_TOKEN}&actor_token={actor}&actor_token_type={ACCESS_TOKEN}"
    );
    let answer = answer(&service, &form(body).basic(C2)).await;
    let token = answer.token();
    let answer = catalog(BearerConfig::of(&service), &get().bearer(&token)).await;
    assert_eq!(answer.status, 200, "{} {}", answer.text(), claims(&token));
    let json = answer.json();
    assert_eq!((&json["subject"], &json["client"]), (&"c1".into(), &"c2".into()));
    assert_eq!(json["actors"], serde_json::json!(["c2"]));
}

#[actix_web::test]
async fn ic_07_an_app_without_configuration_reports_it_in_json() {
    let app = test::init_service(App::new().route("/table", web::get().to(table))).await;
    let request = test::TestRequest::with_uri("/table").insert_header(("Authorization", "Bearer x"));
    let response = test::call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), 500);
    let body: serde_json::Value = test::read_body_json(response).await;
    assert_eq!(body["error"]["type"], "InternalServerError");
}
