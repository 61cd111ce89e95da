//! `tokenberg explain`, as an operator uses it to find the reason of a refusal.

use crate::support::{Place, files};

const ISSUER: &str = "https://tokens.example";

/// A store with the signing key that a server makes, and a client.
fn place() -> (Place, String) {
    let place = Place::new();
    drop(place.serve(&[]));
    let secret = place.add("c1", &["--scope", "catalog ns:read", "--audience", "https://lake.example"]);
    (place, secret)
}

fn form(secret: &str, more: &str) -> String {
    format!("grant_type=client_credentials&client_id=c1&client_secret={secret}{more}\n")
}

#[test]
fn a_refusal_is_explained_with_its_reason_the_response_and_what_would_allow_it() {
    let (place, secret) = place();
    let explain = ["explain", "--issuer", ISSUER];
    let said = place.run_with(&explain, &form(&secret, "&scope=catalog+admin"), &[]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    for part in [
        "request    requests client_credentials with the scope \"catalog admin\", and authenticates by client_secret_post",
        "client     client c1 is registered: it is enabled;",
        "secret     the secret of client c1 is right: it is secret ",
        "refused: the scope \"admin\" is not allowed; allowed: \"catalog ns:read\" (admin is not in the registration of client c1)",
        "the client receives: 400 invalid_scope: the scope exceeds what may be granted",
        "to allow it: `tokenberg client change c1 --scope 'catalog ns:read admin'`; or the client has to request no more than \"catalog\"",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    let json = place.run_with(&["explain", "--json", "--issuer", ISSUER], &form("wrong", ""), &[]);
    let value = json.json();
    assert_eq!(json.code, 1);
    assert_eq!(value["verdict"], "refused");
    assert_eq!(value["reason"], "wrong secret for the client c1, which has 1 live secret");
    assert_eq!(value["client_is_told"]["error"], "invalid_client");
    assert_eq!(value["rules"].as_array().unwrap().len(), 3);
    // Control characters in the request cannot change what a person reads in the output.
    let steering = place.run_with(&explain, &form(&secret, "&audience=%1B%5B2J"), &[]);
    assert!(!steering.out.contains('\u{1b}'), "{:?}", steering.out);
}

#[test]
fn a_grant_is_explained_completely_and_no_token_is_issued() {
    let (place, secret) = place();
    let said = place.run_with(&["explain", "--issuer", ISSUER], &form(&secret, ""), &[]).done();
    for part in [
        "scope: the registration of client c1 allows \"catalog ns:read\", and catalog",
        "audience: the registration of client c1 allows https://lake.example",
        "granted: client c1, subject c1; scope \"catalog\", audience https://lake.example",
        "no token was issued, and no single-use identifier was used",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    let value =
        place.run_with(&["explain", "--json", "--issuer", ISSUER], &form(&secret, ""), &[]).done().json();
    let claims = &value["claims"];
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(ISSUER), Some("c1")));
    assert!(claims.get("jti").is_none() && claims["tokenberg_session"].get("id").is_none());
    assert!(!said.out.contains("eyJ") && !value.to_string().contains("eyJ"));
    // The request is explained as of another time.
    let past = ["explain", "--json", "--issuer", ISSUER, "--at", "2026-01-01T00:00:00Z"];
    let value = place.run_with(&past, &form(&secret, ""), &[]).done().json();
    assert_eq!(value["claims"]["iat"], 1_767_225_600);
    for wrong in [&["explain", "--at", "soon"][..], &["explain", "--issuer", "x"], &["explain", "body"]] {
        assert_eq!(place.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_foreign_identity_is_explained_and_nothing_is_written() {
    let (place, _) = place();
    let subject = "system:serviceaccount:etl:spark";
    let jwks = place.file("empty.jwks", r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#);
    place.run(&["issuer", "add", "https://k8s.example", "--jwks", &jwks]).done();
    // Another key signed it: the explanation names the keys that were tried, and the identity that is required.
    let claims = format!(
        r#"{{"iss":"https://k8s.example","sub":"{subject}","aud":"{ISSUER}","exp":4000000000,"jti":"a"}}"#
    );
    let assertion = format!(
        "{}.{}.{}",
        encoded(r#"{"alg":"ES256","kid":"k"}"#),
        encoded(&claims),
        encoded(&"x".repeat(64))
    );
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let form =
        format!("grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}");
    let before = files(&place.path(""));
    let said = place.run_with(&["explain", "--issuer", ISSUER], &form, &[]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("issuer https://k8s.example is trusted"), "{}", said.out);
    let federate = format!(
        "to allow it: the operator has to register the identity for a client: tokenberg client federate ID --issuer https://k8s.example --subject {subject}"
    );
    assert!(said.out.contains(&federate), "{}", said.out);
    for part in assertion.split('.') {
        assert!(!said.out.contains(part), "a part of the assertion is printed");
    }
    // Nothing was written: every file is unchanged.
    let written = |found: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        let is_store = |name: &str| name.ends_with(".db") || name.ends_with(".key");
        let named = found.iter().map(|(path, bytes)| (path.display().to_string(), bytes.clone()));
        named.filter(|(name, _)| is_store(name)).collect()
    };
    let (before, after) = (written(&before), written(&files(&place.path(""))));
    assert!(!before.is_empty() && before == after, "explaining changed the store");
}

fn encoded(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn se_06_a_request_that_was_not_made_is_explained_without_any_secret() {
    let place = Place::new();
    place.add("etl", &["--scope", "catalog ns:read"]);
    let granted = place.run(&["explain", "--client", "etl", "--scope", "ns:read"]).done();
    assert!(granted.out.contains("granted: client etl, subject etl; scope \"ns:read\""), "{}", granted.out);
    let refused = place.run(&["explain", "--client", "etl", "--scope", "ns:write"]);
    assert!(
        refused.code == 1 && refused.out.contains("`tokenberg client change etl --scope"),
        "{}",
        refused.out
    );
    let user =
        ["explain", "--client", "etl", "--subject-issuer", "https://idp.example", "--subject", "alice"];
    let refused = place.run(&user);
    assert!(
        refused.code == 1 && refused.out.contains("`tokenberg issuer add https://idp.example"),
        "{}",
        refused.out
    );
    let wrong = place.file("claims.json", "[]");
    for usage in [&["explain", "--scope", "x"][..], &["explain", "--client", "etl", "--subject", "alice"]] {
        assert_eq!(place.run(usage).code, 2, "{usage:?}");
    }
    let refused = place.run(&[&user[..], &["--claims", &wrong]].concat()).refused();
    assert!(refused.err.contains("is no JSON object"), "{}", refused.err);
}
