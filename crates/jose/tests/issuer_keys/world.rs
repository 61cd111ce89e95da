//! The issuers of these tests: keys, tokens, and pages that a counting `Fetch` serves.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokenberg_core::backends::{BoxFuture, KeysUnavailable};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{
    AccessTokenClaims, CompactJws, Issuer, IssuerKeys, KeySource, Keys, SignatureFault, Timestamp, Trust,
    TrustedIssuer, Verified,
};
use tokenberg_jose::{Address, Document, Fetch, FetchEvent, FetchLimits, IssuerKeySets, Keyring, generate};

pub(crate) const IDP: &str = "https://idp.test";
pub(crate) const JWKS: &str = "https://idp.test/jwks";

pub(crate) type Checked = Result<Result<Verified, SignatureFault>, KeysUnavailable>;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds).unwrap()
}

/// The pages of the web.
#[derive(Default)]
pub(crate) struct Pages {
    pages: Mutex<HashMap<String, Document>>,
    requests: Mutex<Vec<String>>,
    /// The end of the addresses that do not respond.
    hanging: Mutex<Option<&'static str>>,
    change: Condvar,
}

impl Pages {
    pub(crate) fn put(&self, url: &str, body: impl Into<Vec<u8>>) {
        self.answer(url, 200, body, None);
    }

    pub(crate) fn answer(
        &self,
        url: &str,
        status: u16,
        body: impl Into<Vec<u8>>,
        cache_control: Option<&str>,
    ) {
        let document =
            Document { status, body: body.into(), cache_control: cache_control.map(str::to_owned) };
        self.pages.lock().unwrap().insert(url.to_owned(), document);
    }

    /// Takes all pages down.
    pub(crate) fn remove(&self) {
        self.pages.lock().unwrap().clear();
    }

    /// While true, nothing responds.
    pub(crate) fn hang(&self, is_hanging: bool) {
        self.hang_at(is_hanging.then_some(""));
    }

