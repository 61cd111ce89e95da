//! The service in an app of another program: what it leaves to the host, and what the host's middleware leaves to it.

use crate::bearer::{catalog, get};
use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use actix_web::middleware::Compress;
use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service, read_body};
use actix_web::{App, HttpRequest, HttpResponse, web};
use tokenberg_actix::{Bearer, BearerConfig, MetadataDocument, TokenService};
use tokenberg_core::Policy;
use tokenberg_core::flow::{GrantHook, Proposal, Verdict};

const OPENAPI: &str = "/openapi.json";

#[actix_web::test]
async fn documents_of_the_host_are_not_shadowed() {
    let service = World::new().builder().leave_out([MetadataDocument::OpenIdConfiguration]).build();
    let of_host = || async { "of the host" };
    // The service is mounted first, and so its routes would win.
    let app = App::new()
        .configure(service.configure())
        .configure(service.configure_root())
        .route(OPENAPI, web::get().to(of_host))
        .route("/.well-known/openid-configuration", web::get().to(of_host));
    let app = init_service(app).await;
    for path in [OPENAPI, "/.well-known/openid-configuration"] {
        let body = call_and_read_body(&app, TestRequest::with_uri(path).to_request()).await;
        assert_eq!(body, "of the host", "{path}");
    }
    let path = "/.well-known/oauth-authorization-server";
    assert_eq!(call_service(&app, TestRequest::with_uri(path).to_request()).await.status(), 200);

    let app = init_service(App::new().configure(service.configure_openapi())).await;
    assert_eq!(call_service(&app, TestRequest::with_uri(OPENAPI).to_request()).await.status(), 200);
}

#[actix_web::test]
async fn a_token_is_not_compressed_by_the_host() {
    let service = World::new().builder().build();
    let long = || async { "a".repeat(10_000) };
    let app = App::new()
        .wrap(Compress::default())
        .configure(service.configure())
        .route("/long", web::get().to(long));
    let app = init_service(app).await;
    let compressed = TestRequest::with_uri("/long").insert_header((ACCEPT_ENCODING, "gzip")).to_request();
    let response = call_service(&app, compressed).await;
    assert_eq!(response.headers().get(CONTENT_ENCODING).unwrap(), "gzip", "the middleware is at work");
    for (accepts, coding) in [(Some("gzip"), Some("identity")), (None, None)] {
        let mut request =
            TestRequest::post().uri(T).insert_header(("Content-Type", "application/x-www-form-urlencoded"));
        if let Some(accepts) = accepts {
            request = request.insert_header((ACCEPT_ENCODING, accepts));
        }
        let (id, secret) = C1;
        let body = format!("{CC}&client_id={id}&client_secret={secret}");
        let response = call_service(&app, request.set_payload(body).to_request()).await;
        assert_eq!(response.status(), 200);
        let header = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), coding);
        let body: serde_json::Value = serde_json::from_slice(&read_body(response).await).unwrap();
        assert!(body["access_token"].as_str().is_some());
    }
}

#[test]
fn te_28_our_own_server_names_no_coding() {
    let wire = Wire::with(World::new().service(), |builder| builder);
    for accepts in ["gzip", "br, *;q=0"] {
        let answer = wire.ask(&form(CC).basic(C1).header("Accept-Encoding", accepts));
        assert_eq!((answer.status, answer.header("Content-Encoding")), (200, None));
    }
    assert_eq!(wire.ask(&ask("GET", OPENAPI)).status, 200);
}

