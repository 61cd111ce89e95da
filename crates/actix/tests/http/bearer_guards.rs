//! Guards for whole scopes of routes, and tokens that are verified in another process, with keys that are fetched.

use crate::bearer::{catalog, get};
use crate::check::*;
use crate::world::*;
use actix_web::http::header;
use actix_web::{App, HttpResponse, test, web};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokenberg_actix::{Bearer, BearerConfig, Require};
use tokenberg_core::backends::{BoxFuture, KeysUnavailable};
use tokenberg_core::{
    Answers, CompactJws, IssuerKeys, Lifetime, SignatureFault, Timestamp, TokenVerification, TrustedIssuer,
    Verified,
};
use tokenberg_testkit::ForeignKey;

/// The keys of the world, as another process would fetch them.
#[derive(Clone)]
struct Fetched {
    world: Arc<World>,
    are_away: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl IssuerKeys for Fetched {
    fn verify<'a>(
        &'a self,
        issuer: &'a TrustedIssuer,
        token: &'a CompactJws,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Result<Verified, SignatureFault>, KeysUnavailable>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert_eq!(issuer.issuer.as_str(), ISSUER);
            if self.are_away.load(Ordering::SeqCst) {
                let away = KeysUnavailable::new(&issuer.issuer, "requested by the test");
                return Err(KeysUnavailable { retry_after: Lifetime::from_seconds(42), ..away });
            }
            Ok(self.world.keys().verify(token, now))
        })
    }
}

async fn token(world: &Arc<World>, scope: &str) -> String {
    check(&world.service(), &form(format!("{CC}&scope={}", encoded(scope))).basic(C1), Expected::Ok)
        .await
        .token()
}

#[actix_web::test]
async fn keys_that_cannot_be_fetched_are_an_outage_and_never_a_bad_token() {
    let world = World::new();
    let keys = Fetched { world: Arc::clone(&world), are_away: Arc::default(), asked: Arc::default() };
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![AUDIENCE.into()]);
    let clock = Arc::clone(&world.clock);
    let config = BearerConfig::verifying_with(verification, keys.clone())
        .clock(move || at(clock.load(Ordering::SeqCst)));
    let token = token(&world, "ns:read").await;
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(catalog(config.clone(), &get().bearer(&token)).await.status, 200);
    assert_eq!(catalog(config.clone(), &get().bearer(&forged)).await.status, 401);
    assert_eq!(keys.asked.load(Ordering::SeqCst), 2);

    keys.are_away.store(true, Ordering::SeqCst);
    let away = catalog(config.clone(), &get().bearer(&token)).await;
    assert_eq!((away.status, away.header("Retry-After")), (503, Some("42")), "{}", away.text());
    assert_eq!(away.header("WWW-Authenticate"), None);
    assert_eq!(away.json()["error"]["type"], "ServiceUnavailableException");
    // What is no token of this issuer is refused before any key is asked for.
    for wrong in ["a.b.c", "garbage"] {
        assert_eq!(catalog(config.clone(), &get().bearer(wrong)).await.status, 401, "{wrong}");
    }
    assert_eq!(keys.asked.load(Ordering::SeqCst), 3);

    keys.are_away.store(false, Ordering::SeqCst);
    world.pass(3600);
    assert_eq!(catalog(config.clone(), &get().bearer(&token)).await.status, 401);
    assert_eq!(catalog(config.expired_as_419(), &get().bearer(&token)).await.status, 419);
}

#[actix_web::test]
async fn a_guard_closes_routes_that_take_no_bearer() {
    let world = World::new();
    let open = || async { HttpResponse::Ok().body("open") };
    let taking = |token: Bearer| async move { HttpResponse::Ok().body(token.client_id().to_string()) };
    let app = App::new()
        .app_data(BearerConfig::of(&world.service()))
        .service(
            web::scope("/any").wrap(Require::any(["ns:read", "ns:write"])).route("", web::get().to(open)),
        )
        .service(
            web::scope("/all").wrap(Require::all(["ns:read", "ns:write"])).route("", web::get().to(open)),
        )
        .service(web::scope("/valid").wrap(Require::all::<&str>([])).route("", web::get().to(taking)))
        .service(web::scope("/none").wrap(Require::any::<&str>([])).route("", web::get().to(open)))
        .service(
            web::scope("/other")
                .app_data(elsewhere(&world))
                .wrap(Require::all::<&str>([]))
                .route("", web::get().to(open)),
        );
    let app = test::init_service(app).await;
    let (none, read, both) = (
        token(&world, "catalog").await,
        token(&world, "ns:read").await,
        token(&world, "ns:read ns:write").await,
    );
    for (path, token, status, scope) in [
        ("/any", None, 401, ""),
        ("/any", Some("garbage"), 401, ""),
        ("/any", Some(&*none), 403, "ns:read"),
        ("/any", Some(&*read), 200, ""),
        ("/all", Some(&*read), 403, "ns:read ns:write"),
        ("/all", Some(&*both), 200, ""),
        ("/valid", None, 401, ""),
        ("/valid", Some(&*none), 200, ""),
        ("/none", Some(&*both), 403, ""),
        ("/other", Some(&*both), 401, ""),
    ] {
        let mut request = test::TestRequest::get().uri(path);
        if let Some(token) = token {
            request = request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")));
        }
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status().as_u16(), status, "{path} {token:?}");
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).map(|v| v.to_str().unwrap());
        assert_eq!(challenge.is_some(), status != 200, "{path} {token:?}");
        if !scope.is_empty() {
            let named = format!(r#"scope="{scope}""#);
            assert!(challenge.unwrap().ends_with(&named), "{challenge:?}");
        }
    }
}

/// Accepts tokens for another audience only.
fn elsewhere(world: &Arc<World>) -> BearerConfig {
    BearerConfig::of(&world.builder().audiences(["https://elsewhere.test"]).build())
}

#[actix_web::test]
async fn a_proof_that_a_guard_has_checked_is_not_used_twice() {
    const BASE: &str = "https://catalog.example";
    let world = World::new();
    let key = ForeignKey::new(None);
    let ask = form(format!("{CC}&scope=ns:read")).basic(C1).dpop(&key.proof(at(NOW), "1", &json!({})));
    let token = check(&world.service(), &ask, Expected::Bound).await.token();
    let config = BearerConfig::of(&world.service()).at(BASE).single_use(Ledger(Arc::clone(&world)));
    let taking = |token: Bearer| async move { HttpResponse::Ok().body(token.client_id().to_string()) };
    let inner = web::scope("/inner").wrap(Require::all(["ns:read"])).route("", web::get().to(taking));
    let scope = web::scope("/t").wrap(Require::any(["ns:read"])).service(inner);
    let app = test::init_service(App::new().app_data(config).service(scope)).await;
    let hash = crate::bearer_proofs::hash(&token);
    for (id, status) in [("a", 200), ("a", 401), ("b", 200)] {
        let claims = json!({"htm": "GET", "htu": format!("{BASE}/t/inner"), "ath": hash});
        let request = test::TestRequest::get()
            .uri("/t/inner")
            .insert_header((header::AUTHORIZATION, format!("DPoP {token}")))
            .insert_header(("DPoP", key.proof(at(NOW), id, &claims)));
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status().as_u16(), status, "{id}");
    }
}
