//! Every client authenticates, by exactly one method: RFC 6749 §2.3; conformance CA.

use tokenberg_testkit::{Ask, World, client};

const DENIED: &str = "401 invalid_client Basic";

fn cc() -> Ask {
    Ask::credentials()
}

fn code(world: &mut World, ask: Ask) -> String {
    let before = world.minted();
    let code = world.check(ask).code();
    assert_eq!(world.minted() - before, u128::from(code == "200"));
    code
}

#[test]
fn ca_01_basic_form_encoded() {
    let mut world = World::new();
    world.register(client("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", "catalog"));
    let known_answer = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";
    assert_eq!(code(&mut world, cc().header(known_answer)), "200");
}

#[test]
fn ca_02_ca_03_encoding_torture_and_raw_basic() {
    let mut world = World::new();
    world.register(client("client-id", "3cr:et+/=&", "catalog"));
    world.register(client("per%63ent", "x%41", "catalog"));
    for (ask, expected) in [
        (cc().basic("c 3+%", "p+a%ss:w&=/ ~"), "200"),
        (cc().basic_raw(b"c+3%2B%25:p%2Ba%25ss%3Aw%26%3D%2F+~"), "200"),
        (cc().basic_raw(b"c 3+%:p+a%ss:w&=/ ~"), "200"),
        (cc().basic_raw(b"c1:s1-Z7"), "200"),
        (cc().basic_raw(b"client-id:3cr:et+/=&"), "200"),
        (cc().basic_raw(b"per%63ent:x%41"), "200"),
        (cc().basic("per%63ent", "x%41"), "200"),
        (cc().post("c 3+%", "p+a%ss:w&=/ ~"), "200"),
    ] {
        assert_eq!(code(&mut world, ask.clone()), expected, "{ask:?}");
    }
}

#[test]
fn ca_04_two_readings_make_no_second_password() {
    let mut world = World::new();
    world.register(client("plus", "a+b", "catalog"));
    world.register(client("space", "a b", "catalog"));
    for (pair, expected) in [
        ("plus:a+b", "200"),
        ("plus:a%2Bb", "200"),
        ("plus:a b", DENIED),
        ("plus:a%20b", DENIED),
        ("space:a b", "200"),
        ("space:a+b", "200"),
        ("space:a%2Bb", DENIED),
    ] {
        assert_eq!(code(&mut world, cc().basic_raw(pair.as_bytes())), expected, "{pair}");
    }
}

#[test]
fn ca_05_the_scheme_in_any_case_and_one_or_more_spaces() {
    let mut world = World::new();
    for (header, expected) in [
        ("basic YzE6czEtWjc=", "200"),
        ("BASIC YzE6czEtWjc=", "200"),
        ("Basic  YzE6czEtWjc=", "200"),
        ("Basic\tYzE6czEtWjc=", DENIED),
        ("BasicYzE6czEtWjc=", DENIED),
    ] {
        assert_eq!(code(&mut world, cc().header(header)), expected, "{header:?}");
    }
}

#[test]
fn ca_06_ca_07_ca_08_ca_09_unreadable_basic_is_one_consistent_refusal() {
    let mut world = World::new();
    // `c1:s1-Z7` is `YzE6czEtWjc=`; each of the others has one defect.
    for header in [
        "Basic YzE6czEtWjc",
        "Basic YzE6czEt_jc=",
        "Basic YzE6 czEtWjc=",
        "Basic YzE6czEtWjc=x",
        "Basic YzE6czEtWjd=",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YzE6czEtWjc=, Basic YzE6czEtWjc=",
    ] {
        assert_eq!(code(&mut world, cc().header(header)), DENIED, "{header:?}");
    }
    for pair in [&b"only-secret"[..], b":s", b"c1:", b":", b"", b"c1:\xff", b"\xff:x", b"cnone:"] {
        assert_eq!(code(&mut world, cc().basic_raw(pair)), DENIED, "{pair:?}");
    }
}

#[test]
fn ca_10_client_secret_post() {
    let mut world = World::new();
    assert_eq!(code(&mut world, cc().post("c1", "s1-Z7")), "200");
}

#[test]
fn ca_11_ca_13_ca_15_one_method_in_one_place() {
    let mut world = World::new();
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let refused = "400 invalid_request";
    for (ask, expected) in [
        (cc().basic("c1", "s1-Z7").post("c1", "s1-Z7"), refused),
        (cc().basic("c1", "s1-Z7").with("client_secret", "s1-Z7"), refused),
        (
            cc().basic("c1", "s1-Z7").with("client_assertion", "x").with("client_assertion_type", assertion),
            refused,
        ),
        (
            cc().post("c1", "s1-Z7").with("client_assertion", "x").with("client_assertion_type", assertion),
            refused,
        ),
        (cc().with("client_assertion", "x"), refused),
        (cc().with("client_assertion_type", assertion), refused),
        (cc().with("client_assertion", "x").with("client_assertion_type", assertion), DENIED),
        (cc().basic("c1", "s1-Z7").with("client_id", "c1"), "200"),
        (cc().basic("c1", "s1-Z7").with("client_id", "c2"), refused),
        (cc().basic("c 3+%", "p+a%ss:w&=/ ~").with("client_id", "c 3+%"), "200"),
        (cc().basic("c1", "s1-Z7").basic("c2", "s2-Q4"), refused),
        (cc().basic("c1", "s1-Z7").basic("c1", "s1-Z7"), refused),
        (cc().bearer("x").basic("c1", "s1-Z7"), refused),
    ] {
        assert_eq!(code(&mut world, ask.clone()), expected, "{ask:?}");
    }
}

