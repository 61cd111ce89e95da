//! Who may exchange which token, and what the result is: RFC 8693; conformance TX, for tokens of our own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use tokenberg_core::{CompactJws, Refusal, Revocation, TokenFault, TokenType};
use tokenberg_testkit::{Ask, World, at1, at2, by_c1, by_c2, chain, let_c2_act_for_c1};

const BAD: &str = "400 invalid_request";
const NOT_BEARER: &str = "401 invalid_client Bearer";

fn x0(subject: &str) -> Ask {
    Ask::exchange(subject)
}

#[test]
fn tx_01_tx_02_tx_03_tx_04_tx_05_tx_07_parameters() {
    let mut world = World::new();
    let token = at1(&mut world);
    let access = TokenType::AccessToken.as_urn();
    let grant = || by_c1(Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange"));
    for ask in [
        grant(),
        grant().with("subject_token", &token),
        grant().with("subject_token_type", access),
        grant().with("subject_token", "").with("subject_token_type", access),
        by_c1(x0(&token)).with("actor_token", &token),
        by_c1(x0(&token)).with("actor_token_type", access),
        grant().with("subject_token", &token).with("subject_token_type", "urn:x"),
        grant().with("subject_token", &token).with("subject_token_type", "access_token"),
        grant().with("subject_token", &token).with("subject_token_type", &access.replace("urn", "URN")),
        by_c1(x0(&token)).with("requested_token_type", "urn:x"),
    ] {
        assert_eq!(world.check(ask.clone()).code(), BAD, "{ask:?}");
    }
    for kind in TokenType::ALL {
        let is_access = kind == TokenType::AccessToken;
        let declared = grant().with("subject_token", &token).with("subject_token_type", kind.as_urn());
        assert_eq!(world.check(declared).code() == "200", is_access, "subject {kind}");
        let requested = by_c1(x0(&token)).with("requested_token_type", kind.as_urn());
        assert_eq!(world.check(requested).code() == "200", is_access, "requested {kind}");
    }
    let saml =
        grant().with("subject_token", "<saml2/>").with("subject_token_type", TokenType::Saml2.as_urn());
    let answer = world.check(saml);
    assert_eq!(world.error_for(answer.refusal()).description.as_deref(), Some("saml2 is not supported"));
}

#[test]
fn tx_06_a_token_of_ours_is_an_access_token_and_nothing_else() {
    let mut world = World::new();
    let token = at1(&mut world);
    for kind in [TokenType::IdToken, TokenType::Jwt] {
        let ask = Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange")
            .with("subject_token", &token)
            .with("subject_token_type", kind.as_urn());
        assert_eq!(world.check(by_c1(ask.clone())).code(), BAD);
        assert_eq!(world.check(ask.bearer(&token)).code(), BAD);
        let actor = by_c1(x0(&token)).with("actor_token", &token).with("actor_token_type", kind.as_urn());
        assert_eq!(world.check(actor).code(), BAD);
    }
}

#[test]
fn tx_08_tx_09_tx_10_tx_11_ic_01_the_response() {
    // token_type bearer, issued_token_type, a scope, and no refresh_token are checked for every success by the testkit.
    let mut world = World::new();
    let token = at1(&mut world);
    assert_eq!(world.check(x0(&token).bearer(&token)).body()["scope"], "catalog ns:read");
}

#[test]
fn tx_20_an_unauthenticated_exchange_is_refused() {
    let mut world = World::new();
    let token = at1(&mut world);
    assert_eq!(world.check(x0(&token)).code(), "401 invalid_client Basic");
    assert_eq!(world.check(x0(&token).with("client_id", "c1")).code(), "401 invalid_client Basic");
}

#[test]
fn tx_21_tx_22_the_bearer_is_the_subject_or_the_actor() {
    let mut world = World::new();
    let_c2_act_for_c1(&mut world);
    let (first, other, actor) = (at1(&mut world), at1(&mut world), at2(&mut world));
    assert_eq!(world.check(x0(&first).bearer(&first)).code(), "200");
    assert_eq!(world.check(x0(&first).bearer(&other)).code(), NOT_BEARER);
    assert_eq!(world.check(x0(&first).actor(&actor).bearer(&actor)).code(), "200");
    assert_ne!(world.check(x0(&actor).actor(&first).bearer(&other)).code(), "200");
    assert_ne!(world.check(x0(&first).actor(&other).bearer(&actor)).code(), "200", "c2's token, c1's actor");
    assert_eq!(world.check(x0(&first).bearer(&first).with("client_id", "c1")).code(), "200");
    assert_eq!(world.check(x0(&first).bearer(&first).with("client_id", "c2")).code(), BAD);
}

#[test]
fn tx_23_the_bearer_is_fully_verified() {
    let mut world = World::new();
    let token = at1(&mut world);
    let claims = world.check(x0(&token).bearer(&token)).claims().clone();
    let mut elsewhere = claims.clone();
    elsewhere.audience = vec!["https://other.test".into()];
    let mut foreign = claims.clone();
    foreign.issuer = "https://idp.test".parse().unwrap();
    let mut bound = claims.clone();
    bound.confirmation =
        tokenberg_core::token::Confirmation::of(Some(tokenberg_core::token::Thumbprint::of([1; 32])), None);
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.".to_owned();
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let other_letter = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{rest}.{other_letter}{}", &signature[1..]);
    for bad in [
        world.sign(&elsewhere),
        world.sign(&foreign),
        world.sign(&bound),
        none,
        tampered,
        "garbage".to_owned(),
    ] {
        assert_eq!(world.check(x0(&bad).bearer(&bad)).code(), NOT_BEARER, "{bad}");
    }
    world.revoked = vec![Revocation::Token(claims.token_id.clone())];
    let revoked = world.sign(&claims);
    assert_eq!(world.check(x0(&revoked).bearer(&revoked)).code(), NOT_BEARER);
    world.pass(3600);
    assert_eq!(world.check(x0(&token).bearer(&token)).code(), NOT_BEARER, "expired");
}

#[test]
fn tx_26_cve_2026_55672_a_subject_token_is_bound_to_its_client() {
    let mut world = World::new();
    let token = at1(&mut world);
    let answer = world.check(by_c2(x0(&token)));
    assert_eq!(answer.code(), BAD);
    assert!(matches!(answer.refusal(), Refusal::MayNotActFor { .. }));
    let_c2_act_for_c1(&mut world);
    let acted = world.check(by_c2(x0(&token)));
    assert_eq!(chain(&acted), ["c2"], "D25: without an actor token, the client that asks is the actor");
    assert_eq!(acted.claims().client_id.as_str(), "c2");
    assert_eq!(acted.claims().subject.as_str(), "c1");
}

#[test]
fn tx_26_a_resource_server_may_exchange_a_token_that_was_sent_to_it() {
    let mut world = World::new();
    let token = at1(&mut world);
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://cat.test".into()]);
    assert_eq!(chain(&world.check(by_c2(x0(&token)))), ["c2"]);
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://other.test".into()]);
    assert_eq!(world.check(by_c2(x0(&token))).code(), BAD);
    world.change("c2", |c2| {
        c2.rights_mut().serves = vec!["https://cat.test".into()];
        c2.rights_mut().audiences.clear();
    });
    let onward = world.check(by_c2(x0(&token)));
    assert_eq!(
        onward.claims().audience,
        ["https://cat.test".into()],
        "also where it is registered for no audience"
    );
    assert_eq!(world.check(x0(&onward.token()).bearer(&onward.token())).code(), "200");
}

#[test]
fn tx_27_a_bound_token_does_not_become_unbound() {
    let mut world = World::new();
    let token = at1(&mut world);
    let mut claims = world.check(x0(&token).bearer(&token)).claims().clone();
    claims.confirmation =
        tokenberg_core::token::Confirmation::of(Some(tokenberg_core::token::Thumbprint::of([1; 32])), None);
    let bound = world.sign(&claims);
    let answer = world.check(by_c1(x0(&bound)));
    assert_eq!(answer.code(), BAD);
    assert!(matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::Bound(_))));
}

