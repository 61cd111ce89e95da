//! What a decision records, which of two faults is reported, and where limits lie to the second and to the byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokenberg_core::explanation::Rule;
use tokenberg_core::flow::SubjectProof;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::jws::DpopProof;
use tokenberg_core::refusal::{ProofFault, SessionLimit};
use tokenberg_core::request::LARGEST_BODY;
use tokenberg_core::token::Thumbprint;
use tokenberg_core::{
    Answers, AuthMethod, GrantType, Presented, PresentedToken, Refusal, TokenFault, TokenType,
    TokenVerification,
};
use tokenberg_testkit::{
    Answer, Ask, ForeignKey, ISSUER, NOW, World, alice, at1, by_c1, changed, client_with, sha256, trusted,
    unsecured,
};

const IDP: &str = "https://idp.test";
const SERVICES: &str = "https://services.test";

fn world() -> (World, ForeignKey) {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
        c1.rights_mut().may_assert_users = vec!["*".parse().unwrap()];
    });
    (world, key)
}

/// The same with a second issuer, whose subjects may be actors.
fn world_with_services() -> (World, ForeignKey) {
    let (mut world, key) = world();
    world.issuers.push(trusted(SERVICES, &key));
    world.change("c1", |c1| c1.rights_mut().may_act_for.push(format!("{SERVICES}|*").parse().unwrap()));
    (world, key)
}

fn refused(answer: &Answer) -> String {
    answer.refusal().to_string()
}

#[test]
fn te_04_no_parameter_of_a_request_is_in_the_query() {
    let body = b"grant_type=client_credentials";
    let read = |query| Presented::read(&[b"Basic YzE6czEtWjc="], query, body).err();
    assert_eq!(read(None), None);
    assert!(matches!(read(Some("client_secret=s1-Z7")), Some(Refusal::MalformedForm(_))));
}

#[test]
fn se_06_a_request_names_its_grant_if_it_is_a_known_one() {
    for (name, grant) in [
        ("client_credentials", Some(GrantType::ClientCredentials)),
        ("urn:ietf:params:oauth:grant-type:token-exchange", Some(GrantType::TokenExchange)),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", Some(GrantType::JwtBearer)),
        ("password", None),
    ] {
        let body = format!("grant_type={name}");
        let presented = Presented::read(&[b"Basic YzE6czEtWjc="], None, body.as_bytes()).unwrap();
        assert_eq!(presented.grant_type(), grant, "{name}");
    }
}

#[test]
fn tx_69_se_06_a_decision_records_the_grant_the_tokens_and_the_proof_of_the_subject() {
    let (mut world, key) = world();
    let id_token = |jti: &str| key.sign(&alice(&json!({"jti": jti})));
    let own = at1(&mut world);
    let named = unsecured(&json!({"sub": "bob", "iat": NOW}));
    let of = |world: &mut World, ask: Ask| match world.check(by_c1(ask)) {
        Answer::Ok(granted) => granted.decision,
        Answer::Refused(refusal, _) => panic!("{refusal}"),
        Answer::Outage(outage) => panic!("{outage}"),
    };
    let jti = world.introspect(&by_c1(Ask::token(&own)));
    let tokenberg_core::Introspection::Active(claims) = jti.unwrap() else { panic!("not active") };
    let own_id = Some(claims.token_id.as_str());
    let (exchange, bearer) = (GrantType::TokenExchange, GrantType::JwtBearer);
    let issuer = IDP.parse().unwrap();
    for (ask, grant, proof, auth, subject, actor) in [
        (Ask::credentials(), GrantType::ClientCredentials, SubjectProof::Client, "client", None, None),
        (Ask::exchange(&own), exchange, SubjectProof::Own, "own_token", own_id, None),
        (
            Ask::exchange_of(&id_token("i1"), TokenType::IdToken).actor(&own),
            exchange,
            SubjectProof::Issuer(issuer),
            IDP,
            Some("i1"),
            own_id,
        ),
        (
            Ask::exchange_of(&named, TokenType::Jwt).actor(&own),
            exchange,
            SubjectProof::Unsecured,
            "unsecured",
            None,
            own_id,
        ),
    ] {
        let decision = of(&mut world, ask.clone());
        assert_eq!((decision.grant, &decision.subject_proof), (grant, &proof), "{ask:?}");
        assert_eq!(decision.subject_proof.as_str(), auth, "{ask:?}");
        let tokens = (decision.subject_token.as_deref(), decision.actor_token.as_deref());
        assert_eq!(tokens, (subject, actor), "{ask:?}");
    }
    world.issuers[0].trust.accept = vec![AcceptedAs::JwtBearer];
    world.change("c1", |c1| c1.rights_mut().grants.push(bearer));
    let claims = json!({"iss": IDP, "sub": "alice", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "a1"});
    assert_eq!(of(&mut world, Ask::jwt_bearer(&key.sign(&claims))).grant, bearer);
}