#[test]
fn ca_12_a_bearer_beside_a_secret_in_the_body_does_not_count() {
    let mut world = World::new();
    let expired = world.token("c1", "s1-Z7", "catalog");
    world.pass(2 * 3600);
    for bearer in ["garbage", "", "a b", &expired] {
        assert_eq!(code(&mut world, cc().post("c1", "s1-Z7").bearer(bearer)), "200", "{bearer}");
        assert_eq!(code(&mut world, cc().post("c1", "bad").bearer(bearer)), DENIED);
    }
}

#[test]
fn ca_14_ca_16_unknown_schemes_and_missing_credentials() {
    let mut world = World::new();
    for scheme in ["Digest x", "Negotiate x", "DPoP x", "", "x"] {
        assert_eq!(code(&mut world, cc().header(scheme)), DENIED, "{scheme}");
        assert_eq!(code(&mut world, cc().post("c1", "s1-Z7").header(scheme)), "200", "{scheme}");
    }
    assert_eq!(code(&mut world, cc()), DENIED);
    assert_eq!(code(&mut world, cc().with("client_id", "c1")), DENIED);
}

#[test]
fn ca_17_ca_18_ca_19_ca_20_every_failure_looks_the_same() {
    let mut world = World::new();
    let mut errors = Vec::new();
    for (id, secret) in [
        ("c1", "bad"),
        ("unknown", "bad"),
        ("coff", "soff"),
        ("coff", "bad"),
        ("cexp", "sexp"),
        ("cexp", "bad"),
        ("cnone", "x"),
        ("x\", error=\"y", "bad"),
        ("é", "bad"),
        ("c1", "é"),
    ] {
        for ask in [
            cc().basic(id, secret),
            cc().post(id, secret),
            cc().basic_raw(format!("{id}:{secret}").as_bytes()),
        ] {
            let answer = world.check(ask);
            assert_eq!(answer.code(), DENIED, "{id} {secret}");
            errors.push(world.error_for(answer.refusal()));
        }
    }
    assert!(errors.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.minted(), 0);
}

#[test]
fn ca_21_two_live_secrets_and_one_that_expires() {
    let mut world = World::new();
    world.change("c2", |c2| {
        let second = client("c2", "second", "catalog").secrets[0].clone();
        c2.secrets.add(second);
    });
    for secret in ["s2-Q4", "second"] {
        assert_eq!(code(&mut world, cc().basic("c2", secret)), "200");
    }
    let now = world.now;
    world.change("c2", |c2| c2.secrets[0].expires_at = Some(now));
    assert_eq!(code(&mut world, cc().basic("c2", "s2-Q4")), DENIED);
    assert_eq!(code(&mut world, cc().basic("c2", "second")), "200");
}

#[test]
fn ca_22_ca_23_ca_24_secrets_and_identifiers_are_whole_and_exact() {
    let mut world = World::new();
    let long = "x".repeat(80);
    world.register(client("long", &long, "catalog"));
    let mut changed = long.clone().into_bytes();
    changed[72] = b'y';
    let changed = String::from_utf8(changed).unwrap();
    for (id, secret, expected) in [
        ("long", long.as_str(), "200"),
        ("long", &changed, DENIED),
        ("long", &long[..72], DENIED),
        ("c1", "s1-Z7 ", DENIED),
        ("c1", "S1-Z7", DENIED),
        ("c1", "s1-Z", DENIED),
        ("C1", "s1-Z7", DENIED),
        ("c1 ", "s1-Z7", DENIED),
        ("c1\u{200b}", "s1-Z7", DENIED),
        ("c1", &"x".repeat(1025), DENIED),
        (&"c".repeat(300), "s1-Z7", DENIED),
    ] {
        assert_eq!(code(&mut world, cc().post(id, secret)), expected, "{id}");
        assert_eq!(code(&mut world, cc().basic(id, secret)), expected, "{id}");
    }
}

#[test]
fn ic_11_a_secret_without_an_identifier() {
    let mut world = World::new();
    let answer = world.check(cc().with("client_secret", "s1-Z7").with("scope", "catalog"));
    assert_eq!(answer.code(), DENIED);
    let error = world.error_for(answer.refusal());
    assert!(error.description.unwrap_or_default().contains("client_id missing"));
}

#[test]
fn tx_24_a_bearer_alone_gets_no_client_credentials() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "catalog");
    assert_eq!(code(&mut world, cc().bearer(&token)), DENIED);
    assert_eq!(code(&mut world, Ask::raw("").bearer(&token)), DENIED);
    assert_eq!(code(&mut world, cc().with("subject_token", &token).bearer(&token)), DENIED);
}

#[test]
fn se_01_an_identifier_that_may_be_a_secret_is_redacted() {
    let mut world = World::new();
    for secret in ["tkbSUPERSECRETVALUE0123456789", "hunter2"] {
        let answer = world.check(cc().basic(secret, "c1"));
        assert_eq!(answer.code(), DENIED);
        let text = format!("{0} {0:?}", answer.refusal());
        assert!(!text.contains(&secret[..5]), "{text}");
    }
}
