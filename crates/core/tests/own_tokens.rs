//! Which tokens are accepted as ours: RFC 9068 §4 and RFC 8725; conformance JW and AT, with the right key and everything else wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::TokenStatus;
use tokenberg_core::token::Possession;
use tokenberg_core::{Answers, TokenFault, TokenVerification};
use tokenberg_testkit::{Ask, ISSUER, NOW, World, changed};

fn header(world: &World) -> Value {
    json!({"alg": "ES256", "typ": "at+jwt", "kid": world.kid()})
}

fn payload() -> Value {
    json!({"iss": ISSUER, "aud": "https://cat.test", "sub": "c1", "client_id": "c1", "iat": NOW, "exp": NOW + 60,
        "jti": "x", "scope": "catalog", "tokenberg_session": {"id": "x", "start": NOW, "end": NOW + 60}})
}

/// Every entry point gives the same verdict: subject, actor, Bearer, and the resource server.
fn verdict(world: &mut World, token: &str) -> bool {
    let own = world.token("c1", "s1-Z7", "catalog");
    let as_subject = world.check(Ask::exchange(token).basic("c1", "s1-Z7"));
    let as_actor = world.check(Ask::exchange(&own).actor(token).basic("c1", "s1-Z7"));
    let as_bearer = world.check(Ask::exchange(token).bearer(token));
    let at_catalog = at_catalog(world, token).is_ok();
    for (answer, refused) in [
        (&as_subject, "400 invalid_request"),
        (&as_actor, "400 invalid_request"),
        (&as_bearer, "401 invalid_client Bearer"),
    ] {
        assert_eq!(answer.code(), if at_catalog { "200" } else { refused }, "{token}");
        if !at_catalog {
            let text = format!("{} {}", answer.refusal(), world.error_for(answer.refusal()));
            let signature = token.rsplit('.').next().unwrap_or("none");
            assert!(signature.len() < 8 || !text.contains(signature), "jw_39: {text}");
        }
    }
    at_catalog
}

fn at_catalog(world: &World, token: &str) -> Result<(), TokenFault> {
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec!["https://cat.test".into()]);
    // The first time, from the cache, and in a process that has only the keys.
    let signed = || {
        let signed =
            world.keys().read(token, verification.issuer(), world.now).ours(verification.issuer())?;
        verification.signed(&signed, world.now, &Possession::default())
    };
    let by_keys = verification.framed(token).and_then(|framed| {
        let verified = world.keys().verify(&framed, world.now);
        verification.claims(&framed, verified, world.now, &Possession::default())
    });
    let claims = signed();
    assert_eq!((&signed(), &by_keys), (&claims, &claims), "jw_40: {token}");
    let claims = claims?;
    let status = TokenStatus::of(world, &claims);
    verification.recalled(claims, status).map(drop)
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

#[test]
fn jw_07_a_token_of_ours_passes_also_with_spaces_in_its_json() {
    let mut world = World::new();
    let header = header(&world);
    let plain = world.sign_raw(&header.to_string(), &payload().to_string());
    assert!(verdict(&mut world, &plain));
    let spaced = world.sign_raw(&format!(" {header:#} \n"), &format!("{:#}", payload()));
    assert!(verdict(&mut world, &spaced));
}

#[test]
fn jw_14_jw_15_jw_17_jw_38_at_01_at_06_headers_that_are_refused() {
    let mut world = World::new();
    let good = header(&world);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
    for bad in [
        without(good.clone(), "typ"),
        with(good.clone(), "typ", json!("JWT")),
        with(good.clone(), "typ", json!("dpop+jwt")),
        with(good.clone(), "typ", json!("client-authentication+jwt")),
        with(good.clone(), "typ", json!("secevent+jwt")),
        with(good.clone(), "typ", json!("logout+jwt")),
        with(good.clone(), "alg", json!("ES384")),
        with(good.clone(), "alg", json!("HS256")),
        with(good.clone(), "alg", json!("none")),
        with(good.clone(), "kid", json!("../../dev/null")),
        with(good.clone(), "kid", json!("' OR 1=1--")),
        with(good.clone(), "kid", json!("x".repeat(10_000))),
        with(good.clone(), "kid", json!({"a": 1})),
        with(with(good.clone(), "kid", json!("unknown")), "jwk", jwk),
        with(good.clone(), "crit", json!(["exp"])),
        with(good.clone(), "b64", json!(false)),
    ] {
        let token = world.sign_raw(&bad.to_string(), &payload().to_string());
        assert!(!verdict(&mut world, &token), "{bad}");
    }
    for also_good in [
        with(good.clone(), "typ", json!("AT+JWT")),
        with(good.clone(), "typ", json!("application/at+jwt")),
        without(good.clone(), "kid"),
        with(good.clone(), "jku", json!("https://evil.test/keys")),
    ] {
        let token = world.sign_raw(&also_good.to_string(), &payload().to_string());
        assert!(verdict(&mut world, &token), "{also_good}");
    }
}

