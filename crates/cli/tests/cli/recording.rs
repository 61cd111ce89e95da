//! The audit records every command that changes something, with the user who ran it, and no command that failed: SE-06.

use crate::support::{Place, within_a_second};
use serde_json::Value;
use tokenberg_testkit::ForeignKey;

const IDP: &str = "https://idp.example";

fn changes(place: &Place) -> Vec<Value> {
    let said = place.run(&["audit"]).done();
    let records = said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["change"].is_string()).collect()
}

#[test]
fn se_06_every_change_by_command_is_recorded_with_its_operator() {
    let place = Place::new();
    let server = place.serve(&[]);
    let key = ForeignKey::new(Some("p1"));
    place.file("keys.json", &key.jwks());
    place.file("own.json", &ForeignKey::new(Some("own")).jwks());
    place.file("token", &server.ask("root", "first-secret-of-root").token());
    drop(server);
    let begun: Vec<Value> = changes(&place);
    assert_eq!(begun.len(), 2, "the first key and the first client");
    assert!(begun.iter().all(|record| record["source"] == "a server"), "{begun:?}");

    place.add("etl", &[]);
    let shown = place.run(&["client", "show", "etl", "--json"]).done().json();
    let secret = shown["secrets"][0]["secret_id"].as_str().unwrap().to_owned();
    let first = place.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    let federate = ["client", "federate", "etl", "--issuer", IDP, "--subject", "job"];
    let unfederate = [&federate[..], &["--remove"]].concat();
    let method = ["--auth-method", "private_key_jwt", "--jwks", "own.json"];
    let signer = [&["client", "add", "signer"][..], &method].concat();
    let (expire, revoke) = (["client", "secret", "expire", "etl", &secret], ["key", "revoke", &first]);
    let table: Vec<(&[&str], Option<&str>, &str, &str)> = vec![
        (&["client", "add", "etl"], None, "", ""),
        (&signer, Some("client added"), "client", "signer"),
        (&["client", "jwks", "signer", "own.json"], Some("client changed"), "client", "signer"),
        (&["client", "jwks", "nobody", "own.json"], None, "", ""),
        (
            &["client", "change", "signer", "--token-lifetime", "5m"],
            Some("client changed"),
            "client",
            "signer",
        ),
        (&["client", "change", "nobody", "--token-lifetime", "5m"], None, "", ""),
        (&["client", "secret", "add", "etl"], Some("secret added"), "client", "etl"),
        (&["client", "secret", "add", "nobody"], None, "", ""),
        (&expire, Some("secret end set"), "secret", &secret),
        (&["client", "secret", "expire", "etl", "nothing"], None, "", ""),
        (&federate, None, "", ""),
        (&["issuer", "add", IDP, "--jwks", "keys.json"], Some("issuer added"), "issuer", IDP),
        (&["issuer", "add", IDP, "--jwks", "own.json"], None, "", ""),
        (&["issuer", "add", IDP, "--jwks", "own.json", "--replace"], Some("issuer changed"), "issuer", IDP),
        (&["issuer", "change", IDP, "--subject-prefix", "p:"], Some("issuer changed"), "issuer", IDP),
        (&["issuer", "change", "https://nobody.example", "--subject-prefix", "p:"], None, "", ""),
        (&federate, Some("client changed"), "client", "etl"),
        (&unfederate, Some("client changed"), "client", "etl"),
        (&unfederate, None, "", ""),
        (&["issuer", "disable", IDP], Some("issuer disabled"), "issuer", IDP),
        (&["issuer", "enable", IDP], Some("issuer enabled"), "issuer", IDP),
        (&["issuer", "disable", "https://nobody.example"], None, "", ""),
        (&["subject", "disable", "alice", "--issuer", IDP], Some("subject disabled"), "subject", "alice"),
        (&["subject", "enable", "alice", "--issuer", IDP], Some("subject enabled"), "issuer", IDP),
        (&["client", "disable", "etl"], Some("client disabled"), "client", "etl"),
        (&["client", "enable", "etl"], Some("client enabled"), "client", "etl"),
        (&["client", "disable", "nobody"], None, "", ""),
        (&["revoke", "--client", "etl"], Some("revoked"), "client", "etl"),
        (&["revoke", "--subject", "alice", "--issuer", IDP], Some("revoked"), "subject", "alice"),
        (&["revoke", "--token-file", "token"], Some("revoked"), "change", "revoked"),
        (&["client", "remove", "etl"], Some("client removed"), "client", "etl"),
        (&["client", "remove", "etl"], None, "", ""),
        (&["issuer", "remove", IDP], Some("issuer removed"), "issuer", IDP),
        (&["key", "rotate", "--now"], Some("key added"), "alg", "ES256"),
        (&revoke, Some("key revoked"), "key", &first),
        (&revoke, None, "", ""),
        (
            &["key-encryption-key", "change", "--new-key-file", "new.key"],
            Some("key-encryption key changed"),
            "change",
            "key-encryption key changed",
        ),
    ];
    let mut before = changes(&place).len();
    for (command, change, name, value) in table {
        let said = place.run(command);
        assert_eq!(said.code == 0, change.is_some(), "{command:?}: {} {}", said.out, said.err);
        if command[0] == "key-encryption-key" {
            std::fs::rename(place.path("new.key"), place.path("tokenberg.db.key")).unwrap();
        }
        let records = changes(&place);
        let Some(change) = change else {
            assert_eq!(records.len(), before, "{command:?} came to nothing");
            continue;
        };
        let [record] = &records[before..] else { panic!("{command:?}: {:?}", &records[before..]) };
        assert_eq!((&record["change"], &record[name]), (&change.into(), &value.into()), "{command:?}");
        let source = record["source"].as_str().unwrap();
        assert!(source.starts_with("command line"), "{command:?}: {source}");
        before += 1;
    }
    place.run(&["audit", "verify"]).done();
}

#[test]
fn se_06_a_revocation_by_a_client_is_recorded_as_a_decision_and_as_a_change() {
    let place = Place::new();
    let server = place.serve(&[]);
    let token = server.ask("root", "first-secret-of-root").token();
    let before = changes(&place).len();
    let form = format!("token={token}&client_id=root&client_secret=first-secret-of-root");
    let revoke = format!("{}/v1/oauth/revoke", server.url);
    assert_eq!(crate::support::post(&revoke, None, &form).status, 200);
    let [change] = &changes(&place)[before..] else { panic!("one record of the change") };
    assert_eq!((&change["change"], &change["source"]), (&"revoked".into(), &"a server".into()));
    within_a_second("the decision is recorded", || {
        let records = place.run(&["audit"]).done().out;
        let mut records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.any(|record| record["outcome"] == "revoked" && record["jti"] == change["token"])
    });
}
