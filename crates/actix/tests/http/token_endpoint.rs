//! Forms and their answers over HTTP: TE-01 to TE-28, CC, CA-15 and IC of the conformance list.

use crate::check::*;
use crate::world::*;
use std::sync::atomic::Ordering;

#[actix_web::test]
async fn te_01_te_02_te_03_te_04_only_post_reaches_the_token_endpoint() {
    let service = service();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        let ask = ask(method, "/v1/oauth/tokens?grant_type=client_credentials").basic(C1);
        let ask = ask.header("X-Echo", "echo-me");
        let answer = check(&service, &ask, E(405, "invalid_request")).await;
        assert_eq!(answer.header("Allow"), Some("POST"));
        assert!(!answer.text().contains("echo-me"));
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")));
    }
}

#[actix_web::test]
async fn te_05_te_06_te_07_te_08_the_body_is_a_form_in_utf_8() {
    let service = service();
    let good = form(CC).basic(C1);
    let declared = |kind: &str| good.clone().without("Content-Type").header("Content-Type", kind);
    for kind in [
        "Application/X-WWW-Form-URLEncoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=\"utf-8\"",
    ] {
        check(&service, &declared(kind), Expected::Ok).await;
    }
    for kind in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
        "application/x-www-form-urlencoded; charset=utf-16",
    ] {
        check(&service, &declared(kind), E(400, "invalid_request")).await;
    }
    check(&service, &good.clone().without("Content-Type"), E(400, "invalid_request")).await;
    for coding in ["gzip", "deflate", "br", "identity, gzip"] {
        let ask = good.clone().header("Content-Encoding", coding);
        check(&service, &ask, E(400, "invalid_request")).await;
    }
    check(&service, &good.clone().header("Content-Encoding", "identity"), Expected::Ok).await;
}

#[actix_web::test]
async fn te_09_to_13_empty_repeated_and_unknown_parameters() {
    let service = service();
    for (body, expected) in [
        ("", E(400, "invalid_request")),
        ("grant_type=", E(400, "invalid_request")),
        ("grant_type=client_credentials&scope=", Expected::Ok),
        ("grant_type=client_credentials&scope", Expected::Ok),
        ("grant_type=client_credentials&client_id=", Expected::Ok),
        ("grant_type=client_credentials&grant_type=client_credentials", E(400, "invalid_request")),
        ("grant_type=client_credentials&scope=&scope=catalog", E(400, "invalid_request")),
        ("grant_type=client_credentials&foo=1&foo=2&__proto__=x&%00=y", Expected::Ok),
    ] {
        let answer = check(&service, &form(body).basic(C1), expected).await;
        if let Expected::Ok = expected {
            assert_eq!(answer.json()["scope"], "catalog", "{body}");
        }
    }
    for parameter in tokenberg_core::request::Parameter::ALL.map(tokenberg_core::request::Parameter::name) {
        if parameter != "resource" && parameter != "audience" {
            let body = format!("{CC}&{parameter}=x&{parameter}=x&{parameter}=y");
            check(&service, &form(body).basic(C1), E(400, "invalid_request")).await;
        }
    }
}

#[actix_web::test]
async fn te_14_to_19_encodings() {
    let service = service();
    for (scope, granted) in [
        ("catalog+ns:read", Ok("catalog ns:read")),
        ("catalog%20ns:read", Ok("catalog ns:read")),
        ("catalog%2Bns", Err("invalid_scope")),
        ("PRINCIPAL_ROLE%3aALL", Ok("PRINCIPAL_ROLE:ALL")),
        ("PRINCIPAL_ROLE%3AALL", Ok("PRINCIPAL_ROLE:ALL")),
        ("a%zz", Err("invalid_request")),
        ("a%4", Err("invalid_request")),
        ("a%", Err("invalid_request")),
        ("%ff", Err("invalid_request")),
        ("%c0%80", Err("invalid_request")),
        ("%c0%af", Err("invalid_request")),
        ("%ed%a0%80", Err("invalid_request")),
        ("cat%0d%0aX:1", Err("invalid_scope")),
        ("catalog%00", Err("invalid_request")),
    ] {
        let expected = granted.err().map_or(Expected::Ok, |code| E(400, code));
        let answer = check(&service, &form(format!("{CC}&scope={scope}")).basic(C1), expected).await;
        if let Ok(granted) = granted {
            assert_eq!(answer.json()["scope"], granted);
        }
        assert_eq!(answer.header("X"), None);
    }
    check(&service, &form([CC.as_bytes(), b"&scope=\xff"].concat()).basic(C1), E(400, "invalid_request"))
        .await;
    for body in ["client_id=c1%00x&client_secret=s1-Z7", "client_id=c1&client_secret=s1-Z7%00"] {
        check(&service, &form(format!("{CC}&{body}")), E(400, "invalid_request")).await;
    }
    let ask = form("grant_type=client_credentials;scope=catalog").basic(C1);
    check(&service, &ask, E(400, "unsupported_grant_type")).await;
}

