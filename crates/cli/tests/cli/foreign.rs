//! Foreign tokens are accepted for as long as the operator permits, and no longer: a real server, and tokens of other issuers.

use crate::support::{Answer, Place, Server, post, within_a_second};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokenberg_testkit::{ForeignKey, changed};

const K8S: &str = "https://k8s.example";
const IDP: &str = "https://idp.example";
const ACCOUNT: &str = "system:serviceaccount:jobs:etl";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn claims(issuer: &str, subject: &str, audience: &str, changes: &Value) -> Value {
    let now = now();
    let claims = json!({"iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + 300});
    changed(claims, changes)
}

fn with_assertion(server: &Server, assertion: &str) -> Answer {
    server.tokens(&assertion_form(assertion))
}

pub fn assertion_form(assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&client_assertion={assertion}\
         &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    )
}

/// A place whose store trusts this key as that of the cluster, and has one of its service accounts as `etl`.
fn cluster(key: &ForeignKey) -> Place {
    let place = Place::new();
    place.file("cluster.json", &key.jwks());
    place.run(&["issuer", "add", K8S, "--jwks", "cluster.json"]).done();
    place.run(&["client", "add", "etl", "--auth-method", "federated"]).done();
    place.run(&["client", "federate", "etl", "--issuer", K8S, "--subject", ACCOUNT]).done();
    place
}

#[test]
fn wl_10_a_service_account_authenticates_its_client_until_issuer_client_or_mapping_is_disabled() {
    let key = ForeignKey::new(Some("c1"));
    let place = cluster(&key);
    let server = place.serve(&[]);
    let token = key.sign(&claims(K8S, ACCOUNT, &server.url, &json!({})));
    let granted = with_assertion(&server, &token);
    assert_eq!(granted.status, 200, "{granted:?}");
    for (what, changes) in [
        ("another account", json!({"sub": "system:serviceaccount:jobs:etl2"})),
        ("another namespace", json!({"sub": "system:serviceaccount:other:etl"})),
        ("the cluster's own audience", json!({"aud": "https://kubernetes.default.svc"})),
        ("another issuer", json!({"iss": "https://k8s2.example"})),
        ("a token that is over", json!({"exp": now() - 600, "iat": now() - 900})),
    ] {
        let wrong = key.sign(&claims(K8S, ACCOUNT, &server.url, &changes));
        assert_eq!(with_assertion(&server, &wrong).status, 401, "{what}");
    }
    let forged = ForeignKey::new(Some("c1")).sign(&claims(K8S, ACCOUNT, &server.url, &json!({})));
    assert_eq!(with_assertion(&server, &forged).status, 401);

    let works = |server: &Server| with_assertion(server, &token).status == 200;
    let federate = ["client", "federate", "etl", "--issuer", K8S, "--subject", ACCOUNT];
    let unfederate = [&federate[..], &["--remove"]].concat();
    for (away, back) in [
        (&["issuer", "disable", K8S][..], &["issuer", "enable", K8S][..]),
        (&["client", "disable", "etl"], &["client", "enable", "etl"]),
        (&unfederate, &federate),
    ] {
        place.run(away).done();
        within_a_second(&away.join(" "), || !works(&server));
        assert_eq!(with_assertion(&server, &token).code(), "invalid_client");
        place.run(back).done();
        within_a_second(&back.join(" "), || works(&server));
    }
    // TX-38: the token stays refused after its issuer was removed, and one that is signed later is accepted.
    place.run(&["issuer", "remove", K8S]).done();
    within_a_second("the issuer is removed", || !works(&server));
    place.run(&["issuer", "add", K8S, "--jwks", "cluster.json", "--leeway", "0s"]).done();
    let again = || with_assertion(&server, &key.sign(&claims(K8S, ACCOUNT, &server.url, &json!({}))));
    within_a_second("the issuer is trusted again", || again().status == 200);
    assert!(!works(&server));
    // WL-12: the account was deleted and created again.
    place.run(&[&federate[..], &["--uid", "uid-1"]].concat()).done();
    within_a_second("the uid counts", || again().status == 401);
    for (uid, status) in [("uid-1", 200), ("uid-2", 401)] {
        let pinned = json!({"kubernetes.io": {"serviceaccount": {"name": "etl", "uid": uid}}});
        let token = key.sign(&claims(K8S, ACCOUNT, &server.url, &pinned));
        assert_eq!(with_assertion(&server, &token).status, status, "{uid}");
    }
    let file = place.file(
        "pinned.token",
        &key.sign(&claims(
            K8S,
            ACCOUNT,
            &server.url,
            &json!({"kubernetes.io": {"serviceaccount": {"uid": "uid-1"}}}),
        )),
    );
    let said = place.run(&["token", "--server", &server.url, "--client-assertion-file", &file]).done();
    assert_eq!(said.out.trim().split('.').count(), 3, "the command line can be such a client");
}

#[test]
fn cj_07_cj_15_an_assertion_is_accepted_once_by_all_processes_and_keys_rotate() {
    let key = ForeignKey::new(Some("own"));
    let place = Place::new();
    place.serve(&[]);
    place.file("signer.json", &key.jwks());
    place
        .run(&["client", "add", "signer", "--auth-method", "private_key_jwt", "--jwks", "signer.json"])
        .done();
    let issuer = "https://tokens.example";
    let respond = |assertion: &str| {
        place.run_with(&["respond", "--issuer", issuer], &assertion_form(assertion), &[]).json()["status"]
            .clone()
    };
    let assertion = key.sign(&claims("signer", "signer", issuer, &json!({"jti": "j-1"})));
    assert_eq!([respond(&assertion), respond(&assertion)], [json!(200), json!(401)]);
    let another = key.sign(&claims("signer", "signer", issuer, &json!({"jti": "j-2"})));
    assert_eq!(respond(&another), 200);
    // Replaced keys take effect immediately, and the previous ones are no longer accepted.
    let next = ForeignKey::new(Some("next"));
    place.file("signer.json", &next.jwks());
    place.run(&["client", "jwks", "signer", "signer.json"]).done();
    let old = key.sign(&claims("signer", "signer", issuer, &json!({"jti": "j-3"})));
    let new = next.sign(&claims("signer", "signer", issuer, &json!({"jti": "j-4"})));
    assert_eq!([respond(&old), respond(&new)], [json!(401), json!(200)]);
}

/// A place whose store accepts id_tokens of the provider, and lets `trino` act for its users; its server and trino's secret.
fn provider(key: &ForeignKey) -> (Place, Server, String) {
    let place = Place::new();
    place.file("idp.json", &key.jwks());
    trust_provider(&place);
    let secret = place.add("trino", &["--may-act-for", "https://idp.example|*"]);
    let server = place.serve(&[]);
    (place, server, secret)
}

/// The clocks of the test are the same, so tokens signed from the second of a revocation on are accepted.
fn trust_provider(place: &Place) {
    let add = ["issuer", "add", IDP, "--jwks", "idp.json", "--accept", "id_token", "--leeway", "0s"];
    place.run(&add).done();
}

fn exchange(server: &Server, secret: &str, subject: &str, kind: &str) -> Answer {
    server.tokens(&format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=trino&client_secret={secret}\
         &subject_token={subject}&subject_token_type=urn:ietf:params:oauth:token-type:{kind}"
    ))
}

