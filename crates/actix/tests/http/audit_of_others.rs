//! The audit of foreign tokens, assertions and proofs: TX-69 and SE-06 of the conformance list.

use crate::assertions::asserting;
use crate::audit::logged;
use crate::check::*;
use crate::world::*;
use serde_json::{Value, json};
use tokenberg_testkit::{ForeignKey, alice};

#[actix_web::test]
async fn tx_69_se_06_the_audit_names_the_origin_of_the_subject_and_the_binding_of_the_token() {
    let world = World::new();
    let service = world.service();
    let (_, minted) = logged(&service, &[form(CC).basic(C1)]).await;
    let actor = minted[0].token();
    let key = ForeignKey::new(None);
    let id_token = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";
    let subject = world.idp.sign(&alice(&json!({"jti": "a \"jti\" of theirs"})));
    let exchange = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={id_token}");
    let asks = [
        asserting(&world, "bob", &actor),
        form(exchange).basic(C1).dpop(&key.proof(at(NOW), "1", &json!({}))),
    ];
    let (log, answers) = logged(&service, &asks).await;
    let (asserted, foreign) = (log.events()[0].clone(), log.events()[1].clone());
    assert_eq!((&asserted["subject"], &asserted["subject_auth"]), (&"bob".into(), &"unsecured".into()));
    assert_eq!((&asserted["subject_issuer"], &asserted["bound"]), (&Value::Null, &Value::Null));
    let bound = Value::from(format!("[\"jkt={}\"]", key.thumbprint().as_str()));
    for (field, value) in [
        ("subject", "alice".into()),
        ("subject_auth", IDP.into()),
        ("subject_issuer", IDP.into()),
        ("actors", "[\"c1\"]".into()),
        ("subject_jti", "a \"jti\" of theirs".into()),
        ("bound", bound.clone()),
    ] {
        assert_eq!(foreign[field], value, "{field}");
    }

    // However often it is renewed, the user stays unsecured, and introspection reports it.
    let (bob, alice) = (answers[0].token(), answers[1].token());
    let renewal = format!("{EXCHANGE}&subject_token={bob}&subject_token_type={ACCESS_TOKEN}");
    let actor = format!("{renewal}&actor_token={actor}&actor_token_type={ACCESS_TOKEN}");
    let introspect = |token: &str| form(format!("token={token}")).basic(RS1).at("/v1/oauth/introspect");
    let (log, answers) =
        logged(&service, &[form(actor).basic(C1), introspect(&alice), introspect(&bob)]).await;
    assert_eq!(answers[0].status, 200, "{}", answers[0].text());
    let events = log.events();
    assert_eq!((&events[0]["outcome"], &events[0]["subject_auth"]), (&"granted".into(), &"unsecured".into()));
    assert_eq!((&events[1]["outcome"], &events[1]["bound"]), (&"active".into(), &bound));
    assert_eq!(events[1]["subject_issuer"], IDP);
    assert_eq!((&events[2]["outcome"], &events[2]["subject_auth"]), (&"active".into(), &"unsecured".into()));
}

#[actix_web::test]
async fn cj_03_the_kind_of_credential_is_named_in_the_audit() {
    let world = World::new();
    let service = world.service();
    let claims = json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "once"});
    let svid = json!({"sub": WORKLOAD, "aud": ISSUER, "exp": NOW + 300});
    let by = |kind: &str, assertion: &str| {
        let kind = format!("urn:ietf:params:oauth:client-assertion-type:{kind}");
        form(format!("{CC}&client_assertion={assertion}&client_assertion_type={}", encoded(&kind)))
    };
    let own = by("jwt-bearer", &world.cj.sign(&claims));
    let asks = [own.clone(), own, by("jwt-spiffe", &world.idp.sign(&svid))];
    let (log, _) = logged(&service, &asks).await;
    let expected = [
        ("cj", "private_key_jwt", "granted"),
        ("cj", "private_key_jwt", "invalid_client"),
        ("cw", "spiffe_jwt", "granted"),
    ];
    for (event, (client, method, outcome)) in log.events().iter().zip(expected) {
        assert_eq!(event["client"], client, "{event:#}");
        assert_eq!((&event["method"], &event["outcome"]), (&method.into(), &outcome.into()));
    }
    assert!(log.events()[1]["reason"].as_str().unwrap().contains("used before"));
    assert!(log.events()[1]["tokens"].as_str().unwrap().contains("once of cj"));
}

