//! A running server follows the changes to its store: clients, secrets and keys: conformance CA-21, CC-19, KS-04.

use crate::support::{Place, Server, get, within_a_second};
use serde_json::Value;

#[test]
fn ca_21_a_secret_is_rotated_without_downtime_or_a_restart() {
    let place = Place::new();
    let server = place.serve(&[]);
    let first = place.add("c1", &[]);
    within_a_second("the client is there", || server.ask("c1", &first).status == 200);
    let added = place.run(&["client", "secret", "add", "c1", "--json"]).done().json();
    let second = added["client_secret"].as_str().unwrap();
    within_a_second("both secrets work", || server.ask("c1", second).status == 200);
    assert_eq!(server.ask("c1", &first).status, 200);
    // A third secret exceeds the limit, and the message names those that could be removed.
    let third = place.run(&["client", "secret", "add", "c1"]).refused();
    let shown = place.run(&["client", "show", "c1", "--json"]).done().json();
    let ids: Vec<&str> =
        shown["secrets"].as_array().unwrap().iter().map(|s| s["secret_id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| third.err.contains(id)), "{}", third.err);
    let old = ids.iter().find(|id| Some(**id) != added["secret_id"].as_str()).unwrap();
    place.run(&["client", "secret", "expire", "c1", old]).done();
    within_a_second("the old secret is dead", || server.ask("c1", &first).status == 401);
    assert_eq!(
        (server.ask("c1", second).status, server.ask("c1", &first).code().to_owned()),
        (200, "invalid_client".to_owned())
    );
    // An expiry in the future.
    let ahead =
        ["client", "secret", "expire", "c1", added["secret_id"].as_str().unwrap(), "--at", "+1h", "--json"];
    assert!(place.run(&ahead).done().json()["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.ask("c1", second).status, 200);
    place.run(&["client", "secret", "expire", "c1", "00000000"]).refused();
    assert_eq!(place.run(&["client", "secret", "expire", "c1", old, "--at", "soon"]).code, 2);
}

#[test]
fn cc_19_a_disabled_client_is_refused_at_once_and_so_are_its_tokens() {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("c1", &[]);
    within_a_second("the client is there", || server.ask("c1", &secret).status == 200);
    let token = server.ask("c1", &secret).token();
    let renew = |server: &Server| {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        );
        crate::support::post(&server.endpoint(), Some(&format!("Bearer {token}")), &form).status
    };
    assert_eq!(renew(&server), 200);
    assert_eq!(place.run(&["client", "disable", "c1", "--json"]).done().json()["enabled"], false);
    within_a_second("the client is refused", || server.ask("c1", &secret).status == 401);
    assert_eq!(renew(&server), 401);
    place.run(&["client", "enable", "c1"]).done();
    within_a_second("the client is back", || server.ask("c1", &secret).status == 200);
    assert_eq!(renew(&server), 200);
    place.run(&["client", "remove", "c1"]).done();
    within_a_second("the client is gone", || server.ask("c1", &secret).status == 401);
    for gone in ["show", "disable", "enable", "remove"] {
        assert!(place.run(&["client", gone, "c1"]).refused().err.contains("c1"));
    }
}

#[test]
fn a_client_is_added_with_the_given_rights() {
    let place = Place::new();
    let asked = [
        "client",
        "add",
        "c 3+%",
        "--scope",
        "catalog a b",
        "--default-scope",
        "a",
        "--grant",
        "client_credentials",
        "--audience",
        "https://x.example",
        "--audience",
        "y",
        "--token-lifetime",
        "15m",
        "--session-lifetime",
        "7d",
        "--may-act-for",
        "https://idp.example|*",
        "--may-impersonate",
        "https://idp.example|bot",
        "--serves",
        "y",
        "--secret-file",
        "-",
    ];
    let said = place.run_with(&asked, "p+a%ss:w&=/ ~\n", &[]).done();
    assert!(said.err.contains("did not exist and is created"), "a new store is reported: {}", said.err);
    assert!(!said.out.contains("p+a%ss"), "a given secret is not printed");
    let shown = place.run(&["client", "show", "c 3+%", "--json"]).done().json();
    let expected = serde_json::json!({
        "scope": "catalog a b", "default_scope": "a", "grants": ["client_credentials"], "enabled": true,
        "audiences": ["https://x.example", "y"], "token_lifetime": 900, "session_lifetime": 604_800,
        "may_act_for": ["https://idp.example|*"], "may_impersonate": ["https://idp.example|bot"], "serves": ["y"],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let server = place.serve(&[]);
    let answer = server.ask("c+3%2B%25", "p%2Ba%25ss%3Aw%26%3D%2F+~");
    assert_eq!(
        (answer.status, answer.body["scope"].as_str(), answer.body["expires_in"].as_i64()),
        (200, Some("a"), Some(900))
    );
    assert!(place.run(&["client", "add", "c 3+%"]).refused().err.contains("exists already"));
    let listed = place.run(&["client", "list", "--json"]).done().json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "a store with a client gets no root");
    let table = place.run(&["client", "list"]).done().out;
    assert!(table.starts_with("ID ") && table.contains("c 3+%"), "{table}");
    assert!(place.run(&["client", "show", "c 3+%"]).done().out.contains("https://idp.example|*"));
}

#[test]
fn cc_19_client_change_applies_the_given_options_and_keeps_the_other_rights() {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("c1", &["--scope", "catalog a b", "--serves", "y", "--audience", "x"]);
    within_a_second("the client is there", || server.ask("c1", &secret).status == 200);
    let before = place.run(&["client", "show", "c1", "--json"]).done().json();
    let change = |line: &str| {
        let words = ["client", "change", "c1"].into_iter().chain(line.split_whitespace());
        place.run(&words.collect::<Vec<_>>())
    };
    // The output shows the present rights; secrets and everything else are unchanged.
    let said =
        change("--token-lifetime 15m --may-act-for https://idp.example|* --grant client_credentials --json");
    let mut expected = before.clone();
    expected["token_lifetime"] = 900.into();
    expected["may_act_for"] = serde_json::json!(["https://idp.example|*"]);
    expected["grants"] = serde_json::json!(["client_credentials"]);
    let mut shown = said.done().json();
    // The time is exact to the minute, and may have been recorded meanwhile.
    shown["secrets"][0]["last_used_at"] = before["secrets"][0]["last_used_at"].clone();
    assert_eq!(shown, expected);
    within_a_second("tokens live shorter", || server.ask("c1", &secret).body["expires_in"] == 900);
    let ask = |scope: &str| {
        let form = format!("grant_type=client_credentials&scope={scope}&client_id=c1&client_secret={secret}");
        crate::support::post(&server.endpoint(), None, &form)
    };
    assert_eq!(ask("b").status, 200);
    change("--scope a").done();
    within_a_second("the scope is gone", || ask("b").code() == "invalid_scope");
    assert_eq!(ask("a").status, 200);
    let shown = change("--clear serves,audience,may_act_for --dpop-bound true --json").done().json();
    for (name, value) in [
        ("serves", serde_json::json!([])),
        ("audiences", serde_json::json!([])),
        ("may_act_for", serde_json::json!([])),
        ("dpop_bound", true.into()),
        ("scope", "a".into()),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    within_a_second("a proof is asked for", || ask("a").code() == "invalid_dpop_proof");
    // A contradictory or empty change is refused and changes nothing.
    for (line, said) in [
        ("", "--scope"),
        ("--default-scope b", "b"),
        ("--token-lifetime 8d", "--token-lifetime"),
        ("--serves z --clear serves", "--serves"),
        ("--may-assert-users u*", "token_exchange"),
        ("--clear everything", "may_act_for"),
        ("--secret-file x", "--secret-file"),
    ] {
        let wrong = change(line);
        assert_eq!(wrong.code, 2, "{line}");
        assert!(wrong.err.contains(said), "{line}: {}", wrong.err);
    }
    assert!(place.run(&["client", "change", "c2", "--scope", "a"]).refused().err.contains("c2"));
    assert_eq!(place.run(&["client", "show", "c1", "--json"]).done().json()["scope"], "a");
    // Notes mention only the changed settings.
    change("--clear may_act_for --token-lifetime 5s --grant token_exchange --may-assert-users u*").done();
    assert!(!change("--scope b --default-scope b").done().err.contains("5s"));
    assert!(change("--grant client_credentials").err.contains("--clear may_assert_users"));
    change("--grant client_credentials --clear may_assert_users --every-scope").done();
    let narrowed = change("--scope a --default-scope a").done();
    assert!(narrowed.err.contains("--every-scope"), "{}", narrowed.err);
    // An empty change changes nothing, and is not recorded.
    let records = |place: &Place| place.run(&["audit"]).done().out.matches("client changed").count();
    let many = records(&place);
    change("--scope a").done();
    assert_eq!((many, records(&place)), (7, 7));
}

#[test]
fn ic_08_a_secret_that_no_client_could_send_is_refused() {
    let place = Place::new();
    for bad in ["é", "a\tb", "a\nb", ""] {
        let said = place.run_with(&["client", "add", "c1", "--secret-file", "-"], bad, &[]);
        assert_eq!(said.code, 1, "{bad:?}");
        assert!(
            said.err.contains("the secret ") && (bad.is_empty() || !said.err.contains(bad)),
            "{}",
            said.err
        );
    }
    let weak =
        place.run_with(&["client", "add", "c1", "--secret-file", "-", "--json"], "s1-Z7\n", &[]).done();
    assert!(weak.err.contains("warning: "), "{}", weak.err);
    assert_eq!(weak.json(), serde_json::json!({"client_id": "c1"}));
    assert!(
        place.run(&["client", "add", "c2", "--secret-file", "missing"]).refused().err.contains("missing")
    );
}

#[test]
fn an_acknowledged_client_survives_kill_9() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    let secret = place.add("c1", &[]);
    server.signal("KILL");
    server.ended();
    let server = place.serve(&[]);
    assert_eq!(server.ask("c1", &secret).status, 200);
}

#[test]
fn commands_without_a_store_report_that() {
    let place = Place::new();
    for arguments in [
        &["client", "list"][..],
        &["client", "disable", "x"],
        &["key", "list"],
        &["key", "rotate"],
        &["respond"],
    ] {
        assert!(place.run(arguments).refused().err.contains("there is no store"), "{arguments:?}");
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
}

fn kids(server: &Server) -> Vec<String> {
    let jwks = get(&format!("{}/.well-known/jwks.json", server.url)).body;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid_of(token: &str) -> String {
    use base64::Engine;
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn ks_04_a_new_key_is_published_before_it_signs_and_the_old_one_stays() {
    let place = Place::new();
    let server = place.serve(&[]);
    let ask = || server.ask("root", "first-secret-of-root").token();
    let first = kid_of(&ask());
    let rotated = place.run(&["key", "rotate", "--json"]).done().json();
    let second = rotated["kid"].as_str().unwrap().to_owned();
    assert_eq!(rotated["state"], "published");
    within_a_second("the new key is published", || kids(&server).contains(&second));
    assert_eq!((kids(&server).len(), kid_of(&ask())), (2, first.clone()), "it does not sign yet");
    let states = |place: &Place| -> Vec<(String, String, bool)> {
        let keys = place.run(&["key", "list", "--json"]).done().json();
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        let key = |key: &Value| (text(key, "kid"), text(key, "state"), key["verifies_until"].is_string());
        keys.as_array().unwrap().iter().map(key).collect()
    };
    let expected =
        [(first.clone(), "signing".to_owned(), true), (second.clone(), "published".to_owned(), false)];
    assert_eq!(states(&place), expected);
    // Another rotation has to wait, unless it is urgent: then the waiting key is dropped.
    assert!(place.run(&["key", "rotate"]).refused().err.contains("--now"));
    let urgent = place.run(&["key", "rotate", "--now", "--alg", "EdDSA", "--json"]).done().json();
    let third = urgent["kid"].as_str().unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(600));
    within_a_second("the urgent key signs", || kid_of(&ask()) == third);
    assert_eq!(kids(&server).len(), 2);
    assert!(!kids(&server).contains(&second));
    assert_eq!(states(&place)[0].1, "retired");
    assert!(place.run(&["key", "list"]).done().out.contains("EdDSA"));
}

#[test]
fn ks_04_the_first_key_of_a_store_signs_at_once() {
    let place = Place::new();
    place.add("c1", &[]);
    let first = place.run(&["key", "rotate", "--json"]).done().json();
    assert_eq!(first["state"], "signing");
    let server = place.serve(&[]);
    assert_eq!(kids(&server), [first["kid"].as_str().unwrap()]);
}

#[test]
fn ks_07_a_key_is_imported_and_an_error_names_the_file_not_the_content() {
    let place = Place::new();
    let server = place.serve(&[]);
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let file = place.file("key.pem", &pem);
    let said = place.run(&["key", "import", &file, "--now", "--json"]).done();
    assert!(said.err.contains("accessible to other users"), "{}", said.err);
    assert_eq!(said.json()["alg"], "ES384");
    let kid = said.json()["kid"].as_str().unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(600));
    within_a_second("it signs", || kid_of(&server.ask("root", "first-secret-of-root").token()) == kid);
    let again = place.run(&["key", "import", &file, "--now"]);
    assert!(again.code == 1 && again.err.contains("already"), "{}", again.err);
    assert_eq!(place.run(&["key", "import", &file, "--alg", "PS256"]).code, 1);
    let bad = place.file("bad.pem", "hush");
    let said = place.run(&["key", "import", &bad]);
    assert!(said.code == 1 && !said.err.contains("hush"), "{}", said.err);
    let rsa = place.run(&["key", "rotate", "--alg", "RS256"]).refused();
    assert!(rsa.err.contains("openssl genpkey"));
}
