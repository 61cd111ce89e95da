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