#[actix_web::test]
async fn the_realm_of_challenges_can_be_set() {
    let mut policy = Policy::new(ISSUER.parse().unwrap());
    policy.realm = "The lake".parse().unwrap();
    let service = World::new().builder_under(policy).build();
    let wrong = check(&service, &form(CC).basic(("c1", "wrong")), E(401, "invalid_client")).await;
    assert_eq!(wrong.header("WWW-Authenticate"), Some(r#"Basic realm="The lake", charset="UTF-8""#));
    let bad = check(&service, &form(CC).bearer("a.b.c"), E(401, "invalid_client")).await;
    assert!(bad.header("WWW-Authenticate").unwrap().contains(r#"realm="The lake""#), "{bad:?}");

    let token = check(&service, &form(format!("{CC}&scope=catalog")).basic(C1), Expected::Ok).await.token();
    let config = || BearerConfig::of(&service);
    let lacks = catalog(config(), &get().bearer(&token)).await;
    let expected = r#"Bearer realm="The lake", error="insufficient_scope", scope="ns:read""#;
    assert_eq!((lacks.status, lacks.header("WWW-Authenticate")), (403, Some(expected)));
    let none = catalog(config().realm("another".parse().unwrap()), &get()).await;
    assert_eq!((none.status, none.header("WWW-Authenticate")), (401, Some(r#"Bearer realm="another""#)));
    let door = answer(&service, &ask("GET", "/v1/oauth/verify")).await;
    assert_eq!((door.status, door.header("WWW-Authenticate")), (401, Some(r#"Bearer realm="The lake""#)));
}

#[actix_web::test]
async fn a_missing_or_misplaced_configuration_says_what_to_do() {
    let service = World::new().builder().build();
    let handler = |_: Bearer| async { "open" };
    let missing = init_service(App::new().route("/", web::get().to(handler))).await;
    let data = web::Data::new(BearerConfig::of(&service));
    let misplaced = init_service(App::new().app_data(data).route("/", web::get().to(handler))).await;
    let texts = [
        call_and_read_body(&missing, TestRequest::default().to_request()).await,
        call_and_read_body(&misplaced, TestRequest::default().to_request()).await,
    ];
    for (text, says) in texts.iter().zip(["put it with app_data on its App", "is in a web::Data"]) {
        let text = String::from_utf8_lossy(text);
        assert!(text.contains(says) && text.contains(r#""code":500"#), "{text}");
    }
}

struct Never;

impl GrantHook for Never {
    fn decide(&self, _: &Proposal<'_>) -> Verdict {
        Verdict::deny("the host is closed")
    }
}

#[actix_web::test]
async fn a_hook_of_the_host_decides_and_its_reason_stays_here() {
    let service = World::new().builder().decided_by(Never).build();
    let denied = check(&service, &form(CC).basic(C1), E(400, "unauthorized_client")).await;
    assert!(!denied.text().contains("closed"), "{}", denied.text());
    let unauthenticated = check(&service, &form(CC).basic(("c1", "wrong")), E(401, "invalid_client")).await;
    assert!(!unauthenticated.text().contains("denies"), "{}", unauthenticated.text());
}

#[actix_web::test]
async fn a_grant_of_the_host_stands_beside_ours_with_the_same_limits() {
    let service = World::new().builder().failures_per_client(3).build();
    let job = |service: web::Data<TokenService>, request: HttpRequest, body: web::Bytes| async move {
        match service.authenticate(&request, &body).await {
            Ok(client) => HttpResponse::Ok().body(format!("{} {}", client.id(), client.method())),
            Err(response) => response,
        }
    };
    let app = App::new()
        .app_data(web::Data::new(service.clone()))
        .configure(service.configure())
        .route("/v1/jobs", web::post().to(job));
    let app = init_service(app).await;
    let ask = |secret: &str, peer: &str| {
        let body = format!("grant_type=urn:example:job&job=7&client_id=c1&client_secret={secret}");
        let request = TestRequest::post().uri("/v1/jobs").set_payload(body);
        request.peer_addr(peer.parse().unwrap()).to_request()
    };
    let (here, elsewhere) = ("192.0.2.1:1", "198.51.100.7:1");
    let good = call_service(&app, ask(C1.1, here)).await;
    assert_eq!((good.status().as_u16(), read_body(good).await), (200, "c1 client_secret_post".into()));
    for status in [401, 401, 401, 429] {
        let wrong = call_service(&app, ask("wrong", here)).await;
        assert_eq!(wrong.status(), status);
        assert_eq!(wrong.headers().contains_key("WWW-Authenticate"), status == 401);
    }
    assert_eq!(call_service(&app, ask(C1.1, elsewhere)).await.status(), 200);
}
