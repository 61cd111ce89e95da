//! A client without a credential on a laptop: it gets tokens for ID tokens that were issued to it; conformance CA-25.

use crate::foreign::claims;
use crate::support::{Place, within_a_second};
use serde_json::json;
use tokenberg_testkit::ForeignKey;

const IDP: &str = "https://idp.example";

#[test]
fn ca_25_a_person_gets_a_catalog_token_for_an_id_token() {
    let place = Place::new();
    let key = ForeignKey::new(Some("k1"));
    place.file("idp.json", &key.jwks());
    place.run(&["issuer", "add", IDP, "--jwks", "idp.json", "--accept", "id_token"]).done();
    let added = place.run(&["client", "add", "laptop", "--auth-method", "none"]).done();
    assert!(
        added.err.contains("--may-impersonate") && !added.out.contains("secret"),
        "{}{}",
        added.out,
        added.err
    );
    let pattern = format!("{IDP}|*");
    place.run(&["client", "change", "laptop", "--may-impersonate", &pattern]).done();
    let shown = place.run(&["client", "show", "laptop", "--json"]).done().json();
    assert_eq!(
        shown["rights"]["auth_method"].as_str().or(shown["auth_method"].as_str()),
        Some("none"),
        "{shown}"
    );
    let server = place.serve(&[]);
    let token = |audience: &str| {
        place.file("id.token", &key.sign(&claims(IDP, "ada", audience, &json!({}))));
        let line = ["token", "--server", &server.url, "--client-id", "laptop"];
        let subject = ["--subject-token-file", "id.token", "--subject-token-type", "id_token"];
        place.run(&[&line[..], &subject].concat())
    };
    within_a_second("the client is there", || token("laptop").code == 0);
    place.file("token", &token("laptop").done().out);
    let verified = place.run(&["verify", "token", "--issuer", &server.url, "--json"]).done().json();
    assert_eq!(
        (&verified["claims"]["sub"], &verified["claims"]["client_id"]),
        (&json!("ada"), &json!("laptop"))
    );
    assert!(token("another-app").refused().err.contains("401 invalid_client"));
    let log = server.log();
    assert!(log.contains("another-app") && log.contains("laptop"), "{log}");
    // Nothing else that a client may do.
    let line = ["token", "--server", &server.url, "--client-id", "laptop"];
    assert_eq!(place.run(&line).code, 2);
    let form = "grant_type=client_credentials&client_id=laptop";
    assert_eq!(server.tokens(form).code(), "invalid_client");
    for wrong in [
        &["client", "add", "x", "--auth-method", "none", "--may-act-for", &pattern][..],
        &["client", "add", "x", "--auth-method", "none", "--serves", "lake"],
        &["client", "add", "x", "--auth-method", "none", "--may-assert-users", "*"],
        &["client", "add", "x", "--auth-method", "none", "--grant", "token_exchange,jwt_bearer"],
        &["client", "add", "x", "--auth-method", "none", "--grant", "client_credentials,token_exchange"],
        &["client", "add", "x", "--auth-method", "none", "--grant", "client_credentials"],
        &["client", "add", "x", "--auth-method", "none", "--secret-file", "token"],
        &["client", "change", "laptop", "--may-act-for", &pattern],
        &["client", "change", "laptop", "--grant", "client_credentials,token_exchange"],
        &["client", "federate", "laptop", "--issuer", IDP, "--subject", "pod"],
    ] {
        let said = place.run(wrong);
        assert_eq!(said.code, 2, "{wrong:?} {}", said.err);
    }
    assert_ne!(place.run(&["client", "secret", "add", "laptop"]).code, 0);
}