#[actix_web::test]
async fn se_06_a_refusal_names_the_request_in_its_header_and_unless_authentication_failed_in_its_body() {
    let service = service();
    let (introspect, revoke) = ("/v1/oauth/introspect", "/v1/oauth/revoke");
    for (ask, status) in [
        (form(format!("{CC}&scope=ns:write")).basic(C2), 400),
        (form("grant_type=x").basic(C1), 400),
        (form(CC).without("Content-Type"), 400),
        (form("grant_type=%zz"), 400),
        (form(vec![b'a'; 70_000]), 413),
        (form("").basic(C1).at(introspect), 400),
        (form("token=x").basic(C1).without("Content-Type").at(revoke), 400),
        (form("").basic(C1).at(revoke), 400),
        (form(CC).basic(("c1", "wrong")), 401),
        (form("token=x").basic(("c1", "wrong")).at(introspect), 401),
        (form("token=x").at(revoke), 401),
    ] {
        let (log, answers) = logged(&service, std::slice::from_ref(&ask)).await;
        let (event, answer) = (&log.events()[0], &answers[0]);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("X-Request-Id"), event["request_id"].as_str());
        let name = format!(" (request {})", event["request_id"].as_str().unwrap());
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert_eq!(description.ends_with(&name), status != 401, "{description}");
        assert!(status != 401 || !description.contains("request "), "{description}");
    }
}

#[actix_web::test]
async fn se_06_a_refused_identity_is_recorded_with_the_iss_sub_and_aud_that_it_presented() {
    let world = World::new();
    let service = world.service();
    let (_, minted) = logged(&service, &[form(CC).basic(C1)]).await;
    let actor = minted[0].token();
    let by = |claims: &Value| {
        let kind = encoded("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let assertion = world.idp.sign(claims);
        form(format!("{CC}&client_assertion={assertion}&client_assertion_type={kind}"))
    };
    let user = |changes: &Value| {
        let (subject, id_token) =
            (world.idp.sign(&alice(changes)), encoded("urn:ietf:params:oauth:token-type:id_token"));
        form(format!("{EXCHANGE}&subject_token={subject}&subject_token_type={id_token}")).basic(C1)
    };
    let bearer = encoded("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = world.idp.sign(&json!({"iss": IDP, "sub": "bob", "aud": "elsewhere", "exp": NOW + 60}));
    let slash = format!("{IDP}/");
    let workload =
        json!({"iss": IDP, "sub": "repo:a/b:ref:refs/heads/other", "aud": ISSUER, "exp": NOW + 60});
    for (ask, presented) in [
        (
            by(&workload),
            format!(
                r#"[client_assertion(iss "{IDP}", sub "repo:a/b:ref:refs/heads/other", aud "{ISSUER}")]"#
            ),
        ),
        (user(&json!({"iss": slash})), format!(r#"[subject_token(iss "{slash}", sub "alice", aud "c1")]"#)),
        (
            user(&json!({"aud": ["x", "y"]})),
            format!(r#"[subject_token(iss "{IDP}", sub "alice", aud ["x", "y"])]"#),
        ),
        (
            form(format!("grant_type={bearer}&assertion={assertion}")).basic(C1),
            format!(r#"[assertion(iss "{IDP}", sub "bob", aud "elsewhere")]"#),
        ),
        (
            asserting(&world, "c1", &actor),
            format!(
                r#"[subject_token(sub "c1"), actor_token(iss "{ISSUER}", sub "c1", aud "https://cat.test")]"#
            ),
        ),
        (
            form(format!("token={}", world.idp.sign(&alice(&json!({})))))
                .basic(RS1)
                .at("/v1/oauth/introspect"),
            format!(r#"[token(iss "{IDP}", sub "alice", aud "c1")]"#),
        ),
    ] {
        let (log, answers) = logged(&service, std::slice::from_ref(&ask)).await;
        let events = log.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        assert_eq!(events[0]["presented"], presented, "{} {:#}", answers[0].text(), events[0]);
        for part in std::str::from_utf8(&ask.body).unwrap().split(['=', '&', '.']).filter(|p| p.len() > 30) {
            assert!(!log.text().contains(part) || part.starts_with("urn"), "{part}");
        }
    }
}
