//! What a delegated token depends on for as long as its session lasts: its parties' ends, rights, keys and revocations; RFC 8693.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::token::Origin;
use tokenberg_core::{Introspection, Lifetime, Refusal, Revocation, TokenFault, TokenType};
use tokenberg_testkit::{
    Answer, Ask, ForeignKey, ISSUER, NOW, World, alice, by_c1, by_c2, certificate, chain, client, trusted,
};

const BAD: &str = "400 invalid_request";
const IDP: &str = "https://idp.test";
const Q: &str = "https://q.test";

/// `c1`, `c2` and `c3` may act for every subject; users of two issuers, which do not cap the sessions of their users.
fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key), trusted(Q, &key)];
    world.issuers.iter_mut().for_each(|issuer| issuer.trust.outlives_subject = true);
    world.register(client("c3", "s3", "catalog ns:read"));
    let every_subject = [ISSUER, IDP, Q].map(|issuer| format!("{issuer}|*").parse().unwrap());
    for id in ["c1", "c2", "c3"] {
        world.change(id, |c| c.rights_mut().may_act_for = every_subject.to_vec());
    }
    (world, key)
}

fn user(token: &str) -> Ask {
    Ask::exchange_of(token, TokenType::IdToken)
}

fn foreign_actor(ask: Ask, token: &str) -> Ask {
    ask.with("actor_token", token).with("actor_token_type", TokenType::IdToken.as_urn())
}

fn robot(key: &ForeignKey, exp: i64) -> String {
    key.sign(&alice(&json!({"iss": Q, "sub": "robot", "aud": ["c1", "c3"], "exp": exp})))
}

fn by_c3(ask: Ask) -> Ask {
    ask.basic("c3", "s3")
}

/// Whether the token is active to the client that has it, and can be renewed by it.
fn state(world: &mut World, token: &str, by: impl Fn(Ask) -> Ask) -> (bool, bool) {
    let active = matches!(world.introspect(&by(Ask::token(token))), Ok(Introspection::Active(_)));
    (active, world.check(by(Ask::exchange(token))).code() == "200")
}

#[test]
fn law_3_no_result_outlives_an_actor_when_a_new_session_begins() {
    let (mut world, key) = world();
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(100));
    let own = world.token("c1", "s1-Z7", "catalog");
    world.pass(200);
    let begun_anew = world.check(by_c1(Ask::exchange(&own)));
    assert_eq!(begun_anew.claims().session.start, world.now, "the own session of the client has ended");
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(12));
    world.change("c1", |c1| c1.rights_mut().token_lifetime = Lifetime::from_hours(1));
    for left in [-5, 0, 1, 20] {
        let actor = robot(&key, NOW + 200 + left);
        assert_eq!(world.check(foreign_actor(by_c1(Ask::exchange(&own)), &actor)).code(), BAD, "{left}");
    }
    // The actor's token is ours, and its session ends earlier.
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_seconds(30));
    let actor = world.token("c1", "s1-Z7", "catalog");
    world.change("c1", |c1| c1.rights_mut().session_lifetime = Lifetime::from_hours(12));
    let answer = world.check(by_c1(Ask::exchange(&own)).actor(&actor));
    assert_eq!(answer.body()["expires_in"], 30);
}

#[test]
fn d13_an_expired_token_is_renewed_without_another_actor() {
    let (mut world, key) = world();
    let own = world.token("c1", "s1-Z7", "catalog");
    let users = world.check(by_c1(user(&key.sign(&alice(&json!({})))))).token();
    world.pass(3605);
    let actor = robot(&key, NOW + 7200);
    for token in [&own, &users] {
        assert_eq!(world.check(by_c1(Ask::exchange(token))).code(), "200");
        let answer = world.check(foreign_actor(by_c1(Ask::exchange(token)), &actor));
        assert!(matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::NotRenewable { .. })));
    }
}

