//! Every form is read as RFC 6749 §3.2 requires: conformance TE, tested through the whole flow.

use tokenberg_testkit::{Ask, ForeignKey, World};

fn c1() -> Ask {
    Ask::default().basic("c1", "s1-Z7")
}

fn body(raw: impl AsRef<[u8]>) -> Ask {
    c1().and(raw.as_ref())
}

/// Runs a table; after each refusal no token was minted and the next valid request still succeeds.
fn check(world: &mut World, rows: Vec<(&str, Ask, &str)>) {
    for (name, ask, expected) in rows {
        let before = world.minted();
        let answer = world.check(ask);
        assert_eq!(answer.code(), expected, "{name}");
        if expected != "200" {
            assert_eq!(world.minted(), before, "{name} minted");
            assert_eq!(world.check(body("grant_type=client_credentials")).code(), "200", "after {name}");
        }
    }
}

#[test]
fn te_09_an_empty_body_or_no_grant_type() {
    let rows = vec![
        ("empty body", body(""), "400 invalid_request"),
        ("empty grant_type", body("grant_type="), "400 invalid_request"),
        ("other parameters only", body("scope=catalog"), "400 invalid_request"),
    ];
    check(&mut World::new(), rows);
}

#[test]
fn te_10_parameters_without_a_value_are_omitted() {
    let mut world = World::new();
    for raw in ["scope=", "scope", "client_id=", "subject_token=&actor_token=&actor_token_type="] {
        let answer = world.check(body(format!("grant_type=client_credentials&{raw}")));
        assert_eq!(answer.body()["scope"], "catalog", "{raw}");
    }
    let token = world.token("c1", "s1-Z7", "catalog");
    let renewed = Ask::exchange(&token).and(b"&actor_token=&actor_token_type=&scope=").bearer(&token);
    assert_eq!(world.check(renewed).code(), "200");
}

#[test]
fn te_11_te_12_repeated_parameter_is_refused() {
    let names = [
        "grant_type",
        "scope",
        "client_id",
        "client_secret",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "requested_token_type",
        "assertion",
        "client_assertion",
        "client_assertion_type",
        "token",
        "token_type_hint",
    ];
    let mut world = World::new();
    for name in names {
        for (first, second) in [("x", "x"), ("x", "y"), ("", "x"), ("x", "")] {
            let raw = format!("grant_type=client_credentials&{name}={first}&{name}={second}");
            assert_eq!(world.check(body(raw)).code(), "400 invalid_request", "{name}");
        }
    }
    assert_eq!(world.minted(), 0);
}

#[test]
fn te_13_unknown_parameters_are_ignored_and_order_is_free() {
    let rows = vec![
        ("unknown", body("grant_type=client_credentials&foo=1&foo=2&__proto__=x&%00=y"), "200"),
        (
            "order",
            Ask::raw("scope=catalog&client_secret=s1-Z7&grant_type=client_credentials&client_id=c1"),
            "200",
        ),
    ];
    check(&mut World::new(), rows);
}

#[test]
fn te_14_te_15_spaces_and_hexadecimal_digits() {
    let mut world = World::new();
    for raw in ["catalog+ns:read", "catalog%20ns:read", "catalog%20ns%3aread", "catalog%20ns%3Aread"] {
        let answer = world.check(body(format!("grant_type=client_credentials&scope={raw}")));
        assert_eq!(answer.body()["scope"], "catalog ns:read");
    }
    assert_eq!(
        world.check(body("grant_type=client_credentials&scope=catalog%2Bns")).code(),
        "400 invalid_scope"
    );
    assert_eq!(world.check(body("grant_type=client_credentials&scope=PRINCIPAL_ROLE%3aALL")).code(), "200");
}

#[test]
fn te_16_te_17_te_18_what_lenient_decoders_accept_is_refused() {
    let mut rows = Vec::new();
    for bad in ["a%zz", "a%4", "a%", "%ff", "%c0%80", "%c0%af", "%ed%a0%80", "%00"] {
        rows.push((bad, body(format!("grant_type=client_credentials&scope={bad}")), "400 invalid_request"));
    }
    rows.push((
        "raw byte",
        body([b"grant_type=client_credentials&scope=".as_slice(), b"\xff"].concat()),
        "400 invalid_request",
    ));
    rows.push((
        "NUL in client_id",
        Ask::raw("grant_type=client_credentials&client_id=c1%00x&client_secret=s1-Z7"),
        "400 invalid_request",
    ));
    rows.push((
        "NUL in secret",
        Ask::raw("grant_type=client_credentials&client_id=c1&client_secret=s1-Z7%00"),
        "400 invalid_request",
    ));
    rows.push((
        "CRLF in scope",
        body("grant_type=client_credentials&scope=cat%0d%0aX:1"),
        "400 invalid_scope",
    ));
    check(&mut World::new(), rows);
}

