//! The endpoint that proxies ask about a request's token: `GET /v1/oauth/verify`; RI-03 to RI-05, IN-10, OP-21 and HT-16.

use crate::assertions::asserting;
use crate::certificates::{Authority, TlsServer, cm, server};
use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokenberg_actix::{Exposition, Operations, TokenService};
use tokenberg_testkit::{ForeignKey, alice};

const VERIFY: &str = "/v1/oauth/verify";
/// The audience of the tokens of these tests, and that of the catalog in the fixture.
const AT_CATALOG: &str = "/v1/oauth/verify?audience=https%3A%2F%2Fcat.test";
const REQUIRED_AUDIENCE: &str = "X-Auth-Request-Required-Audience";
const REQUIRED_SCOPE: &str = "X-Auth-Request-Required-Scope";
const IDENTITY: [&str; 5] = ["Subject", "Issuer", "Client", "Scope", "Actors"];
const ID_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";

async fn mint(service: &TokenService, client: (&str, &str), scope: &str) -> String {
    let ask = form(format!("{CC}&scope={}", encoded(scope))).basic(client);
    check(service, &ask, Expected::Ok).await.token()
}

async fn exchange(service: &TokenService, client: (&str, &str), subject: &str, kind: &str) -> String {
    let body = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={kind}");
    check(service, &form(body).basic(client), Expected::Ok).await.token()
}

/// Subject, issuer, client, scope and actors of an answer that accepts the token.
fn identity(answer: &Answer) -> [String; 5] {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("WWW-Authenticate"), None);
    IDENTITY
        .map(|of| answer.header(&format!("X-Auth-Request-{of}")).expect("each header is there").to_owned())
}

/// Checks a refusal: its status, the challenge after the realm, and that it names nobody.
fn check_refusal(answer: &Answer, status: u16, challenge: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let expected = format!(r#"Bearer realm="tokenberg"{challenge}"#);
    assert_eq!(answer.header("WWW-Authenticate"), Some(expected.as_str()));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.json()["error"]["code"], status);
    assert!(answer.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("x-auth-request")));
}

const INVALID: &str = r#", error="invalid_token""#;

#[actix_web::test]
async fn ri_04_ri_05_a_good_token_is_described_in_headers_and_any_other_is_challenged() {
    let world = World::new();
    let service = world.service();
    let token = mint(&service, C1, "catalog ns:read").await;
    let asked = ask("GET", AT_CATALOG).bearer(&token);
    assert_eq!(identity(&answer(&service, &asked).await), ["c1", ISSUER, "c1", "catalog ns:read", ""]);
    let scopes = "&scope=catalog&scope=ns%3Aread";
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let asked = ask(method, &format!("{AT_CATALOG}{scopes}")).bearer(&token);
        assert_eq!(answer(&service, &asked).await.status, 200, "{method}");
    }
    for (authorization, challenge) in [
        (None, ""),
        (Some("Basic YzE6czEtWjc=".to_owned()), ""),
        (Some(format!("DPoP {token}")), ""),
        (Some("Bearer".to_owned()), INVALID),
        (Some("Bearer garbage".to_owned()), INVALID),
        (Some(format!("Bearer {token} {token}")), INVALID),
        (Some(format!("Bearer {}", &token[..token.len() - 4])), INVALID),
        (Some(format!("Bearer {}", world.idp.sign(&alice(&json!({}))))), INVALID),
    ] {
        let asked = authorization.iter().fold(ask("GET", AT_CATALOG), |a, v| a.header("Authorization", v));
        check_refusal(&answer(&service, &asked).await, 401, challenge);
    }
    let asked = ask("GET", &format!("{AT_CATALOG}&scope=ns:read+ns:write")).bearer(&token);
    check_refusal(
        &answer(&service, &asked).await,
        403,
        r#", error="insufficient_scope", scope="ns:read ns:write""#,
    );
}