#[test]
fn tx_61_of_two_bad_tokens_the_subject_is_reported_and_of_an_unsecured_one_the_actor() {
    let (mut world, _) = world();
    let nameless = unsecured(&json!({"sub": ""}));
    let ask = |subject, kind| by_c1(Ask::exchange_of(subject, kind).actor("x.y.z"));
    let answer = world.check(ask("x.y.z", TokenType::AccessToken));
    assert!(matches!(answer.refusal(), Refusal::SubjectToken(_)), "{}", refused(&answer));
    let answer = world.check(ask(&nameless, TokenType::Jwt));
    assert!(matches!(answer.refusal(), Refusal::ActorToken(_)), "{}", refused(&answer));
}

#[test]
fn d23_one_token_as_subject_and_actor_is_verified_once() {
    let mut world = World::new();
    let (token, other) = (at1(&mut world), at1(&mut world));
    let signatures = |actor: &str| {
        let explained = world.explain(&by_c1(Ask::exchange(&token).actor(actor)));
        explained.rules.iter().filter(|rule| matches!(rule, Rule::Signature { .. })).count()
    };
    assert_eq!((signatures(&token), signatures(&other)), (1, 2));
}

#[test]
fn wl_03_an_untrusted_trust_domain_is_reported_as_such() {
    let (mut world, key) = world();
    let workload = |sub: &str| {
        key.sign(&json!({"iss": "https://x.test", "sub": sub, "aud": ISSUER, "iat": NOW, "exp": NOW + 60}))
    };
    for (sub, is_domain) in [("spiffe://td.test/a", true), ("w", false)] {
        let answer = world.check(Ask::credentials().assertion(&workload(sub)));
        assert_eq!(refused(&answer).contains("trust domain"), is_domain, "{}", refused(&answer));
    }
}

#[test]
fn rv_04_an_expired_token_is_revocable_until_nothing_accepts_it_and_not_a_second_longer() {
    for (left, is_written) in [(1, true), (0, false)] {
        let mut world = World::new();
        let token = at1(&mut world);
        let tokenberg_core::Introspection::Active(claims) =
            world.introspect(&by_c1(Ask::token(&token))).unwrap()
        else {
            panic!("not active")
        };
        let last = world.endpoint.policy().remembers_until(&claims, claims.session.end);
        world.now = tokenberg_core::Timestamp::from_seconds(last.as_seconds() - left).unwrap();
        let outcome = world.revoke(&by_c1(Ask::token(&token))).unwrap();
        assert_eq!(outcome.is_some(), is_written, "{left} s before {last}");
    }
}

#[test]
fn cj_02_a_client_with_another_method_does_not_authenticate_by_an_assertion_although_it_has_a_key() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
    let mut register = |auth_method, has_key: bool| {
        world.register(client_with("cj", "catalog", |rights| {
            rights.auth_method = auth_method;
            rights.jwks = has_key.then(|| key.jwks());
        }));
        let claims =
            json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "1"});
        world.check(Ask::credentials().assertion(&key.sign(&claims)))
    };
    for (method, has_key) in [(AuthMethod::ClientSecret, true), (AuthMethod::PrivateKeyJwt, false)] {
        let answer = register(method, has_key);
        assert!(matches!(answer.refusal(), Refusal::OtherMethod { .. }), "{}", refused(&answer));
    }
    assert_eq!(register(AuthMethod::PrivateKeyJwt, true).code(), "200");
}

#[test]
fn tx_13_an_audience_with_an_empty_member_is_malformed_and_the_accepted_ones_are_named() {
    let (mut world, key) = world();
    let mut ask = |aud: serde_json::Value, kind| {
        let token = key.sign(&changed(alice(&json!({})), &json!({"aud": aud})));
        world.check(by_c1(Ask::exchange_of(&token, kind)))
    };
    for aud in [json!([ISSUER, ""]), json!([""]), json!([])] {
        let answer = ask(aud.clone(), TokenType::IdToken);
        let Refusal::SubjectToken(TokenFault::Claim(_)) = answer.refusal() else {
            panic!("{aud}: {}", refused(&answer))
        };
    }
    // The client is an accepted audience of ID tokens only.
    for (kind, is_named) in [(TokenType::IdToken, true), (TokenType::Jwt, false)] {
        let answer = ask(json!("https://other.test"), kind);
        assert_eq!(refused(&answer).contains("\"c1\""), is_named, "{}", refused(&answer));
    }
}