#[test]
fn law_6_tx_55_may_act_is_enforced_for_as_long_as_the_session_lasts() {
    let (mut world, key) = world();
    let allows = |who: Value| key.sign(&alice(&json!({"aud": ["c1", "c2", ISSUER], "may_act": who})));
    let mut first = |who: Value, by: fn(Ask) -> Ask| world.check(by(user(&allows(who)))).code();
    assert_eq!(first(json!({"sub": "c1"}), by_c1), "200");
    assert_eq!(first(json!({"sub": "c1"}), by_c2), BAD);
    let session = world.check(by_c1(user(&allows(json!({"sub": "c1", "iss": ISSUER}))))).token();
    let renewed = world.check(by_c1(Ask::exchange(&session)));
    assert_eq!(chain(&renewed), ["c1"]);
    let renewed = world.check(Ask::exchange(&renewed.token()).bearer(&renewed.token())).token();
    let actor = world.token("c2", "s2-Q4", "catalog");
    for (what, ask) in [
        ("a client with the right", by_c2(Ask::exchange(&session))),
        ("with its own token as the actor", Ask::exchange(&session).actor(&actor).bearer(&actor)),
        ("after a renewal", by_c2(Ask::exchange(&renewed))),
        ("a foreign actor", foreign_actor(by_c1(Ask::exchange(&session)), &robot(&key, NOW + 600))),
    ] {
        let answer = world.check(ask);
        assert!(matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::MayNotAct(_))), "{what}");
    }
    world.change("c2", |c2| {
        c2.rights_mut().may_impersonate = vec![format!("{IDP}|*").parse().unwrap()];
        c2.rights_mut().serves = vec!["https://cat.test".into()];
    });
    assert_eq!(world.check(by_c2(Ask::exchange(&session))).code(), BAD, "by impersonation");
    // Without the foreign actor that may act, the client would act in its place.
    let with_robot =
        foreign_actor(by_c1(user(&allows(json!({"iss": Q, "sub": "robot"})))), &robot(&key, NOW + 600));
    let with_robot = world.check(with_robot);
    assert_eq!(chain(&with_robot), ["robot"]);
    let again = foreign_actor(by_c1(Ask::exchange(&with_robot.token())), &robot(&key, NOW + 600));
    assert_eq!(chain(&world.check(again)), ["robot"]);
    assert_eq!(world.check(by_c1(Ask::exchange(&with_robot.token()))).code(), BAD);
    assert_eq!(world.check(by_c2(Ask::exchange(&with_robot.token()))).code(), BAD);
}

#[test]
fn law_7_tx_27_the_result_is_bound_to_the_keys_of_subject_and_actor() {
    let (mut world, key) = world();
    let (held, other) = (ForeignKey::new(None), ForeignKey::new(None));
    let (cert, another) = (certificate("CN=c1", 7), certificate("CN=c1", 8));
    let mut proofs = 0;
    let mut proof = |world: &World, key: &ForeignKey| {
        proofs += 1;
        key.proof(world.now, &proofs.to_string(), &json!({}))
    };
    // An actor whose token is bound to a certificate, shown by a client that authenticates otherwise.
    let mut bound = world.check(by_c1(Ask::credentials())).claims().clone();
    bound.confirmation = tokenberg_core::token::Confirmation::of(
        None,
        Some(tokenberg_core::token::Thumbprint::of(cert.thumbprint)),
    );
    let by_certificate = world.sign(&bound);
    let by_key = {
        let proof = proof(&world, &held);
        world.check(by_c1(Ask::credentials()).dpop(&proof)).token()
    };
    let users = key.sign(&alice(&json!({})));
    let cnf = |answer: &Answer| Value::Object(answer.claims().to_json())["cnf"].clone();
    let inherited = world.check(by_c1(user(&users)).actor(&by_certificate).certificate(cert.clone()));
    assert_eq!(
        cnf(&inherited)["x5t#S256"],
        cnf_of(&by_certificate)["x5t#S256"],
        "law 7: the actor's certificate"
    );
    for (what, ask) in [
        ("no certificate", by_c1(user(&users)).actor(&by_certificate)),
        ("another certificate", by_c1(user(&users)).actor(&by_certificate).certificate(another)),
        ("no proof", by_c1(user(&users)).actor(&by_key)),
        ("another key", by_c1(user(&users)).actor(&by_key).dpop(&proof(&world, &other))),
    ] {
        let answer = world.check(ask);
        assert!(matches!(answer.refusal(), Refusal::ActorToken(TokenFault::Bound(_))), "{what}");
    }
    // Two bindings that differ cannot be fulfilled together; two kinds are both kept.
    let of_other = {
        let proof = proof(&world, &other);
        world.check(by_c1(user(&users)).dpop(&proof)).token()
    };
    for presented in [&held, &other] {
        let proof = proof(&world, presented);
        assert_eq!(world.check(by_c1(Ask::exchange(&of_other)).actor(&by_key).dpop(&proof)).code(), BAD);
    }
    let both = by_c1(Ask::exchange(&inherited.token())).actor(&by_key).certificate(cert.clone());
    let both = world.check(both.dpop(&proof(&world, &held)));
    assert_eq!(cnf(&both).as_object().unwrap().len(), 2, "{}", cnf(&both));
    let half = by_c1(Ask::exchange(&both.token())).dpop(&proof(&world, &held));
    assert_eq!(world.check(half).code(), BAD, "the certificate is missing");
}

