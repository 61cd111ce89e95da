//! Tokens bound to a key or a certificate at the extractor: DP-11, DP-12 and RFC 8705 §3.

use crate::bearer::{catalog, get, table};
use crate::certificates::{Authority, Certified, TlsServer, cm, server};
use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokenberg_actix::{Bearer, BearerConfig, ProtectedResource};
use tokenberg_core::jws::DpopProof;
use tokenberg_core::{Answers, TokenVerification};
use tokenberg_testkit::{ForeignKey, alice};

const BASE: &str = "https://catalog.example/warehouse";
const ALGS: &str = r#"algs="ES256 ES384 EdDSA RS256 PS256 Ed25519""#;
const BEARER: &str = r#"Bearer realm="tokenberg""#;

/// `ath` of a proof for the token.
pub(crate) fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

fn proof(key: &ForeignKey, id: &str, token: &str, changes: &Value) -> String {
    let mut claims = json!({"htm": "GET", "htu": format!("{BASE}/table"), "ath": hash(token)});
    let claims_of = claims.as_object_mut().unwrap();
    claims_of.extend(changes.as_object().unwrap().clone());
    key.proof(at(NOW), id, &claims)
}

async fn bound(world: &Arc<World>, key: &ForeignKey, id: &str) -> String {
    let ask = form(format!("{CC}&scope=ns:read")).basic(C1).dpop(&key.proof(at(NOW), id, &json!({})));
    check(&world.service(), &ask, Expected::Bound).await.token()
}

fn by_dpop(token: &str, proof: &str) -> Ask {
    get().header("Authorization", format!("DPoP {token}")).dpop(proof)
}