#[actix_web::test]
async fn ri_03_two_tokens_are_no_token() {
    let service = service();
    let token = mint(&service, C1, "catalog").await;
    // A 400 would be an error of nginx itself.
    let twice = ask("GET", AT_CATALOG).bearer(&token).bearer(&token);
    check_refusal(&answer(&service, &twice).await, 401, INVALID);
}

#[actix_web::test]
async fn tx_50_users_of_issuers_and_actors_are_named_with_their_issuer() {
    let world = World::new();
    let service = world.service();
    let subject = world.idp.sign(&alice(&json!({"sub": "Zo\u{eb}, 100%", "aud": ISSUER})));
    let first = exchange(&service, C2, &subject, ID_TOKEN).await;
    let asked = ask("GET", AT_CATALOG).bearer(&first);
    let name = "Zo%C3%AB%2C%20100%25";
    assert_eq!(identity(&answer(&service, &asked).await), [name, IDP, "c2", "catalog ns:read", "c2"]);
    let second = exchange(&service, C1, &first, ACCESS_TOKEN).await;
    let asked = ask("GET", AT_CATALOG).bearer(&second);
    assert_eq!(identity(&answer(&service, &asked).await), [name, IDP, "c1", "catalog ns:read", "c1, c2"]);
    let bob = world.idp.sign(&alice(&json!({"sub": "bob", "jti": "b"})));
    let body = format!(
        "{EXCHANGE}&subject_token={subject}&subject_token_type={ID_TOKEN}&actor_token={bob}&actor_token_type={ID_TOKEN}"
    );
    let acted = check(&service, &form(body).basic(C1), Expected::Ok).await.token();
    let actors = &identity(&answer(&service, &ask("GET", AT_CATALOG).bearer(&acted)).await)[4];
    assert_eq!(actors, &format!("{IDP} bob"), "{}", claims(&acted));
    let torture = mint(&service, TORTURE, "catalog").await;
    let torture = identity(&answer(&service, &ask("GET", AT_CATALOG).bearer(&torture)).await);
    assert_eq!(torture, ["c%203+%25", ISSUER, "c%203+%25", "catalog", ""]);
}

#[actix_web::test]
async fn tx_69_no_issuer_vouches_for_an_unsecured_user() {
    let world = World::new();
    let service = world.service();
    let actor = mint(&service, C1, "catalog").await;
    let token = check(&service, &asserting(&world, "bob", &actor), Expected::Ok).await.token();
    let [subject, issuer, client, ..] =
        identity(&answer(&service, &ask("GET", AT_CATALOG).bearer(&token)).await);
    assert_eq!((subject.as_str(), issuer.as_str(), client.as_str()), ("bob", "unsecured", "c1"));
}

#[actix_web::test]
async fn dp_12_a_bound_token_is_not_a_bearer_token_whatever_the_proxy_passes_on() {
    let world = World::new();
    let service = world.service();
    let key = ForeignKey::new(None);
    let asked = form(CC).basic(C1).dpop(&key.proof(at(NOW), "1", &json!({})));
    let token = check(&service, &asked, Expected::Bound).await.token();
    let proof = key.proof(at(NOW), "2", &json!({"htm": "GET", "htu": format!("{ISSUER}{VERIFY}")}));
    let bearer = ask("GET", AT_CATALOG).bearer(&token);
    check_refusal(&answer(&service, &bearer).await, 401, INVALID);
    check_refusal(&answer(&service, &bearer.clone().dpop(&proof)).await, 401, INVALID);
    let dpop = ask("GET", AT_CATALOG).header("Authorization", format!("DPoP {token}")).dpop(&proof);
    check_refusal(&answer(&service, &dpop).await, 401, "");
}

#[test]
fn mt_04_mt_05_a_certificate_of_the_connection_is_that_of_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority");
    let (tls, certificate) = server(folder.path(), &authority);
    let wire = Wire::with(World::new().service(), |builder| {
        builder.tls(tls.config().unwrap()).client_authorities(tls.client_authorities().unwrap())
    });
    let holder = authority.certify(&cm());
    let site = TlsServer { address: wire.address, certificate };
    let token = site.ask(Some(&holder), &form(format!("{CC}&client_id=cm"))).token();
    // A proxy whose own certificate it is would vouch for everyone who sends its token.
    check_refusal(&site.ask(Some(&holder), &ask("GET", AT_CATALOG).bearer(&token)), 401, INVALID);
}

