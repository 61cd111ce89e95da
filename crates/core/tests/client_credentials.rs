//! Tokens that a client obtains for itself: RFC 6749 §4.4 and RFC 9068 §2; conformance CC, AT and RI.

use serde_json::Value;
use tokenberg_core::Lifetime;
use tokenberg_core::registration::AllowedScope;
use tokenberg_testkit::{Answer, Ask, ISSUER, NOW, World};

fn c1(scope: &str) -> Ask {
    Ask::credentials().basic("c1", "s1-Z7").with("scope", scope)
}

fn payload(answer: &Answer) -> Value {
    Value::Object(answer.claims().to_json())
}

#[test]
fn cc_01_cc_02_cc_03_ic_01_ic_03_the_shape_of_a_success() {
    // The members, their types and the absence of refresh_token are checked for every success by the testkit.
    let answer = World::new().check(c1("catalog"));
    assert_eq!(answer.body()["expires_in"], 3600);
    assert_eq!(answer.body()["scope"], "catalog");
}

#[test]
fn cc_05_cc_06_cc_07_cc_08_cc_09_cc_11_cc_12_scope_is_granted_whole_or_not_at_all() {
    let mut world = World::new();
    for (scope, expected) in [
        ("catalog", "catalog"),
        ("", "catalog"),
        ("  ", "catalog"),
        ("catalog  ns:read ", "catalog ns:read"),
        ("ns:read catalog ns:read", "catalog ns:read"),
        ("PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:ALL"),
    ] {
        assert_eq!(world.check(c1(scope)).body()["scope"], expected, "{scope:?}");
    }
    for scope in [
        "CATALOG",
        "ns:all",
        "catalog ns:all",
        "catalog+ns",
        "\"",
        "\\",
        "\u{7f}",
        "a\tb",
        "é",
        "\u{a0}",
        "🦀",
        "PRINCIPAL_ROLE:admin",
        "PRINCIPAL_ROLE:",
        "principal_role:all",
    ] {
        assert_eq!(world.check(c1(scope)).code(), "400 invalid_scope", "{scope:?}");
    }
    let c2 = |scope: &str| Ask::credentials().basic("c2", "s2-Q4").with("scope", scope);
    assert_eq!(world.check(c2("ns:write")).code(), "400 invalid_scope");
    assert_eq!(world.check(c2("catalog ns:write")).code(), "400 invalid_scope");
    assert_eq!(world.check(c2("PRINCIPAL_ROLE:ALL")).code(), "400 invalid_scope");
}

#[test]
fn cc_10_many_scopes_are_answered_at_once() {
    let mut world = World::new();
    for scope in ["catalog ".repeat(1000), "x ".repeat(16_000), "y".repeat(60_000)] {
        assert_eq!(world.check(c1(&scope)).code(), "400 invalid_scope");
    }
}

#[test]
fn d10_catalog_is_always_allowed_and_the_operators_client_may_have_every_scope() {
    let mut world = World::new();
    world.change("c2", |c2| c2.rights_mut().scope = AllowedScope::Only("ns:read".parse().unwrap()));
    let c2 = |scope: &str| Ask::credentials().basic("c2", "s2-Q4").with("scope", scope);
    assert_eq!(world.check(c2("catalog")).code(), "200");
    world.change("c2", |c2| c2.rights_mut().scope = AllowedScope::Every);
    for scope in ["anything", "PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:admin catalog"] {
        assert_eq!(world.check(c2(scope)).code(), "200", "{scope}");
    }
    assert_eq!(world.check(c2("PRINCIPAL_ROLE:")).code(), "400 invalid_scope");
}

#[test]
fn at_01_at_02_at_04_at_05_at_07_ic_02_the_claims_of_rfc_9068() {
    let mut world = World::new();
    let answer = world.check(c1("catalog ns:read"));
    let jws = tokenberg_core::CompactJws::parse(&answer.token()).unwrap_or_else(|e| panic!("{e}"));
    assert!(jws.header().is_type("at+jwt"));
    assert_eq!(&*jws.header().alg, "ES256");
    assert!(jws.header().kid.is_some());
    let payload = Value::Object(jws.unverified_payload().clone());
    assert_eq!(payload["iss"], ISSUER);
    assert_eq!(payload["aud"], "https://cat.test");
    assert_eq!(payload["sub"], "c1");
    assert_eq!(payload["client_id"], "c1");
    assert_eq!(payload["iat"], NOW);
    assert_eq!(payload["exp"], NOW + 3600);
    assert_eq!(payload["scope"], "catalog ns:read");
    assert_eq!(payload["jti"].as_str().map(str::len), Some(22), "128 bits");
    let text = payload.to_string();
    let after = text.split("\"exp\":").nth(1).unwrap_or_default();
    assert!(after.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with([',', '}']), "{text}");
    let names: Vec<&String> = payload.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "tokenberg_session"]);
}

#[test]
fn cc_17_tokens_of_clients_and_of_users_are_distinguished() {
    let answer = World::new().check(c1("catalog"));
    assert!(answer.claims().is_clients_own());
    assert_eq!(answer.claims().subject_issuer().as_str(), ISSUER);
    let mut of_a_user = answer.claims().clone();
    of_a_user.session.subject_issuer = "https://idp.test".parse().ok();
    assert!(!of_a_user.is_clients_own(), "a user of another issuer who is called c1 is not the client c1");
}

