//! All that the metadata list works, and nothing else does: MD-03 and MD-05 of the conformance list, from the document itself.

use crate::check::*;
use crate::signer::Signer;
use crate::world::*;
use serde_json::{Value, json};
use std::sync::Arc;
use tokenberg_actix::{Fixed, TokenService};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{Client, GrantType, Policy};
use tokenberg_testkit::{alice, changed};

const MD: &str = "/.well-known/oauth-authorization-server";
const ENDPOINTS: [&str; 3] = ["token", "introspection", "revocation"];
/// All registered methods and algorithms, and some that do not exist.
const METHODS: [&str; 8] = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "spiffe_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
];
const ALGORITHMS: [&str; 16] = [
    "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "RS256", "RS384", "RS512", "PS256",
    "PS384", "PS512", "HS256", "none", "es256",
];

async fn metadata(service: &TokenService) -> Value {
    answer(service, &ask("GET", MD)).await.json()
}

fn listed(metadata: &Value, name: &str) -> Vec<String> {
    let values = metadata[name].as_array().unwrap_or_else(|| panic!("{name} is not listed"));
    values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// A new identifier for an assertion or a proof.
fn fresh() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("id-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn own_assertion() -> Value {
    json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": fresh()})
}

fn asserted(kind: &str, assertion: &str) -> String {
    let kind = format!("urn:ietf:params:oauth:client-assertion-type:{kind}");
    format!("client_assertion={assertion}&client_assertion_type={}", encoded(&kind))
}

/// The request with the credential of the method; a certificate takes a real connection, see `client_certificates.rs`.
fn authenticated(world: &World, method: &str, body: &str) -> Ask {
    match method {
        "client_secret_basic" => form(body).basic(C1),
        "client_secret_post" => form(format!("{body}&client_id=c1&client_secret=s1-Z7")),
        "client_secret_jwt" => {
            let claims = changed(own_assertion(), &json!({"iss": "c1", "sub": "c1"}));
            form(format!("{body}&{}", asserted("jwt-bearer", &hmac("s1-Z7", &claims))))
        }
        "private_key_jwt" => {
            form(format!("{body}&{}", asserted("jwt-bearer", &world.cj.sign(&own_assertion()))))
        }
        "spiffe_jwt" => {
            let svid = json!({"sub": WORKLOAD, "aud": ISSUER, "exp": NOW + 300});
            form(format!("{body}&{}", asserted("jwt-spiffe", &world.idp.sign(&svid))))
        }
        "tls_client_auth" | "self_signed_tls_client_auth" => form(format!("{body}&client_id=cm")),
        "none" => form(format!("{body}&client_id=c1")),
        other => panic!("{other} is listed and not tried"),
    }
}

fn hmac(key: &str, claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    let header = BASE64URL.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let input = format!("{header}.{}", BASE64URL.encode(claims.to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    format!("{input}.{}", BASE64URL.encode(ring::hmac::sign(&key, input.as_bytes())))
}

#[actix_web::test]
async fn md_05_every_listed_method_works_at_its_endpoint_and_no_other_does() {
    let world = World::new();
    let service = world.service();
    let metadata = metadata(&service).await;
    for endpoint in ENDPOINTS {
        let address = metadata[format!("{endpoint}_endpoint")].as_str().unwrap();
        let path = address.strip_prefix(ISSUER).unwrap();
        let methods = listed(&metadata, &format!("{endpoint}_endpoint_auth_methods_supported"));
        let body = if endpoint == "token" { CC } else { "token=x" };
        for method in METHODS {
            let answer = answer(&service, &authenticated(&world, method, body).at(path)).await;
            let works = methods.iter().any(|listed| listed == method);
            assert_eq!(answer.status, if works { 200 } else { 401 }, "{path} {method} {}", answer.text());
        }
        assert!(methods.iter().all(|method| METHODS.contains(&method.as_str())), "{methods:?}");
    }
}

#[actix_web::test]
async fn md_05_every_listed_algorithm_works_for_assertions_and_no_other_does() {
    let world = World::new();
    let service = world.service();
    let metadata = metadata(&service).await;
    for endpoint in ENDPOINTS {
        let path = metadata[format!("{endpoint}_endpoint")].as_str().unwrap().to_owned();
        let path = path.strip_prefix(ISSUER).unwrap();
        let algorithms = listed(&metadata, &format!("{endpoint}_endpoint_auth_signing_alg_values_supported"));
        let body = if endpoint == "token" { CC } else { "token=x" };
        for alg in ALGORITHMS {
            let signer = Signer::of(alg.parse().unwrap_or(Algorithm::ES256));
            world.change("cj", |client| client.rights_mut().jwks = Some(signer.jwks()));
            let assertion = asserted("jwt-bearer", &signer.assertion(alg, &own_assertion()));
            let answer = answer(&service, &form(format!("{body}&{assertion}")).at(path)).await;
            let works = algorithms.iter().any(|listed| listed == alg);
            assert_eq!(answer.status, if works { 200 } else { 401 }, "{path} {alg} {}", answer.text());
        }
    }
}

#[actix_web::test]
async fn md_05_every_listed_algorithm_works_for_proofs_and_no_other_does() {
    let service = service();
    let metadata = metadata(&service).await;
    let algorithms = listed(&metadata, "dpop_signing_alg_values_supported");
    let endpoint = metadata["token_endpoint"].clone();
    for alg in ALGORITHMS {
        let signer = Signer::of(alg.parse().unwrap_or(Algorithm::ES256));
        let claims = json!({"jti": fresh(), "htm": "POST", "htu": endpoint, "iat": NOW});
        let works = algorithms.iter().any(|listed| listed == alg);
        let expected = if works { Expected::Bound } else { E(400, "invalid_dpop_proof") };
        check(&service, &form(CC).basic(C1).dpop(&signer.proof(alg, &claims)), expected).await;
    }
}

#[actix_web::test]
async fn md_05_every_listed_grant_works_and_no_other_does() {
    let world = World::new();
    let service = world.service();
    let metadata = metadata(&service).await;
    let subject = check(&service, &form(CC).basic(C1), Expected::Ok).await.token();
    let grants = listed(&metadata, "grant_types_supported");
    for grant in [
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "authorization_code",
        "refresh_token",
        "password",
        "implicit",
    ] {
        let assertion = world.idp.sign(&alice(&json!({"aud": ISSUER, "jti": fresh(), "exp": NOW + 300})));
        let body = format!(
            "grant_type={}&subject_token={subject}&subject_token_type={ACCESS_TOKEN}&assertion={assertion}\
             &code=x&refresh_token=x&username=x&password=x",
            encoded(grant)
        );
        let works = grants.iter().any(|listed| listed == grant);
        let expected = if works { Expected::Ok } else { E(400, "unsupported_grant_type") };
        check(&service, &form(body).basic(C1), expected).await;
    }
    for scope in listed(&metadata, "scopes_supported") {
        check(&service, &form(format!("{CC}&scope={scope}")).basic(C2), Expected::Ok).await;
    }
    assert_eq!(grants.len(), GrantType::ALL.len());
}

#[actix_web::test]
async fn md_05_what_is_unavailable_is_not_listed() {
    let world: Arc<World> = World::new();
    let builder = || {
        let policy = Policy::new(ISSUER.parse().unwrap());
        TokenService::builder(policy, Fixed::from(Arc::clone(&world))).clock(|| at(NOW))
    };
    let methods = |metadata: &Value| listed(metadata, "token_endpoint_auth_methods_supported");
    // Without a memory, neither assertions nor proofs can be used.
    let without_memory = builder().build();
    let document = metadata(&without_memory).await;
    assert_eq!(methods(&document), ["client_secret_basic", "client_secret_post", "spiffe_jwt"]);
    assert_eq!(document.get("dpop_signing_alg_values_supported"), None);
    assert_eq!(listed(&document, "grant_types_supported").len(), 2);
    let assertion = world.idp.sign(&alice(&json!({"aud": ISSUER, "jti": fresh(), "exp": NOW + 300})));
    let proof = world.idp.proof(at(NOW), &fresh(), &json!({}));
    let jwt_bearer = encoded("urn:ietf:params:oauth:grant-type:jwt-bearer");
    for ask in [
        authenticated(&world, "private_key_jwt", CC),
        form(format!("grant_type={jwt_bearer}&assertion={assertion}")).basic(C1),
        form(CC).basic(C1).dpop(&proof),
    ] {
        check(&without_memory, &ask, E(503, "temporarily_unavailable")).await;
    }
    check(&without_memory, &authenticated(&world, "spiffe_jwt", CC), Expected::Ok).await;
    // A server that requests certificates declares it.
    let name = "tls_client_certificate_bound_access_tokens";
    assert_eq!(
        (document.get(name), methods(&document).contains(&"tls_client_auth".to_owned())),
        (None, false)
    );
    let document = metadata(&builder().client_certificates().build()).await;
    assert_eq!(document[name], true);
    assert!(methods(&document).contains(&"tls_client_auth".to_owned()));
}

impl World {
    pub(crate) fn change(&self, id: &str, change: impl Fn(&mut Client)) {
        for client in self.clients.write().unwrap().iter_mut().filter(|c| c.id.as_str() == id) {
            change(Arc::make_mut(client));
        }
    }
}