#[actix_web::test]
async fn in_10_the_endpoint_forgets_nothing_that_revokes_a_token() {
    let world = World::new();
    let service = world.service();
    let (revoked, expiring) = (mint(&service, C1, "catalog").await, mint(&service, C1, "catalog").await);
    let asked = |token: &str| ask("GET", AT_CATALOG).bearer(token);
    // It is in the cache of verified tokens then.
    assert_eq!(answer(&service, &asked(&revoked)).await.status, 200);
    let body = format!("token={revoked}");
    let done = answer(&service, &form(body).basic(C1).at("/v1/oauth/revoke")).await;
    assert_eq!(done.status, 200, "{}", done.text());
    check_refusal(&answer(&service, &asked(&revoked)).await, 401, INVALID);
    world.pass(3599);
    assert_eq!(answer(&service, &asked(&expiring)).await.status, 200);
    world.pass(1);
    check_refusal(&answer(&service, &asked(&expiring)).await, 401, INVALID);
    world.pass(-1);
    world.disable("c1");
    check_refusal(&answer(&service, &asked(&expiring)).await, 401, INVALID);
}

#[actix_web::test]
async fn op_21_no_token_is_called_valid_while_revocations_are_unknown() {
    let (world, is_too_old) = (World::new(), Arc::new(AtomicBool::new(false)));
    let policy = tokenberg_core::Policy::new(ISSUER.parse().unwrap());
    let service = TokenService::builder(policy, OldWorld(Arc::clone(&world), Arc::clone(&is_too_old)))
        .clock(|| at(NOW))
        .build();
    let token = mint(&world.service(), C1, "catalog").await;
    let asked = ask("GET", AT_CATALOG).bearer(&token);
    assert_eq!(answer(&service, &asked).await.status, 200);
    is_too_old.store(true, Ordering::SeqCst);
    let late = answer(&service, &asked).await;
    assert_eq!((late.status, late.header("Retry-After")), (503, Some("1")), "{}", late.text());
    assert_eq!(late.header("WWW-Authenticate"), None, "a client drops its token after a 401");
    check_refusal(&answer(&service, &ask("GET", AT_CATALOG).bearer("x.y.z")).await, 401, INVALID);
}

/// A service that accepts its issuer as audience by default, and tokens for that and for the catalog.
async fn audiences() -> (TokenService, [String; 2]) {
    let world = World::new();
    for client in world.clients.write().unwrap().iter_mut().filter(|client| client.id.as_str() == "c1") {
        Arc::make_mut(client).rights_mut().audiences = vec![AUDIENCE.into(), ISSUER.into()];
    }
    let service = world.builder().audiences([ISSUER]).build();
    let mut tokens = Vec::new();
    for audience in [ISSUER, AUDIENCE] {
        let ask = form(format!("{CC}&scope=catalog&audience={}", encoded(audience))).basic(C1);
        tokens.push(check(&service, &ask, Expected::Ok).await.token());
    }
    (service, tokens.try_into().unwrap())
}

