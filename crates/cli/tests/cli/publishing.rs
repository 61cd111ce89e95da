//! An operator learns before a user that the keys of an issuer do not work: conformance KS-06 and JW-25, by the real binary.

use crate::foreign::claims;
use crate::issuers::{Publisher, exchange};
use crate::support::{Place, Said, within_a_second};
use serde_json::{Value, json};
use tokenberg_testkit::ForeignKey;

/// An address without a listener.
const DOWN: &str = "http://127.0.0.1:9";

fn key() -> ForeignKey {
    ForeignKey::new(Some("1"))
}

/// A set with one key that is not for signatures.
fn encrypting() -> String {
    let mut set: Value = serde_json::from_str(&key().jwks()).unwrap();
    set["keys"][0]["use"] = "enc".into();
    set.to_string()
}

fn add(place: &Place, url: &str, more: &[&str]) -> Said {
    let usual = ["issuer", "add", url, "--accept", "id_token", "--replace", "--json"];
    place.run(&[&usual[..], more].concat())
}

#[test]
fn ks_06_what_an_issuer_publishes_is_reported_when_it_is_added_or_changed() {
    let (place, idp) = (Place::new(), Publisher::new(""));
    let (jwks, encrypting) = (key().jwks(), encrypting());
    let uri = format!("{}/jwks", idp.url);
    let not_for_signatures = "key 0 (\"1\") is ignored: its use or key_ops says";
    for (published, more, usable, expected) in [
        (&*jwks, &[][..], json!(1), ""),
        (&*jwks, &["--alg", "RS256,PS256"], json!(0), "(--alg RS256,PS256); keys for other algorithms: 1"),
        (r#"{"keys":[]}"#, &[], json!(0), "the published key set is empty"),
        (&encrypting, &[], json!(0), not_for_signatures),
        ("{\"keys\":[", &[], json!(0), "it is not JSON from byte 9 on"),
        ("{}", &[], json!(0), "has no member keys"),
        (r#"{"keys":[]}"#, &["--no-fetch"], Value::Null, ""),
    ] {
        idp.publish(published);
        for from in [&["--discover"][..], &["--jwks-uri", &uri]] {
            let said = add(&place, &idp.url, &[from, more].concat()).done();
            let warns = said.err.contains("no published key of");
            assert_eq!(
                (said.json()["usable_keys"].clone(), warns),
                (usable.clone(), usable == 0),
                "{}",
                said.err
            );
            assert!(said.err.contains(expected), "{} is not {expected}", said.err);
            // The registration stays in any case.
            place.run(&["issuer", "show", &idp.url]).done();
        }
    }
    idp.publish(&jwks);
    let said = place.run(&["issuer", "add", &idp.url, "--discover", "--replace"]).done();
    assert!(said.out.ends_with("; 1 of its published keys is usable\n"), "{}", said.out);

    idp.publish(&encrypting);
    for (options, warns) in [
        (&["--discover"][..], true),
        (&["--jwks-uri", &uri], true),
        (&["--clear", "alg"], true),
        (&["--discover", "--no-fetch"], false),
        (&["--leeway", "1m"], false),
    ] {
        let said = place.run(&[&["issuer", "change", &idp.url], options].concat()).done();
        let warned = said.err.contains("no published key of") && said.err.contains(not_for_signatures);
        assert_eq!(warned, warns, "{options:?}: {}", said.err);
    }
}

#[test]
fn ks_06_an_issuer_that_cannot_be_reached_is_added_with_a_warning_and_the_rules_of_the_server() {
    let place = Place::new();
    for (url, more, expected) in [
        (DOWN, &[][..], "cannot be fetched now"),
        ("https://127.0.0.1:9", &[], "use --allow-private-issuers"),
        ("https://127.0.0.1:9", &["--allow-private-issuers"], "cannot be fetched now"),
    ] {
        let said = add(&place, url, &[&["--discover"], more].concat()).done();
        assert!(said.err.contains(expected) && said.err.contains("`tokenberg check`"), "{}", said.err);
        assert_eq!(said.json()["usable_keys"], Value::Null);
    }
    let said = add(&place, "https://127.0.0.1:9", &["--discover", "--allow-private-issuers"]).done();
    assert!(!said.err.contains("use --allow-private-issuers"), "{}", said.err);
    // Settings that are unusable change nothing.
    let said = add(&place, "https://other.example", &["--discover", "--issuer-ca", "none.pem"]).refused();
    assert!(said.err.contains("none.pem"), "{}", said.err);
    place.run(&["issuer", "show", "https://other.example"]).refused();
}

#[test]
fn ks_06_check_fetches_the_keys_of_enabled_issuers_and_names_those_without() {
    let place = Place::new();
    let (good, bad, off) =
        (Publisher::new(&key().jwks()), Publisher::new(&encrypting()), Publisher::new("{}"));
    for url in [&good.url, &bad.url, &off.url, DOWN] {
        add(&place, url, &["--discover", "--no-fetch"]).done();
    }
    place.run(&["issuer", "disable", &off.url]).done();
    let issuers = || place.run(&["issuer", "list", "--json"]).done().out;
    let before = issuers();
    let said = place.run(&["check"]);
    assert_eq!(said.code, 1, "{}", said.out);
    for line in [
        "ok       issuers: 4 registered, 3 enabled".to_owned(),
        format!("ok       issuer keys: {} publishes 1 usable key", good.url),
        format!("problem  issuer keys: no key of {} is usable: the published key set", bad.url),
        format!("note     issuer keys: {}: key 0 (\"1\") is ignored: its use or key_ops", bad.url),
        format!("note     issuer keys: the keys of {DOWN} cannot be fetched now: "),
        format!("note     issuers: {} is disabled", off.url),
    ] {
        assert!(said.out.lines().any(|found| found.starts_with(&line)), "{} has no {line}", said.out);
    }
    assert!(!said.out.contains(&format!("keys of {}", off.url)), "{}", said.out);
    for flag in ["--offline", "--no-fetch"] {
        let said = place.run(&["check", flag]).done();
        assert!(
            said.out.contains("issuers: 4 registered") && !said.out.contains("issuer keys"),
            "{}",
            said.out
        );
    }
    assert_eq!(issuers(), before);
    // A temporary outage of an issuer is no fault of ours.
    bad.publish(&key().jwks());
    let said = place.run(&["check", "--json"]).done().json();
    assert_eq!(said["ok"], true, "{said}");
}

#[test]
fn ks_06_the_log_reports_why_no_key_of_a_set_is_usable() {
    let (idp, place) = (Publisher::new(&encrypting()), Place::new());
    add(&place, &idp.url, &["--discover", "--no-fetch"]).done();
    let secret = place.add("trino", &["--may-act-for", &format!("{}|*", idp.url)]);
    let server = place.serve(&[]);
    let token = key().sign(&claims(&idp.url, "alice", "trino", &json!({})));
    assert_eq!(exchange(&server, &secret, &token).status, 503);
    within_a_second("the reason is in the log", || {
        server.log().lines().any(|line| line.contains("WARN") && line.contains("its use or key_ops says"))
    });
}

#[test]
fn ks_06_a_file_of_keys_with_odd_values_is_read_as_a_published_set() {
    let place = Place::new();
    let jwks = key().jwks();
    for odd in ["\"\u{0}\"", "\"\\ud800\"", "1e999"] {
        place.file("odd.json", &jwks.replacen("{\"", &format!("{{\"label\":{odd},\""), 2));
        let said = add(&place, "https://idp.example", &["--jwks", "odd.json"]).done();
        assert!(!said.err.contains("is ignored"), "{odd}: {}", said.err);
        place.run(&["issuer", "show", "https://idp.example", "--json"]).done();
    }
    let said = place.run(&["issuer", "show", "https://idp.example"]).done();
    assert!(said.out.contains("1 usable key"), "{}", said.out);
}