    /// Only addresses with this end hang.
    pub(crate) fn hang_at(&self, end: Option<&'static str>) {
        *self.hanging.lock().unwrap() = end;
        self.change.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

struct Web(Arc<Pages>);

impl Fetch for Web {
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String> {
        assert!(largest <= 1024 * 1024 && within <= Duration::from_secs(5));
        self.0.requests.lock().unwrap().push(address.as_str().to_owned());
        let mut hanging = self.0.hanging.lock().unwrap();
        while hanging.is_some_and(|end| address.as_str().ends_with(end)) {
            hanging = self.0.change.wait(hanging).unwrap();
        }
        drop(hanging);
        assert!(!address.as_str().ends_with("/panic"), "a fetch that panics");
        let pages = self.0.pages.lock().unwrap();
        pages.get(address.as_str()).cloned().ok_or_else(|| "connection refused".to_owned())
    }
}

/// The keys of issuers, and the web that they come from.
pub(crate) struct Held {
    pub(crate) sets: IssuerKeySets,
    pub(crate) pages: Arc<Pages>,
    pub(crate) events: Receiver<FetchEvent>,
}

impl Held {
    pub(crate) fn new() -> Self {
        let pages = Arc::new(Pages::default());
        let (sender, events) = channel();
        let on_event = move |event| sender.send(event).unwrap();
        let sets = IssuerKeySets::new(Web(Arc::clone(&pages)), FetchLimits::default(), on_event);
        Self { sets, pages, events }
    }

    /// Verifies, and waits as long as needed.
    pub(crate) fn verify(&self, issuer: &TrustedIssuer, token: &CompactJws, now: i64) -> Checked {
        without_facts(self.sets.verify_blocking(issuer, token, at(now)))
    }

    /// Verifies, which must not wait.
    pub(crate) fn verify_at_once(&self, issuer: &TrustedIssuer, token: &CompactJws, now: i64) -> Checked {
        Watched::of(self.sets.verify(issuer, token, at(now))).poll().unwrap()
    }

    /// The next event, which a thread may not have sent yet.
    pub(crate) fn event(&self) -> FetchEvent {
        self.events.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// The number of keys in the next event, which must be a success.
    pub(crate) fn fetched(&self) -> usize {
        match self.event() {
            FetchEvent::Fetched { keys, .. } => keys,
            FetchEvent::Failed { fault, .. } => panic!("{fault}"),
        }
    }

    /// The fault of the next event, and whether the previous keys stay in use.
    pub(crate) fn failed(&self) -> (String, bool) {
        match self.event() {
            FetchEvent::Failed { fault, stale, .. } => (fault.to_string(), stale),
            FetchEvent::Fetched { keys, .. } => panic!("{keys} keys"),
        }
    }
}

/// A future with a counting waker.
pub(crate) struct Watched<'a> {
    future: BoxFuture<'a, Checked>,
    pub(crate) answer: Option<Checked>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<'a> Watched<'a> {
    pub(crate) fn of(future: BoxFuture<'a, Checked>) -> Self {
        Self { future, answer: None, wakes: Arc::default() }
    }

    pub(crate) fn poll(&mut self) -> Option<Checked> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(without_facts(answer)),
            Poll::Pending => None,
        }
    }

    /// Polls until it is ready.
    pub(crate) fn wait(&mut self) -> Checked {
        loop {
            match self.poll() {
                Some(answer) => return answer,
                None => std::thread::yield_now(),
            }
        }
    }

    /// Polls until it is ready; later calls return the same answer.
    pub(crate) fn poll_again(&mut self) -> Option<&Checked> {
        if self.answer.is_none() {
            self.answer = self.poll();
        }
        self.answer.as_ref()
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn issuer(name: &str, keys: KeySource) -> TrustedIssuer {
    TrustedIssuer { issuer: Issuer::foreign(name).unwrap(), enabled: true, trust: Trust::new(keys) }
}

/// A token of the signer with this `iat`; most tests do not need it.
pub(crate) fn token_made(signer: &Signer, iat: i64) -> CompactJws {
    let token = signer.token();
    let mut parts = token.expose().split('.');
    let (header, signature) = (parts.next().unwrap(), parts.nth(1).unwrap());
    let payload = URL_SAFE_NO_PAD.encode(json!({"iat": 1_800_000_000 + iat}).to_string());
    CompactJws::parse(&format!("{header}.{payload}.{signature}")).ok().unwrap()
}

/// The issuer of most tests.
pub(crate) fn idp() -> TrustedIssuer {
    issuer(IDP, KeySource::JwksUri(JWKS.into()))
}

/// Another party's key.
pub(crate) struct Signer(Keyring);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(Keyring::read(&[generate(Algorithm::ES256, at(0), at(0)).unwrap()], at(0)).unwrap())
    }

    pub(crate) fn jwk(&self) -> Value {
        serde_json::from_str::<Value>(&self.0.jwks()).unwrap()["keys"][0].clone()
    }

    pub(crate) fn token(&self) -> CompactJws {
        let payload = json!({"iss": IDP, "aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,
            "jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
        let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
        CompactJws::parse(self.0.sign(&claims, at(0)).unwrap().expose()).ok().unwrap()
    }
}

/// A token that names a key which does not exist.
pub(crate) fn token_of(kid: &str) -> CompactJws {
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "kid": kid}).to_string());
    CompactJws::parse(&format!("{header}.e30.{}", URL_SAFE_NO_PAD.encode([1; 64]))).ok().unwrap()
}

pub(crate) fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

pub(crate) fn is_good(answer: Checked) -> bool {
    matches!(answer, Ok(Ok(_)))
}

pub(crate) fn is_outage(answer: Checked) -> bool {
    answer.is_err()
}

/// `Retry-After` in seconds, if it is an outage.
pub(crate) fn retry_after(answer: Checked) -> Option<u32> {
    answer.err().map(|outage| outage.retry_after.as_seconds())
}

/// The fault that no key fits, without a hint at a cause.
pub(crate) const NO_KEY: Checked = Ok(Err(SignatureFault::NoKeys));

fn without_facts(answer: Checked) -> Checked {
    match answer {
        Ok(Err(SignatureFault::NoKey(_))) => NO_KEY,
        other => other,
    }
}
