//! Three principals called alice are distinguished wherever their tokens are used: conformance CC-17, TX-37, TX-38 and SE-06.

use crate::foreign::claims;
use crate::naming::{A, B, add, make_undecided, place, rewrite};
use crate::running::operations;
use crate::support::{Answer, Place, Server, get, post, within_a_second};
use serde_json::{Value, json};
use tokenberg_testkit::ForeignKey;

/// A server that trusts A, with a prefix, and B, whose users may have the names of clients, and the secrets of its clients.
pub struct World {
    pub place: Place,
    pub server: Server,
    key: ForeignKey,
    trino: String,
    alice: String,
}

const EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

impl World {
    pub fn new() -> Self {
        let (place, key) = place();
        // The clocks are the same, so tokens signed from the second of a revocation on are accepted.
        add(&place, A, &["--subject-prefix", "okta:", "--leeway", "0s"]).done();
        add(&place, B, &["--shared-names", "--leeway", "0s"]).done();
        let trino = place.add("trino", &["--may-act-for", "https://*.example|*", "--session-lifetime", "1h"]);
        let alice = place.add("alice", &[]);
        let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
        Self { place, server, key, trino, alice }
    }

    fn id_token(&self, issuer: &str, user: &str) -> String {
        self.key.sign(&claims(issuer, user, "trino", &json!({})))
    }

    fn exchanged(&self, subject: &str, kind: &str, more: &str) -> Answer {
        let who = format!("client_id=trino&client_secret={}", self.trino);
        self.server
            .tokens(&format!("{EXCHANGE}&{who}&subject_token={subject}&subject_token_type={kind}{more}"))
    }

    pub fn signed_in(&self, issuer: &str, user: &str) -> Answer {
        self.exchanged(&self.id_token(issuer, user), ID_TOKEN, "")
    }

    /// A token for alice of A, one for alice of B, and one for the client.
    fn tokens(&self) -> [String; 3] {
        let of_client = self.server.ask("alice", &self.alice).token();
        [self.signed_in(A, "alice").token(), self.signed_in(B, "alice").token(), of_client]
    }

    pub fn introspected(&self, token: &str) -> Value {
        let is_of_alice = payload(token)["client_id"] == "alice";
        let (id, secret) = if is_of_alice { ("alice", &self.alice) } else { ("trino", &self.trino) };
        let form = format!("token={token}&client_id={id}&client_secret={secret}");
        post(&format!("{}/v1/oauth/introspect", self.server.url), None, &form).body
    }

    /// Whether the token is active, and renewed; both or neither.
    pub fn lives(&self, token: &str) -> bool {
        let is_active = self.introspected(token)["active"] == true;
        let renewed = self.server.renew(token).status;
        assert_eq!(is_active, renewed == 200, "{renewed} {}", payload(token));
        is_active
    }

    /// The output of `explain` about the renewal of a token by its client.
    pub fn explained(&self, token: &str) -> String {
        let form = format!(
            "{EXCHANGE}&client_id=trino&client_secret={}&subject_token={token}&subject_token_type={ACCESS_TOKEN}",
            self.trino
        );
        self.place.run_with(&["explain", "--issuer", &self.server.url], &form, &[]).out
    }

    fn become_so(&self, what: &str, tokens: &[String; 3], expected: [bool; 3]) {
        // A change may reach the server between the two checks of one token, too; so the test waits for one of them.
        let is_active = || tokens.each_ref().map(|token| self.introspected(token)["active"] == true);
        within_a_second(what, || is_active() == expected);
        assert_eq!(tokens.each_ref().map(|token| self.lives(token)), expected, "{what}");
    }
}

pub fn payload(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap())
        .unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|word| !word.is_empty()).collect()
}

