//! Explains to the operator why a request is refused, and what would change that. Nothing is minted or used up for that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::explanation::{Refusing, Rule, Verdict};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{GrantType, KeySource, Timestamp, TokenType};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, alice, at1, at2, by_c1, by_c2, changed, client, let_c2_act_for_c1,
    signing_client, trusted,
};

const IDP: &str = "https://idp.test";

fn at(time: Timestamp) -> String {
    format!("T{}", time.as_seconds() - NOW)
}

/// The whole explanation, in one text.
fn explained(world: &World, ask: &Ask) -> String {
    let explanation = world.explain(ask);
    let rules: Vec<String> = explanation.rules.iter().map(|rule| rule.sentence(&at)).collect();
    match &explanation.verdict {
        Verdict::Granted(granting) => format!("{}\ngranted {:?}", rules.join("\n"), granting.claims),
        Verdict::Refused(refusing) => {
            let Refusing { refusal, remedy, .. } = &**refusing;
            format!("{}\nrefused {refusal}\nallow: {remedy}", rules.join("\n"))
        }
        Verdict::Undecided(outage) => format!("{}\nundecided {outage}", rules.join("\n")),
    }
}

/// A world with the issuer `P`, whose users `c1` may act for.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    (world, key)
}

#[test]
fn each_refusal_states_its_facts_and_a_remedy() {
    let (mut world, key) = world();
    let (token, other) = (at1(&mut world), at2(&mut world));
    let exchange = |subject: &str| by_c2(Ask::exchange(subject));
    let id_token = |changes| Ask::exchange_of(&key.sign(&alice(&changes)), TokenType::IdToken);
    let cc = Ask::credentials;
    for (ask, parts) in [
        (
            cc().basic("c1", "wrong-secret"),
            &["the secret is WRONG: client c1 has secret 1, which never expires", "client secret add c1"][..],
        ),
        (
            cc().basic("cexp", "sexp"),
            &["NOT live: it is secret 1, which EXPIRED at T0", "sends the old secret 1: "],
        ),
        (
            cc().basic("coff", "soff"),
            &["it is DISABLED", "the secret of client coff is right", "client enable coff"],
        ),
        (cc().basic("unknown-one", "x"), &["NO client is registered as unkn…", "tokenberg client list"]),
        (
            by_c1(Ask::jwt_bearer("a.b.c")),
            &[
                "it may use client_credentials, token_exchange",
                "`tokenberg client change c1 --grant client_credentials,token_exchange,jwt_bearer`",
            ],
        ),
        (
            by_c1(cc().with("scope", "admin catalog")),
            &[
                "(admin is not in the registration of client c1)",
                "`tokenberg client change c1 --scope 'catalog ns:read ns:write PRINCIPAL_ROLE:ALL admin'`",
                "or the client has to request no more than \"catalog\"",
            ],
        ),
        (
            by_c1(cc().with("audience", "https://no.test")),
            &["https://no.test is not in the registration of client c1", "--audience https://no.test"],
        ),
        (
            exchange(&token),
            &["was issued to client c1, which is enabled, for c1", "--may-act-for 'https://as.test|c1'"],
        ),
        (
            by_c1(Ask::exchange(&token).with("scope", "ns:write")),
            &[
                "(ns:write is not in the subject token)",
                "the client has to request \"ns:write\" when it obtains the subject token",
            ],
        ),
        (
            by_c1(Ask::exchange(&token).actor(&other)),
            &[
                "the actor_token (ES256,",
                "the client c1 has to present a token of its own as the actor_token",
            ],
        ),
        (
            by_c1(id_token(json!({})).with("scope", "PRINCIPAL_ROLE:ALL ns:write")),
            &[
                "the registration of issuer https://idp.test for the subject",
                "`tokenberg issuer change https://idp.test --scope 'catalog ns:read PRINCIPAL_ROLE:ALL ns:write'`",
                "--map 'CLAIM=VALUE:PRINCIPAL_ROLE:ALL ns:write'",
            ],
        ),
        (
            by_c2(id_token(json!({"aud": "c2"}))),
            &[
                "alice, of https://idp.test, is not disabled",
                "`tokenberg client change c2 --may-act-for 'https://idp.test|alice'`",
            ],
        ),
        (
            by_c1(id_token(json!({"aud": "elsewhere"}))),
            &["aud \"elsewhere\"", "`tokenberg issuer change https://idp.test --audience elsewhere`"],
        ),
        (
            by_c1(id_token(json!({"iss": "https://evil.test"}))),
            &[
                "\"https://evil.test\" is NOT a trusted issuer",
                "`tokenberg issuer add https://evil.test --discover --accept id_token`",
            ],
        ),
        (by_c1(id_token(json!({"exp": NOW - 60}))), &["exp T-60", "the client has to obtain a new token"]),
        (
            by_c1(Ask::exchange_of(
                &ForeignKey::new(Some("p1")).sign(&alice(&json!({}))),
                TokenType::IdToken,
            )),
            &[
                "NOT verified by the keys of https://idp.test",
                "https://idp.test has to sign the subject token with a key that it publishes now",
            ],
        ),
        (
            by_c1(Ask::exchange_of(
                &key.sign(&alice(&json!({"may_act": {"sub": "bob"}}))),
                TokenType::IdToken,
            )),
            &["may_act {\"sub\":\"bob\"}", "its may_act names \"bob\", but the actor is the client \"c1\""],
        ),
        (by_c1(cc().and(b"&scope=a&scope=b")), &["the client has to send another request"]),
    ] {
        let text = explained(&world, &ask);
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert_ne!(world.check(ask).code(), "200", "{text}");
    }
}