#[test]
fn tx_38_an_unsecured_user_is_refused_until_the_second_of_the_revocation() {
    // A revocation names such a user without an issuer, or as a subject of our own issuer.
    let times = [(NOW + 1, "400 invalid_request"), (NOW, "200")];
    for (own, (before, code)) in
        [None, Some(ISSUER)].into_iter().flat_map(|own| times.map(|time| (own, time)))
    {
        let (mut world, _) = world();
        let actor = at1(&mut world);
        world.before.subject(own, "bob", before);
        let named = unsecured(&json!({"sub": "bob", "iat": NOW}));
        let ask = by_c1(Ask::exchange_of(&named, TokenType::Jwt).actor(&actor));
        assert_eq!(world.check(ask).code(), code, "{before}");
    }
}

#[test]
fn cc_17_a_subject_that_is_too_long_with_its_prefix_is_refused_with_its_length() {
    let (mut world, key) = world();
    world.issuers[0].trust.subject_prefix = Some("idp:".into());
    let token = key.sign(&alice(&json!({"sub": "a".repeat(252)})));
    let actor = at1(&mut world);
    let answer = world.check(by_c1(Ask::exchange_of(&token, TokenType::IdToken).actor(&actor)));
    assert!(refused(&answer).contains("256"), "{}", refused(&answer));
}

#[test]
fn se_06_the_limit_of_a_users_own_token_is_that_of_the_token_and_not_of_its_issuer() {
    let (mut world, key) = world();
    let id_token = key.sign(&alice(&json!({})));
    let actor = at1(&mut world);
    let wide = |ask: Ask| by_c1(ask.actor(&actor)).with("scope", "PRINCIPAL_ROLE:unknown");
    let users = world.check(by_c1(Ask::exchange_of(&id_token, TokenType::IdToken).actor(&actor))).token();
    let by_token = refused(&world.check(wide(Ask::exchange(&users))));
    let by_issuer = refused(&world.check(wide(Ask::exchange_of(&id_token, TokenType::IdToken))));
    assert!(by_token.contains("in the subject token"), "{by_token}");
    assert!(!by_issuer.contains("in the subject token"), "{by_issuer}");
}

#[test]
fn tx_44_law_3_a_session_that_would_end_now_does_not_begin_and_the_party_that_ends_it_is_named() {
    for (subject, actor, expected) in [
        (NOW + 1, None, None),
        (NOW, None, Some(SessionLimit::SubjectToken)),
        (NOW + 60, Some(NOW + 1), None),
        (NOW + 60, Some(NOW), Some(SessionLimit::Actor)),
        (NOW, Some(NOW), Some(SessionLimit::Actor)),
    ] {
        let (mut world, key) = world_with_services();
        let id_token = |changes| key.sign(&alice(&changes));
        let mut ask =
            Ask::exchange_of(&id_token(json!({"exp": subject, "iat": NOW - 60})), TokenType::IdToken);
        if let Some(end) = actor {
            let claims = json!({"iss": SERVICES, "sub": "robot", "exp": end, "iat": NOW - 60});
            ask = ask
                .with("actor_token", &id_token(claims))
                .with("actor_token_type", TokenType::IdToken.as_urn());
        }
        let answer = world.check(by_c1(ask));
        let limit = match &answer {
            Answer::Refused(Refusal::SessionOver { end, limit, .. }, _) => {
                assert_eq!(end.as_seconds(), NOW);
                Some(*limit)
            }
            Answer::Ok(granted) => {
                assert_eq!(granted.claims.session.end.as_seconds(), NOW + 1);
                None
            }
            Answer::Refused(..) | Answer::Outage(_) => panic!("{}", refused(&answer)),
        };
        assert_eq!(limit, expected, "{subject} {actor:?}");
    }
}

#[test]
fn d13_law_10_a_foreign_actor_with_the_name_of_the_client_is_not_the_client() {
    for name in ["robot", "c1"] {
        let (mut world, key) = world_with_services();
        world.issuers.iter_mut().for_each(|issuer| issuer.trust.outlives_subject = true);
        let actor = key.sign(&alice(&json!({"iss": SERVICES, "sub": name, "exp": NOW + 7200})));
        let ask = Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken)
            .with("actor_token", &actor)
            .with("actor_token_type", TokenType::IdToken.as_urn());
        let users = world.check(by_c1(ask)).token();
        assert_eq!(world.check(by_c1(Ask::exchange(&users))).code(), "200");
        world.pass(3600);
        let answer = world.check(by_c1(Ask::exchange(&users)));
        assert!(
            refused(&answer).contains("neither its subject nor its current actor"),
            "{name}: {}",
            refused(&answer)
        );
    }
}