#[test]
fn te_19_a_semicolon_is_not_a_separator() {
    let rows = vec![(
        "semicolon",
        body("grant_type=client_credentials;scope=catalog"),
        "400 unsupported_grant_type",
    )];
    check(&mut World::new(), rows);
}

#[test]
fn te_20_te_21_parameters_in_the_query_are_refused_and_never_used() {
    let cc = || body("grant_type=client_credentials");
    let rows = vec![
        ("credentials", Ask::credentials().query("client_id=c1&client_secret=s1-Z7"), "400 invalid_request"),
        ("grant", body("").query("grant_type=client_credentials"), "400 invalid_request"),
        ("merged", cc().and(b"&scope=catalog").query("scope=ns:write"), "400 invalid_request"),
        ("others", cc().query("x=1"), "200"),
    ];
    check(&mut World::new(), rows);
}

#[test]
fn te_22_te_23_grants_are_exact_and_few() {
    let mut rows = Vec::new();
    for grant in [
        "Client_Credentials",
        "+client_credentials",
        "client_credentials+",
        "password",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "foo",
        "URN:ietf:params:oauth:grant-type:token-exchange",
    ] {
        rows.push((grant, body(format!("grant_type={grant}")), "400 unsupported_grant_type"));
    }
    check(&mut World::new(), rows);
}

#[test]
fn te_24_tx_25_a_grant_that_the_client_is_not_registered_for() {
    let mut world = World::new();
    let token = world.token("cnx", "snx", "catalog");
    let rows = vec![
        ("basic", Ask::exchange(&token).basic("cnx", "snx"), "400 unauthorized_client"),
        ("bearer", Ask::exchange(&token).bearer(&token), "400 unauthorized_client"),
    ];
    check(&mut world, rows);
}

#[test]
fn te_25_checks_come_in_one_order() {
    let mut world = World::new();
    let proof = ForeignKey::new(None).proof(world.now, "j1", &serde_json::json!({"htm": "GET"}));
    let rows = vec![
        (
            "unknown client, unsupported grant",
            Ask::raw("grant_type=foo").basic("unknown", "x"),
            "401 invalid_client Basic",
        ),
        ("unknown client, no grant", Ask::raw("").basic("unknown", "x"), "401 invalid_client Basic"),
        (
            "bad secret, bad scope",
            Ask::credentials().with("scope", "\"").basic("c1", "bad"),
            "401 invalid_client Basic",
        ),
        ("bad secret, malformed body", Ask::raw("grant_type=%zz").basic("c1", "bad"), "400 invalid_request"),
        (
            "bad secret, repeated parameter",
            Ask::raw("scope=a&scope=b").basic("c1", "bad"),
            "400 invalid_request",
        ),
        (
            "grant not allowed, parameters missing",
            Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange").basic("cnx", "snx"),
            "400 unauthorized_client",
        ),
        (
            "bad secret, bad proof, bad scope",
            Ask::credentials().with("scope", "\"").dpop(&proof).basic("c1", "bad"),
            "401 invalid_client Basic",
        ),
        (
            "bad proof, bad scope",
            Ask::credentials().with("scope", "\"").dpop(&proof).basic("c1", "s1-Z7"),
            "400 invalid_dpop_proof",
        ),
        (
            "bad proof, grant not allowed",
            Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange")
                .dpop(&proof)
                .basic("cnx", "snx"),
            "400 unauthorized_client",
        ),
    ];
    check(&mut world, rows);
}

#[test]
fn cc_13_errors_contain_nothing_that_was_sent() {
    let mut world = World::new();
    let answer = world.check(body("grant_type=%3Cscript%3E%22%5C%C3%A9%0D%0A"));
    assert_eq!(answer.code(), "400 invalid_request");
    let answer = world.check(body("grant_type=%3Cscript%3E%22%5C%C3%A9"));
    assert_eq!(answer.code(), "400 unsupported_grant_type");
    // Text that is no keyword may be a secret; the log has the beginning. `check` compares the answer to the client.
    let reason = answer.refusal().to_string();
    assert_eq!(reason, r#"grant_type is "<sc…" (11 characters, redacted), which is not supported"#);
}