#[test]
fn jw_30_jw_32_jw_33_jw_34_times() {
    let mut world = World::new();
    let header = header(&world).to_string();
    let session = |end: i64| json!({"id": "x", "start": NOW - 100, "end": end});
    let base = with(payload(), "tokenberg_session", session(NOW + 100));
    for (claims, passes) in [
        (with(with(base.clone(), "iat", json!(NOW - 60)), "exp", json!(NOW)), false),
        (with(with(base.clone(), "iat", json!(NOW - 60)), "exp", json!(NOW + 1)), true),
        (without(base.clone(), "exp"), false),
        (without(base.clone(), "iat"), false),
        (with(base.clone(), "iat", json!(NOW + 5)), true),
        (with(base.clone(), "iat", json!(NOW + 6)), false),
        (with(base.clone(), "nbf", json!(NOW + 5)), true),
        (with(base.clone(), "nbf", json!(NOW + 6)), false),
        (with(base.clone(), "nbf", json!("1")), false),
        (with(base.clone(), "nbf", json!(null)), false),
        (with(with(base.clone(), "exp", json!(NOW + 3)), "nbf", json!(NOW + 4)), false),
        (with(base.clone(), "exp", json!(NOW + 101)), false),
        (with(base.clone(), "exp", json!(i64::MAX)), false),
    ] {
        // An expired token of the client's own is renewed with its credential, and is refused everywhere else.
        let token = world.sign_raw(&header, &claims.to_string());
        assert_eq!(at_catalog(&world, &token).is_ok(), passes, "{claims}");
        assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code() == "200", passes, "{claims}");
    }
}

#[test]
fn tx_44_a_session_with_an_unknown_member_is_refused() {
    let mut world = World::new();
    let header = header(&world).to_string();
    let session = |more: &Value| changed(json!({"id": "x", "start": NOW, "end": NOW + 60}), more);
    let origin = json!({"id": "y", "client_id": "c2", "since": NOW});
    let may_act = json!({"sub": "c1"});
    for (more, passes) in [
        (json!({}), true),
        (json!({"with": [origin]}), true),
        (json!({"may_act": may_act}), true),
        // A newer version may restrict a session so; renewing the token here would lift that.
        (json!({"audience": "https://cat.test"}), false),
        (json!({"with": [with(origin.clone(), "until", json!(NOW + 9))]}), false),
        (json!({"may_act": with(may_act.clone(), "scope", json!("catalog"))}), false),
    ] {
        let claims = with(payload(), "tokenberg_session", session(&more));
        let token = world.sign_raw(&header, &claims.to_string());
        assert_eq!(verdict(&mut world, &token), passes, "{more}");
    }
}

#[test]
fn jw_05_jw_31_jw_35_jw_36_jw_37_claims_that_are_refused() {
    let mut world = World::new();
    let header = header(&world).to_string();
    for (name, value) in [
        ("iss", json!("https://as.test/")),
        ("iss", json!("https://as.test.evil")),
        ("iss", json!("HTTPS://AS.TEST")),
        ("iss", json!([ISSUER])),
        ("iss", json!([ISSUER, "https://idp.test"])),
        ("iss", json!(42)),
        ("aud", json!("https://cat.test/")),
        ("aud", json!("https://cat.test.evil")),
        ("aud", json!("https://other.test")),
        ("aud", json!(["https://other.test"])),
        ("aud", json!(null)),
        ("aud", json!({})),
        ("sub", json!("unknown")),
        ("sub", json!("")),
        ("client_id", json!("unknown")),
        ("client_id", json!("coff")),
        ("scope", json!("")),
        ("cnf", json!({"jkt": "x"})),
        ("may_act", json!({"sub": "c1"})),
    ] {
        let token = world.sign_raw(&header, &with(payload(), name, value.clone()).to_string());
        assert!(!verdict(&mut world, &token), "{name} {value}");
    }
    let twice = payload().to_string().replacen("\"sub\":\"c1\"", "\"s\\u0075b\":\"root\",\"sub\":\"c1\"", 1);
    let token = world.sign_raw(&header, &twice);
    assert!(!verdict(&mut world, &token), "{twice}");
}

#[test]
fn at_09_cve_2026_27840_no_part_of_a_token_passes_for_it() {
    // There are no opaque tokens here, whose truncation was once accepted; ours are accepted only in full.
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    for end in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        assert!(at_catalog(&world, &token[..end]).is_err(), "{end}");
    }
    for longer in [
        format!("{token}A"),
        format!("{token}AAAA"),
        format!("{token}."),
        format!("A{token}"),
        format!("{token}="),
    ] {
        assert!(!verdict(&mut world, &longer), "{longer}");
    }
    assert!(verdict(&mut world, &token));
}

#[test]
fn jw_39_jw_40_each_token_is_checked_separately_every_time() {
    let mut world = World::new();
    let (first, second) = (world.token("c1", "s1-Z7", "catalog"), world.token("c1", "s1-Z7", "catalog"));
    assert!(verdict(&mut world, &first) && verdict(&mut world, &second));
    let claims = world.check(Ask::exchange(&first).bearer(&first)).claims().clone();
    world.revoked = vec![tokenberg_core::Revocation::Session(claims.session.id)];
    assert!(!verdict(&mut world, &first));
    assert!(verdict(&mut world, &second));
    world.pass(3600);
    assert!(at_catalog(&world, &second).is_err());
}

#[test]
fn se_02_secrets_are_never_displayed() {
    // A separate compile_fail example shows that `Secret` has no Debug, Display, PartialEq or Serialize.
    let mut world = World::new();
    for ask in [
        Ask::credentials().basic("c1", "correct-horse-battery"),
        Ask::credentials().post("c1", "correct-horse-battery"),
        Ask::credentials().basic_raw(b"correct-horse-battery"),
        Ask::credentials().with("client_secret", "correct-horse-battery"),
        Ask::exchange("correct-horse-battery").basic("c1", "s1-Z7"),
        Ask::exchange("correct-horse-battery").bearer("correct-horse-battery"),
    ] {
        let answer = world.check(ask);
        let text = format!("{0} {0:?} {1} {1:?}", answer.refusal(), world.error_for(answer.refusal()));
        assert!(!text.contains("correct-horse"), "{text}");
    }
}