/// The status of a renewal with the token itself as the credential.
fn renewed(server: &Server, token: &str) -> u16 {
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
         &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
    );
    post(&server.endpoint(), Some(&format!("Bearer {token}")), &form).status
}

#[test]
fn law_8_tx_38_revoke_issuer_ends_the_present_sessions_of_its_users_and_workloads() {
    let key = ForeignKey::new(Some("p1"));
    let (place, server, secret) = provider(&key);
    place.run(&["client", "add", "etl", "--auth-method", "federated"]).done();
    place.run(&["client", "federate", "etl", "--issuer", IDP, "--subject", ACCOUNT]).done();
    let of_user = || {
        let id_token = key.sign(&claims(IDP, "alice", "trino", &json!({})));
        exchange(&server, &secret, &id_token, "id_token")
    };
    let of_workload = || with_assertion(&server, &key.sign(&claims(IDP, ACCOUNT, &server.url, &json!({}))));
    within_a_second("the workload is known", || of_workload().status == 200);
    let tokens = [of_user().token(), of_workload().token()];
    let of_trino = server
        .tokens(&format!("grant_type=client_credentials&client_id=trino&client_secret={secret}"))
        .token();
    let said = place.run(&["revoke", "--issuer", IDP, "--json"]).done().json();
    assert_eq!((&said["revoked"], &said["issuer"]), (&json!("issuer"), &json!(IDP)));
    for token in &tokens {
        within_a_second("it is revoked", || renewed(&server, token) == 401);
    }
    assert_eq!(renewed(&server, &of_trino), 200, "it has nothing of that issuer");
    let again = [of_user(), of_workload()];
    assert!(again.iter().all(|answer| answer.status == 200), "they sign in again: {again:?}");
    assert_eq!(place.run(&["audit", "verify"]).code, 0);
    let unknown = place.run(&["revoke", "--issuer", "https://other.example"]).refused();
    assert!(unknown.err.contains("https://other.example"), "{}", unknown.err);
}