#[actix_web::test]
async fn ri_04_the_audience_is_the_issuer_or_what_the_proxy_requires() {
    let (service, [of_issuer, of_catalog]) = audiences().await;
    let audience = |value: &str| format!("audience={}", encoded(value));
    let headers = |ask: Ask| ask.header(REQUIRED_AUDIENCE, AUDIENCE).header(REQUIRED_SCOPE, "catalog");
    for (path, issuer, catalog) in [
        (VERIFY.to_owned(), 200, 401),
        (format!("{VERIFY}?{}", audience(ISSUER)), 200, 401),
        (format!("{VERIFY}?{}", audience(AUDIENCE)), 401, 200),
        (format!("{VERIFY}?{}", audience("https://other.test")), 401, 401),
        (format!("{VERIFY}?{}&{}", audience(AUDIENCE), audience(ISSUER)), 401, 401),
        // After another path the query is the client's, except after a slash, which may be a slip.
        (format!("{VERIFY}/tables?{}", audience(AUDIENCE)), 200, 401),
        (format!("{VERIFY}/?{}", audience(AUDIENCE)), 401, 401),
        (format!("{VERIFY}/?scope=admin"), 403, 401),
    ] {
        let status = async |token: &str| answer(&service, &ask("GET", &path).bearer(token)).await.status;
        assert_eq!((status(&of_issuer).await, status(&of_catalog).await), (issuer, catalog), "{path}");
    }
    // Envoy's own headers decide if it appends the path of the request.
    for (path, issuer, catalog) in [("/v1/namespaces?scope=x&audience=y&page%zz", 401, 200), ("/", 401, 401)]
    {
        let status = async |token: &str| {
            let asked = headers(ask("POST", &format!("{VERIFY}{path}")).bearer(token));
            answer(&service, &asked).await.status
        };
        assert_eq!((status(&of_issuer).await, status(&of_catalog).await), (issuer, catalog), "{path}");
    }
}

#[actix_web::test]
async fn ri_04_nothing_that_a_client_adds_accepts_more_tokens() {
    let (service, tokens) = audiences().await;
    let audiences =
        [None, Some(ISSUER), Some(AUDIENCE), Some("https://other.test"), Some(""), Some("\u{eb}")];
    let scopes = [None, Some("catalog"), Some("admin"), Some(""), Some("a\"b")];
    let proxies = [
        ask("GET", VERIFY),
        ask("GET", AT_CATALOG),
        ask("GET", &format!("{AT_CATALOG}&scope=ns:read")),
        ask("GET", &format!("{VERIFY}/")),
        ask("GET", &format!("{VERIFY}/v1/config")),
        ask("GET", &format!("{VERIFY}/v1/config")).header(REQUIRED_AUDIENCE, AUDIENCE),
        ask("GET", &format!("{VERIFY}/v1/config")).header(REQUIRED_SCOPE, "ns:read"),
    ];
    let mut accepted = 0;
    for proxy in &proxies {
        for token in &tokens {
            let alone = answer(&service, &proxy.clone().bearer(token)).await.status;
            accepted += u32::from(alone == 200);
            for (audience, scope) in audiences.iter().flat_map(|a| scopes.iter().map(move |s| (a, s))) {
                // Where the path of the request follows, the query is the client's as well; the headers are not.
                let is_envoy = proxy.path.ends_with("/v1/config");
                let mut added = proxy.clone().bearer(token);
                if is_envoy {
                    let of = |name: &str, value: &Option<&str>| {
                        value.map_or_else(String::new, |value| format!("&{name}={}", encoded(value)))
                    };
                    added.path =
                        format!("{}?x=y{}{}", added.path, of("audience", audience), of("scope", scope));
                } else {
                    added = audience.iter().fold(added, |ask, value| ask.header(REQUIRED_AUDIENCE, value));
                    added = scope.iter().fold(added, |ask, value| ask.header(REQUIRED_SCOPE, value));
                }
                let status = answer(&service, &added).await.status;
                let what = format!("{alone} alone, {status} with {added:?}");
                assert!(status == alone || !is_envoy && status != 200, "{what}");
                assert!(matches!(status, 200 | 401 | 403), "a client causes no error of the server: {what}");
            }
        }
    }
    assert_eq!(accepted, 5);
}