#[test]
fn a_remedy_registers_exactly_what_is_missing() {
    let (mut world, key) = world();
    let c1 = at1(&mut world);
    let alice = key.sign(&alice(&json!({"aud": "c2"})));
    for ask in [
        by_c2(Ask::exchange(&c1)),
        by_c2(Ask::exchange_of(&alice, TokenType::IdToken)),
        by_c2(Ask::jwt_bearer(
            &key.sign(&tokenberg_testkit::alice(&json!({"aud": ISSUER, "exp": NOW + 60, "jti": "1"}))),
        )),
    ] {
        world.issuers[0].trust.accept = AcceptedAs::ALL.to_vec();
        world.change("c2", |c2| {
            c2.rights_mut().may_act_for.clear();
            c2.rights_mut().grants = GrantType::ALL.to_vec();
        });
        let before = explained(&world, &ask);
        let pattern = before.split("--may-act-for '").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        world.change("c2", |c2| c2.rights_mut().may_act_for = vec![pattern.parse().unwrap()]);
        assert_eq!(world.check(ask).code(), "200", "{pattern}");
    }
    // The same for the use of an issuer's tokens.
    let ask = by_c2(Ask::exchange_of(&alice, TokenType::IdToken));
    world.issuers[0].trust.accept = vec![AcceptedAs::Jwt];
    assert!(
        allowed_by(&world, &ask).contains("`tokenberg issuer change https://idp.test --accept jwt,id_token`")
    );
}

/// The advice for the request.
fn allowed_by(world: &World, ask: &Ask) -> String {
    explained(world, ask).split("allow: ").nth(1).unwrap().to_owned()
}

#[test]
fn a_command_that_changes_an_issuer_keeps_its_registered_values() {
    let (mut world, key) = world();
    let trust = &mut world.issuers[0].trust;
    trust.audiences = vec!["api://a b".into()];
    trust.algorithms = vec!["RS256".parse().unwrap()];
    trust.map = vec!["groups=it's:ns:write".parse().unwrap()];
    let ask = |changes| by_c1(Ask::exchange_of(&key.sign(&alice(&changes)), TokenType::IdToken));
    let command = |world: &World, changes| {
        let allowed = allowed_by(world, &ask(changes));
        allowed.split('`').nth(1).unwrap_or_default().to_owned()
    };
    let change = "tokenberg issuer change https://idp.test";
    assert_eq!(command(&world, json!({})), format!("{change} --alg RS256,ES256"));
    world.issuers[0].trust.algorithms.clear();
    assert_eq!(
        command(&world, json!({"aud": ["-x", "y"]})),
        format!("{change} --audience 'api://a b' --audience=-x")
    );
    let azp = json!({"aud": ["c1", "other"], "azp": "other"});
    assert_eq!(command(&world, azp), format!("{change} --audience 'api://a b' --audience other"));
    let odd = json!({"aud": "a'\n; reboot"});
    assert_eq!(command(&world, odd), "", "a value that is unsafe to display is in no command");
    let day = 24 * 3600;
    let long_lived = json!({"iat": NOW - 5, "exp": NOW + 2 * day});
    assert_eq!(command(&world, long_lived.clone()), format!("{change} --max-age 2d5s"));
    let old = json!({"iat": NOW - 2 * day, "exp": NOW + 60});
    assert_eq!(command(&world, old), format!("{change} --max-age 2d1m"));
    assert_eq!(
        command(&world, json!({"iat": NOW, "exp": NOW + 400 * day})),
        "",
        "an issuer has 366 days at most"
    );
    let map = allowed_by(&world, &ask(json!({})).with("scope", "ns:drop"));
    let (all, some) =
        ("--scope 'catalog ns:read ns:drop'", r"--map 'groups=it'\''s:ns:write' --map CLAIM=VALUE:ns:drop");
    assert!(
        map.contains(all) && map.contains(&some.replace("CLAIM=VALUE:ns:drop", "'CLAIM=VALUE:ns:drop'")),
        "{map}"
    );
    // An assertion of the grant lives five minutes at most, whatever is registered for its issuer.
    world.issuers[0].trust.accept = AcceptedAs::ALL.to_vec();
    world.change("c1", |c1| c1.rights_mut().grants = GrantType::ALL.to_vec());
    let grant = by_c1(Ask::jwt_bearer(&key.sign(&alice(&changed(long_lived, &json!({"aud": ISSUER}))))));
    assert!(!allowed_by(&world, &grant).contains("--max-age"));
}

