//! Wrong answers of an adapter grant nothing: another client, another issuer's claims, another key, another digest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use std::sync::Arc;
use tokenberg_core::answers::{SigningFault, SubjectStatus};
use tokenberg_core::jws::{Algorithms, DpopProof, KeyId, TokenReading};
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, CompactJws, Entropy, Issuer, Keys, NotGranted, Presented,
    Refusal, Request, Revocation, Secret, SecretDigest, SignatureFault, Timestamp, TokenFault, TrustedIssuer,
    Verified, drive,
};
use tokenberg_testkit::{ForeignKey, World, alice, at1, changed, trusted};

/// The wrong answer of the adapter.
enum Lie {
    Nothing,
    /// Returns this client for every query.
    Client(&'static str),
    /// Every presented token reads as this token.
    Reading(String, Issuer),
    /// Every presented token reads as this foreign token.
    Foreign(String),
    /// The token was verified by another key than it names.
    Key,
    /// The digest is that of this secret.
    Digest(&'static str),
}

struct Lying<'a> {
    world: &'a World,
    lie: Lie,
}

impl Keys for Lying<'_> {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        self.world.keys().sign(claims, now)
    }
    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        let verified = self.world.keys().verify(token, now)?;
        let other = KeyId::new("another-key");
        Ok(match self.lie {
            Lie::Key => Verified::assertion(other, verified.algorithm()),
            Lie::Nothing | Lie::Client(_) | Lie::Reading(..) | Lie::Foreign(_) | Lie::Digest(_) => verified,
        })
    }
    fn read(&self, token: &str, issuer: &Issuer, now: Timestamp) -> TokenReading {
        match &self.lie {
            Lie::Reading(other, their) => {
                TokenReading::read(other, their, |token| self.world.keys().verify(token, now))
            }
            Lie::Foreign(other) => TokenReading::Foreign(CompactJws::parse(other).unwrap()),
            Lie::Nothing | Lie::Client(_) | Lie::Key | Lie::Digest(_) => {
                TokenReading::read(token, issuer, |token| self.verify(token, now))
            }
        }
    }
    fn jwks(&self) -> Arc<str> {
        self.world.keys().jwks()
    }
    fn is_costly(&self, now: Timestamp) -> bool {
        self.world.keys().is_costly(now)
    }
    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        self.world.keys().verify_with(jwks, accepted, token)
    }
    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        self.world.keys().verify_proof(proof)
    }
}

impl Answers for Lying<'_> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        match self.lie {
            Lie::Client(other) => self.world.client(&other.parse().unwrap()),
            Lie::Nothing | Lie::Reading(..) | Lie::Foreign(_) | Lie::Key | Lie::Digest(_) => {
                self.world.client(id)
            }
        }
    }
    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        match self.lie {
            Lie::Client(other) => self.world.digest(other, secret),
            Lie::Digest(other) => self.world.digest(client_id, &Secret::new(other.to_owned())),
            Lie::Nothing | Lie::Reading(..) | Lie::Foreign(_) | Lie::Key => {
                self.world.digest(client_id, secret)
            }
        }
    }
    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool {
        self.world.is_costly(client_id, secret)
    }
    fn may_be_guessed(&self, secret: &Secret) -> bool {
        self.world.may_be_guessed(secret)
    }
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.world.revoked(token)
    }
    fn keys(&self) -> &dyn Keys {
        self
    }
    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.world.issuer(issuer)
    }
    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        match self.lie {
            Lie::Client(other) => self.world.client(&other.parse().unwrap()),
            Lie::Nothing | Lie::Reading(..) | Lie::Foreign(_) | Lie::Key | Lie::Digest(_) => {
                self.world.federated(issuer, subject)
            }
        }
    }
    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        self.world.subject(issuer, subject, sub)
    }
    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        self.world.nonce(now)
    }
    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.world.accepts_nonce(nonce, now)
    }
}

fn refusal(world: &World, lie: Lie, authorization: Option<&str>, body: &str) -> Option<Refusal> {
    let authorization: Vec<&[u8]> = authorization.iter().map(|value| value.as_bytes()).collect();
    let request = Request { authorization: &authorization, body: body.as_bytes(), ..Request::default() };
    let entropy = Entropy::from_bits([9; 16]);
    let step = Presented::of(&request).and_then(|p| world.endpoint.start(p, world.now, entropy));
    let answered =
        step.map_err(NotGranted::from).and_then(|step| drive(step, &Lying { world, lie }, world)).map(drop);
    match answered {
        Ok(()) => None,
        Err(NotGranted::Refused(refusal)) => Some(refusal),
        Err(other) => panic!("{other}"),
    }
}