#[actix_web::test]
async fn a_mistake_in_the_address_is_an_error_of_the_server_and_accepts_nothing() {
    let service = service();
    let token = mint(&service, C1, "catalog").await;
    let malformed =
        ["audience=%ff", "audience=%c3%28", "audience=%zz", "audience=%4", "scope=catalog%", "%ff=x"];
    let wrong = ["scopes=admin", "scope=", "audience=", "audience", "scope=a%22b", "scope=catalog&x=y"];
    for query in wrong.into_iter().chain(malformed) {
        // Alone, too: the audience of the issuer must not take the place of one that cannot be read.
        let alone = answer(&service, &ask("GET", &format!("{VERIFY}?{query}")).bearer(&token)).await;
        assert_eq!(alone.status, 500, "{query}");
        let answer = answer(&service, &ask("GET", &format!("{AT_CATALOG}&{query}")).bearer(&token)).await;
        assert_eq!((answer.status, answer.header("WWW-Authenticate")), (500, None), "{query}");
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-auth-request")), "{query}");
    }
}

#[test]
fn ht_12_no_body_is_read_and_the_endpoint_is_under_the_base_path() {
    let service = service();
    let runtime = actix_web::rt::System::new();
    let token = runtime.block_on(mint(&service, C1, "catalog"));
    let wire = Wire::with(service, |builder| builder.base_path("/api/catalog").unwrap());
    for path in [format!("/api/catalog{AT_CATALOG}"), "/api/catalog/v1/oauth/verify/x".to_owned()] {
        let asked = ask("HEAD", &path).bearer(&token).header(REQUIRED_AUDIENCE, AUDIENCE);
        let head = wire.ask(&asked);
        assert_eq!((head.status, head.header("X-Auth-Request-Subject")), (200, Some("c1")), "{path}");
    }
    assert_eq!(wire.ask(&ask("GET", AT_CATALOG).bearer(&token)).status, 404);
    // A proxy may pass the length of a body on that it does not send.
    let asked =
        ask("POST", &format!("/api/catalog{AT_CATALOG}")).bearer(&token).header("Content-Length", "9999");
    let answer = wire.refused(asked.to_wire(), 200);
    assert_eq!(answer.header("Connection"), Some("close"));
    // Envoy sends this of every request, and keeps its connections.
    let asked =
        ask("POST", &format!("/api/catalog{AT_CATALOG}")).bearer(&token).header("Content-Length", "0");
    assert_eq!(wire.ask(&asked).status, 200);
}

#[actix_web::test]
async fn se_07_answers_to_proxies_are_counted_by_outcome() {
    let service = service();
    let token = mint(&service, C1, "catalog").await;
    let with = |path: &str, token: &str| ask("GET", path).bearer(token);
    answer(&service, &with(AT_CATALOG, &token)).await;
    answer(&service, &with(AT_CATALOG, "garbage")).await;
    answer(&service, &ask("GET", AT_CATALOG)).await;
    answer(&service, &with(&format!("{AT_CATALOG}&scope=admin"), &token)).await;
    answer(&service, &with(&format!("{AT_CATALOG}&scop=admin"), &token)).await;
    let metrics = metrics(&service).await;
    for (outcome, status) in [
        ("active", 200),
        ("inactive", 401),
        ("invalid_request", 401),
        ("invalid_scope", 403),
        ("server_error", 500),
    ] {
        let start = format!(
            r#"tokenberg_requests_total{{endpoint="verification",grant="none",outcome="{outcome}",status="{status}"}}"#
        );
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}"));
        assert!(line.ends_with(" 1"), "{line}");
    }
    assert!(metrics.contains(r#"tokenberg_request_duration_seconds_count{endpoint="verification"} 5"#));
}

async fn metrics(service: &TokenService) -> String {
    exposed(&Operations::new(|| Ok(String::new())).metrics(service, |_: &mut Exposition| {})).await
}

/// The metrics.
pub(crate) async fn exposed(operations: &Operations) -> String {
    use actix_web::test::{TestRequest, call_and_read_body, init_service};
    let app = init_service(actix_web::App::new().configure(operations.configure())).await;
    let text = call_and_read_body(&app, TestRequest::with_uri("/metrics").to_request()).await;
    String::from_utf8(text.to_vec()).unwrap()
}