#[actix_web::test]
async fn te_20_and_21_known_parameters_in_the_query_are_refused() {
    let service = service();
    for (query, body, expected) in [
        ("client_id=c1&client_secret=s1-Z7", CC, E(400, "invalid_request")),
        ("grant_type=client_credentials", "", E(400, "invalid_request")),
        ("scope=ns:write", "grant_type=client_credentials&scope=catalog", E(400, "invalid_request")),
        ("x=1", CC, Expected::Ok),
    ] {
        check(&service, &form(body).basic(C1).at(&format!("{T}?{query}")), expected).await;
    }
}

#[actix_web::test]
async fn te_22_to_25_grants_and_the_order_of_checks() {
    let service = service();
    for grant in [
        "Client_Credentials",
        "+client_credentials",
        "client_credentials+",
        "password",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "foo",
    ] {
        let ask = form(format!("grant_type={grant}"));
        check(&service, &ask.clone().basic(C1), E(400, "unsupported_grant_type")).await;
        check(&service, &ask.basic(("unknown", "x")), E(401, "invalid_client")).await;
    }
    let exchange = format!("{EXCHANGE}&subject_token=x&subject_token_type={ACCESS_TOKEN}");
    check(&service, &form(exchange).basic(CNX), E(400, "unauthorized_client")).await;
    check(&service, &form("scope=%zz").basic(("c1", "wrong")), E(400, "invalid_request")).await;
    for client in [COFF, CEXP, ("c1", "wrong")] {
        check(&service, &form(CC).basic(client), E(401, "invalid_client")).await;
    }
}

