//! Is the request granted once its advice is followed, where that takes more than a look at the reason? SE-06 of the conformance list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::{AllowedScope, TokenType, Verdict};
use tokenberg_testkit::{Ask, ForeignKey, NOW, World, alice, at1, by_c1, trusted};

const IDP: &str = "https://idp.test";

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    (world, key)
}

/// Reason and advice of a request; fails if it would be granted.
fn refused(world: &World, ask: &Ask) -> (String, String) {
    let verdict = world.explain(ask).verdict;
    let Verdict::Refused(refusing) = verdict else { panic!("{verdict:?}") };
    (refusing.refusal.to_string(), refusing.remedy)
}

/// An unsecured JWT about a user of this name.
fn unsecured(name: &str) -> String {
    use base64::Engine;
    let encoded = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", encoded(json!({"alg": "none"})), encoded(json!({"sub": name, "iat": NOW})))
}

#[test]
fn se_06_no_right_is_advised_for_an_unsecured_user_with_the_name_of_another_principal() {
    let (mut world, _) = world();
    world.issuers[0].trust.subject_prefix = Some("idp:".into());
    let actor = at1(&mut world);
    let ask = |name: &str| by_c1(Ask::exchange_of(&unsecured(name), TokenType::Jwt));
    for (name, advised) in [
        ("c2", "name another user: \"c2\" is the name of a client"),
        ("idp:alice", "name another user: this name is that of a user of https://idp.test"),
        ("alice", "`tokenberg client change c1 --may-assert-users alice`"),
    ] {
        let (reason, advice) = refused(&world, &ask(name).actor(&actor));
        assert!(reason.contains("the client c1 may not assert the user"), "{reason}");
        assert!(advice.contains(advised), "{advice}");
        // Without the token of the client as the actor, too.
        let (reason, advice) = refused(&world, &ask(name));
        assert!(reason.contains("there is no actor_token"), "{reason}");
        assert_eq!(advice.contains(advised), name != "alice", "{advice}");
    }
    // The advice is right: the right does not help where it is not advised.
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    for (name, code) in
        [("c2", "400 invalid_request"), ("idp:alice", "400 invalid_request"), ("alice", "200")]
    {
        assert_eq!(world.check(ask(name).actor(&actor)).code(), code, "{name}");
    }
}

#[test]
fn se_06_advice_about_a_subject_names_its_fault_and_not_the_length_of_a_prefix() {
    let (mut world, key) = world();
    let trust = &mut world.issuers[0].trust;
    trust.subject_prefix = Some("idp:".into());
    trust.subject_claim = "upn".into();
    let user =
        |upn: Value| by_c1(Ask::exchange_of(&key.sign(&alice(&json!({"upn": upn}))), TokenType::IdToken));
    for (upn, advised) in [
        (
            json!(null),
            "https://idp.test has to correct the claim upn of the subject token, which is missing; or `tokenberg issuer change https://idp.test --subject-claim sub`",
        ),
        (json!(12), "which is 12, and has to be a text"),
        (json!("a\u{202e}b"), "which is \"a\\u{202e}b\": "),
        (json!(""), "which is \"\": "),
        (
            json!("x".repeat(252)),
            "has to write a subject of at most 251 bytes in upn: with the prefix \"idp:\"",
        ),
    ] {
        let (reason, advice) = refused(&world, &user(upn));
        assert!(advice.contains(advised), "{advice} ({reason})");
        assert_eq!(advised.contains("bytes"), advice.contains("bytes in"), "{advice}");
    }
    world.issuers[0].trust.subject_claim = "sub".into();
    assert_eq!(world.check(user(json!(null))).code(), "200");
}

#[test]
fn a_disabled_unsecured_user_is_named_without_a_second_comma() {
    let (mut world, _) = world();
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let disabled = tokenberg_core::SubjectStanding { disabled: true, ..Default::default() };
    world.subjects.push((None, "alice".to_owned(), disabled));
    let actor = at1(&mut world);
    let ask = by_c1(Ask::exchange_of(&unsecured("alice"), TokenType::Jwt).actor(&actor));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.ends_with("its subject, the unsecured user \"alice\", is disabled"), "{reason}");
    assert_eq!(advice, "`tokenberg subject enable alice`");
}

