//! Bounds the work for a request of any sender, by counting queries instead of time; conformance AB-07 to AB-09, CJ-17, IN-05.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokenberg_core::answers::{SigningFault, SubjectStatus};
use tokenberg_core::jws::{Algorithms, DpopProof};
use tokenberg_core::{
    AccessTokenClaims, Answers, Blocking, Client, ClientId, CompactJws, Entropy, IntrospectionEndpoint,
    Issuer, Keys, Presented, PresentedToken, Request, Revocation, Secret, SecretDigest, SignatureFault,
    Timestamp, TokenType, TrustedIssuer, Verified, drive, inquire,
};
use tokenberg_testkit::{ForeignKey, NOW, World, alice, at1, trusted};

/// A world that counts the queries to it.
struct Counting<'a> {
    world: &'a World,
    verified: AtomicUsize,
    digested: AtomicUsize,
    looked_up: AtomicUsize,
    fetched: AtomicUsize,
}

impl<'a> Counting<'a> {
    fn new(world: &'a World) -> Self {
        let zero = AtomicUsize::default;
        Self { world, verified: zero(), digested: zero(), looked_up: zero(), fetched: zero() }
    }

    fn counts(&self) -> [usize; 4] {
        [&self.verified, &self.digested, &self.looked_up, &self.fetched].map(|c| c.load(Ordering::Relaxed))
    }

    fn count(counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Keys for Counting<'_> {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        self.world.keys().sign(claims, now)
    }
    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        Self::count(&self.verified);
        self.world.keys().verify(token, now)
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
        Self::count(&self.verified);
        self.world.keys().verify_with(jwks, accepted, token)
    }
    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        Self::count(&self.verified);
        self.world.keys().verify_proof(proof)
    }
}

impl Answers for Counting<'_> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        Self::count(&self.looked_up);
        self.world.client(id)
    }
    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        Self::count(&self.digested);
        self.world.digest(client_id, secret)
    }
    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        Self::count(&self.looked_up);
        self.world.revoked(token)
    }
    fn keys(&self) -> &dyn Keys {
        self
    }
    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.world.issuer(issuer)
    }
    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        self.world.federated(issuer, subject)
    }
    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        self.world.subject(issuer, subject, sub)
    }
    fn may_be_guessed(&self, secret: &Secret) -> bool {
        self.world.may_be_guessed(secret)
    }
    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        self.world.nonce(now)
    }
    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.world.accepts_nonce(nonce, now)
    }
}

impl Blocking for Counting<'_> {
    fn use_once(
        &self,
        once: &tokenberg_core::token::SingleUseId,
    ) -> Result<bool, tokenberg_core::backends::NotWritten> {
        self.world.use_once(once)
    }
    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, tokenberg_core::backends::KeysUnavailable> {
        Self::count(&self.fetched);
        Self::count(&self.verified);
        Blocking::verify(self.world, issuer, token, now)
    }
}

/// Verifications, digests, look-ups and fetches of a token request.
fn counts(world: &World, authorization: &str, dpop: Option<&str>, body: &str) -> (bool, [usize; 4]) {
    thread_local!(static MINTED: Cell<u128> = const { Cell::new(1 << 100) });
    let headers = [authorization.as_bytes()];
    let proofs: Vec<&[u8]> = dpop.iter().map(|proof| proof.as_bytes()).collect();
    let request = Request {
        authorization: if authorization.is_empty() { &[] } else { &headers },
        dpop: &proofs,
        body: body.as_bytes(),
        ..Request::default()
    };
    let entropy = Entropy::from_bits(MINTED.replace(MINTED.get() + 1).to_be_bytes());
    let counting = Counting::new(world);
    let presented = Presented::of(&request).unwrap();
    let outcome =
        world.endpoint.start(presented, world.now, entropy).map(|step| drive(step, &counting, &counting));
    (matches!(outcome, Ok(Ok(_))), counting.counts())
}

#[test]
fn ab_09_a_request_costs_three_verifications_and_one_fetch_at_most() {
    let (mut world, key, holder) = (World::new(), ForeignKey::new(Some("p1")), ForeignKey::new(None));
    world.issuers = vec![trusted("https://idp.test", &key)];
    world.issuers[0].trust.keys = tokenberg_core::KeySource::Discovery;
    world.fetched.insert("https://idp.test".to_owned(), Some(key.jwks()));
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["https://idp.test|*".parse().unwrap()]);
    let actor = at1(&mut world);
    let body = |subject: &str| {
        serde_urlencoded::to_string([
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", TokenType::IdToken.as_urn()),
            ("actor_token", &actor),
            ("actor_token_type", TokenType::AccessToken.as_urn()),
        ])
        .unwrap()
    };
    let good = key.sign(&alice(&json!({})));
    let bearer = format!("Bearer {actor}");
    let proof = holder.proof(world.now, "1", &json!({}));
    let (granted, [verified, digested, _, fetched]) = counts(&world, &bearer, Some(&proof), &body(&good));
    assert_eq!((granted, verified, digested, fetched), (true, 3, 0, 1));
    // A refused request costs no more, whatever it contains.
    let stranger = key.sign(&alice(&json!({"iss": "https://evil.test", "jku": "https://evil.test"})));
    let (granted, [verified, _, _, fetched]) = counts(&world, &bearer, Some(&proof), &body(&stranger));
    assert_eq!((granted, verified, fetched), (false, 2, 0));
}