#[test]
fn cc_17_tx_37_tx_38_revoking_and_disabling_affect_one_of_three_principals_with_one_name() {
    let world = World::new();
    let ours = world.server.url.clone();
    for (command, undo, expected) in [
        (format!("revoke --subject alice --issuer {A}"), "", [false, true, true]),
        (format!("revoke --subject okta:alice --issuer {A}"), "", [false, true, true]),
        ("revoke --subject okta:alice".to_owned(), "", [false, true, true]),
        (format!("revoke --subject alice --issuer {B}"), "", [true, false, true]),
        (format!("revoke --subject okta:alice --issuer {B}"), "", [true, true, true]),
        (format!("revoke --subject alice --issuer {ours}"), "", [true, true, false]),
        ("revoke --client alice".to_owned(), "", [true, true, false]),
        ("revoke --subject alice".to_owned(), "", [false, false, false]),
        (
            format!("subject disable alice --issuer {A}"),
            "subject enable alice --issuer https://a.example",
            [false, true, true],
        ),
        (
            format!("subject disable okta:alice --issuer {A}"),
            "subject enable alice --issuer https://a.example",
            [false, true, true],
        ),
        (
            format!("subject disable alice --issuer {A}"),
            "subject enable okta:alice --issuer https://a.example",
            [false, true, true],
        ),
        (
            format!("subject disable alice --issuer {B}"),
            "subject enable alice --issuer https://b.example",
            [true, false, true],
        ),
        ("client disable alice".to_owned(), "client enable alice", [true, true, false]),
        (format!("issuer disable {A}"), "issuer enable https://a.example", [false, true, true]),
    ] {
        let tokens = world.tokens();
        assert_eq!(tokens.each_ref().map(|token| world.lives(token)), [true; 3], "before {command}");
        world.place.run_with(&words(&command), "", &[("TOKENBERG_ISSUER", &ours)]).done();
        world.become_so(&command, &tokens, expected);
        if !undo.is_empty() {
            for (place, issuer) in [A, B].into_iter().enumerate() {
                assert_eq!(
                    world.signed_in(issuer, "alice").status == 200,
                    expected[place],
                    "{command}: {issuer}"
                );
            }
            world.place.run(&words(undo)).done();
            world.become_so(undo, &tokens, [true; 3]);
        }
    }
    assert_eq!(world.place.run(&words("subject list --json")).done().json(), json!([]));
    let said = world.place.run(&words("subject enable okta:alice --issuer https://a.example")).done();
    assert!(said.err.contains("was not disabled, so nothing was changed"), "{}", said.err);
}

#[test]
fn cc_17_a_disabled_user_stays_disabled_under_another_prefix_and_as_an_actor() {
    let world = World::new();
    let with_robot = || {
        let actor = world.id_token(A, "robot");
        let more = format!("&actor_token={actor}&actor_token_type={ID_TOKEN}");
        world.exchanged(&world.id_token(B, "bob"), ID_TOKEN, &more).token()
    };
    for command in [
        format!("revoke --subject robot --issuer {A}"),
        format!("revoke --subject okta:robot --issuer {A}"),
        "revoke --subject okta:robot".to_owned(),
        format!("subject disable okta:robot --issuer {A}"),
    ] {
        let token = with_robot();
        assert!(world.lives(&token), "before {command}");
        world.place.run(&words(&command)).done();
        within_a_second(&command, || world.introspected(&token)["active"] != true);
        assert!(!world.lives(&token), "{command}");
    }
    let said = world.place.run(&words(&format!("subject disable okta:alice --issuer {A}"))).done();
    assert!(
        said.err.contains("catalogs know the user alice of https://a.example as okta:alice"),
        "{}",
        said.err
    );
    within_a_second("alice is disabled", || world.signed_in(A, "alice").status == 400);
    world.place.run(&["issuer", "change", A, "--subject-prefix", "entra:"]).done();
    within_a_second("the prefix is another", || {
        let carol = world.signed_in(A, "carol").token();
        payload(&carol)["sub"] == "entra:carol"
    });
    assert_eq!(world.signed_in(A, "alice").status, 400);
    assert_eq!(world.signed_in(B, "alice").status, 200);
}

#[test]
fn cc_17_se_06_tokens_audit_and_explanation_have_issuer_and_name() {
    let world = World::new();
    let tokens = world.tokens();
    let expected = [
        ("okta:alice", json!(A), json!("alice")),
        ("alice", json!(B), Value::Null),
        ("alice", Value::Null, Value::Null),
    ];
    let mut granted = Vec::new();
    for (token, (sub, issuer, own)) in tokens.iter().zip(&expected) {
        assert_eq!(world.introspected(token)["sub"], *sub);
        let renewed = world.server.renew(token).token();
        for token in [token, &renewed] {
            let payload = payload(token);
            let session = &payload["tokenberg_session"];
            assert_eq!(
                (&payload["sub"], &session["sub_iss"], &session["sub"]),
                (&json!(sub), issuer, own),
                "{payload}"
            );
            granted.push((payload["jti"].clone(), (*sub, issuer, own)));
        }
    }
    within_a_second("everything is recorded", || {
        let records = world.place.run(&["audit"]).done().out;
        let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        granted.iter().all(|(jti, (sub, issuer, own))| {
            let of_token =
                records.iter().find(|record| record["outcome"] == "granted" && record["jti"] == *jti);
            of_token.is_some_and(|record| {
                let found = (&record["subject"], &record["subject_issuer"], &record["issuer_subject"]);
                assert_eq!(found, (&json!(sub), *issuer, *own), "{record}");
                true
            })
        })
    });
    let explained = world.explained(&tokens[0]);
    assert!(explained.contains("for okta:alice of https://a.example, which is not disabled"), "{explained}");
}

