//! What an embedding program decides about tokens, and clients that it authenticates for a grant of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokenberg_core::flow::{GrantHook, Proposal, Verdict};
use tokenberg_core::token::ExtraClaims;
use tokenberg_core::{NotGranted, Refusal, Request, inquire};
use tokenberg_testkit::{Answer, Ask, World};

struct Deciding<F>(F);

impl<F: Fn(&Proposal<'_>) -> Verdict + Send + Sync> GrantHook for Deciding<F> {
    fn decide(&self, proposal: &Proposal<'_>) -> Verdict {
        (self.0)(proposal)
    }
}

fn world(decide: impl Fn(&Proposal<'_>) -> Verdict + Send + Sync + 'static) -> World {
    let mut world = World::new();
    world.endpoint = world.endpoint.decided_by(Arc::new(Deciding(decide)));
    world
}

fn extra(claims: Value) -> ExtraClaims {
    let Value::Object(claims) = claims else { panic!("an object") };
    ExtraClaims::new(claims).unwrap()
}

fn own() -> Ask {
    Ask::credentials().basic("c1", "s1-Z7")
}

#[test]
fn a_denied_token_is_refused_with_the_reason_for_the_operator_alone() {
    let mut world = world(|_| Verdict::deny("closed until 06:00"));
    let Answer::Refused(refusal, error) = world.check(own()) else { panic!("a refusal") };
    assert_eq!(refusal, Refusal::Denied("closed until 06:00".into()));
    assert!(refusal.to_string().contains("closed until 06:00"), "{refusal}");
    assert_eq!(error.code, tokenberg_core::ErrorCode::UnauthorizedClient);
    assert!(!format!("{error:?}").contains("06:00"), "{error:?}");
}

#[test]
fn a_scope_is_narrowed_and_never_widened_and_nothing_left_is_a_refusal() {
    for (within, left) in
        [("catalog", Some("catalog")), ("catalog admin", Some("catalog")), ("admin", None), ("", None)]
    {
        let scope: tokenberg_core::Scope = within.parse().unwrap();
        let mut world = world(move |_| Verdict::narrow(scope.clone()));
        match (world.check(own().with("scope", "catalog ns:read")), left) {
            (Answer::Ok(granted), Some(left)) => {
                assert_eq!(granted.claims.scope.as_str(), left);
                assert_eq!(granted.response.scope.as_ref().unwrap().as_str(), left);
            }
            (Answer::Refused(Refusal::Denied(_), _), None) => {}
            (Answer::Ok(_) | Answer::Refused(..) | Answer::Outage(_), _) => panic!("{within}"),
        }
    }
}

#[test]
fn claims_that_are_added_have_a_claim_of_their_own_and_are_kept_at_renewal() {
    // It adds in the first token only, and a name that is also that of a registered claim.
    let mut world = world(|proposal| match proposal.claims.extra.is_empty() {
        true => Verdict::allow().with_claims(extra(json!({"team": "blue", "sub": "somebody", "exp": 1}))),
        false => Verdict::allow().with_claims(extra(json!({"team": "green"}))),
    });
    let Answer::Ok(first) = world.check(own()) else { panic!("a token") };
    let payload = first.claims.to_json();
    assert_eq!((&payload["sub"], &payload["tokenberg_claims"]["sub"]), (&json!("c1"), &json!("somebody")));
    assert!(payload["exp"].as_i64().unwrap() > world.now.as_seconds());
    let token = first.response.access_token.expose().to_owned();
    let renewal = Ask::exchange(&token).bearer(&token);
    let Answer::Ok(renewed) = world.check(renewal) else { panic!("a renewal") };
    let kept = renewed.claims.extra;
    assert_eq!(kept.as_map().map(Map::len), Some(3));
    assert_eq!((kept.get("team"), kept.get("sub")), (Some(&json!("green")), Some(&json!("somebody"))));

    let too_long = Map::from_iter([("x".to_owned(), json!("y".repeat(1100)))]);
    assert_eq!(ExtraClaims::new(too_long).unwrap_err().bytes, 1108);
}

#[test]
fn a_denied_request_uses_no_proof_up() {
    let deny = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let denies = Arc::clone(&deny);
    let mut world = world(move |_| match denies.load(std::sync::atomic::Ordering::SeqCst) {
        true => Verdict::deny("not now"),
        false => Verdict::allow(),
    });
    let key = tokenberg_testkit::ForeignKey::new(None);
    let proof = key.proof(world.now, "once", &json!({}));
    assert!(matches!(world.check(own().dpop(&proof)), Answer::Refused(Refusal::Denied(_), _)));
    deny.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(world.check(own().dpop(&proof)), Answer::Ok(_)));
    assert!(matches!(world.check(own().dpop(&proof)), Answer::Refused(Refusal::ProofReplayed(_), _)));
}

#[test]
fn a_client_is_authenticated_alone_for_a_grant_that_is_not_ours() {
    let world = World::new();
    let authenticate = |authorization: &[&[u8]], body: &str| {
        let request = Request { authorization, body: body.as_bytes(), ..Request::default() };
        let inquiry = world.endpoint.authenticate(&request, world.now)?;
        inquire(inquiry, &world, &world)
    };
    let own_grant = "grant_type=urn:example:job&job=7&client_id=c1&client_secret=s1-Z7";
    let client = authenticate(&[], own_grant).unwrap();
    assert_eq!((client.id().as_str(), client.method()), ("c1", "client_secret_post"));
    assert!(client.secret().is_some() && client.client().enabled);
    let basic = [&b"Basic YzE6czEtWjc="[..]];
    assert_eq!(authenticate(&basic, "grant_type=urn:example:job").unwrap().method(), "client_secret_basic");
    for (authorization, body) in [
        (&[][..], "grant_type=urn:example:job&client_id=c1&client_secret=wrong"),
        (&[][..], "grant_type=urn:example:job&client_id=nobody&client_secret=s1-Z7"),
        (&[][..], "grant_type=urn:example:job"),
        (&[&b"Bearer a.b.c"[..]][..], "grant_type=urn:example:job"),
        (&[&b"Basic YzE6czEtWjc="[..]][..], "job=1&job=2&client_id=c1&client_id=c1"),
        (&[&b"Basic YzE6czEtWjc="[..]][..], "grant_type=urn:example:job&client_secret=s1-Z7&client_id=c1"),
    ] {
        let refused = authenticate(authorization, body);
        assert!(matches!(refused, Err(NotGranted::Refused(_))), "{body}: {refused:?}");
    }
}
