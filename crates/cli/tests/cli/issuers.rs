//! What may be said of an issuer, and the keys that it publishes: conformance JW-25 and KS-06, by the real binary.

use crate::foreign::{assertion_form, claims};
use crate::support::Place;
use serde_json::{Value, json};
use tokenberg_testkit::ForeignKey;

#[test]
fn jw_12_every_algorithm_that_is_verified_can_be_named() {
    let place = Place::new();
    let key = ForeignKey::new(Some("p1"));
    place.file("idp.json", &key.jwks());
    let all = "ES256,ES384,EdDSA,RS256,RS384,RS512,PS256,PS384,PS512";
    place.run(&["issuer", "add", "https://idp.example", "--jwks", "idp.json", "--alg", all]).done();
    let shown = place.run(&["issuer", "show", "https://idp.example", "--json"]).done().json();
    assert_eq!(shown["algorithms"], all.split(',').collect::<Value>());
    let said = place.run(&["issuer", "add", "https://a.example", "--discover", "--alg", "HS512"]);
    assert!(said.code == 2 && said.err.contains("RS384, RS512, PS256, PS384 and PS512"), "{}", said.err);
    // Our own keys are for the algorithms that they were for before.
    for line in [&["key", "rotate", "--alg", "RS512"][..], &["key", "import", "x", "--alg", "PS384"]] {
        let said = place.run(line);
        assert!(said.code == 2 && said.err.contains("our keys sign with"), "{}", said.err);
    }
}

#[test]
fn jw_25_a_file_of_keys_is_read_by_its_meaning() {
    let place = Place::new();
    place.serve(&[]);
    let key = ForeignKey::new(Some("own"));
    let mut jwk = serde_json::from_str::<Value>(&key.jwks()).unwrap()["keys"][0].clone();
    // As serializers of .NET and PHP write what a public key does not have.
    for member in ["d", "p", "q", "k", "use", "x5c"] {
        jwk[member] = Value::Null;
    }
    (jwk["key_ops"], jwk["oth"]) = (json!([]), json!([]));
    let twin = jwk.clone();
    place.file("signer.json", &format!("\u{feff}{}\n", json!({"keys": [jwk, twin]})));
    let add = |id: &str| {
        place.run(&["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", "signer.json"])
    };
    assert_eq!(add("signer").done().err, "");
    let issuer = "https://tokens.example";
    let assertion = key.sign(&claims("signer", "signer", issuer, &json!({"jti": "j-1"})));
    let said = place.run_with(&["respond", "--issuer", issuer], &assertion_form(&assertion), &[]);
    assert_eq!(said.json()["status"], 200, "{}", said.err);

    // A value is a leak, and so is a key that stands for itself.
    for (name, leak) in [
        ("set.json", json!({"keys": [{"kty": "RSA", "k": "c2VjcmV0"}]})),
        ("lone.json", { json!({"kty": "oct", "k": "c2VjcmV0"}) }),
    ] {
        place.file(name, &leak.to_string());
        let said = place.run(&["issuer", "add", "https://a.example", "--jwks", name]).refused();
        assert!(said.err.contains("key 0") && said.err.contains("private or secret"), "{}", said.err);
    }
    // A secret that is not there is none.
    place.file("none.json", &json!({"keys": [{"kty": "oct", "k": null}]}).to_string());
    let said = place.run(&["issuer", "add", "https://a.example", "--jwks", "none.json"]);
    assert!(said.code == 1 && said.err.contains("no key of none.json can be used"), "{}", said.err);
}

#[test]
fn a_subject_that_is_an_address_is_noted() {
    let place = Place::new();
    let add = |more: &[&str]| {
        let said =
            place.run(&[&["issuer", "add", "https://idp.example", "--discover", "--replace"], more].concat());
        said.done().err
    };
    assert!(add(&["--subject-claim", "email"]).contains("email_verified"));
    assert!(!add(&["--subject-claim", "oid"]).contains("email"));
}

#[test]
fn cj_06_cj_07_the_lifetime_of_assertions_is_a_matter_of_the_client() {
    let place = Place::new();
    place.serve(&[]);
    let key = ForeignKey::new(Some("own"));
    place.file("own.json", &key.jwks());
    let add = |id: &str, more: &[&str]| {
        let line = ["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", "own.json"];
        place.run(&[&line[..], more].concat())
    };
    let issuer = "https://tokens.example";
    // As Authlib makes them, an hour long.
    let made = |id: &str, jti: &str| {
        let exp = json!({"jti": jti, "exp": claims("", "", "", &json!({}))["iat"].as_u64().unwrap() + 3600});
        key.sign(&claims(id, id, issuer, &exp))
    };
    let respond = |assertion: &str| {
        place.run_with(&["respond", "--issuer", issuer], &assertion_form(assertion), &[]).json()["status"]
            .clone()
    };
    add("usual", &[]).done();
    add("patient", &["--assertion-lifetime", "1h"]).done();
    assert_eq!(respond(&made("usual", "j-1")), 401);
    let once = made("patient", "j-1");
    assert_eq!([respond(&once), respond(&once)], [200, 401]);

    let said = place.run_with(&["explain", "--issuer", issuer], &assertion_form(&made("usual", "j-2")), &[]);
    let advice = "tokenberg client change usual --assertion-lifetime 1h";
    assert!(said.out.contains(advice), "{}", said.out);
    place.run(&advice.split(' ').skip(1).collect::<Vec<_>>()).done();
    assert_eq!(respond(&made("usual", "j-2")), 200);
    let shown = place.run(&["client", "show", "usual", "--json"]).done().json();
    assert_eq!(shown["assertion_lifetime"], 3600);
    assert!(place.run(&["client", "show", "usual"]).done().out.contains("1h"));

    place.add("secretive", &[]);
    for (said, tip) in [
        (add("a", &["--assertion-lifetime", "61m"]), "at most 1h"),
        (add("a", &["--assertion-lifetime", "0s"]), "at least 1s"),
        (place.run(&["client", "add", "a", "--assertion-lifetime", "1h"]), "private_key_jwt"),
        (place.run(&["client", "change", "usual", "--assertion-lifetime", "2h"]), "at most 1h"),
        (place.run(&["client", "change", "secretive", "--assertion-lifetime", "1h"]), "private_key_jwt"),
    ] {
        assert!(said.code == 2 && said.err.contains(tip), "{} {}", said.code, said.err);
    }
}