#[test]
fn cc_17_the_remedy_is_about_the_issuer_of_the_subject_and_its_names() {
    const Q: &str = "https://q.test";
    let (mut world, key) = world();
    world.issuers.push(trusted(Q, &key));
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["https://*|*".parse().unwrap()]);
    let named = |issuer: &str, sub: &str| key.sign(&alice(&json!({"iss": issuer, "sub": sub})));
    let exchange = |token: &str| Ask::exchange_of(token, TokenType::IdToken);
    let (apart, one) = (
        "`tokenberg issuer change https://idp.test --subject-prefix idp.test:`",
        "`tokenberg issuer change https://idp.test --shared-names`",
    );
    let remedy = |world: &World, ask: Ask| allowed_by(world, &ask);
    let of_c2 = exchange(&named(IDP, "c2"));
    let actor = named(Q, "robot");
    for ask in [
        by_c1(of_c2.clone()),
        by_c1(of_c2)
            .with("actor_token", &actor)
            .with("actor_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ] {
        let remedy = remedy(&world, ask);
        assert!(remedy.contains(apart) && remedy.contains(one), "{remedy}");
    }
    // A session that began before its name belonged to another principal.
    let session = world.check(by_c1(exchange(&named(IDP, "alice")))).token();
    world.register(client("alice", "s", "catalog"));
    let renewal = || by_c1(Ask::exchange(&session));
    let text = remedy(&world, renewal());
    assert!(text.contains(apart) && text.contains(one), "{text}");
    world.issuers[0].trust.subject_prefix = Some("okta:".into());
    let text = remedy(&world, renewal());
    assert!(text.starts_with("the user has to sign in again") && text.contains("\"okta:\""), "{text}");
    // Within the prefix of another issuer a name is never shared.
    let text = remedy(&world, by_c1(exchange(&named(Q, "okta:bob"))));
    assert!(text.starts_with("`tokenberg issuer change https://q.test --subject-prefix q.test:`"), "{text}");
    assert!(!text.contains("--shared-names"), "{text}");
    world.register(client("okta:c", "s", "catalog"));
    world.issuers[0].trust.subject_prefix = Some("idp.test:".into());
    world.register(client("idp.test:c", "s", "catalog"));
    let text = remedy(&world, by_c1(exchange(&named(IDP, "c"))));
    assert!(text.contains("--subject-prefix idp.test-2:") && !text.contains("--shared-names"), "{text}");
    // With a prefix, a name can be too long.
    let text = remedy(&world, by_c1(exchange(&named(IDP, &"x".repeat(250)))));
    assert!(text.contains("at most 246 bytes"), "{text}");
}

#[test]
fn each_party_that_lacks_a_scope_is_named_and_no_other() {
    let mut world = World::new();
    let_c2_act_for_c1(&mut world);
    world.change("c2", |c2| {
        c2.rights_mut().scope = AllowedScope::Only("catalog ns:read ns:write".parse().unwrap())
    });
    let subject = world.token("c1", "s1-Z7", "catalog ns:read ns:write");
    let actor = world.token("c2", "s2-Q4", "catalog ns:read");
    let lacking = |world: &World, scope: &str| {
        let ask = by_c2(Ask::exchange(&subject).actor(&actor)).with("scope", scope);
        let text = explained(world, &ask);
        text.split("refused ").nth(1).unwrap().lines().next().unwrap().to_owned()
    };
    assert!(lacking(&world, "ns:write").ends_with("(ns:write is not in the actor token)"));
    world.change("c1", |c1| c1.rights_mut().scope = AllowedScope::Only("catalog".parse().unwrap()));
    let both = lacking(&world, "ns:write");
    assert!(
        both.ends_with("(ns:write is not in the actor token nor in the registration of the subject c1)"),
        "{both}"
    );
    let one = lacking(&world, "ns:read");
    assert!(one.ends_with("(ns:read is not in the registration of the subject c1)"), "{one}");
    let all = lacking(&world, "x");
    for party in ["client c2", "the subject token", "the actor token", "the subject c1"] {
        assert!(all.contains(party), "{all}");
    }
}

