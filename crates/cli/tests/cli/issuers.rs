//! The settings of an issuer, and the keys that it publishes: conformance JW-25 and KS-06, by the real binary.

use crate::foreign::{assertion_form, claims};
use crate::support::{Answer, Place, Server, get, within_a_second};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use tokenberg_testkit::ForeignKey;

/// An issuer on this machine that publishes the given metadata and key set.
pub(crate) struct Publisher {
    pub(crate) url: String,
    jwks: Arc<Mutex<String>>,
}

impl Publisher {
    pub(crate) fn new(jwks: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let jwks = Arc::new(Mutex::new(jwks.to_owned()));
        let (issuer, published) = (url.clone(), Arc::clone(&jwks));
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let body = if head.starts_with(b"GET /jwks ") {
                    published.lock().unwrap().clone()
                } else {
                    json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")}).to_string()
                };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, jwks }
    }

    pub(crate) fn publish(&self, jwks: &str) {
        jwks.clone_into(&mut self.jwks.lock().unwrap());
    }
}

pub(crate) fn exchange(server: &Server, secret: &str, id_token: &str) -> Answer {
    server.tokens(&exchange_form(secret, id_token))
}

pub(crate) fn exchange_form(secret: &str, id_token: &str) -> String {
    format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=trino&client_secret={secret}\
         &subject_token={id_token}&subject_token_type=urn:ietf:params:oauth:token-type:id_token"
    )
}