fn cnf_of(token: &str) -> Value {
    tokenberg_core::CompactJws::parse(token).unwrap().unverified_payload()["cnf"].clone()
}

/// An event, and whether the token is still valid after it.
type Ends = (&'static str, fn(&mut World, &Obtained), bool);

/// The parties of [`law_8_a_token_ends_with_everything_that_it_was_obtained_with`].
struct Obtained {
    actor: String,
    second: String,
    passed: String,
}

#[test]
fn law_8_a_token_ends_with_everything_that_it_was_obtained_with() {
    let ends: [Ends; 12] = [
        ("nothing", |_, _| {}, true),
        ("the actor's client revokes its token", |w, o| revoke(w, &o.actor, by_c1), false),
        ("the second actor's client revokes its token", |w, o| revoke(w, &o.second, by_c2), false),
        ("the first client revokes what it passed on", |w, o| revoke(w, &o.passed, by_c1), false),
        ("the first client is disabled", |w, _| w.change("c1", |c| c.enabled = false), false),
        ("the first client is removed", |w, _| w.unregister("c1"), false),
        ("the second client is disabled", |w, _| w.change("c2", |c| c.enabled = false), false),
        ("the actor's issuer is disabled", |w, _| w.issuers[1].enabled = false, false),
        ("the foreign actor is disabled", |w, _| shut_out(w, Q, "robot"), false),
        ("the subject is disabled", |w, _| shut_out(w, IDP, "alice"), false),
        ("another subject is disabled", |w, _| shut_out(w, IDP, "robot"), true),
        ("a client that has no part in it is disabled", |w, _| w.change("cnx", |c| c.enabled = false), true),
    ];
    for (what, end, is_good) in ends {
        let (mut world, key) = world();
        // alice's ID token -> c1, with its own token as the actor -> c2 with its own -> c3, with a robot of another issuer.
        let users = key.sign(&alice(&json!({})));
        let actor = world.token("c1", "s1-Z7", "catalog");
        let passed = world.check(user(&users).actor(&actor).bearer(&actor)).token();
        let second = world.token("c2", "s2-Q4", "catalog");
        let passed_on = world.check(Ask::exchange(&passed).actor(&second).bearer(&second)).token();
        let last = world.check(foreign_actor(by_c3(Ask::exchange(&passed_on)), &robot(&key, NOW + 3600)));
        assert_eq!(chain(&last), ["robot", "c2", "c1"], "{what}");
        let renewed = world.check(by_c3(Ask::exchange(&last.token()))).token();
        world.pass(5);
        end(&mut world, &Obtained { actor, second, passed });
        for token in [&last.token(), &renewed] {
            assert_eq!(state(&mut world, token, by_c3), (is_good, is_good), "{what}");
        }
    }
}

fn revoke(world: &mut World, token: &str, by: fn(Ask) -> Ask) {
    world.revoke(&by(Ask::token(token))).unwrap().unwrap();
}

fn shut_out(world: &mut World, issuer: &str, subject: &str) {
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    world.subjects.push((issuer.parse().ok(), subject.to_owned(), disabled));
}

#[test]
fn law_8_tokens_obtained_with_a_stolen_token_end_when_it_is_revoked() {
    let (mut world, key) = world();
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let stolen = world.token("c1", "s1-Z7", "catalog");
    let renewed = world.check(Ask::exchange(&stolen).bearer(&stolen)).token();
    let users = key.sign(&alice(&json!({})));
    let obtained = [
        renewed.clone(),
        world.check(user(&users).actor(&stolen).bearer(&stolen)).token(),
        world.check(user(&users).actor(&renewed).bearer(&renewed)).token(),
        world.check(unsecured("bob").actor(&renewed).bearer(&renewed)).token(),
    ];
    let renewals = obtained.each_ref().map(|token| world.check(Ask::exchange(token).bearer(token)).token());
    let others = world.check(by_c1(user(&users))).token();
    world.revoke(&by_c1(Ask::token(&stolen))).unwrap().unwrap();
    for token in obtained.iter().chain(&renewals) {
        assert_eq!(state(&mut world, token, by_c1), (false, false));
    }
    assert_eq!(state(&mut world, &others, by_c1), (true, true), "obtained by the credential alone");
}

fn unsecured(name: &str) -> Ask {
    Ask::exchange_of(&tokenberg_testkit::unsecured(&json!({"sub": name, "iat": NOW})), TokenType::Jwt)
}

#[test]
fn law_8_tx_38_revoke_before_reaches_sessions_that_a_lagging_node_renewed() {
    let (mut world, key) = world();
    let users = key.sign(&alice(&json!({})));
    let actor = world.token("c1", "s1-Z7", "catalog");
    let first = world.check(user(&users).actor(&actor).bearer(&actor)).token();
    world.pass(10);
    let before = world.now;
    // A node that does not know of the revocation yet renews in that second, and later.
    let renewed = world.check(by_c1(Ask::exchange(&first))).token();
    world.pass(1);
    let later = world.check(by_c1(Ask::exchange(&renewed))).token();
    world.revoked = vec![Revocation::Client { before }];
    for token in [&first, &renewed, &later] {
        assert_eq!(state(&mut world, token, by_c1), (false, false));
    }
    // The client authenticates again, and acts again.
    let actor = world.token("c1", "s1-Z7", "catalog");
    let again = world.check(user(&users).actor(&actor).bearer(&actor)).token();
    assert_eq!(state(&mut world, &again, by_c1), (true, true));
}

#[test]
fn a_client_that_renews_with_ever_new_actor_tokens_does_not_make_its_tokens_longer() {
    let (mut world, key) = world();
    let actor = world.token("c1", "s1-Z7", "catalog");
    let mut token = world.check(user(&key.sign(&alice(&json!({})))).actor(&actor).bearer(&actor)).token();
    let origins = |answer: &Answer| answer.claims().origins().cloned().collect::<Vec<Origin>>();
    for _ in 0..40 {
        world.pass(60);
        let actor = world.token("c1", "s1-Z7", "catalog");
        let answer = world.check(Ask::exchange(&token).actor(&actor).bearer(&actor));
        assert_eq!(origins(&answer).len(), 2, "the first actor token and the last");
        token = answer.token();
        let mut with_it = World::new();
        std::mem::swap(&mut with_it.revoked, &mut world.revoked);
        world.revoke(&by_c1(Ask::token(&actor))).unwrap().unwrap();
        assert_eq!(state(&mut world, &token, by_c1), (false, false), "it ends with the last");
        std::mem::swap(&mut with_it.revoked, &mut world.revoked);
    }
    world.revoke(&by_c1(Ask::token(&actor))).unwrap().unwrap();
    assert_eq!(state(&mut world, &token, by_c1), (false, false), "it ends with the first");
}

#[test]
fn tx_48_a_withdrawn_right_renews_no_token_although_the_client_has_others() {
    let (mut world, key) = world();
    let session = world.check(by_c1(user(&key.sign(&alice(&json!({})))))).token();
    world.change("c1", |c1| c1.rights_mut().may_act_for.clear());
    for serves in ["https://cat.test", "https://other.test"] {
        world.change("c1", |c1| c1.rights_mut().serves = vec![serves.into()]);
        assert_eq!(state(&mut world, &session, by_c1), (true, false), "--serves {serves}");
        assert_eq!(world.check(Ask::exchange(&session).bearer(&session)).code(), BAD);
    }
    // A resource server renews what it obtained for a token that was sent to it, as long as it serves that audience.
    let own = world.token("c2", "s2-Q4", "catalog");
    world.change("c1", |c1| {
        c1.rights_mut().serves = vec!["https://cat.test".into()];
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://next.test".into()];
    });
    let passed_on = world.check(by_c1(Ask::exchange(&own))).token();
    assert_eq!(state(&mut world, &passed_on, by_c1), (true, true));
    world.change("c1", |c1| c1.rights_mut().serves = vec!["https://next.test".into()]);
    assert_eq!(state(&mut world, &passed_on, by_c1), (true, false), "another audience is no right to it");
}

#[test]
fn cc_17_one_name_is_one_principal() {
    let (mut world, key) = world();
    let named = |issuer: &str, sub: &str| key.sign(&alice(&json!({"iss": issuer, "sub": sub})));
    let taken = |answer: &Answer| {
        matches!(answer, Answer::Refused(Refusal::SubjectToken(TokenFault::NameTaken { .. }), _))
    };
    assert!(taken(&world.check(by_c1(user(&named(IDP, "c2"))))), "the name of a client");
    assert!(taken(&world.check(by_c1(user(&named(IDP, "coff"))))), "of a disabled client");
    assert!(taken(&world.check(by_c1(user(&named(IDP, "c1"))))), "of the requesting client");
    // A session that began before the client was registered is not renewed.
    let session = world.check(by_c1(user(&named(IDP, "alice")))).token();
    world.register(client("alice", "s", "catalog"));
    assert!(taken(&world.check(by_c1(Ask::exchange(&session)))));
    assert!(taken(&world.check(by_c1(user(&named(IDP, "alice"))))));
    world.issuers[0].trust.subject_prefix = Some("okta:".into());
    let prefixed = world.check(by_c1(user(&named(IDP, "alice"))));
    assert_eq!(prefixed.claims().subject.as_str(), "okta:alice");
    assert!(taken(&world.check(by_c1(user(&named(Q, "okta:alice"))))), "the prefix is the issuer's");
    world.change("c1", |c1| c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let actor = world.token("c1", "s1-Z7", "catalog");
    assert!(
        taken(&world.check(unsecured("okta:alice").actor(&actor).bearer(&actor))),
        "from an unsecured JWT"
    );
    // Rights, revocations and renewals go by issuer and subject, whatever the prefix is now.
    let token = prefixed.token();
    assert_eq!(state(&mut world, &token, by_c1), (true, true));
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|alice").parse().unwrap()]);
    assert_eq!(state(&mut world, &token, by_c1), (true, true));
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|okta:alice").parse().unwrap()]);
    assert_eq!(state(&mut world, &token, by_c1), (true, false));
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    world.issuers[0].trust.subject_prefix = Some("entra:".into());
    assert_eq!(
        state(&mut world, &token, by_c1),
        (false, false),
        "the name may be that of another issuer's user"
    );
    world.issuers[0].trust.subject_prefix = Some("okta:".into());
    let renewed = world.check(by_c1(Ask::exchange(&token)));
    assert_eq!(renewed.claims().subject.as_str(), "okta:alice", "law 4: the subject keeps its name");
    shut_out(&mut world, IDP, "alice");
    assert_eq!(state(&mut world, &token, by_c1), (false, false));
    assert_eq!(state(&mut world, &renewed.token(), by_c1), (false, false));
}

#[test]
fn cc_17_the_operator_can_let_users_and_clients_share_names() {
    use tokenberg_core::issuer::SubjectNames::{Separate, Shared, Undecided};
    let (mut world, key) = world();
    let users = key.sign(&alice(&json!({"sub": "c2"})));
    for (names, code) in [(Shared, "200"), (Undecided, "200"), (Separate, BAD)] {
        world.issuers[0].trust.subject_names = names;
        assert_eq!(world.check(by_c1(user(&users))).code(), code, "{names:?}");
    }
    // The user is still not the client itself.
    world.issuers[0].trust.subject_names = Shared;
    let named = world.check(by_c1(user(&users)));
    assert!(!named.claims().is_clients_own());
    let by_its_namesake = world.check(by_c2(Ask::exchange(&named.token())));
    let issuer = by_its_namesake.claims().session.subject_issuer.as_ref().map(|issuer| issuer.as_str());
    assert_eq!(issuer, Some(IDP));
}