const CREDENTIALS: &str = "grant_type=client_credentials&scope=catalog";

#[test]
fn ca_24_another_client_than_the_requested_one_is_not_authenticated() {
    let mut world = World::new();
    let key = ForeignKey::new(Some("k1"));
    world.change("c2", |c2| {
        c2.rights_mut().auth_method = tokenberg_core::AuthMethod::PrivateKeyJwt;
        c2.rights_mut().jwks = Some(key.jwks());
    });
    let now = world.now.as_seconds();
    let claims = |id: &str| serde_json::json!({"iss": id, "sub": id, "aud": "https://as.test", "jti": "j1", "exp": now + 60, "iat": now});
    let body = |id: &str| {
        format!(
            "{CREDENTIALS}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={}",
            key.sign(&claims(id))
        )
    };
    assert_eq!(refusal(&world, Lie::Nothing, None, &body("c2")), None);
    // An attacker signs as `C2`, and the adapter folds case.
    let folded = refusal(&world, Lie::Client("c2"), None, &body("C2"));
    assert!(matches!(folded, Some(Refusal::UnknownClient(_))), "{folded:?}");
    // The secret of another client, found and digested as that client's.
    let by_secret = refusal(&world, Lie::Client("c1"), Some("Basic QzE6czEtWjc="), CREDENTIALS);
    assert!(matches!(by_secret, Some(Refusal::UnknownClient(_))), "{by_secret:?}");
}

#[test]
fn ca_18_the_digest_of_another_secret_authenticates_no_client() {
    let world = World::new();
    let basic = Some("Basic YzE6czEtWjc=");
    assert_eq!(refusal(&world, Lie::Nothing, basic, CREDENTIALS), None);
    let other = refusal(&world, Lie::Digest("s2-Q4"), basic, CREDENTIALS);
    assert!(matches!(other, Some(Refusal::WrongSecret { .. })), "{other:?}");
}

#[test]
fn tx_35_an_answer_about_another_token_is_not_used_for_this_one() {
    let mut world = World::new();
    let token = at1(&mut world);
    let basic = Some("Basic YzE6czEtWjc=");
    let exchange = |token: &str| {
        format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        )
    };
    assert_eq!(refusal(&world, Lie::Nothing, basic, &exchange(&token)), None);
    // Signed by our key, for another issuer.
    let payload = CompactJws::parse(&token).unwrap().unverified_payload().clone();
    let elsewhere = changed(payload.into(), &serde_json::json!({"iss": "https://other.test"}));
    let header = serde_json::json!({"alg": "ES256", "typ": "at+jwt", "kid": world.kid()});
    let elsewhere = world.sign_raw(&header.to_string(), &elsewhere.to_string());
    let their: Issuer = "https://other.test".parse().unwrap();
    let read = refusal(&world, Lie::Reading(elsewhere.clone(), their), basic, &exchange(&token));
    assert!(matches!(read, Some(Refusal::SubjectToken(TokenFault::Issuer { .. }))), "{read:?}");
    // A valid token of a trusted issuer, which was not presented.
    let idp = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted("https://idp.test", &idp)];
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = vec!["https://idp.test|*".parse().unwrap()];
    });
    let good = idp.sign(&alice(&serde_json::json!({"aud": "https://as.test"})));
    assert_eq!(refusal(&world, Lie::Nothing, basic, &exchange(&good)), None);
    let foreign = refusal(&world, Lie::Foreign(good), basic, &exchange(&token));
    assert!(matches!(foreign, Some(Refusal::SubjectToken(TokenFault::Type(_)))), "{foreign:?}");
    let key = refusal(&world, Lie::Key, basic, &exchange(&token));
    let is_of_key = |fault: &SignatureFault| matches!(fault, SignatureFault::OtherKey(_));
    assert!(
        matches!(&key, Some(Refusal::SubjectToken(TokenFault::Signature(fault))) if is_of_key(fault)),
        "{key:?}"
    );
}