#[test]
fn ks_06_a_rotation_applies_at_once_and_an_empty_set_causes_a_warning_a_metric_and_503() {
    let (first, second, stranger) =
        (ForeignKey::new(Some("1")), ForeignKey::new(Some("2")), ForeignKey::new(Some("3")));
    let (idp, place) = (Publisher::new(&first.jwks()), Place::new());
    place.run(&["issuer", "add", &idp.url, "--discover", "--accept", "id_token"]).done();
    let secret = place.add("trino", &["--may-act-for", &format!("{}|*", idp.url)]);
    let server = place.serve(&["--ops-listen", "127.0.0.1:0", "--jwks-refetch-after", "1h"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let usable = || {
        let text = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
        let series = format!("tokenberg_issuer_usable_keys{{issuer=\"{}\"}} ", idp.url);
        text.lines().find_map(|line| line.strip_prefix(&series).map(str::to_owned))
    };
    let token = |key: &ForeignKey| key.sign(&claims(&idp.url, "alice", "trino", &json!({})));
    let status = |key: &ForeignKey| exchange(&server, &secret, &token(key)).status;
    assert_eq!(usable(), None);
    assert_eq!((status(&first), usable().as_deref()), (200, Some("1")));
    idp.publish(&second.jwks());
    assert_eq!((status(&second), status(&first)), (200, 400), "the new key is there, and the old one gone");
    // The last of a few fetches, and then an outage until the next minute; known keys stay in use.
    assert_eq!(status(&stranger), 400);
    let answer = exchange(&server, &secret, &token(&stranger));
    assert_eq!((answer.status, answer.code()), (503, "temporarily_unavailable"));
    let wait: u32 = answer.retry_after.unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(status(&second), 200);

    let (empty, place) = (Publisher::new(r#"{"keys":[]}"#), Place::new());
    place.run(&["issuer", "add", &empty.url, "--discover", "--accept", "id_token"]).done();
    let secret = place.add("trino", &["--may-act-for", &format!("{}|*", empty.url)]);
    let server = place.serve(&["--ops-listen", "127.0.0.1:0", "--jwks-refetch-after", "1s"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let token = first.sign(&claims(&empty.url, "alice", "trino", &json!({})));
    let answer = exchange(&server, &secret, &token);
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")));
    within_a_second("it is warned of", || {
        let log = server.log();
        log.contains("WARN") && log.contains("has no usable key")
    });
    let figures = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
    assert!(figures.contains(&format!("tokenberg_issuer_usable_keys{{issuer=\"{}\"}} 0\n", empty.url)));
    empty.publish(&first.jwks());
    within_a_second("its keys are there", || exchange(&server, &secret, &token).status == 200);
}

#[test]
fn jw_12_every_algorithm_that_is_verified_can_be_registered() {
    let place = Place::new();
    let key = ForeignKey::new(Some("p1"));
    place.file("idp.json", &key.jwks());
    let all = "ES256,ES384,EdDSA,RS256,RS384,RS512,PS256,PS384,PS512";
    place.run(&["issuer", "add", "https://idp.example", "--jwks", "idp.json", "--alg", all]).done();
    let shown = place.run(&["issuer", "show", "https://idp.example", "--json"]).done().json();
    assert_eq!(shown["algorithms"], all.split(',').collect::<Value>());
    let said = place.run(&["issuer", "add", "https://a.example", "--discover", "--alg", "HS512"]);
    assert!(said.code == 2 && said.err.contains("RS384, RS512, PS256, PS384 and PS512"), "{}", said.err);
    // Our own keys keep their algorithms.
    for line in [&["key", "rotate", "--alg", "RS512"][..], &["key", "import", "x", "--alg", "PS384"]] {
        let said = place.run(line);
        assert!(said.code == 2 && said.err.contains("our keys sign with"), "{}", said.err);
    }
}

#[test]
fn jw_25_empty_and_null_members_of_a_key_file_count_as_absent() {
    let place = Place::new();
    place.serve(&[]);
    let key = ForeignKey::new(Some("own"));
    let mut jwk = serde_json::from_str::<Value>(&key.jwks()).unwrap()["keys"][0].clone();
    // Serializers of .NET and PHP write absent members of a public key like this.
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

    // A value is a leak, and so is a single key outside of a set.
    for (name, leak) in [
        ("set.json", json!({"keys": [{"kty": "RSA", "k": "c2VjcmV0"}]})),
        ("lone.json", { json!({"kty": "oct", "k": "c2VjcmV0"}) }),
    ] {
        place.file(name, &leak.to_string());
        let said = place.run(&["issuer", "add", "https://a.example", "--jwks", name]).refused();
        assert!(said.err.contains("key 0") && said.err.contains("private or secret"), "{}", said.err);
    }
    // A secret that is null is no secret.
    place.file("none.json", &json!({"keys": [{"kty": "oct", "k": null}]}).to_string());
    let said = place.run(&["issuer", "add", "https://a.example", "--jwks", "none.json"]);
    assert!(said.code == 1 && said.err.contains("no key of none.json can be used"), "{}", said.err);
}

#[test]
fn an_email_address_as_the_subject_is_noted() {
    let place = Place::new();
    let add = |more: &[&str]| {
        let said = place.run(
            &[&["issuer", "add", "https://idp.example", "--discover", "--no-fetch", "--replace"], more]
                .concat(),
        );
        said.done().err
    };
    assert!(add(&["--subject-claim", "email"]).contains("email_verified"));
    assert!(!add(&["--subject-claim", "oid"]).contains("email"));
}

#[test]
fn cj_06_cj_07_the_lifetime_of_assertions_is_configured_per_client() {
    let place = Place::new();
    place.serve(&[]);
    let key = ForeignKey::new(Some("own"));
    place.file("own.json", &key.jwks());
    let add = |id: &str, more: &[&str]| {
        let line = ["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", "own.json"];
        place.run(&[&line[..], more].concat())
    };
    let issuer = "https://tokens.example";
    // Assertions as Authlib makes them, valid for an hour.
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

#[test]
fn ks_06_plain_http_is_for_trials_and_reported_everywhere() {
    let place = Place::new();
    let key = ForeignKey::new(Some("1"));
    place.file("idp.json", &key.jwks());
    let keycloak = "http://keycloak.test:8080/realms/x";
    let add = |issuer: &str, more: &[&str]| {
        place.run(&[&["issuer", "add", issuer, "--accept", "id_token"][..], more].concat())
    };
    for (said, tip) in [
        (add(keycloak, &["--discover"]), "https URL"),
        (add(keycloak, &["--jwks", "idp.json"]), "https URL"),
        (add("https://idp.example", &["--jwks-uri", "http://idp.example/keys"]), "must be https"),
        (add("https://idp.example", &["--jwks-uri", "http://127.0.0.1.example/keys"]), "must be https"),
    ] {
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains(tip) && said.err.contains("--insecure-http"), "{}", said.err);
    }
    // An issuer on this machine needs no such flag.
    assert!(!add("http://127.0.0.1:9", &["--discover"]).done().err.contains("plain http"));
    let said = add(keycloak, &["--jwks", "idp.json", "--insecure-http"]).done();
    assert!(said.err.starts_with("warning: plain http is for trials"), "{}", said.err);
    assert_eq!(place.run(&["issuer", "show", keycloak, "--json"]).done().json()["insecure_http"], true);
    assert!(place.run(&["check"]).out.contains("trusted over plain http"));

    let secret = place.add("trino", &["--may-act-for", &format!("{keycloak}|*")]);
    let server = place.serve(&[]);
    let alice = key.sign(&claims(keycloak, "alice", "trino", &json!({"typ": "ID"})));
    let token = exchange(&server, &secret, &alice).token();
    // Tokens that were obtained with it stay usable: the session names the issuer.
    assert_eq!(server.renew(&token).status, 200);
    assert!(server.log().contains("WARN") && server.log().contains("trusted over plain http"));
    // Its name cannot be resolved, so it is an outage; but the fetch was attempted, and the log warns each time.
    add(keycloak, &["--discover", "--insecure-http", "--replace", "--no-fetch"]).done();
    within_a_second("it is fetched", || exchange(&server, &secret, &alice).status == 503);
    within_a_second("it is warned of", || server.log().contains("fetching keys over plain http"));
    let form = exchange_form(&secret, &alice);
    let said = place.run_with(&["respond", "--issuer", &server.url], &form, &[]).json();
    assert_eq!((&said["status"], &said["headers"]["retry-after"]), (&json!(503), &json!("10")));
    place.run(&["issuer", "disable", keycloak]).done();
    within_a_second("it is disabled", || server.renew(&token).status != 200);
    place.run(&["issuer", "remove", keycloak]).done();
}
