//! Rotates, revokes and reseals keys under a running server: conformance KS-04, KS-05, OP-02, OP-13 and CA-21.

use crate::support::{Place, Server, get, post, within_a_second};
use serde_json::Value;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{KekSource, Store};

const ROOT: (&str, &str) = ("root", "first-secret-of-root");

fn is_active(server: &Server, token: &str) -> bool {
    let form = format!("token={token}&client_id={}&client_secret={}", ROOT.0, ROOT.1);
    let answer = post(&format!("{}/v1/oauth/introspect", server.url), None, &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["active"] == true
}

fn kids(server: &Server) -> Vec<String> {
    let jwks = get(&format!("{}/.well-known/jwks.json", server.url)).body;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn states(place: &Place) -> Vec<(String, String)> {
    let keys = place.run(&["key", "list", "--json"]).done().json();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    keys.as_array().unwrap().iter().map(|key| (text(key, "kid"), text(key, "state"))).collect()
}

fn signing(place: &Place) -> String {
    let signing: Vec<_> = states(place).into_iter().filter(|(_, state)| state == "signing").collect();
    assert_eq!(signing.len(), 1);
    signing[0].0.clone()
}

#[test]
fn ks_05_a_revoked_key_is_refused_at_once_and_another_signs() {
    let place = Place::new();
    let server = place.serve(&[]);
    let ask = || server.ask(ROOT.0, ROOT.1).token();
    let stolen = ask();
    let lost = signing(&place);
    assert!(is_active(&server, &stolen) && server.renew(&stolen).status == 200);
    let said = place.run(&["key", "revoke", &lost, "--json"]).done().json();
    assert_eq!(said["state"], "revoked");
    within_a_second("the set has the new key only", || kids(&server) == [said["signing"].as_str().unwrap()]);
    assert!(!is_active(&server, &stolen));
    assert_eq!(server.renew(&stolen).status, 401);
    let fresh = ask();
    assert!(is_active(&server, &fresh) && server.renew(&fresh).status == 200);
    // A waiting key takes over early; its tokens are accepted where the key set was fetched since it was published.
    let next = place.run(&["key", "rotate", "--json"]).done().json()["kid"].as_str().unwrap().to_owned();
    let said = place.run(&["key", "revoke", &signing(&place)]).done();
    assert!(said.out.contains(&format!("{next} signs")), "{}", said.out);
    within_a_second("the one that waited signs", || kids(&server) == [next.as_str()]);
    assert!(is_active(&server, &ask()) && !is_active(&server, &fresh));
    // A key that only waits is dropped, and nothing else changes.
    let waiting = place.run(&["key", "rotate", "--json"]).done().json()["kid"].as_str().unwrap().to_owned();
    place.run(&["key", "revoke", &waiting]).done();
    assert_eq!(states(&place), [(next.clone(), "signing".to_owned())]);
    let keys = place.run(&["key", "list", "--json"]).done().json();
    assert!(keys[0]["verifies_until"].is_null(), "it goes on, so its end is not settled any more");
    let said = place.run(&["key", "revoke", &waiting]).refused();
    assert!(said.err.contains("there is no key"), "{}", said.err);
    drop(server);
    // A restart does not restore it either.
    let server = place.serve(&[]);
    assert_eq!(kids(&server), [next]);
    assert!(!is_active(&server, &stolen));
}

/// The automatic rotation after three months, done at the start of the server, because the key is that old.
#[test]
fn ks_04_op_02_a_server_creates_a_key_when_the_signing_key_is_old_enough() {
    let place = Place::new();
    drop(place.serve(&[]));
    let first = signing(&place);
    let url = format!("sqlite:{}", place.path("tokenberg.db").display()).parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url, KekSource::File(place.path("tokenberg.db.key"))).await.unwrap();
        let mut key = store.keys().await.unwrap().remove(0);
        store.remove_key(&key.id).await.unwrap();
        let months = i64::from(Lifetime::from_hours(91 * 24).as_seconds());
        key.signs_from = Timestamp::from_seconds(key.signs_from.as_seconds() - months).unwrap();
        store.add_key(&key).await.unwrap();
        store.close().await;
    });
    drop(place.serve(&[]));
    assert_eq!(states(&place).len(), 1, "no rotation was requested");
    let config = place.file("t.toml", "rotate-keys-every = \"90d\"\n");
    let server = place.serve(&["--config", &config]);
    within_a_second("the next key is published", || kids(&server).len() == 2);
    assert_eq!(signing(&place), first);
    // The key was created by the schedule, and the record names a server.
    let records = place.run(&["audit"]).done().out;
    let mut records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let added = records.rfind(|record| record["change"] == "key added").unwrap();
    assert_eq!((&added["source"], added["key"] != first.as_str()), (&"a server".into(), true), "{added}");
    drop(server);
    let server = place.serve(&["--rotate-keys-every", "1d"]);
    assert!(server.ask(ROOT.0, ROOT.1).status == 200 && states(&place).len() == 2, "one at a time");
    let said = place.start(&["--rotate-keys-every", "23h"], &[]).err().unwrap();
    assert!(said.code == 2 && said.err.contains("at least 1d"), "{}", said.err);
}