#[test]
fn cc_17_a_store_of_an_earlier_version_works_with_a_warning_until_the_operator_decides() {
    let world = World::new();
    world.place.run(&["issuer", "change", B, "--separate-names"]).done();
    within_a_second("alice is the client", || world.signed_in(B, "alice").status == 400);
    if !make_undecided(&world.place, B) {
        return;
    }
    within_a_second("as before", || world.signed_in(B, "alice").status == 200);
    let session = world.signed_in(B, "alice").token();
    let renewed = world.server.renew(&session).token();
    let warning = "https://b.example was registered by an earlier version";
    within_a_second("it is warned of", || world.server.log().contains(warning));
    // Separate names end it, also for the session that has begun.
    world.place.run(&["issuer", "change", B, "--separate-names"]).done();
    within_a_second("alice is the client again", || world.server.renew(&renewed).status == 401);
    assert!(!world.lives(&session) && !world.lives(&renewed));
    assert_eq!(world.signed_in(B, "alice").status, 400);
    assert_eq!(world.signed_in(B, "bob").status, 200);
    // With a prefix, the user has a distinct name after the next sign-in.
    world.place.run(&["issuer", "change", B, "--subject-prefix", "b:"]).done();
    within_a_second("the user has a name", || world.signed_in(B, "alice").status == 200);
    assert_eq!(payload(&world.signed_in(B, "alice").token())["sub"], "b:alice");
    assert_eq!(world.server.renew(&renewed).status, 401);
    assert_eq!(world.server.ask("alice", &world.alice).status, 200);
}

#[test]
fn cc_17_in_10_a_client_that_is_added_with_a_users_name_ends_the_users_live_tokens() {
    let world = World::new();
    world.place.run(&["issuer", "change", B, "--separate-names"]).done();
    within_a_second("names are separate", || world.signed_in(B, "alice").status == 400);
    let [bob, carol] = ["bob", "carol"].map(|user| world.signed_in(B, user).token());
    let renewed = world.server.renew(&bob).token();
    assert!(world.lives(&bob) && world.lives(&renewed));
    let said = world.place.run(&["client", "add", "bob"]).done();
    for part in [
        "a user bob of https://b.example receives no token from now on, and its present tokens are inactive",
        "`tokenberg audit | jq 'select(.outcome == \"granted\" and .subject == \"bob\")'`",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    within_a_second("bob is the client", || world.introspected(&renewed)["active"] != true);
    assert_eq!([&bob, &renewed, &carol].map(|token| world.lives(token)), [false, false, true]);
    let explained = world.explained(&renewed);
    assert!(
        explained.contains("in catalogs its subject \"bob\" has the same name as the client bob"),
        "{explained}"
    );
    assert_eq!(world.signed_in(B, "bob").status, 400);
}

#[test]
fn cc_17_tx_38_removing_a_client_does_not_affect_a_user_with_its_name() {
    let world = World::new();
    let tokens = world.tokens();
    let [of_a, of_b, _] = &tokens;
    assert_eq!(tokens.each_ref().map(|token| world.lives(token)), [true; 3]);
    world.place.run(&["client", "remove", "alice"]).done();
    within_a_second("the client is gone", || world.server.renew(&tokens[2]).status == 401);
    assert!(world.lives(of_a) && world.lives(of_b));
    // The earlier tokens of the client stay revoked when it is registered again.
    let secret = world.place.add("alice", &[]);
    within_a_second("it is registered again", || world.server.ask("alice", &secret).status == 200);
    assert_eq!(world.server.renew(&tokens[2]).status, 401);
    assert!(world.lives(of_a) && world.lives(of_b));
}

#[test]
fn cc_17_a_name_with_a_leading_or_trailing_space_is_refused_with_its_reason() {
    let world = World::new();
    for (user, is_good) in [("carol d", true), ("carol ", false), (" carol", false)] {
        for issuer in [A, B] {
            let answer = world.signed_in(issuer, user);
            assert_eq!(answer.status == 200, is_good, "{user:?} of {issuer}: {answer:?}");
        }
    }
    within_a_second("it is in the log", || world.server.log().contains("no space at its beginning or end"));
}

#[test]
fn op_20_an_issuer_written_by_a_newer_version_leaves_the_previous_state_in_effect() {
    let world = World::new();
    let operations = operations(&world.server);
    let ready = || get(&format!("{operations}/readyz")).status;
    assert_eq!(ready(), 200);
    if !rewrite(&world.place, A, "json_set(trust, '$.of_a_newer_version', 1)") {
        return;
    }
    within_a_second("it is not ready", || ready() == 503);
    assert!(world.server.log().contains("what was last read stays in force"), "{}", world.server.log());
    assert_eq!(payload(&world.signed_in(A, "alice").token())["sub"], "okta:alice");
    assert!(rewrite(&world.place, A, "json_remove(trust, '$.of_a_newer_version')"));
    within_a_second("it is ready again", || ready() == 200);
}
