//! A cached token is checked in full again: conformance JW-40, as the extractor of a catalog does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use std::sync::Arc;
use tokenberg_core::answers::{SubjectStatus, TokenStatus};
use tokenberg_core::token::{Confirmation, Possession, Thumbprint};
use tokenberg_core::{
    AccessTokenClaims, Answers, Issuer, Revocation, Timestamp, TokenFault, TokenId, TokenVerification,
};
use tokenberg_testkit::{ForeignKey, ISSUER, NOW, World, changed, trusted};

const IDP: &str = "https://idp.test";
const CATALOG: &str = "https://cat.test";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

/// The verifier, the audience, and what the presenter of the token has proven.
struct Presenting {
    world: World,
    verification: TokenVerification,
    possession: Possession,
}

impl Presenting {
    fn new() -> Self {
        let mut world = World::new();
        world.issuers = vec![trusted(IDP, &ForeignKey::new(Some("p1")))];
        let (key, certificate) = (Some(Thumbprint::of([1; 32])), Some(Thumbprint::of([2; 32])));
        Self {
            world,
            verification: verification(ISSUER, CATALOG),
            possession: Possession { key, certificate },
        }
    }

    /// A token of `c1` for `alice` of another issuer, with an actor from there, bound to a key and a certificate.
    fn token(&self, changes: &Value) -> (String, AccessTokenClaims) {
        let Possession { key, certificate } = self.possession.clone();
        let payload = changed(
            json!({"iss": ISSUER, "aud": CATALOG, "sub": "alice", "client_id": "c1", "iat": NOW, "exp": NOW + 60,
                "jti": "x", "scope": "catalog", "act": {"sub": "c1", "act": {"iss": IDP, "sub": "bob"}},
                "cnf": Confirmation::of(key, certificate).unwrap(),
                "tokenberg_session": {"id": "s", "start": NOW, "end": NOW + 60, "sub_iss": IDP,
                    "with": [{"id": "a", "client_id": "c2", "since": NOW}]}}),
            changes,
        );
        let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
        (self.world.sign(&claims), claims)
    }

    fn ask(&self, token: &str) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        let now = self.world.now;
        let issuer = self.verification.issuer();
        let signed = self.world.keys().read(token, issuer, now).ours(issuer)?;
        let claims = self.verification.signed(&signed, now, &self.possession)?;
        let status = TokenStatus::of(&self.world, &claims);
        self.verification.recalled(claims, status)
    }
}

fn verification(issuer: &str, audience: &str) -> TokenVerification {
    TokenVerification::new(issuer.parse().unwrap(), vec![audience.into()])
}

fn disable(presenting: &mut Presenting, subject: &str) {
    let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
    let issuer = Some(Issuer::foreign(IDP).unwrap());
    presenting.world.subjects.push((issuer, subject.to_owned(), disabled));
}

fn revoke(presenting: &mut Presenting, revocation: impl FnOnce(&AccessTokenClaims) -> Revocation) {
    let (_, claims) = presenting.token(&json!({}));
    presenting.world.revoked.push(revocation(&claims));
}

fn origin(revocation: Revocation) -> Revocation {
    Revocation::Origin(Box::new(revocation))
}

fn id(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}

type Change = fn(&mut Presenting);

