//! The request is granted once its advice is followed, where the reason alone does not suffice: SE-06 of the conformance list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::explanation::Verdict;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{GrantType, Issuer, KeySource, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, alice, at1, by_c1, by_c2, trusted};

const IDP: &str = "https://idp.test";

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    (world, key)
}

/// The reason and the advice of a refusal; fails if the request is granted.
fn refused(world: &World, ask: &Ask) -> (String, String) {
    let verdict = world.explain(ask).verdict;
    let Verdict::Refused(refusing) = verdict else { panic!("{verdict:?}") };
    (refusing.refusal.to_string(), refusing.remedy)
}

/// An unsecured JWT about a user of this name.
fn unsecured(name: &str) -> String {
    tokenberg_testkit::unsecured(&json!({"sub": name, "iat": NOW}))
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
        // The same without the token of the client as the actor.
        let (reason, advice) = refused(&world, &ask(name));
        assert!(reason.contains("the request has no actor_token"), "{reason}");
        assert_eq!(advice.contains(advised), name != "alice", "{advice}");
    }
    // The advice is right: the right has no effect where it is not advised.
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
    let disabled = tokenberg_core::answers::SubjectStatus { disabled: true, ..Default::default() };
    world.subjects.push((None, "alice".to_owned(), disabled));
    let actor = at1(&mut world);
    let ask = by_c1(Ask::exchange_of(&unsecured("alice"), TokenType::Jwt).actor(&actor));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.ends_with("its subject, the unsecured user \"alice\", is disabled"), "{reason}");
    assert_eq!(advice, "`tokenberg subject enable alice`");
}

#[test]
fn se_01_se_06_characters_copied_along_with_a_secret_are_named_and_the_secret_is_not() {
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
fn se_06_an_empty_grant_names_the_party_that_allows_nothing_and_its_command() {
    let (mut world, key) = world();
    let user = || by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken));
    world.issuers[0].trust.scope = "".parse().unwrap();
    let (reason, advice) = refused(&world, &user());
    assert_eq!(
        reason,
        "the parties have no scope in common; allowed: nothing (the registration of client c1 allows \
         \"catalog ns:read ns:write PRINCIPAL_ROLE:ALL\"; the registration of issuer https://idp.test for the subject allows nothing)"
    );
    let command = "`tokenberg issuer change https://idp.test --scope catalog`";
    assert!(
        advice.starts_with(&format!(
            "the registration of issuer https://idp.test for the subject allows nothing: {command}"
        )),
        "{advice}"
    );
    let (_, advice) = refused(&world, &user().with("scope", "catalog"));
    assert!(advice.contains(&format!("allows nothing: {command}")), "{advice}");
    world.issuers[0].trust.scope = "catalog".parse().unwrap();
    assert_eq!(world.check(user()).code(), "200");
    // The parties' scopes do not overlap: each has to allow what the others allow.
    world.issuers[0].trust.scope = "PRINCIPAL_ROLE:x".parse().unwrap();
    let (reason, advice) = refused(&world, &user());
    assert!(reason.contains("https://idp.test for the subject allows \"PRINCIPAL_ROLE:x\""), "{reason}");
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
    let mut world = World::new();
    let sent = world.check(by_c2(Ask::credentials())).token();
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://two.test".into()];
        c1.rights_mut().may_act_for = vec![format!("{ISSUER}|c2").parse().unwrap()];
    });
    let ask = by_c1(Ask::exchange(&sent));
    let (reason, advice) = refused(&world, &ask);
    assert!(reason.contains("(the registration of client c1 allows [\"https://two.test\"]; the subject token allows [\"https://cat.test\"])"), "{reason}");
    assert_eq!(
        advice,
        "`tokenberg client change c1 --audience https://two.test --audience https://cat.test`; or the client has to request the audience \"https://two.test\" when it obtains the subject token"
    );
    world.change("c2", |c2| c2.rights_mut().audiences = vec!["https://two.test".into()]);
    let fresh = world.check(by_c2(Ask::credentials())).token();
    assert_eq!(world.check(by_c1(Ask::exchange(&fresh))).code(), "200");
    world.change("c2", |c2| c2.rights_mut().audiences = vec!["https://cat.test".into()]);
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://two.test".into(), "https://cat.test".into()]
    });
    assert_eq!(world.check(ask).code(), "200");
}

#[test]
fn se_06_an_advice_has_every_step_to_a_token() {
    let (mut world, key) = world();
    let claims = json!({"iss": IDP, "sub": "dave", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "1"});
    world.issuers[0].trust.accept = vec![AcceptedAs::IdToken];
    world.change("c2", |c2| c2.rights_mut().grants = vec![GrantType::ClientCredentials]);
    let ask = || by_c2(Ask::jwt_bearer(&key.sign(&claims)));
    // Three refusals, one after the other; the first advice has the commands against all of them.
    let steps = [
        "`tokenberg client change c2 --grant client_credentials,jwt_bearer`",
        "`tokenberg issuer change https://idp.test --accept id_token,jwt_bearer`",
        "`tokenberg client change c2 --may-act-for 'https://idp.test|dave'`",
    ];
    let changes: [fn(&mut World); 3] = [
        |world| world.change("c2", |c2| c2.rights_mut().grants.push(GrantType::JwtBearer)),
        |world| world.issuers[0].trust.accept.push(AcceptedAs::JwtBearer),
        |world| {
            let dave = "https://idp.test|dave".parse().unwrap();
            world.change("c2", |c2| c2.rights_mut().may_act_for.push(dave));
        },
    ];
    for (done, change) in changes.iter().enumerate() {
        let (_, advice) = refused(&world, &ask());
        let first = advice.split("; --may-impersonate").next().unwrap();
        assert_eq!(first, steps[done..].join("; and then "));
        change(&mut world);
    }
    assert_eq!(world.check(ask()).code(), "200");
    // No registration makes an invalid signature valid: the last step reports that.
    world.issuers[0].trust.accept = vec![AcceptedAs::IdToken];
    let other = by_c2(Ask::jwt_bearer(&ForeignKey::new(Some("p9")).sign(&claims)));
    let (_, advice) = refused(&world, &other);
    assert!(advice.contains("; and then https://idp.test has to sign the assertion with a key"), "{advice}");
}