#[test]
fn tx_28_cve_2026_9704_credentials_do_not_make_the_subject_disappear() {
    let mut world = World::new();
    let token = world.token("c1", "s1-Z7", "ns:read");
    let answer = world.check(by_c1(x0(&token)));
    assert_eq!(answer.body()["scope"], "ns:read", "not the default scope of the client");
    assert_eq!(world.check(by_c1(x0(&token)).with("scope", "catalog")).code(), "400 invalid_scope");
    assert_eq!(world.check(by_c1(x0("garbage"))).code(), BAD);
}

#[test]
fn tx_30_tx_31_a_bad_token_is_refused_without_a_reason_for_the_client() {
    let mut world = World::new();
    let good = at1(&mut world);
    let claims = world.check(x0(&good).bearer(&good)).claims().clone();
    let forged = {
        let other = World::new();
        other.sign(&claims)
    };
    let (rest, _) = good.rsplit_once('.').unwrap();
    let mut future = claims.clone();
    future.issued_at = world.now.plus(tokenberg_core::Lifetime::from_seconds(60));
    future.session.start = world.now;
    let mut unregistered = claims.clone();
    unregistered.client_id = "gone".parse().unwrap();
    let bad = [
        "garbage".to_owned(),
        format!("{rest}."),
        format!("{rest}.AAAA"),
        good.replacen('e', "f", 1),
        forged,
        world.sign(&future),
        world.sign(&unregistered),
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.".to_owned(),
        "x".repeat(17_000),
    ];
    for token in bad {
        let subject = world.check(by_c1(x0(&token)));
        assert_eq!(subject.code(), BAD);
        assert_eq!(
            world.error_for(subject.refusal()).description.as_deref(),
            Some("the subject_token is not acceptable"),
            "{}",
            subject.refusal()
        );
        let actor = world.check(by_c1(x0(&good)).actor(&token));
        assert_eq!(actor.code(), BAD);
        assert_eq!(
            world.error_for(actor.refusal()).description.as_deref(),
            Some("the actor_token is not acceptable"),
            "{}",
            actor.refusal()
        );
    }
}