#[test]
fn tx_37_a_disabled_user_receives_no_token_and_its_tokens_are_refused() {
    let key = ForeignKey::new(Some("p1"));
    let (place, server, secret) = provider(&key);
    let of = |user: &str| key.sign(&claims(IDP, user, "trino", &json!({})));
    let alice = exchange(&server, &secret, &of("alice"), "id_token").token();
    assert_eq!(renewed(&server, &alice), 200);
    let gets = |user: &str| exchange(&server, &secret, &of(user), "id_token").status;
    for (away, back) in [
        (
            &["subject", "disable", "alice", "--issuer", IDP][..],
            &["subject", "enable", "alice", "--issuer", IDP][..],
        ),
        (&["issuer", "disable", IDP], &["issuer", "enable", IDP]),
    ] {
        place.run(away).done();
        within_a_second(&away.join(" "), || gets("alice") == 400);
        assert_ne!(renewed(&server, &alice), 200, "{away:?}");
        let is_hers = away.contains(&"alice");
        assert_eq!(gets("bob") == 200, is_hers, "{away:?}");
        place.run(back).done();
        within_a_second(&back.join(" "), || gets("alice") == 200);
        assert_eq!(renewed(&server, &alice), 200, "{back:?}");
    }
    // The same name at another issuer is another user.
    place.run(&["subject", "disable", "alice"]).done();
    place.run(&["revoke", "--subject", "alice", "--issuer", "https://other.example"]).refused();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!((gets("alice"), renewed(&server, &alice)), (200, 200));
    place.run(&["revoke", "--subject", "alice", "--issuer", IDP]).done();
    within_a_second("what she had is revoked", || renewed(&server, &alice) != 200);

    let bob = exchange(&server, &secret, &of("bob"), "id_token").token();
    place.run(&["issuer", "remove", IDP]).done();
    within_a_second("the provider is trusted no more", || gets("bob") == 400);
    trust_provider(&place);
    within_a_second("and trusted again", || gets("bob") == 200);
    assert_ne!(renewed(&server, &bob), 200, "what was got before stays dead");
}

#[test]
fn tx_44_issuer_add_notes_that_sessions_end_with_the_users_token_and_its_advice_works() {
    let place = Place::new();
    let key = ForeignKey::new(Some("p1"));
    place.file("idp.json", &key.jwks());
    let add = |more: &str| {
        let line = format!("issuer add {IDP} --jwks idp.json --replace --json {more}");
        place.run(&line.split_whitespace().collect::<Vec<_>>()).done()
    };
    for (more, is_noted) in [
        ("--accept id_token", true),
        ("--accept jwt", true),
        ("--accept access_token", true),
        ("--accept jwt_bearer,access_token", true),
        ("--accept jwt_bearer", false),
        ("", false),
        ("--accept id_token --outlives-subject", false),
        ("--accept id_token,jwt,access_token,jwt_bearer --outlives-subject", false),
    ] {
        let said = add(more);
        for word in [
            "iceberg.rest-catalog.session=USER",
            "--outlives-subject",
            "`tokenberg issuer change https://idp.example --outlives-subject true`",
            "fails",
            "session lifetime",
        ] {
            assert_eq!(said.err.contains(word), is_noted, "{more}: {word}: {}", said.err);
        }
        assert_eq!(said.json()["issuer"], IDP, "one value on standard output");
    }
    // The note is correct, and its advice resolves it.
    let secret = place.add("trino", &["--may-act-for", &format!("{IDP}|*")]);
    place.run(&["key", "rotate"]).done();
    let user = key.sign(&claims(IDP, "alice", "trino", &json!({})));
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=trino&client_secret={secret}\
         &subject_token={user}&subject_token_type=urn:ietf:params:oauth:token-type:id_token"
    );
    let lifetime = || {
        let answer = place.run_with(&["respond"], &form, &[]).done().json();
        answer["body"]["expires_in"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    };
    add("--accept id_token");
    assert!(lifetime() <= 300, "as long as the id_token");
    place.run(&["issuer", "change", IDP, "--outlives-subject", "true"]).done();
    assert_eq!(lifetime(), 3600);
}