#[test]
fn ab_09_no_proof_is_verified_for_an_unauthenticated_caller() {
    let (mut world, holder) = (World::new(), ForeignKey::new(None));
    let (token, other) = (at1(&mut world), at1(&mut World::new()));
    let proof = holder.proof(world.now, "1", &json!({}));
    let exchange = |token: &str| {
        format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}&subject_token_type={}",
            TokenType::AccessToken.as_urn()
        )
    };
    let credentials = "grant_type=client_credentials";
    for (what, authorization, body, expected) in [
        ("a wrong secret", "Basic YzE6eA==".to_owned(), credentials.to_owned(), 0),
        ("an unknown client", "Basic eDp4".to_owned(), credentials.to_owned(), 0),
        ("a token of another world", format!("Bearer {other}"), exchange(&other), 1),
        ("the right secret", "Basic YzE6czEtWjc=".to_owned(), credentials.to_owned(), 1),
        ("the right token", format!("Bearer {token}"), exchange(&token), 2),
    ] {
        let (_, [verified, ..]) = counts(&world, &authorization, Some(&proof), &body);
        assert_eq!(verified, expected, "{what}");
    }
}

#[test]
fn ab_06_ab_08_cj_17_unknown_and_known_cost_the_same() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
    let mut cj = tokenberg_testkit::client("cj", "x", "catalog");
    cj.secrets = Vec::new().into();
    cj.rights_mut().auth_method = tokenberg_core::AuthMethod::PrivateKeyJwt;
    cj.rights_mut().jwks = Some(key.jwks());
    world.register(cj);
    let by_secret = |id: &str, secret: &str| {
        counts(
            &world,
            "",
            None,
            &format!("grant_type=client_credentials&client_id={id}&client_secret={secret}"),
        )
        .1
    };
    let expected = by_secret("c1", "wrong");
    for (id, secret) in [
        ("unknown", "x"),
        ("coff", "soff"),
        ("cexp", "sexp"),
        ("cj", "x"),
        ("cnone", "x"),
        ("c1", &"x".repeat(1000)),
    ] {
        assert_eq!(by_secret(id, secret), expected, "{id}");
    }
    let by_assertion = |id: &str, signer: &ForeignKey| {
        let claims =
            json!({"iss": id, "sub": id, "aud": tokenberg_testkit::ISSUER, "exp": NOW + 60, "jti": id});
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", tokenberg_core::request::AssertionKind::JwtBearer.as_parameter()),
            ("client_assertion", &signer.sign(&claims)),
        ];
        counts(&world, "", None, &serde_urlencoded::to_string(form).unwrap()).1
    };
    let other = ForeignKey::new(Some("k1"));
    let expected = by_assertion("cj", &other);
    assert_eq!(expected[0], 1, "one verification");
    for (id, signer) in
        [("unknown", &key), ("c1", &key), ("coff", &key), ("cj", &ForeignKey::new(Some("k9")))]
    {
        assert_eq!(by_assertion(id, signer), expected, "{id}");
    }
}

#[test]
fn in_05_ab_07_after_its_signature_every_inactive_token_is_checked_alike() {
    let mut world = World::new();
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://other.test".into()]);
    let token = at1(&mut world);
    let introspected = |world: &World| {
        let body = format!("token={token}&client_id=c2&client_secret=s2-Q4");
        let presented = PresentedToken::of(&Request { body: body.as_bytes(), ..Request::default() }).unwrap();
        let counting = Counting::new(world);
        let endpoint = IntrospectionEndpoint::of(&world.endpoint);
        let introspected =
            inquire(endpoint.start(presented, world.now).unwrap(), &counting, &counting).unwrap();
        assert_eq!(introspected.to_json(), r#"{"active":false}"#);
        counting.counts()
    };
    let invisible = introspected(&world);
    world.change("c1", |c1| c1.enabled = false);
    assert_eq!(introspected(&world), invisible, "disabled");
    world.change("c1", |c1| c1.enabled = true);
    let framed = CompactJws::parse(&token).map_err(|fault| fault.to_string()).unwrap();
    let claims = AccessTokenClaims::read(framed.unverified_payload()).unwrap();
    world.revoked.push(Revocation::Token(claims.token_id));
    assert_eq!(introspected(&world), invisible, "revoked");
    world.unregister("c1");
    assert_eq!(introspected(&world), invisible, "gone");
}