#[test]
fn cc_18_every_token_is_fresh() {
    let mut world = World::new();
    let (first, second) = (world.check(c1("catalog")), world.check(c1("catalog")));
    assert_ne!(first.token(), second.token());
    assert_ne!(payload(&first)["jti"], payload(&second)["jti"]);
}

#[test]
fn cc_19_a_disabled_client_stops_at_once() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    world.change("c1", |c1| c1.enabled = false);
    assert_eq!(world.check(c1("catalog")).code(), "401 invalid_client Basic");
    assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code(), "401 invalid_client Bearer");
    world.unregister("c1");
    assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code(), "401 invalid_client Bearer");
}

#[test]
fn at_03_ri_01_ri_02_tx_12_tx_13_the_audience_is_the_requested_one_if_registered() {
    let mut world = World::new();
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://b.test".into(), "logical".into()]
    });
    world.change("c2", |c2| c2.rights_mut().audiences.clear());
    let aud = |world: &mut World, ask: Ask| payload(&world.check(ask))["aud"].clone();
    assert_eq!(aud(&mut world, c1("")), "https://cat.test", "the first is the default");
    assert_eq!(aud(&mut world, c1("").with("resource", "https://b.test")), "https://b.test");
    assert_eq!(aud(&mut world, c1("").with("audience", "logical")), "logical");
    let both = c1("").with("audience", "logical").with("resource", "https://b.test");
    assert_eq!(aud(&mut world, both), serde_json::json!(["https://b.test", "logical"]));
    assert_eq!(aud(&mut world, c1("").with("resource", "")), "https://cat.test");
    let c2 = Ask::credentials().basic("c2", "s2-Q4");
    assert_eq!(aud(&mut world, c2.clone()), ISSUER, "where nothing is registered, ourselves");
    for ask in [
        c1("").with("resource", "cat"),
        c1("").with("resource", "https://cat.test#x"),
        c1("").with("resource", "https://unknown.test"),
        c1("").with("resource", "https://cat.test/"),
        c1("").with("audience", "other"),
        c1("").with("audience", "logical").with("audience", "other"),
        c2.with("resource", "https://cat.test"),
    ] {
        assert_eq!(world.check(ask.clone()).code(), "400 invalid_target", "{ask:?}");
    }
}

#[test]
fn tx_16_ht_14_many_resources() {
    let mut world = World::new();
    let many = |n: usize| {
        (0..n)
            .fold(Ask::credentials().basic("c1", "s1-Z7"), |ask, _| ask.with("resource", "https://cat.test"))
    };
    assert_eq!(world.check(many(64)).code(), "200");
    assert_eq!(world.check(many(65)).code(), "400 invalid_request");
    assert_eq!(world.check(many(1500)).code(), "400 invalid_request");
}

#[test]
fn ic_04_only_icebergs_codes_on_request() {
    let mut world = World::new();
    let mut policy = world.endpoint.policy().clone();
    policy.strict_iceberg_errors = true;
    world.endpoint = tokenberg_core::TokenEndpoint::new(policy);
    assert_eq!(world.check(c1("").with("audience", "other")).code(), "400 invalid_request");
}

#[test]
fn at_08_tokens_stay_small_enough_for_a_header() {
    let mut world = World::new();
    world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Every);
    let twenty: Vec<String> = (0..20).map(|n| format!("PRINCIPAL_ROLE:role-with-a-name-{n}")).collect();
    assert!(world.check(c1(&twenty.join(" "))).token().len() <= 4096);
    world.change("c1", |c1| {
        c1.rights_mut().audiences =
            (0..30).map(|n| format!("https://{}.test/{n}", "a".repeat(200)).into()).collect();
    });
    let everything = (0..30)
        .fold(c1("catalog"), |ask, n| ask.with("resource", &format!("https://{}.test/{n}", "a".repeat(200))));
    assert_eq!(world.check(everything).code(), "400 invalid_scope");
}

#[test]
fn a_session_shorter_than_a_token_ends_the_token() {
    let mut world = World::new();
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(90));
    assert_eq!(world.check(c1("")).body()["expires_in"], 90);
}

#[test]
fn cc_09_a_default_scope_is_no_way_around_the_registration() {
    let mut world = World::new();
    world.change("c2", |c2| c2.rights_mut().default_scope = "catalog ns:write".parse().unwrap());
    assert_eq!(world.check(Ask::credentials().basic("c2", "s2-Q4")).body()["scope"], "catalog");
}

#[test]
fn cc_01_lifetimes_are_a_second_at_least_and_a_week_at_most() {
    let mut world = World::new();
    for (registered, expires_in) in [(0, 1), (u32::MAX, 604_800)] {
        world.change("c1", |c1| {
            c1.rights_mut().token_lifetime = Lifetime::from_seconds(registered);
            c1.rights_mut().session_lifetime = Lifetime::from_seconds(u32::MAX);
        });
        assert_eq!(world.check(c1("")).body()["expires_in"], expires_in);
    }
}