#[test]
fn a_grant_is_explained_with_its_ceilings() {
    let mut world = World::new();
    let ask = by_c1(Ask::credentials().with("scope", "ns:read"));
    let Verdict::Granted(granting) = world.explain(&ask).verdict else { panic!("refused") };
    let limits = granting.limits.unwrap();
    assert_eq!(limits.scope.len(), 1);
    assert!(limits.scope[0].allows("ns:write") && !limits.scope[0].allows("admin"));
    assert!(limits.audience[0].allows("https://cat.test"));
    assert_eq!(world.minted(), 0);
    assert_eq!(world.check(ask).claims(), &granting.claims);
}

#[test]
fn explaining_uses_nothing_up_and_reports_what_a_request_would_use_up() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
    world.register(signing_client("cj", "catalog", key.jwks()));
    let claims = json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "once"});
    let proof = key.proof(world.now, "proof-1", &json!({}));
    let ask = Ask::credentials().assertion(&key.sign(&claims)).dpop(&proof);
    for _ in 0..3 {
        let text = explained(&world, &ask);
        assert!(text.contains("granted") && text.contains("was verified by the keys of client cj"), "{text}");
        for id in ["\"once\" (client_assertion cj) would be used up by this request", "\"proof-1\" (dpop "] {
            assert!(text.contains(id), "{text}");
        }
    }
    assert_eq!(world.check(ask.clone()).code(), "200", "it was not used up");
    assert_eq!(world.check(ask).code(), "401 invalid_client Basic", "and now it is");
    // Without a memory for single-use identifiers, the explanation still works.
    world.has_memory = false;
    let claims = tokenberg_testkit::changed(claims, &json!({"jti": "another"}));
    let ask = Ask::credentials().assertion(&key.sign(&claims));
    assert!(matches!(world.explain(&ask).verdict, Verdict::Granted(_)));
    assert_eq!(world.check(ask).code(), "503");
}

#[test]
fn unavailable_keys_leave_a_request_undecided() {
    let (mut world, key) = world();
    world.issuers[0].trust.keys = KeySource::Discovery;
    let ask = by_c1(Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken));
    world.fetched.insert(IDP.to_owned(), None);
    let explanation = world.explain(&ask);
    assert!(matches!(explanation.verdict, Verdict::Undecided(_)));
    assert!(matches!(explanation.rules.last(), Some(Rule::Signature { verified: None, .. })));
    world.fetched.insert(IDP.to_owned(), Some(key.jwks()));
    assert!(matches!(world.explain(&ask).verdict, Verdict::Granted(_)));
}

#[test]
fn an_explanation_contains_no_secret_or_token() {
    let (mut world, key) = world();
    world.register(client("long", "a-secret-of-some-length", "catalog"));
    let token = at1(&mut world);
    let foreign = key.sign(&alice(&json!({"email": "alice@private.test"})));
    let secrets = ["a-secret-of-some-length", "a-wrong-secret-here", "hush-in-the-wrong-place"];
    for ask in [
        Ask::credentials().basic("long", secrets[0]),
        Ask::credentials().post("long", secrets[1]),
        Ask::credentials().basic(secrets[2], secrets[1]),
        Ask::credentials().post(secrets[2], secrets[0]).with("scope", "x"),
        by_c1(Ask::exchange(&token)),
        Ask::exchange(&token).bearer(&token),
        Ask::exchange(&token).bearer(secrets[1]),
        by_c1(Ask::exchange(secrets[1])),
        by_c1(Ask::exchange_of(&foreign, TokenType::IdToken)),
    ] {
        let text = format!("{} {:?}", explained(&world, &ask), world.explain(&ask));
        for secret in secrets.iter().copied().chain(token.split('.')).chain(foreign.split('.')) {
            assert!(!text.contains(secret), "{secret} is in:\n{text}");
        }
        assert!(!text.contains("private.test"), "a claim that decides nothing is in:\n{text}");
    }
}