#[test]
fn tx_35_cve_2025_30144_issuer_confusion() {
    let mut world = World::new();
    let good = at1(&mut world);
    let mut claims = world.check(x0(&good).bearer(&good)).claims().clone();
    claims.issuer = "https://idp.test".parse().unwrap();
    let ours_in_their_name = world.sign(&claims);
    let answer = world.check(by_c1(x0(&ours_in_their_name)));
    assert!(matches!(answer.refusal(), Refusal::SubjectToken(TokenFault::Issuer { .. })));
}

#[test]
fn tx_36_tx_37_cve_2023_0091_revoked_tokens_and_disabled_clients() {
    let mut world = World::new();
    let token = at1(&mut world);
    let claims = world.check(x0(&token).bearer(&token)).claims().clone();
    for revocation in [
        Revocation::Session(claims.session.id.clone()),
        Revocation::Client { before: world.now.plus(tokenberg_core::Lifetime::from_seconds(1)) },
        Revocation::Subject { before: world.now.plus(tokenberg_core::Lifetime::from_seconds(1)) },
    ] {
        world.revoked = vec![revocation];
        assert_eq!(world.check(by_c1(x0(&token))).code(), BAD);
    }
    world.pass(3605);
    assert_eq!(world.check(by_c1(x0(&token))).code(), BAD, "nor in the grace of an expired token");
    world.revoked.clear();
    assert_eq!(world.check(by_c1(x0(&token))).code(), "200");
    let_c2_act_for_c1(&mut world);
    let fresh = at1(&mut world);
    world.change("c1", |c1| c1.enabled = false);
    assert_eq!(world.check(by_c2(x0(&fresh))).code(), BAD, "the subject's own client is disabled");
}

#[test]
fn tx_39_tx_14_cve_2022_1245_audiences_do_not_widen() {
    let mut world = World::new();
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://other.test".into()]
    });
    let narrow = by_c1(Ask::credentials()).with("resource", "https://cat.test");
    let narrow = world.check(narrow).token();
    for target in ["https://other.test", "https://unknown.test"] {
        let ask = by_c1(x0(&narrow)).with("resource", target);
        assert_eq!(world.check(ask).code(), "400 invalid_target", "{target}");
    }
    assert_eq!(world.check(by_c1(x0(&narrow)).with("audience", "https://cat.test")).code(), "200");
    let both =
        by_c1(Ask::credentials()).with("resource", "https://cat.test").with("resource", "https://other.test");
    let both = world.check(both).token();
    let kept = world.check(x0(&both).bearer(&both));
    assert_eq!(kept.claims().audience, ["https://cat.test".into(), "https://other.test".into()]);
    let one = world.check(x0(&both).bearer(&both).with("resource", "https://other.test"));
    assert_eq!(one.claims().audience, ["https://other.test".into()]);
    // c2 is not registered for the other audience, so its token for c1 does not have that audience.
    let_c2_act_for_c1(&mut world);
    assert_eq!(world.check(by_c2(x0(&both))).claims().audience, ["https://cat.test".into()]);
    let elsewhere = world.check(by_c1(x0(&both)).with("resource", "https://other.test")).token();
    assert_eq!(
        world.check(by_c2(x0(&elsewhere))).code(),
        BAD,
        "D7: invalid_target is only for a request that names a target"
    );
    assert_eq!(
        world.check(by_c2(x0(&elsewhere)).with("resource", "https://other.test")).code(),
        "400 invalid_target"
    );
}