#[test]
fn se_01_se_06_what_was_copied_along_with_a_secret_is_named_and_the_secret_is_not() {
    let (mut world, _) = world();
    for (sent, named, correction) in [
        ("`s1-Z7`", "is in backticks", "without the backticks around it"),
        ("\"s1-Z7\"", "is in quotation marks or angle brackets", "without the quotation marks"),
        (" s1-Z7", "begins or ends with a space", "without the spaces"),
        ("s1-Z7\n", "begins or ends with a line end", "without the line end"),
        ("client_secret: s1-Z7", "begins with a label", "without its label"),
        ("c1:s1-Z7", "begins with the client_id and a colon", "without its client_id"),
    ] {
        let ask = Ask::credentials().basic("c1", sent);
        let (reason, advice) = refused(&world, &ask);
        assert!(reason.starts_with("wrong secret for the client c1") && reason.contains(named), "{reason}");
        assert!(
            advice.starts_with("the client has to send the secret") && advice.contains(correction),
            "{advice}"
        );
        assert!(!format!("{reason}{advice}").contains("s1-Z7"), "{reason} {advice}");
        assert_eq!(world.check(ask).code(), "401 invalid_client Basic");
    }
    assert_eq!(world.check(Ask::credentials().basic("c1", "s1-Z7")).code(), "200");
}

#[test]
fn se_06_what_nothing_is_left_of_names_the_party_that_allows_nothing_and_its_command() {
    let (mut world, key) = world();
    let user = || by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken));
    world.issuers[0].trust.scope = "".parse().unwrap();
    let (reason, advice) = refused(&world, &user());
    assert_eq!(
        reason,
        "no scope is left that all parties allow; what may be is nothing (the registration of client c1 allows \
         \"catalog ns:read ns:write PRINCIPAL_ROLE:ALL\"; what the subject has by issuer https://idp.test allows nothing)"
    );
    let command = "`tokenberg issuer change https://idp.test --scope catalog`";
    assert!(
        advice.starts_with(&format!(
            "what the subject has by issuer https://idp.test allows nothing: {command}"
        )),
        "{advice}"
    );
    let (_, advice) = refused(&world, &user().with("scope", "catalog"));
    assert!(advice.contains(&format!("allows nothing: {command}")), "{advice}");
    world.issuers[0].trust.scope = "catalog".parse().unwrap();
    assert_eq!(world.check(user()).code(), "200");
    // Each party allows something, and they have nothing in common: what one of them has to allow is what the others do.
    world.issuers[0].trust.scope = "PRINCIPAL_ROLE:x".parse().unwrap();
    let (reason, advice) = refused(&world, &user());
    assert!(reason.contains("by issuer https://idp.test allows \"PRINCIPAL_ROLE:x\""), "{reason}");
    assert!(
        advice.starts_with(
            "`tokenberg client change c1 --scope 'catalog ns:read ns:write PRINCIPAL_ROLE:ALL PRINCIPAL_ROLE:x'`; or `tokenberg issuer change https://idp.test --scope 'PRINCIPAL_ROLE:x catalog'`"
        ),
        "{advice}"
    );
    world.issuers[0].trust.scope = "PRINCIPAL_ROLE:x catalog".parse().unwrap();
    assert_eq!(world.check(user()).code(), "200");
    world.issuers[0].trust.scope = "PRINCIPAL_ROLE:x".parse().unwrap();
    let scope = "ns:read ns:write PRINCIPAL_ROLE:ALL PRINCIPAL_ROLE:x".parse().unwrap();
    world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Only(scope));
    assert_eq!(world.check(user()).code(), "200");
}

#[test]
fn se_06_audiences_without_one_in_common_name_the_command_for_one() {
    let (mut world, key) = world();
    let actor = world.check(by_c1(Ask::credentials())).token();
    world.change("c1", |c1| c1.rights_mut().audiences = vec!["https://two.test".into()]);
    world.change("c1", |c1| c1.rights_mut().serves = vec!["https://cat.test".into()]);
    let ask = by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken).actor(&actor));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.contains("(the registration of client c1 allows [\"https://two.test\"]; the actor token allows [\"https://cat.test\"])"), "{reason}");
    assert_eq!(
        advice,
        "`tokenberg client change c1 --audience https://two.test --audience https://cat.test`; or the client has to request its actor token for \"https://two.test\", too"
    );
    let fresh = world.check(by_c1(Ask::credentials())).token();
    let by_fresh = by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken).actor(&fresh));
    assert_eq!(world.check(by_fresh).code(), "200");
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://two.test".into(), "https://cat.test".into()]
    });
    assert_eq!(world.check(ask).code(), "200");
}
