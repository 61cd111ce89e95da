//! Mounts a service in an actix app: what it does around the routes, with a real store.
#![cfg(all(feature = "actix", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, HttpResponse, web};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokenberg_actix::{Bearer, TokenService};
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{
    ClientId, Issuer, KeySource, Lifetime, Policy, Rights, Scope, Secret, Timestamp, Trust,
};
use tokenberg_service::{Options, Tokens, now};
use tokenberg_store::{AuditCursor, AuditEntry, KekSource, Store, StoreError, StoreUrl};

const SECRET: &str = "a-secret-of-some-length";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("tokens.db")
    }

    fn url(&self) -> StoreUrl {
        format!("sqlite:{}", self.file().display()).parse().unwrap()
    }

    fn kek(&self) -> KekSource {
        KekSource::File(self.0.path().join("tokens.db.key"))
    }

    async fn open(&self, options: Options) -> Tokens {
        let tokens = options.open(&self.url(), self.kek()).await.unwrap();
        tokens.ensure_client(&spark(), &rights(), &[Secret::new(SECRET.to_owned())]).await.unwrap();
        tokens
    }
}

fn spark() -> ClientId {
    "spark".parse().unwrap()
}

fn rights() -> Rights {
    Rights::new(AllowedScope::Only(Scope::catalog()))
}

/// The app of a host, with one route that requires a token.
macro_rules! app {
    ($tokens:expr, $service:expr) => {
        init_service(
            App::new().configure($service.configure()).app_data($tokens.bearer(&$service)).route(
                "/who",
                web::get()
                    .to(async |token: Bearer| HttpResponse::Ok().body(token.client_id().as_str().to_owned())),
            ),
        )
        .await
    };
}

fn service(tokens: &Tokens) -> TokenService {
    tokens.service(Policy::new("https://catalog.example".parse().unwrap())).build()
}

async fn ask<S>(app: &S) -> (StatusCode, Value)
where
    S: Service<actix_http::Request, Response = ServiceResponse, Error = actix_web::Error>,
{
    let form = [("grant_type", "client_credentials"), ("client_id", "spark"), ("client_secret", SECRET)];
    let request = TestRequest::post().uri("/v1/oauth/tokens").set_form(form).to_request();
    let response = call_service(app, request).await;
    (response.status(), read_body_json(response).await)
}

async fn who<S>(app: &S, token: &str) -> StatusCode
where
    S: Service<actix_http::Request, Response = ServiceResponse, Error = actix_web::Error>,
{
    let request = TestRequest::get().uri("/who").insert_header(("Authorization", format!("Bearer {token}")));
    call_service(app, request.to_request()).await.status()
}

async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_mounted_service_follows_its_store_and_ends_in_order() {
    let place = Place::new();
    let tokens = place.open(Options::default()).await;
    let service = service(&tokens);
    let app = app!(tokens, service);
    assert!(tokens.ready().is_ok(), "{:?}", tokens.ready());
    let (status, body) = ask(&app).await;
    assert_eq!(status, 200, "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(who(&app, token).await, 200);
    let figures = tokens.metrics(&service);
    for family in ["tokenberg_ready 1", "tokenberg_clients 1", "tokenberg_keys{state=\"signing\"} 1"] {
        assert!(figures.contains(family), "{family} in {figures}");
    }

    // Another process disables the client: the host refuses its tokens.
    let other = Store::open(&place.url(), place.kek()).await.unwrap();
    other.set_enabled(&spark(), false).await.unwrap();
    until("the change is followed", async || who(&app, token).await == 401).await;
    other.set_enabled(&spark(), true).await.unwrap();
    until("the change is followed", async || ask(&app).await.0 == 200).await;

    tokens.end(&service).await;
    let record = other.client(&spark()).await.unwrap();
    assert!(record.secrets[0].last_used_at.is_some(), "the last use is written at the end");
    let report = other.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    let mut grants = 0;
    let count = |entry: AuditEntry| {
        grants += usize::from(entry.record.contains(r#""outcome":"granted""#));
        Ok::<_, StoreError>(())
    };
    other.read_audit(&mut AuditCursor::default(), count).await.unwrap();
    assert!(grants >= 2, "decisions are recorded: {grants}");
}

#[actix_web::test]
async fn a_store_that_is_away_for_too_long_makes_the_service_unready_and_tokens_unverifiable() {
    let place = Place::new();
    let tokens = place.open(Options::default().max_staleness(Duration::from_secs(2))).await;
    let service = service(&tokens);
    let app = app!(tokens, service);
    let (_, body) = ask(&app).await;
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(who(&app, token).await, 200);
    std::fs::rename(place.file(), place.0.path().join("away.db")).unwrap();
    until("the token is refused with 503", async || who(&app, token).await == 503).await;
    let reason = tokens.ready().unwrap_err();
    assert!(reason.contains("tokens.db"), "{reason}");
    let form = [("token", token), ("client_id", "spark"), ("client_secret", SECRET)];
    let request = TestRequest::post().uri("/v1/oauth/introspect").set_form(form).to_request();
    assert_eq!(call_service(&app, request).await.status(), 503);
    std::fs::rename(place.0.path().join("away.db"), place.file()).unwrap();
    until("it is followed again", async || who(&app, token).await == 200).await;
    tokens.end(&service).await;
}

#[actix_web::test]
async fn expired_data_and_dead_keys_are_deleted() {
    let place = Place::new();
    let tokens = place.open(Options::default().first_key(None)).await;
    let long_ago = Timestamp::from_seconds(now().unwrap().as_seconds() - 90 * 86_400).unwrap();
    let made = |at: Timestamp| -> KeyMaterial { tokenberg_jose::generate(Algorithm::ES256, at, at).unwrap() };
    let store = tokens.store();
    let (first, second) = (made(long_ago), made(long_ago.plus(Lifetime::from_hours(1))));
    store.introduce_key(long_ago, &first, true).await.unwrap();
    store.introduce_key(second.created_at, &second, true).await.unwrap();
    assert!(store.use_once("proof", "p1", long_ago).await.unwrap());
    tokens.clean().await;
    let kept: Vec<_> = store.keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(kept, [second.id]);
    assert!(store.use_once("proof", "p1", long_ago).await.unwrap(), "the expired identifier was deleted");
    tokens.close().await;
}

#[actix_web::test]
async fn issuers_are_trusted_as_stated() {
    let place = Place::new();
    let tokens = place.open(Options::default()).await;
    let idp = Issuer::foreign("https://idp.example").unwrap();
    let mut trust = Trust::new(KeySource::Jwks(r#"{"keys":[]}"#.into()));
    tokens.ensure_issuer(&idp, &trust).await.unwrap();
    let trusted = || {
        let moment = tokens.following().watched().now();
        moment.snapshot().issuer(idp.as_str()).map(|issuer| issuer.trust.clone())
    };
    let revision = || tokens.following().watched().now().snapshot().revision();
    assert_eq!(trusted().as_ref(), Some(&trust), "it is in effect when the call returns");
    let before = revision();
    tokens.ensure_issuer(&idp, &trust).await.unwrap();
    assert_eq!(revision(), before, "nothing is written if all is so already");
    trust.audiences = vec!["https://catalog.example".into()];
    tokens.ensure_issuer(&idp, &trust).await.unwrap();
    assert_eq!(trusted(), Some(trust));
    tokens.close().await;
}