#[test]
fn tx_15_scope_and_targets_are_each_within_the_subjects() {
    let mut world = World::new();
    world.change("c1", |c1| {
        c1.rights_mut().audiences = vec!["https://cat.test".into(), "https://b.test".into()]
    });
    let at_a = by_c1(Ask::credentials()).with("resource", "https://cat.test").with("scope", "ns:read");
    let at_a = world.check(at_a).token();
    let wider = by_c1(x0(&at_a)).with("resource", "https://cat.test").with("resource", "https://b.test");
    assert_eq!(world.check(wider).code(), "400 invalid_target", "never a token with the scope elsewhere");
}

#[test]
fn tx_40_tx_41_scopes_do_not_widen() {
    let mut world = World::new();
    let token = at1(&mut world);
    let ask = |token: &str, scope: &str| x0(token).bearer(token).with("scope", scope);
    assert_eq!(world.check(ask(&token, "catalog ns:read ns:write")).code(), "400 invalid_scope");
    assert_eq!(world.check(ask(&token, "")).body()["scope"], "catalog ns:read");
    let narrow = world.check(ask(&token, "ns:read")).token();
    assert_eq!(world.check(ask(&narrow, "catalog")).code(), "400 invalid_scope");
    assert_eq!(world.check(by_c1(x0(&narrow)).with("scope", "catalog")).code(), "400 invalid_scope");
    assert_eq!(world.check(ask(&narrow, "PRINCIPAL_ROLE:ALL")).code(), "400 invalid_scope");
}

#[test]
fn tx_20_tx_60_trinos_unsecured_jwt_is_refused() {
    let mut world = World::new();
    let actor = at1(&mut world);
    let ask = Ask::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange")
        .with("subject_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")
        .with("subject_token_type", TokenType::Jwt.as_urn())
        .actor(&actor)
        .bearer(&actor);
    assert_eq!(world.check(ask).code(), BAD);
}

#[test]
fn tx_62_tx_63_tx_64_no_spelling_of_alg_none_is_accepted() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    let mut world = World::new();
    let own = at1(&mut world);
    let payload = own.split('.').nth(1).unwrap();
    for (header, signature) in [
        (r#"{"alg":"none","typ":"at+jwt"}"#, ""),
        (r#"{"alg":"None","typ":"at+jwt"}"#, ""),
        (r#"{"alg":"nOnE","typ":"at+jwt"}"#, ""),
        (r#"{"alg":"none","typ":"at+jwt"}"#, "AAAA"),
        (r#"{"alg":"none","typ":"at+jwt","crit":["x"],"x":1}"#, ""),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, ""),
        (r#"{"alg":"HS256","typ":"at+jwt"}"#, "AAAA"),
        (r#"{"alg":"RS256","typ":"at+jwt"}"#, "AAAA"),
    ] {
        let token = format!("{}.{payload}.{signature}", BASE64URL.encode(header));
        assert_eq!(world.check(by_c1(x0(&token))).code(), BAD, "{header}");
        assert_eq!(world.check(by_c1(x0(&own)).actor(&token)).code(), BAD, "{header}");
        assert_eq!(world.check(x0(&token).bearer(&token)).code(), NOT_BEARER, "{header}");
        let as_jwt = x0(&token).and(b"").bearer(&own);
        assert_ne!(world.check(as_jwt).code(), "200");
    }
}

#[test]
fn jw_21_a_token_with_the_other_form_of_its_signature_is_the_same_token() {
    // With (r, s) also (r, n - s) verifies: revoking a token by its jti revokes both.
    let mut world = World::new();
    let token = at1(&mut world);
    let (rest, _) = token.rsplit_once('.').unwrap();
    let jws = CompactJws::parse(&token).unwrap_or_else(|e| panic!("{e}"));
    let twin = format!("{rest}.{}", high_s(jws.signature()));
    assert_ne!(twin, token);
    let renewed = world.check(by_c1(x0(&twin)));
    assert_eq!(renewed.code(), "200");
    world.revoked = vec![Revocation::Session(renewed.claims().session.id.clone())];
    for either in [&token, &twin] {
        assert_eq!(world.check(by_c1(x0(either))).code(), BAD);
    }
}

/// `r || n - s` in base64url, where n is the order of P-256.
fn high_s(signature: &[u8]) -> String {
    use base64::Engine;
    const ORDER: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA,
        0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let mut twin = signature.to_vec();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i32::from(ORDER[at]) - i32::from(signature[32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        twin[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(twin)
}