#[test]
fn d13_law_10_from_the_second_of_its_expiry_on_a_token_is_not_passed_on_to_another_actor() {
    for (passed, code) in [(3599, "200"), (3600, "400 invalid_request")] {
        let (mut world, key) = world_with_services();
        world.issuers.iter_mut().for_each(|issuer| issuer.trust.outlives_subject = true);
        let ask = Ask::exchange_of(&key.sign(&alice(&json!({}))), TokenType::IdToken);
        let users = world.check(by_c1(ask)).token();
        let robot = key.sign(&alice(&json!({"iss": SERVICES, "sub": "robot", "exp": NOW + 7200})));
        world.pass(passed);
        let ask = Ask::exchange(&users)
            .with("actor_token", &robot)
            .with("actor_token_type", TokenType::IdToken.as_urn());
        let answer = world.check(by_c1(ask));
        assert_eq!(answer.code(), code, "{passed}");
        if passed == 3600 {
            assert!(
                refused(&answer).contains("cannot be renewed with another actor"),
                "{}",
                refused(&answer)
            );
        }
    }
}

#[test]
fn dp_11_a_proof_at_a_resource_is_for_one_token() {
    let (world, key) = (World::new(), ForeignKey::new(None));
    let hash = sha256(b"this token");
    let claims = json!({"htm": "GET", "htu": "https://cat.test/v1", "ath": Thumbprint::of(hash).as_str()});
    let proof = DpopProof::parse(&key.proof(world.now, "1", &claims)).unwrap();
    let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![]);
    let check = |hash| {
        let verified = world.keys().verify_proof(&proof);
        verification.proof(&proof, verified, ("GET", "https://cat.test/v1"), hash, world.now)
    };
    assert_eq!(check(hash).unwrap().0.key, Some(key.thumbprint()));
    assert_eq!(check(sha256(b"another token")), Err(ProofFault::Token));
}

#[test]
fn ht_14_ca_08_the_limits_of_forms_and_credentials_are_exact() {
    let fault = |authorization: &[&[u8]], body: &str| {
        Presented::read(authorization, None, body.as_bytes()).err().map(|refusal| refusal.to_string())
    };
    let grant = "grant_type=client_credentials&client_id=c1";
    let body = |length: usize| format!("{grant}&x={}", "a".repeat(length - grant.len() - 3));
    assert_eq!(
        [LARGEST_BODY, LARGEST_BODY + 1].map(|length| fault(&[], &body(length)) == fault(&[], grant)),
        [true, false]
    );
    let name = |length| format!("{grant}&{}=1", "n".repeat(length));
    assert_eq!([64, 65].map(|length| fault(&[], &name(length)) == fault(&[], grant)), [true, false]);
    let secret = |length| format!("{grant}&client_secret={}", "s".repeat(length));
    assert_eq!([1, 1024, 1025].map(|length| fault(&[], &secret(length)).is_none()), [true, true, false]);
    for (credentials, is_read) in [("c1:s", true), ("c1:", false), (":s", false), (":", false), ("c1", false)]
    {
        let header = format!("Basic {}", STANDARD.encode(credentials));
        let is_malformed = |refusal: &Refusal| matches!(refusal, Refusal::MalformedBasic(_));
        let read = Presented::read(&[header.as_bytes()], None, b"grant_type=client_credentials");
        assert_eq!(read.err().is_some_and(|refusal| is_malformed(&refusal)), !is_read, "{credentials}");
    }
    for (token, is_read) in
        [("aA0-._~+/==", true), ("a", true), ("a b", false), ("==", false), ("a=b", false), ("\u{e9}", false)]
    {
        let header = format!("Bearer {token}");
        let read = Presented::read(&[header.as_bytes()], None, b"grant_type=client_credentials");
        assert_eq!(matches!(read.err(), Some(Refusal::MalformedBearer)), !is_read, "{token}");
    }
}

#[test]
fn in_01_te_20_a_presented_token_is_read_with_its_header_and_its_query() {
    let header = format!("Basic {}", STANDARD.encode("c1:s1-Z7"));
    let read = |headers: &[&[u8]], query| PresentedToken::read(headers, query, b"token=x");
    assert_eq!(read(&[header.as_bytes()], None).unwrap().method(), "client_secret_basic");
    assert_eq!(read(&[], None).err(), Some(Refusal::NoCredentials));
    let in_query = read(&[header.as_bytes()], Some("token=y")).err();
    assert!(matches!(in_query, Some(Refusal::MalformedForm(_))), "{in_query:?}");
}