#[test]
fn ca_21_client_show_prints_when_each_secret_was_last_used() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    let secret = place.add("spark", &[]);
    within_a_second("it works", || server.ask("spark", &secret).status == 200);
    place.run(&["client", "secret", "add", "spark"]).done();
    // It is written once a minute, and at the end.
    server.signal("TERM");
    server.ended();
    let secrets = place.run(&["client", "show", "spark", "--json"]).done().json()["secrets"].clone();
    let used: Vec<bool> = secrets.as_array().unwrap().iter().map(|s| s["last_used_at"].is_string()).collect();
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "{secrets}");
    let text = place.run(&["client", "show", "spark"]).done().out;
    assert!(text.contains("LAST USED") && text.contains("never"), "{text}");
}

#[test]
fn se_03_op_13_the_key_encryption_key_changes_without_a_restart() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let ready = || get(&format!("{operations}/readyz"));
    let said = place.run(&["key-encryption-key", "change", "--new-key-file", "new.key"]).done();
    assert!(said.out.contains("mv new.key tokenberg.db.key"), "{}", said.out);
    let said = place.run(&["client", "list"]).refused();
    for word in ["is not the one that the store was sealed with", "/new.key", "--next-key-file"] {
        assert!(said.err.contains(word), "{}", said.err);
    }
    assert!(
        place.start(&[], &[]).err().unwrap().err.contains("is not the one that the store was sealed with")
    );
    // The server goes on, reports that, and follows the data that is not sealed.
    within_a_second("it is logged", || {
        let answer = ready();
        answer.status == 200 && answer.body.as_str().unwrap().contains("put the new one there")
    });
    let said = place.run(&["client", "add", "spark", "--json", "--key-file", "new.key"]).done().json();
    let secret = said["client_secret"].as_str().unwrap().to_owned();
    within_a_second("a new client works", || server.ask("spark", &secret).status == 200);
    std::fs::rename(place.path("new.key"), place.path("tokenberg.db.key")).unwrap();
    within_a_second("it has the new key", || !ready().body.as_str().unwrap().contains("put the new one"));
    let next = place.run(&["key", "rotate", "--json"]).done().json()["kid"].as_str().unwrap().to_owned();
    within_a_second("it follows its keys again", || kids(&server).contains(&next));
    drop(server);
    drop(place.serve(&[]));
}

#[test]
fn se_03_a_key_encryption_key_is_not_changed_to_itself() {
    let place = Place::new();
    place.add("spark", &[]);
    let key = place.path("tokenberg.db.key");
    std::fs::copy(&key, place.path("copy.key")).unwrap();
    let before = (place.run(&["audit"]).done().out, std::fs::read(&key).unwrap());
    for same in ["copy.key", "tokenberg.db.key"] {
        let said = place.run(&["key-encryption-key", "change", "--new-key-file", same]).refused();
        assert!(said.err.contains(same) && said.err.contains("nothing was changed"), "{}", said.err);
    }
    assert_eq!((place.run(&["audit"]).done().out, std::fs::read(&key).unwrap()), before);
}

