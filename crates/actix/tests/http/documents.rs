//! The documents are correct: metadata, keys and OpenAPI; MD and KS of the conformance list.

use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use actix_web::test::{TestRequest, call_and_read_body, call_and_read_body_json, call_service, init_service};
use actix_web::{App, web};
use serde_json::Value;
use std::sync::Arc;
use tokenberg_actix::{Fixed, TokenService};

const MD: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/.well-known/jwks.json";

fn check_public(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Cache-Control"), Some("public, max-age=300"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(answer.header("ETag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')));
}

#[actix_web::test]
async fn md_02_md_03_md_04_md_06_metadata() {
    let service = service();
    let answer = answer(&service, &ask("GET", MD)).await;
    check_public(&answer);
    let methods = ["client_secret_basic", "client_secret_post", "spiffe_jwt", "private_key_jwt"];
    let algorithms =
        ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "Ed25519"];
    let of_proofs = ["ES256", "ES384", "EdDSA", "RS256", "PS256", "Ed25519"];
    let expected = serde_json::json!({
        "issuer": ISSUER,
        "token_endpoint": "https://as.test/v1/oauth/tokens",
        "jwks_uri": "https://as.test/.well-known/jwks.json",
        "grant_types_supported": [
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": "https://as.test/v1/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": "https://as.test/v1/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": of_proofs,
        "scopes_supported": ["catalog"],
        "response_types_supported": [],
    });
    assert_eq!(answer.json(), expected);
}

#[actix_web::test]
async fn md_03_openid_configuration_is_the_same_document() {
    let service = service();
    let openid = answer(&service, &ask("GET", OIDC)).await;
    check_public(&openid);
    let (mut openid, metadata) = (openid.json(), answer(&service, &ask("GET", MD)).await.json());
    let openid = openid.as_object_mut().unwrap();
    assert_eq!(openid.remove("subject_types_supported"), Some(serde_json::json!(["public"])));
    let algorithms = openid.remove("id_token_signing_alg_values_supported");
    assert_eq!(algorithms, Some(serde_json::json!(["ES256"])));
    assert_eq!(Value::Object(openid.clone()), metadata);
}

#[actix_web::test]
async fn md_05_without_a_store_for_revocations_there_is_no_endpoint() {
    let policy = tokenberg_core::Policy::new(ISSUER.parse().unwrap());
    let service = TokenService::builder(policy, Fixed::from(World::new())).build();
    let metadata = answer(&service, &ask("GET", MD)).await.json();
    assert!(metadata["introspection_endpoint"].is_string());
    assert!(!metadata.as_object().unwrap().keys().any(|name| name.starts_with("revocation_")));
    let openapi = answer(&service, &ask("GET", "/openapi.json")).await.json();
    assert!(openapi["paths"]["/v1/oauth/introspect"].is_object());
    assert!(openapi["paths"].get("/v1/oauth/revoke").is_none());
    assert_eq!(answer(&service, &form("token=x").basic(C1).at("/v1/oauth/revoke")).await.status, 404);
}

#[actix_web::test]
async fn md_07_no_header_gets_into_a_document() {
    let service = service();
    for path in [MD, OIDC, JWKS] {
        let plain = answer(&service, &ask("GET", path)).await;
        for (name, value) in [
            ("Host", "evil.test"),
            ("X-Forwarded-Host", "evil.test"),
            ("Forwarded", "host=evil.test;proto=http"),
            ("Origin", "https://evil.test"),
        ] {
            let other = answer(&service, &ask("GET", path).header(name, value)).await;
            assert_eq!((other.text(), other.header("ETag")), (plain.text(), plain.header("ETag")));
            assert_eq!(other.header("Access-Control-Allow-Origin"), Some("*"));
        }
    }
}

#[test]
fn md_01_the_path_of_the_issuer_is_inserted() {
    let service = World::new().builder_at("https://h.test/a/b").build();
    let wire = Wire::with(service, |builder| builder.base_path("/a/b").unwrap());
    for (path, found) in [
        ("/.well-known/oauth-authorization-server/a/b", true),
        ("/.well-known/openid-configuration/a/b", true),
        ("/a/b/.well-known/oauth-authorization-server", true),
        ("/a/b/.well-known/openid-configuration", true),
        ("/.well-known/oauth-authorization-server", false),
        ("/.well-known/oauth-authorization-server/a", false),
        ("/.well-known/unknown", false),
        ("/a/b/.well-known/unknown", false),
    ] {
        let answer = wire.ask(&ask("GET", path));
        if found {
            check_public(&answer);
            assert_eq!(answer.json()["issuer"], "https://h.test/a/b", "{path}");
            assert_eq!(answer.json()["token_endpoint"], "https://h.test/a/b/v1/oauth/tokens");
        } else {
            check_answer(&answer, E(404, "invalid_request"), path);
        }
    }
}