/// Changes after a token was cached, and the reason for which the token is refused then.
const CHANGES: [(Change, &str); 19] = [
    (|p| p.world.pass(60), "it expired"),
    (|p| p.world.now = at(NOW - 6), "its iat is 2027-01-15T08:00:00Z; it is 2027-01-15T07:59:54Z now"),
    (|p| revoke(p, |claims| Revocation::Token(claims.token_id.clone())), "the token x was revoked"),
    (|p| revoke(p, |claims| Revocation::Session(claims.session.id.clone())), "the session s was revoked"),
    (|p| revoke(p, |_| Revocation::Client { before: at(NOW + 1) }), "tokens of the client issued before"),
    (|p| revoke(p, |_| Revocation::Subject { before: at(NOW + 1) }), "tokens of the subject issued before"),
    (
        |p| revoke(p, |_| origin(Revocation::Session(id("a")))),
        "it was obtained with a revoked token: the session a",
    ),
    (
        |p| revoke(p, |_| origin(Revocation::Client { before: at(NOW + 1) })),
        "it was obtained with a revoked token: tokens of the client",
    ),
    (|p| p.world.change("c2", |c2| c2.enabled = false), "the client c2, on which it depends, is disabled"),
    (|p| p.world.unregister("c2"), "the client c2, on which it depends, is no longer registered"),
    (|p| p.world.change("c1", |c1| c1.enabled = false), "the client c1, to which it was issued, is disabled"),
    (|p| p.world.unregister("c1"), "the client c1, to which it was issued, is no longer registered"),
    (|p| disable(p, "alice"), "its subject, \"alice\" of https://idp.test, is disabled"),
    (|p| disable(p, "bob"), "\"bob\" of https://idp.test, on which it depends, is disabled"),
    (
        |p| p.world.issuers.clear(),
        "the issuer https://idp.test of a party on which it depends is no longer registered",
    ),
    (
        |p| p.verification = verification("https://other.test", CATALOG),
        "its iss is \"https://as.test\"; it has to be \"https://other.test\"",
    ),
    (
        |p| p.verification = verification(ISSUER, "https://other.test"),
        "its aud is [\"https://cat.test\"]; here it has to be for one of",
    ),
    (|p| p.possession.key = None, "it is bound to the DPoP key AQE"),
    (|p| p.possession.certificate = Some(Thumbprint::of([3; 32])), "it is bound to the DPoP key AQE"),
];

#[test]
fn jw_40_every_check_is_repeated_for_a_cached_token() {
    for (change, fault) in CHANGES {
        let mut presenting = Presenting::new();
        let ((token, claims), (unseen, _)) = (presenting.token(&json!({})), presenting.token(&json!({})));
        assert_ne!(unseen, token, "ECDSA signs with a random number");
        let first = presenting.ask(&token).unwrap();
        let again = presenting.ask(&token).unwrap();
        assert_eq!(*first, claims);
        assert!(Arc::ptr_eq(&first, &again), "it was read once, or nothing of this is tested");
        change(&mut presenting);
        let reason = presenting.ask(&token).unwrap_err().to_string();
        assert!(reason.starts_with(fault), "{fault}: {reason}");
        assert_eq!(presenting.ask(&unseen).unwrap_err().to_string(), reason, "whether it is cached or not");
    }
}

#[test]
fn jw_40_disabling_a_subject_ends_the_cached_tokens_of_its_actors() {
    let mut presenting = Presenting::new();
    let session = json!({"id": "s", "start": NOW, "end": NOW + 60});
    let (token, _) =
        presenting.token(&json!({"sub": "c2", "act": {"sub": "c1"}, "tokenberg_session": session}));
    assert!(presenting.ask(&token).is_ok());
    presenting.world.change("c2", |c2| c2.enabled = false);
    assert!(matches!(presenting.ask(&token), Err(TokenFault::Disabled(_))));
}

#[test]
fn jw_40_an_unverified_token_is_not_taken_for_a_cached_one() {
    let presenting = Presenting::new();
    let (token, _) = presenting.token(&json!({}));
    let (other, _) = presenting.token(&json!({"scope": "catalog ns:read"}));
    // A token that failed to verify leaves nothing in the cache, however often it is presented.
    let (content, signature) = (other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
    let forged = format!("{content}.{signature}");
    for _ in 0..3 {
        assert!(matches!(presenting.ask(&forged), Err(TokenFault::Signature(_))));
        assert!(presenting.ask(&token).is_ok());
    }
    assert_eq!(presenting.ask(&other).unwrap().scope.as_str(), "catalog ns:read");
    assert!(matches!(presenting.ask(&forged), Err(TokenFault::Signature(_))));
    // A token that was presented to a verifier of another issuer leaves nothing either.
    let (unseen, _) = presenting.token(&json!({}));
    let elsewhere = verification("https://other.test", CATALOG);
    let signed = |verification: &TokenVerification| {
        let issuer = verification.issuer();
        presenting.world.keys().read(&unseen, issuer, presenting.world.now).ours(issuer).map(drop)
    };
    assert!(matches!(signed(&elsewhere), Err(TokenFault::Issuer { .. })));
    assert_eq!(signed(&presenting.verification), Ok(()));
    assert!(matches!(signed(&elsewhere), Err(TokenFault::Issuer { .. })));
}