#[test]
fn se_03_op_13_nodes_with_the_next_key_start_and_follow_while_the_key_changes() {
    let place = Place::new();
    let both = ["--next-key-file", "next.key", "--ops-listen", "127.0.0.1:0"];
    let mut server = place.serve(&both);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    place.run(&["key-encryption-key", "change", "--new-key-file", "next.key"]).done();
    // The first file still has the old key. A node that is restarted reads the second one, and so does a command.
    let rotated = |options: &[&str]| {
        let said = place.run(&[&["key", "rotate", "--now", "--json"][..], options].concat()).done();
        said.json()["kid"].as_str().unwrap().to_owned()
    };
    let next = rotated(&both[..2]);
    within_a_second("the running node follows keys that are sealed anew", || kids(&server).contains(&next));
    let ready = get(&format!("{operations}/readyz"));
    assert!(ready.status == 200 && !ready.body.as_str().unwrap().contains("put the new one"), "{ready:?}");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let restarted = place.serve(&both[..2]);
    assert!(kids(&restarted).contains(&next));
    let said = place.run(&["client", "list"]).refused();
    assert!(said.err.contains("is not the one that the store was sealed with"), "{}", said.err);
    // The second step, and the option may stay.
    std::fs::rename(place.path("next.key"), place.path("tokenberg.db.key")).unwrap();
    let last = rotated(&both[..2]);
    within_a_second("it follows with the key in its new place", || kids(&restarted).contains(&last));
    // Neither file has the key.
    let other = place.file("other.key", &"0".repeat(64));
    std::fs::set_permissions(other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let said =
        place.run(&["client", "list", "--key-file", "other.key", "--next-key-file", "none.key"]).refused();
    assert!(said.err.contains("other.key and none.key"), "{}", said.err);
    // What is no file is named, and not waited for.
    crate::support::pipe(&place.path("pipe"));
    for (wrong, kind) in
        [("pipe", "not a regular file"), (".", "a directory"), ("/dev/zero", "not a regular file")]
    {
        let said = place.run(&["client", "list", "--key-file", wrong]).refused().err;
        assert!(said.contains(wrong) && said.contains(kind), "{said}");
        let said = place.run(&["check", "--next-key-file", wrong]);
        assert!(
            said.code == 1
                && said.out.contains(&format!("next key file: the key file {wrong} cannot be read")),
            "{}",
            said.out
        );
    }
    let said = place.run(&["check", "--next-key-file", "none.key"]).done().out;
    assert!(said.contains("none.key does not exist"), "{said}");
    let said = place.run_with(&["client", "list", "--next-key-file", "n"], "", &[("TOKENBERG_KEY", "k")]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn s_10_a_stolen_key_is_not_used_by_a_server_that_cannot_open_the_new_one_and_key_revoke_names_it() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let ready = || get(&format!("{operations}/readyz"));
    let stolen = server.ask(ROOT.0, ROOT.1).token();
    let lost = signing(&place);
    place.run(&["key-encryption-key", "change", "--new-key-file", "new.key"]).done();
    let said = place.run(&["key", "revoke", &lost, "--key-file", "new.key", "--json"]).done();
    let behind = &said.json()["nodes"]["behind"];
    assert!(behind.as_array().unwrap().len() == 1 && behind[0]["address"] == server.url.as_str(), "{behind}");
    assert!(said.err.contains(&server.url) && said.err.contains("put the new one there"), "{}", said.err);
    // Neither is the stolen key published, nor accepted, nor does it sign.
    within_a_second("the stolen key is gone", || kids(&server).is_empty());
    let unsigned = server.ask(ROOT.0, ROOT.1);
    assert_eq!((server.renew(&stolen).status, unsigned.status), (401, 503));
    assert_eq!((unsigned.code(), unsigned.retry_after.as_deref()), ("temporarily_unavailable", Some("1")));
    assert!(server.log().contains("no signing key is available"), "{}", server.log());
    within_a_second("it is not ready", || ready().status == 503);
    std::fs::rename(place.path("new.key"), place.path("tokenberg.db.key")).unwrap();
    within_a_second("it signs with the new key", || server.ask(ROOT.0, ROOT.1).status == 200);
    assert!(
        ready().status == 200 && kids(&server) == [signing(&place)] && server.renew(&stolen).status == 401
    );
}
