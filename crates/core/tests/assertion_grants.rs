//! Assertions as grants: RFC 7523 §2.1 and §3.1; conformance GB.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::{GrantType, Lifetime};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, at1, chain, changed, trusted, vectors};

const NO: &str = "400 invalid_grant";
const IDP: &str = "https://idp.test";

fn world() -> (World, ForeignKey) {
    world_at(NOW)
}

fn world_at(now: i64) -> (World, ForeignKey) {
    let (mut world, key) = (World::at(now), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.issuers[0].trust.accept = vec![AcceptedAs::JwtBearer];
    world.change("c1", |c1| {
        c1.rights_mut().grants = GrantType::ALL.to_vec();
        c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
    });
    (world, key)
}

fn claims(changes: &Value) -> Value {
    changed(json!({"iss": IDP, "sub": "alice", "aud": ISSUER, "iat": NOW, "exp": NOW + 300}), changes)
}

fn ask(assertion: &str) -> Ask {
    Ask::jwt_bearer(assertion).basic("c1", "s1-Z7")
}

#[test]
fn gb_01_gb_07_a_token_for_the_subject_within_what_client_and_issuer_allow() {
    let (mut world, key) = world();
    for aud in [json!(ISSUER), json!("https://as.test/v1/oauth/tokens"), json!([ISSUER, "x"])] {
        let answer = world.check(ask(&key.sign(&claims(&json!({"aud": aud})))));
        let claims = answer.claims();
        assert_eq!((claims.subject.as_str(), chain(&answer)), ("alice", vec!["c1".to_owned()]));
        assert_eq!(claims.expires_at.as_seconds(), NOW + 300);
        assert!(answer.body().get("refresh_token").is_none());
    }
    let token = key.sign(&claims(&json!({})));
    assert_eq!(world.check(ask(&token).with("scope", "ns:read")).claims().scope.as_str(), "ns:read");
    assert_eq!(world.check(ask(&token).with("scope", "ns:write")).code(), "400 invalid_scope");
    assert_eq!(
        &*world.check(ask(&token).with("resource", "https://cat.test")).claims().audience[0],
        "https://cat.test"
    );
    assert_eq!(world.check(ask(&token).with("resource", "https://evil.test")).code(), "400 invalid_target");
    assert_eq!(
        world
            .check(Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer").basic("c1", "s1-Z7"))
            .code(),
        "400 invalid_request"
    );
}

#[test]
fn gb_01_the_published_grant_of_identity_chaining() {
    let Some(kats) = vectors("rfc_kats.json") else { return };
    let all = kats.as_array().unwrap();
    let kat = all.iter().find(|kat| kat["id"] == "IDCHAIN-2.3").unwrap();
    let (mut world, key) = world_at(1_695_287_700);
    let issuer = "https://as.a.example/auth";
    let mut chaining = trusted(issuer, &key);
    chaining.trust.keys = tokenberg_core::KeySource::Jwks(json!({"keys": [kat["jwk"]]}).to_string().into());
    chaining.trust.accept = vec![AcceptedAs::JwtBearer];
    chaining.trust.audiences = vec!["https://as.b.example/auth".into()];
    world.issuers.push(chaining);
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{issuer}|*").parse().unwrap()]);
    let answer = world.check(ask(kat["token"].as_str().unwrap()));
    assert_eq!(answer.claims().subject.as_str(), "johndoe@a.example");
}

#[test]
fn gb_02_gb_04_gb_05_cve_2026_1609_cve_2026_79652_every_fault_is_an_invalid_grant() {
    let (mut world, key) = world();
    let own = at1(&mut world);
    for bad in [
        "garbage".to_owned(),
        own,
        ForeignKey::new(Some("p1")).sign(&claims(&json!({}))),
        key.sign(&claims(&json!({"iss": "https://evil.test"}))),
        key.sign(&claims(&json!({"iss": ISSUER}))),
        key.sign(&claims(&json!({"aud": "https://cat.test"}))),
        key.sign(&claims(&json!({"aud": "c1"}))),
        key.sign(&claims(&json!({"aud": null}))),
        key.sign(&claims(&json!({"sub": null}))),
        key.sign(&claims(&json!({"exp": null}))),
        key.sign(&claims(&json!({"exp": NOW + 331}))),
        key.sign(&claims(&json!({"exp": NOW - 30}))),
        key.sign(&claims(&json!({"nonce": "an id token"}))),
        key.sign(&claims(&json!({"may_act": {"sub": "other"}}))),
        key.sign_raw(r#"{"alg":"ES256","kid":"p1","typ":"at+jwt"}"#, &claims(&json!({})).to_string()),
        key.sign_raw(r#"{"alg":"HS256","kid":"p1"}"#, &claims(&json!({})).to_string()),
        key.sign_raw(r#"{"alg":"none","kid":"p1"}"#, &claims(&json!({})).to_string()),
    ] {
        assert_eq!(world.check(ask(&bad)).code(), NO, "{bad}");
    }
    let good = key.sign(&claims(&json!({})));
    assert_eq!(world.check(ask(&good)).code(), "200");
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    world.subjects = vec![(IDP.parse().ok(), "alice".to_owned(), disabled)];
    assert_eq!(world.check(ask(&good)).code(), NO, "disabled");
    world.subjects.clear();
    world.change("c1", |c1| c1.rights_mut().may_act_for.clear());
    assert_eq!(world.check(ask(&good)).code(), NO, "the client may not");
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    world.issuers[0].trust.accept = vec![AcceptedAs::Jwt, AcceptedAs::IdToken, AcceptedAs::AccessToken];
    assert_eq!(world.check(ask(&good)).code(), NO, "the issuer is trusted for other things");
    world.issuers[0].trust.accept = vec![AcceptedAs::JwtBearer];
    world.issuers[0].enabled = false;
    assert_eq!(world.check(ask(&good)).code(), NO, "the issuer is disabled");
}

#[test]
fn gb_03_the_client_is_authenticated_first() {
    let (mut world, key) = world();
    let token = key.sign(&claims(&json!({})));
    assert_eq!(world.check(Ask::jwt_bearer(&token)).code(), "401 invalid_client Basic");
    assert_eq!(world.check(Ask::jwt_bearer(&token).bearer(&token)).code(), "401 invalid_client Basic");
    assert_eq!(world.check(Ask::jwt_bearer(&token).basic("c1", "x")).code(), "401 invalid_client Basic");
    assert_eq!(world.check(Ask::jwt_bearer(&token).basic("c2", "s2-Q4")).code(), "400 unauthorized_client");
}

#[test]
fn gb_06_an_assertion_with_an_identifier_is_accepted_once() {
    let (mut world, key) = world();
    let once = key.sign(&claims(&json!({"jti": "1"})));
    // A request that is refused for another reason does not use up the assertion.
    assert_eq!(world.check(ask(&once).with("scope", "ns:write")).code(), "400 invalid_scope");
    assert_eq!(world.check(ask(&once)).code(), "200");
    assert_eq!(world.check(ask(&once)).code(), NO);
    // The same identifier of another issuer is another one.
    let second = ForeignKey::new(Some("q1"));
    let mut other = trusted("https://other.test", &second);
    other.trust.accept = vec![AcceptedAs::JwtBearer];
    world.issuers.push(other);
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["*|*".parse().unwrap()]);
    let same = second.sign(&claims(&json!({"jti": "1", "iss": "https://other.test"})));
    assert_eq!(world.check(ask(&same)).code(), "200");
    world.has_memory = false;
    assert_eq!(world.check(ask(&key.sign(&claims(&json!({"jti": "2"}))))).code(), "503");
    assert_eq!(world.check(ask(&key.sign(&claims(&json!({}))))).code(), "200", "nothing is to be stored");
    world.issuers[0].trust.max_age = Lifetime::from_seconds(60);
    assert_eq!(
        world.check(ask(&key.sign(&claims(&json!({}))))).code(),
        NO,
        "the issuer's own bound is tighter"
    );
}