#[test]
fn se_06_a_misspelled_issuer_is_compared_with_the_registered_ones() {
    for (written, difference) in [
        ("https://idp.test/", "by a slash at its end"),
        ("https://IDP.test", "in upper and lower case"),
        ("http://idp.test", "in the scheme"),
        ("https://idp.test:443/", "in its spelling"),
    ] {
        let (mut world, key) = world();
        let trust = &mut world.issuers[0].trust;
        (trust.keys, trust.accept, trust.outlives_subject) =
            (KeySource::Discovery, vec![AcceptedAs::IdToken], true);
        trust.map = vec!["groups=readers:ns:read".parse().unwrap()];
        world.fetched.insert(IDP.to_owned(), Some(key.jwks()));
        let user =
            |iss: &str| by_c1(Ask::exchange_of(&key.sign(&alice(&json!({"iss": iss}))), TokenType::IdToken));
        let (_, advice) = refused(&world, &user(written));
        let question = format!(
            "did you mean {IDP}? That issuer is registered, and iss has to be equal to it character by character; {written} differs {difference}. The issuer has to write {IDP} in iss"
        );
        assert!(advice.starts_with(&question), "{advice}");
        let is_http = difference == "in the scheme";
        assert_eq!(advice == question, is_http, "no plain http is advised: {advice}");
        world.issuers[0].trust.insecure_http = is_http;
        let (_, advice) = refused(&world, &user(written));
        let flags = if is_http { " --insecure-http" } else { "" };
        let commands = format!(
            "`tokenberg issuer add {written} --discover --accept id_token --scope 'catalog ns:read' --map 'groups=readers:ns:read' --outlives-subject{flags}`; and then `tokenberg client change c1 --may-act-for '{IDP}|*' --may-act-for '{written}|alice'`"
        );
        assert!(advice.contains(&commands), "{advice}");
        // Either change suffices.
        assert_eq!(world.check(user(IDP)).code(), "200");
        let mut again = world.issuers[0].clone();
        again.issuer = Issuer::foreign(written).unwrap();
        world.issuers.push(again);
        world.fetched.insert(written.to_owned(), Some(key.jwks()));
        let both = [IDP, written].map(|issuer| format!("{issuer}|alice").parse().unwrap());
        world.change("c1", |c1| c1.rights_mut().may_act_for = both.to_vec());
        assert_eq!(world.check(user(written)).code(), "200");
    }
}

#[test]
fn se_06_no_command_is_advised_that_would_be_refused() {
    let (mut world, key) = world();
    // Names within a prefix are those of the issuer that was registered first, so it has to be removed.
    world.issuers[0].trust.subject_prefix = Some("idp:".into());
    let user =
        |iss: &str| by_c1(Ask::exchange_of(&key.sign(&alice(&json!({"iss": iss}))), TokenType::IdToken));
    let (_, advice) = refused(&world, &user("https://idp.test/"));
    assert!(
        advice.contains("`tokenberg issuer remove https://idp.test` and tokenberg issuer add https://idp.test/ --jwks FILE"),
        "keys in a file are not known here: {advice}"
    );
    let (_, advice) = refused(&world, &user("idp.test"));
    assert_eq!(
        advice,
        "the issuer of the subject token has to write its whole URL in iss, such as https://idp.test"
    );
    let (_, advice) = refused(&world, &user("http://other.test"));
    assert!(
        advice.ends_with(
            "`tokenberg issuer add http://other.test --discover --accept id_token --insecure-http`"
        ),
        "{advice}"
    );
    let (_, advice) = refused(&world, &user("https://other.test"));
    assert_eq!(
        advice,
        "if it is trusted: `tokenberg issuer add https://other.test --discover --accept id_token`"
    );
}

#[test]
fn se_06_no_advice_for_a_name_with_a_star_gives_a_right_to_other_names() {
    let (mut world, key) = world();
    world.change("c1", |c1| c1.rights_mut().may_act_for.clear());
    let actor = at1(&mut world);
    for name in ["*", "adm*"] {
        let id_token = key.sign(&alice(&json!({"sub": name})));
        for ask in [
            Ask::exchange_of(&id_token, TokenType::IdToken),
            Ask::exchange_of(&unsecured(name), TokenType::Jwt).actor(&actor),
        ] {
            let (_, advice) = refused(&world, &by_c1(ask));
            assert!(advice.contains("no registration allows"), "{name}: {advice}");
            assert!(!advice.contains("tokenberg client change"), "{name}: {advice}");
        }
    }
}