#[actix_web::test]
async fn te_26_te_27_paths_that_are_answered() {
    let service = service();
    for path in [T, "/v1/oauth/tokens/", "//v1/oauth/tokens", "//v1/oauth/tokens/"] {
        check(&service, &form(CC).basic(C1).at(path), Expected::Ok).await;
    }
    // In another app, other paths are up to the app.
    for path in ["/V1/OAUTH/TOKENS", "/v1/oauth/../oauth/tokens", "/v1/oauth/tokens/x", "/x/v1/oauth/tokens"]
    {
        assert_eq!(answer(&service, &form(CC).basic(C1).at(path)).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn te_28_cc_16_headers_do_not_change_the_answer() {
    let service = service();
    for (name, value) in [
        ("X-Iceberg-Access-Delegation", "vended-credentials"),
        ("Polaris-Realm", "r"),
        ("X-Client-Version", "Apache Iceberg 1.10.2"),
        ("Accept", "*/*"),
        ("Accept", "text/html"),
        ("Accept-Encoding", "gzip, br"),
        ("Origin", "https://x"),
        ("Host", "evil.test"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "http"),
    ] {
        let answer = check(&service, &form(CC).basic(C1).header(name, value), Expected::Ok).await;
        assert_eq!(claims(&answer.token())["iss"], ISSUER, "{name}");
    }
}

#[actix_web::test]
async fn ca_15_one_authorization_header_only() {
    let service = service();
    for ask in [form(CC).basic(C1).basic(C2), form(CC).bearer("x").basic(C1), form(CC).basic(C1).basic(C1)] {
        check(&service, &ask, E(400, "invalid_request")).await;
    }
    // PyIceberg and Java send a Bearer that may have expired beside the secret in the form.
    let body = format!("{CC}&client_id=c1&client_secret=s1-Z7");
    check(&service, &form(body).bearer("expired"), Expected::Ok).await;
    check(&service, &form(CC).basic(TORTURE), Expected::Ok).await;
    check(&service, &form(CC).basic_raw(format!("{}:{}", TORTURE.0, TORTURE.1)), Expected::Ok).await;
}

#[actix_web::test]
async fn cc_13_nothing_of_a_request_is_echoed() {
    let service = service();
    for hostile in ["<script>\"\\é\r\n", "x\r\nSet-Cookie: a=b", "\u{2028}"] {
        for name in ["grant_type", "scope", "client_id", "resource", "audience"] {
            let rest = if name == "grant_type" { "" } else { CC };
            let ask = form(format!("{rest}&{name}={}", encoded(hostile))).basic(C1);
            let answer = answer(&service, &ask).await;
            assert!((400..500).contains(&answer.status), "{name} {}", answer.text());
            check_answer(&answer, E(answer.status, error_of(&answer)), name);
            assert!(!answer.text().contains("<script") && answer.header("Set-Cookie").is_none());
        }
    }
}

fn error_of(answer: &Answer) -> &'static str {
    let code = answer.json()["error"].as_str().unwrap().to_owned();
    ["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope", "invalid_target"]
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or_else(|| panic!("{code}"))
}

#[actix_web::test]
async fn cc_15_an_internal_failure_is_a_500_without_details() {
    let world = World::new();
    let service = world.service();
    world.keys.gone.store(true, Ordering::SeqCst);
    for costly in [false, true] {
        world.keys.costly.store(costly, Ordering::SeqCst);
        let answer = check(&service, &form(CC).basic(C1), E(500, "server_error")).await;
        assert!(!answer.text().contains("key"));
    }
    world.keys.gone.store(false, Ordering::SeqCst);
    check(&service, &form(CC).basic(C1), Expected::Ok).await;
}

#[actix_web::test]
async fn cc_18_every_token_has_its_own_id() {
    let service = service();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = check(&service, &form(CC).basic(C1), Expected::Ok).await;
        ids.push(claims(&answer.token())["jti"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[actix_web::test]
async fn ic_05_the_token_endpoint_never_answers_in_the_catalogs_form() {
    let world = World::new();
    let service = world.service();
    let token = check(&service, &form(CC).basic(C1), Expected::Ok).await.token();
    world.pass(3600);
    let body = format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}");
    let answer = check(&service, &form(body.clone()).bearer(&token), E(401, "invalid_client")).await;
    assert_eq!(answer.header("WWW-Authenticate"), Some(r#"Bearer realm="tokenberg", error="invalid_token""#));
    // With the client's own credential the same token can be renewed (D13).
    check(&service, &form(body).basic(C1), Expected::Ok).await;
}

#[actix_web::test]
async fn ic_17_two_large_tokens_fit() {
    let service = service();
    let large = "a".repeat(12_000);
    let body = format!(
        "{EXCHANGE}&subject_token={large}&subject_token_type={ACCESS_TOKEN}&actor_token={large}&actor_token_type={ACCESS_TOKEN}"
    );
    let answer = check(&service, &form(body).basic(C1), E(400, "invalid_request")).await;
    assert!(answer.text().contains("subject_token"), "{}", answer.text());
    let body = format!("{CC}&x={}", "y".repeat(60_000));
    check(&service, &form(body).basic(C1), Expected::Ok).await;
}

#[actix_web::test]
async fn ht_14_ht_15_many_parameters_are_refused_at_once() {
    let service = service();
    let many = |n: usize| (0..n).map(|i| format!("&k{i}=v")).collect::<String>();
    for body in [format!("{CC}{}", many(64)), format!("{CC}{}", many(5_000)), "a&".repeat(32_768)] {
        check(&service, &form(body).basic(C1), E(400, "invalid_request")).await;
    }
    check(&service, &form(format!("{CC}{}", many(63))).basic(C1), Expected::Ok).await;
}
