//! Clients' view of an issuer whose keys are fetched: a token, a refusal, or an outage; conformance KS-06 over HTTP.

use crate::check::*;
use crate::world::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokenberg_actix::{Fixed, TokenService};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, Issuer, KeySource, Keys, Policy, Revocation, Secret,
    SecretDigest, Timestamp, TrustedIssuer,
};
use tokenberg_jose::{Address, Document, Fetch, FetchLimits, IssuerKeySets};
use tokenberg_testkit::{ForeignKey, alice, trusted};

const ID_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";

/// The world of the other tests, with an issuer that publishes its keys.
struct WithIssuer {
    world: Arc<World>,
    issuer: Arc<TrustedIssuer>,
}

impl Answers for WithIssuer {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        let client = Answers::client(&*self.world, id)?;
        let mut client = Client::clone(&client);
        client.rights_mut().may_act_for.push("https://idp.test|*".parse().unwrap());
        Some(Arc::new(client))
    }
    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        Answers::digest(&*self.world, client_id, secret)
    }
    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool {
        Answers::is_costly(&*self.world, client_id, secret)
    }
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        Answers::revoked(&*self.world, token)
    }
    fn keys(&self) -> &dyn Keys {
        Answers::keys(&*self.world)
    }
    fn may_be_guessed(&self, secret: &Secret) -> bool {
        Answers::may_be_guessed(&*self.world, secret)
    }
    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        Answers::federated(&*self.world, issuer, subject)
    }
    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        Answers::subject(&*self.world, issuer, subject, sub)
    }
    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        Answers::nonce(&*self.world, now)
    }
    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        Answers::accepts_nonce(&*self.world, nonce, now)
    }
    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        (self.issuer.issuer.as_str() == issuer).then(|| Arc::clone(&self.issuer))
    }
}

/// The pages of the issuer, unless it is down, and the number of requests for them.
#[derive(Default)]
struct Published {
    jwks: Mutex<Option<String>>,
    requests: AtomicUsize,
}

struct Web(Arc<Published>);

impl Fetch for Web {
    fn fetch(&self, address: &Address, _: usize, _: Duration) -> Result<Document, String> {
        assert_eq!(address.as_str(), "https://idp.test/jwks");
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        match &*self.0.jwks.lock().unwrap() {
            Some(jwks) => Ok(Document { status: 200, body: jwks.clone().into_bytes(), cache_control: None }),
            None => Err("connection refused".to_owned()),
        }
    }
}

fn service(world: &Arc<World>, published: &Arc<Published>) -> TokenService {
    let mut issuer = trusted("https://idp.test", &ForeignKey::new(None));
    issuer.trust.keys = KeySource::JwksUri("https://idp.test/jwks".into());
    let clock = Arc::clone(&world.clock);
    let answers = WithIssuer { world: Arc::clone(world), issuer: Arc::new(issuer) };
    let keys = IssuerKeySets::new(Web(Arc::clone(published)), FetchLimits::default(), |_| ());
    TokenService::builder(Policy::new(ISSUER.parse().unwrap()), Fixed::from(Arc::new(answers)))
        .audiences([AUDIENCE])
        .issuer_keys(keys)
        .clock(move || at(clock.load(Ordering::SeqCst)))
        .build()
}

fn exchange(id_token: &str) -> Ask {
    form(format!("{EXCHANGE}&subject_token={id_token}&subject_token_type={ID_TOKEN}&scope=catalog")).basic(C1)
}

#[actix_web::test]
async fn ks_06_a_users_token_is_exchanged_with_keys_that_were_fetched() {
    let (world, published) = (World::new(), Arc::<Published>::default());
    let service = service(&world, &published);
    let (first, second) = (ForeignKey::new(Some("1")), ForeignKey::new(Some("2")));
    let token = |key: &ForeignKey| key.sign(&alice(&serde_json::json!({})));

    // Whether the token is valid is unknown, so it is not reported as invalid.
    let answer = check(&service, &exchange(&token(&first)), E(503, "temporarily_unavailable")).await;
    assert!(answer.header("Retry-After").is_some());
    assert!(!answer.text().contains("connection refused"));
    *published.jwks.lock().unwrap() = Some(first.jwks().into());
    check(&service, &exchange(&token(&first)), E(503, "temporarily_unavailable")).await;
    world.pass(10);
    let answer = check(&service, &exchange(&token(&first)), Expected::Ok).await;
    assert_eq!(claims(answer.json()["access_token"].as_str().unwrap())["sub"], "alice");
    assert_eq!(published.requests.load(Ordering::SeqCst), 2);

    // The issuer rotates: the new key is fetched at once, and the old one is gone.
    *published.jwks.lock().unwrap() = Some(second.jwks().into());
    check(&service, &exchange(&token(&second)), Expected::Ok).await;
    check(&service, &exchange(&token(&first)), E(400, "invalid_request")).await;
    assert_eq!(published.requests.load(Ordering::SeqCst), 4);

    // An unknown key is a bad token as long as a fetch can show that, and an outage until then.
    let stranger = ForeignKey::new(Some("3"));
    check(&service, &exchange(&token(&stranger)), E(400, "invalid_request")).await;
    for _ in 0..20 {
        let answer = check(&service, &exchange(&token(&stranger)), E(503, "temporarily_unavailable")).await;
        let seconds: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        check(&service, &exchange(&token(&second)), Expected::Ok).await;
    }
    assert_eq!(published.requests.load(Ordering::SeqCst), 5);
    world.pass(60);
    check(&service, &exchange(&token(&stranger)), E(400, "invalid_request")).await;
    // Its own `iat` is before the last fetch.
    check(&service, &exchange(&token(&stranger)), E(400, "invalid_request")).await;
    assert_eq!(published.requests.load(Ordering::SeqCst), 6);

    // Known keys stay in use while it is down.
    *published.jwks.lock().unwrap() = None;
    world.pass(700);
    check(&service, &exchange(&token(&second)), Expected::Ok).await;
}

#[actix_web::test]
async fn ks_06_without_a_fetcher_such_an_issuer_is_an_outage() {
    let world = World::new();
    let mut issuer = trusted("https://idp.test", &ForeignKey::new(None));
    issuer.trust.keys = KeySource::Discovery;
    let clock = Arc::clone(&world.clock);
    let answers = WithIssuer { world: Arc::clone(&world), issuer: Arc::new(issuer) };
    let service = TokenService::builder(Policy::new(ISSUER.parse().unwrap()), Fixed::from(Arc::new(answers)))
        .clock(move || at(clock.load(Ordering::SeqCst)))
        .build();
    let token = ForeignKey::new(Some("1")).sign(&alice(&serde_json::json!({})));
    check(&service, &exchange(&token), E(503, "temporarily_unavailable")).await;
}