#[test]
fn te_27_everything_under_a_base_path() {
    let wire = Wire::with(service(), |builder| builder.base_path("/api/catalog").unwrap());
    for path in
        ["/api/catalog/v1/oauth/tokens", "/api/catalog//v1/oauth/tokens", "/api/catalog/v1/oauth/tokens/"]
    {
        check_answer(&wire.ask(&form(CC).basic(C1).at(path)), Expected::Ok, path);
    }
    for path in [T, "/api/catalog", "/api/catalog/", "/api/catalogv1/oauth/tokens"] {
        check_answer(&wire.ask(&form(CC).basic(C1).at(path)), E(404, "invalid_request"), path);
    }
    for path in [MD, OIDC, JWKS, "/openapi.json"] {
        assert_eq!(wire.ask(&ask("GET", &format!("/api/catalog{path}"))).status, 200, "{path}");
    }
}

#[actix_web::test]
async fn te_27_mounted_in_another_app() {
    let service = World::new().builder_at("https://h.test/auth").build();
    let own = || async { "own" };
    let app = App::new()
        .service(web::scope("/auth").configure(service.configure()).route("/own", web::get().to(own)))
        .route("/own", web::get().to(own));
    let app = init_service(app).await;
    for path in ["/own", "/auth/own"] {
        let request = TestRequest::with_uri(path).to_request();
        assert_eq!(call_and_read_body(&app, request).await, "own", "{path}");
    }
    let request = TestRequest::with_uri(&format!("/auth{MD}")).to_request();
    let metadata: Value = call_and_read_body_json(&app, request).await;
    for endpoint in ["token_endpoint", "jwks_uri"] {
        let path = metadata[endpoint].as_str().unwrap().strip_prefix("https://h.test").unwrap();
        let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
        assert_eq!(response.status(), if endpoint == "jwks_uri" { 200 } else { 405 });
    }
}

#[actix_web::test]
async fn ks_01_the_key_set_is_public() {
    let service = service();
    let answer = answer(&service, &ask("GET", JWKS)).await;
    check_public(&answer);
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 1);
    for key in &keys {
        for name in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(name).is_none(), "{name}");
        }
        assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&"EC".into(), &"sig".into(), &"ES256".into()));
        assert!(key["kid"].is_string());
    }
}

#[actix_web::test]
async fn ks_03_documents_are_cached_and_revalidated_by_their_tag() {
    let service = service();
    for path in [JWKS, MD, OIDC] {
        let first = answer(&service, &ask("GET", path)).await;
        let tag = first.header("ETag").unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = answer(&service, &ask("GET", path).header("If-None-Match", &known)).await;
            assert_eq!((again.status, again.text()), (304, ""), "{known}");
            assert_eq!(again.header("ETag"), Some(tag));
            assert_eq!(again.header("Cache-Control"), Some("public, max-age=300"));
        }
        let other = answer(&service, &ask("GET", path).header("If-None-Match", "\"x\"")).await;
        check_public(&other);
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let answer = check(&service, &ask(method, path), E(405, "invalid_request")).await;
            assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
        }
    }
}

#[test]
fn ks_03_head_is_get_without_a_body() {
    let wire = Wire::of(service());
    for path in [JWKS, MD, OIDC, "/openapi.json"] {
        let (get, head) = (wire.ask(&ask("GET", path)), wire.ask(&ask("HEAD", path)));
        assert_eq!((head.status, head.text()), (200, ""), "{path}");
        assert_eq!(head.header("Content-Length"), get.header("Content-Length"));
        assert_eq!(head.header("ETag"), get.header("ETag"));
    }
}

#[actix_web::test]
async fn md_05_openapi_describes_every_route() {
    let world: Arc<World> = World::new();
    let service = world.service();
    let openapi = answer(&service, &ask("GET", "/openapi.json")).await;
    assert_eq!((openapi.status, openapi.header("Access-Control-Allow-Origin")), (200, None));
    let openapi = openapi.json();
    assert_eq!(openapi["openapi"], "3.1.0");
    assert_eq!(openapi["paths"][T]["post"]["security"], serde_json::json!([]));
    let token = answer(&service, &form(CC).basic(C1)).await.token();
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let ask = Ask { body: format!("{CC}&token=x").into(), ..ask(&method.to_uppercase(), path) };
            let ask = match path.as_str() {
                "/v1/oauth/verify" => {
                    ask.at("/v1/oauth/verify?audience=https%3A%2F%2Fcat.test").bearer(&token)
                }
                _ if method == "post" => ask.header("Content-Type", FORM).basic(C1),
                _ => ask,
            };
            assert_eq!(answer(&service, &ask).await.status, 200, "{method} {path}");
        }
    }
    let request = &openapi["components"]["schemas"]["TokenRequest"]["properties"];
    for parameter in [
        "grant_type",
        "scope",
        "client_id",
        "client_secret",
        "requested_token_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "assertion",
        "client_assertion",
        "client_assertion_type",
        "resource",
        "audience",
    ] {
        assert!(request[parameter].is_object(), "{parameter}");
    }
    let responses = openapi["paths"][T]["post"]["responses"].as_object().unwrap();
    for status in ["200", "400", "401", "405", "408", "413", "429", "431", "500", "503"] {
        assert!(responses.contains_key(status), "{status}");
    }
    let text = openapi.to_string();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("#/components/schemas/") {
        rest = &rest[at + "#/components/schemas/".len()..];
        let name = &rest[..rest.find('"').unwrap()];
        assert!(openapi["components"]["schemas"][name].is_object(), "{name}");
    }
}