/// Checks the errors at the schemes Bearer and DPoP.
fn check_challenges(answer: &Answer, bearer: &str, dpop: &str) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "NotAuthorizedException");
    let bearer = if bearer.is_empty() { BEARER.to_owned() } else { format!(r#"{BEARER}, error="{bearer}""#) };
    let dpop =
        if dpop.is_empty() { format!("DPoP {ALGS}") } else { format!(r#"DPoP error="{dpop}", {ALGS}"#) };
    assert_eq!(answer.all("WWW-Authenticate"), [bearer, dpop]);
}

#[actix_web::test]
async fn dp_11_a_proof_for_this_very_request_and_token() {
    let world = World::new();
    let config = BearerConfig::of(&world.service()).at(BASE);
    let (key, other) = (ForeignKey::new(None), ForeignKey::new(None));
    let token = bound(&world, &key, "1").await;
    let second = bound(&world, &key, "2").await;
    let good = catalog(config.clone(), &by_dpop(&token, &proof(&key, "a", &token, &json!({})))).await;
    assert_eq!(good.status, 200, "{}", good.text());
    let query = by_dpop(&token, &proof(&key, "q", &token, &json!({}))).at("/table?x=y");
    assert_eq!(catalog(config.clone(), &query).await.status, 200);
    let lower = get().header("Authorization", format!("dpop {token}"));
    let lower =
        lower.dpop(&proof(&key, "b", &token, &json!({"htu": "HTTPS://Catalog.Example:443/warehouse/table"})));
    assert_eq!(catalog(config.clone(), &lower).await.status, 200);
    let changes = |changes: Value| proof(&key, "c", &token, &changes);
    for (what, proof) in [
        ("no ath", changes(json!({"ath": null}))),
        ("ath of another token", proof(&key, "c", &second, &json!({}))),
        ("another method", changes(json!({"htm": "POST"}))),
        ("the method in another case", changes(json!({"htm": "get"}))),
        ("another path", changes(json!({"htu": format!("{BASE}/other")}))),
        ("another host", changes(json!({"htu": "https://evil.example/warehouse/table"}))),
        ("what Host says", changes(json!({"htu": "https://localhost/table"}))),
        ("too old", changes(json!({"iat": NOW - 61}))),
        ("from the future", changes(json!({"iat": NOW + 30}))),
        ("no jti", changes(json!({"jti": null}))),
        ("garbage", "garbage".to_owned()),
        ("a token", token.clone()),
    ] {
        let ask = by_dpop(&token, &proof).header("X-Forwarded-Host", "evil.example");
        println!("{what}");
        check_challenges(&catalog(config.clone(), &ask).await, "", "invalid_dpop_proof");
    }
    let again = proof(&key, "d", &token, &json!({}));
    let missing = get().header("Authorization", format!("DPoP {token}"));
    for ask in
        [missing.clone(), by_dpop(&token, &again).dpop(&again), missing.dpop(&format!("{again},{again}"))]
    {
        check_challenges(&catalog(config.clone(), &ask).await, "", "invalid_dpop_proof");
    }
    // A good proof by another key than that of the token.
    let stolen = by_dpop(&token, &proof(&other, "e", &token, &json!({})));
    check_challenges(&catalog(config.clone(), &stolen).await, "", "invalid_token");
    // An error in the token is reported at the scheme that was tried.
    world.pass(3600);
    let late = by_dpop(&token, &proof(&key, "f", &token, &json!({"iat": NOW + 3600})));
    check_challenges(&catalog(config.clone(), &late).await, "", "invalid_token");
    check_challenges(&catalog(config, &get()).await, "", "");
}

#[actix_web::test]
async fn dp_12_no_scheme_replaces_the_other() {
    let world = World::new();
    let service = world.service();
    let config = BearerConfig::of(&service).at(BASE);
    let key = ForeignKey::new(None);
    let token = bound(&world, &key, "1").await;
    let free = check(&service, &form(format!("{CC}&scope=ns:read")).basic(C1), Expected::Ok).await.token();
    check_challenges(&catalog(config.clone(), &get().bearer(&token)).await, "invalid_token", "");
    let beside = get().bearer(&token).dpop(&proof(&key, "a", &token, &json!({})));
    check_challenges(&catalog(config.clone(), &beside).await, "invalid_token", "");
    let up = by_dpop(&free, &proof(&key, "b", &free, &json!({})));
    check_challenges(&catalog(config.clone(), &up).await, "", "invalid_token");
    assert_eq!(catalog(config.clone(), &get().bearer(&free)).await.status, 200);
    let both = by_dpop(&token, &proof(&key, "c", &token, &json!({}))).bearer(&free);
    assert_eq!(catalog(config, &both).await.status, 400);
    // Without a configured address, there are no proofs.
    let answer =
        catalog(BearerConfig::of(&service), &by_dpop(&token, &proof(&key, "d", &token, &json!({})))).await;
    assert_eq!((answer.status, answer.all("WWW-Authenticate")), (401, vec![BEARER]));
    let answer = catalog(BearerConfig::of(&service), &get().bearer(&token)).await;
    assert_eq!(answer.header("WWW-Authenticate"), Some(r#"Bearer realm="tokenberg", error="invalid_token""#));
}

#[actix_web::test]
async fn dp_07_dp_09_with_a_record_of_uses_a_proof_is_accepted_once() {
    let world = World::new();
    let config = BearerConfig::of(&world.service()).at(BASE).single_use(Ledger(Arc::clone(&world)));
    let key = ForeignKey::new(None);
    let token = bound(&world, &key, "1").await;
    let once = by_dpop(&token, &proof(&key, "1", &token, &json!({})));
    // A refused request does not use the proof up.
    let refused = by_dpop(&token, &proof(&key, "1", &token, &json!({"ath": null})));
    check_challenges(&catalog(config.clone(), &refused).await, "", "invalid_dpop_proof");
    world.is_store_down.store(true, Ordering::SeqCst);
    let answer = catalog(config.clone(), &once).await;
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")), "{}", answer.text());
    world.is_store_down.store(false, Ordering::SeqCst);
    assert_eq!(catalog(config.clone(), &once).await.status, 200);
    check_challenges(&catalog(config.clone(), &once).await, "", "invalid_dpop_proof");
    let next = by_dpop(&token, &proof(&key, "2", &token, &json!({})));
    assert_eq!(catalog(config, &next).await.status, 200);
}

#[actix_web::test]
async fn dp_11_a_catalog_elsewhere_checks_proofs_itself() {
    let world = World::new();
    let key = ForeignKey::new(None);
    let token = bound(&world, &key, "1").await;
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![AUDIENCE.into()]);
    let (keys, proofs) = (Arc::clone(&world), Arc::clone(&world));
    let verify = move |token: &tokenberg_core::CompactJws| keys.keys().verify(token, at(0));
    let config = BearerConfig::verifying(verification, verify, || at(NOW)).at(BASE);
    let ask = by_dpop(&token, &proof(&key, "a", &token, &json!({})));
    let answer = catalog(config.clone(), &ask).await;
    assert_eq!((answer.status, answer.all("WWW-Authenticate")), (401, vec![BEARER]));
    let config = config.verify_proofs(move |proof| proofs.keys().verify_proof(proof));
    assert_eq!(catalog(config.clone(), &ask).await.status, 200);
    let stolen = by_dpop(&token, &proof(&ForeignKey::new(None), "a", &token, &json!({})));
    check_challenges(&catalog(config, &stolen).await, "", "invalid_token");
}

#[test]
fn mt_04_a_token_that_is_bound_to_a_certificate_needs_it_at_the_catalog() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority");
    let (tls, certificate) = server(folder.path(), &authority);
    let wire = Wire::with(world.service(), |builder| {
        builder.tls(tls.config().unwrap()).client_authorities(tls.client_authorities().unwrap())
    });
    let (good, other) = (authority.certify(&cm()), authority.certify(&cm()));
    let tokens = TlsServer { address: wire.address, certificate: certificate.clone() };
    let token = tokens.ask(Some(&good), &form(format!("{CC}&client_id=cm&scope=ns:read"))).token();

    // Another server, which passes certificates on.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = BearerConfig::of(&world.service());
    let (on_connect, tls_config) = (tls.client_authorities().unwrap().on_connect(), tls.config().unwrap());
    let (handles, handle) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || App::new().app_data(config.clone()).route("/table", web::get().to(table));
            let server = HttpServer::new(app)
                .on_connect(on_connect)
                .workers(1)
                .disable_signals()
                .listen_rustls_0_23(listener, tls_config)
                .unwrap()
                .run();
            handles.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    let handle = handle.recv().unwrap();
    let table = TlsServer { address, certificate };
    let status = |certificate: Option<&Certified>| table.ask(certificate, &get().bearer(&token)).status;
    assert_eq!((status(Some(&good)), status(Some(&other)), status(None)), (200, 401, 401));
    let der = URL_SAFE_NO_PAD.encode(&good.chain[0]);
    assert_eq!(table.ask(None, &get().bearer(&token).header("Client-Cert", format!(":{der}:"))).status, 401);
    actix_web::rt::System::new().block_on(handle.stop(false));
    serving.join().unwrap();
}

#[actix_web::test]
async fn tx_69_a_catalog_sees_the_issuer_of_the_subject_and_whether_it_is_unsecured() {
    let world = World::new();
    let service = world.service();
    let seen = |token: String| {
        let config = BearerConfig::of(&service);
        async move {
            let who = |token: Bearer| async move {
                let issuer = token.subject_issuer().map(ToString::to_string);
                HttpResponse::Ok().json(json!([token.subject().as_str(), issuer, token.is_unsecured()]))
            };
            let app = App::new().app_data(config).route("/who", web::get().to(who));
            let app = actix_web::test::init_service(app).await;
            let request = actix_web::test::TestRequest::with_uri("/who");
            let request = request.insert_header(("Authorization", format!("Bearer {token}")));
            actix_web::test::call_and_read_body_json::<_, _, Value>(&app, request.to_request()).await
        }
    };
    let own = check(&service, &form(CC).basic(C1), Expected::Ok).await.token();
    assert_eq!(seen(own.clone()).await, json!(["c1", null, false]));
    let id_token = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";
    let subject = world.idp.sign(&alice(&json!({})));
    let body = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={id_token}");
    let user = check(&service, &form(body).basic(C1), Expected::Ok).await.token();
    assert_eq!(seen(user).await, json!(["alice", IDP, false]));
    let asserted = crate::assertions::asserting(&world, "bob", &own);
    let asserted = check(&service, &asserted, Expected::Ok).await.token();
    assert_eq!(seen(asserted).await, json!(["bob", null, true]));
}

#[actix_web::test]
async fn ri_06_a_catalog_names_its_token_service() {
    let service = service();
    for (resource, path) in [
        ("https://catalog.example", "/.well-known/oauth-protected-resource"),
        (BASE, "/.well-known/oauth-protected-resource/warehouse"),
    ] {
        let document = ProtectedResource::new(resource, service.issuer());
        for (document, algorithms) in [
            (document.clone(), Value::Null),
            (document.with_proofs(), json!(["ES256", "ES384", "EdDSA", "RS256", "PS256", "Ed25519"])),
        ] {
            let app = actix_web::test::init_service(App::new().configure(document.configure())).await;
            let request = actix_web::test::TestRequest::with_uri(path).to_request();
            let document: Value = actix_web::test::call_and_read_body_json(&app, request).await;
            let issuer =
                answer(&service, &ask("GET", "/.well-known/oauth-authorization-server")).await.json();
            assert_eq!(document["resource"], resource);
            assert_eq!(document["authorization_servers"], json!([issuer["issuer"]]));
            assert_eq!(document["bearer_methods_supported"], json!(["header"]));
            assert_eq!(document["dpop_signing_alg_values_supported"], algorithms);
        }
    }
}

/// RFC 9449 §4.1 and §7.1.
const PROOF_FOR_A_TOKEN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo\
    RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJ\
    qdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijo\
    xNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
const PROOF_FOR_A_RESOURCE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo\
    RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJ\
    qdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXN\
    vdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yR\
    qzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

#[test]
fn dp_01_dp_11_the_proofs_of_rfc_9449() {
    let world = World::new();
    let key = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    for text in [PROOF_FOR_A_TOKEN, PROOF_FOR_A_RESOURCE] {
        let verified = world.keys().verify_proof(&DpopProof::parse(text).unwrap()).unwrap();
        assert_eq!(verified.key().as_str(), key);
    }
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![]);
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let hash: [u8; 32] = digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(hash), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let proof = DpopProof::parse(PROOF_FOR_A_RESOURCE).unwrap();
    let check = |address: &str, hash, seconds| {
        let verified = world.keys().verify_proof(&proof);
        let possession = verification.proof(&proof, verified, ("GET", address), hash, at(seconds));
        possession.map(|(possession, _)| possession.key.unwrap().as_str().to_owned())
    };
    let resource = "https://resource.example.org/protectedresource";
    assert_eq!(check(resource, hash, 1_562_262_618).as_deref(), Ok(key));
    assert!(check(resource, [0; 32], 1_562_262_618).is_err());
    assert!(check(&format!("{resource}s"), hash, 1_562_262_618).is_err());
    assert!(check(resource, hash, 1_562_262_618 + 61).is_err());
}
