//! Revoked tokens are refused immediately and permanently, by HTTP and by command: conformance RV-03, RV-06, RV-07 and TX-38.

use crate::support::{Answer, Place, Server, post, within_a_second};

const ROOT: (&str, &str) = ("root", "first-secret-of-root");

fn about(server: &Server, what: &str, token: &str, (id, secret): (&str, &str)) -> Answer {
    let form = format!("token={token}&client_id={id}&client_secret={secret}");
    post(&format!("{}/v1/oauth/{what}", server.url), None, &form)
}

/// Whether the token is active to the client that it was issued to.
fn is_active(server: &Server, token: &str, who: (&str, &str)) -> bool {
    let answer = about(server, "introspect", token, who);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["active"] == true
}

#[test]
fn rv_03_rv_06_cve_2026_9802_a_revocation_takes_effect_at_once_and_survives_kill_9() {
    let place = Place::new();
    let mut server = place.serve(&["--issuer", "https://as.test"]);
    let secret = place.add("rs1", &["--serves", "https://as.test"]);
    within_a_second("the client is there", || server.ask("rs1", &secret).status == 200);
    let (token, other) = (server.ask(ROOT.0, ROOT.1).token(), server.ask(ROOT.0, ROOT.1).token());
    let renewed = server.renew(&token).token();
    assert!(is_active(&server, &renewed, ("rs1", &secret)));
    assert_eq!(about(&server, "revoke", &token, ("rs1", &secret)).code(), "unauthorized_client");
    assert_eq!(about(&server, "revoke", &token, ROOT).status, 200);
    server.signal("KILL");
    server.ended();

    let server = place.serve(&["--issuer", "https://as.test"]);
    for dead in [&token, &renewed] {
        assert!(!is_active(&server, dead, ("rs1", &secret)) && !is_active(&server, dead, ROOT));
        assert_eq!(server.renew(dead).status, 401);
    }
    assert!(is_active(&server, &other, ROOT));
    // On the server that revoked it, the token is refused immediately.
    assert_eq!(about(&server, "revoke", &other, ROOT).status, 200);
    assert!(!is_active(&server, &other, ROOT));
    let log = server.log();
    assert!(log.contains("revoked") && !log.contains(&other), "{log}");
}

#[test]
fn rv_06_cve_2020_15223_a_broken_store_is_503_and_never_200() {
    let place = Place::new();
    let server = place.serve(&[]);
    let token = server.ask(ROOT.0, ROOT.1).token();
    if !place.sql("ALTER TABLE revisions RENAME TO lost") {
        return;
    }
    let answer = about(&server, "revoke", &token, ROOT);
    assert_eq!((answer.status, answer.code()), (503, "temporarily_unavailable"));
    assert!(is_active(&server, &token, ROOT));
    assert_eq!(about(&server, "revoke", "garbage", ROOT).status, 200);
    assert!(place.sql("ALTER TABLE lost RENAME TO revisions"));
    assert_eq!(about(&server, "revoke", &token, ROOT).status, 200);
    assert!(!is_active(&server, &token, ROOT));
}

#[test]
fn rv_03_rv_07_the_command_revokes_a_token_and_its_session() {
    let place = Place::new();
    let server = place.serve(&[]);
    let token = server.ask(ROOT.0, ROOT.1).token();
    let renewed = server.renew(&token).token();
    let other = server.ask(ROOT.0, ROOT.1).token();
    let file = place.file("token", &format!("{token}\n"));
    let said = place.run(&["revoke", "--token-file", &file, "--json"]).done().json();
    assert_eq!((&said["revoked"], &said["client_id"]), (&"token".into(), &"root".into()));
    within_a_second("the token is dead", || !is_active(&server, &token, ROOT));
    assert!(!is_active(&server, &renewed, ROOT) && is_active(&server, &other, ROOT));
    // From standard input, and a second time: the token stays revoked.
    place.run_with(&["revoke", "--token-file", "-"], &token, &[]).done();

    let stranger = Place::new();
    let foreign = stranger.serve(&[]).ask(ROOT.0, ROOT.1).token();
    let tampered = format!("{}AAAA", &other[..other.len() - 4]);
    for not_ours in [foreign.as_str(), "garbage", &tampered] {
        let said = place.run_with(&["revoke", "--token-file", "-"], not_ours, &[]).refused();
        assert!(!said.err.contains(not_ours), "{}", said.err);
    }
    assert!(is_active(&server, &other, ROOT));
}

#[test]
fn tx_38_all_present_tokens_of_a_client_or_a_subject_are_revoked() {
    let place = Place::new();
    drop(place.serve(&[]));
    // No server is running now.
    let secret = place.add("c1", &[]);
    place.run(&["revoke", "--client", "c1"]).done();
    assert!(place.run(&["revoke", "--client", "c2"]).refused().err.contains("c2"));
    assert_eq!(place.run(&["revoke", "--client", "c1", "--before", "+1h"]).code, 2);
    let server = place.serve(&[]);
    let who = ("c1", secret.as_str());
    for what in ["--client", "--subject"] {
        let token = server.ask("c1", &secret).token();
        assert!(is_active(&server, &token, who), "what came after the last revocation is good");
        place.run(&["revoke", what, "c1", "--before", "2026-01-01T00:00:00Z"]).done();
        place.run(&["revoke", what, "c1", "--before", "1767225600"]).done();
        let untouched = server.ask("root", "first-secret-of-root").token();
        let said = place.run(&["revoke", what, "c1", "--json"]).done().json();
        assert!(said["before"].as_str().unwrap().ends_with('Z'));
        within_a_second("the token is dead", || !is_active(&server, &token, who));
        assert_eq!(server.renew(&token).status, 401);
        assert!(is_active(&server, &untouched, ROOT));
    }
    let token = server.ask("c1", &secret).token();
    assert!(is_active(&server, &token, who), "the credential goes on working");
}
