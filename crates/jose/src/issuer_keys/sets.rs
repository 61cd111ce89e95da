//! Holds the keys of all issuers and fetches them: one fetch at a time per issuer, for any number of requests; conformance KS-06.

use super::document::{Published, published};
use super::entry::{Decision, Entry, Landed, Outage, Sought};
use super::fault::FetchFault;
use super::flight::{Flight, wait};
use super::limits::FetchLimits;
use super::{Fetch, FetchEvent};
use crate::parsed_sets::ParsedSets;
use crate::public_keys::PublicKeys;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_core::backends::{BoxFuture, KeysUnavailable};
use tokenberg_core::{
    CompactJws, Issuer, IssuerKeys, KeySource, Lifetime, SignatureFault, Timestamp, TrustedIssuer, Verified,
};

/// The maximum number of issuers whose keys are cached. The least recently used set is evicted first.
const MOST_ISSUERS: usize = 1000;

/// The keys of issuers that publish them: cached in memory, fetched when needed and as seldom as possible. Clones share the
/// cache.
#[derive(Clone)]
pub struct IssuerKeySets {
    shared: Arc<Shared>,
}

struct Shared {
    fetch: Box<dyn Fetch>,
    limits: FetchLimits,
    on_event: Box<dyn Fn(FetchEvent) + Send + Sync>,
    entries: Mutex<HashMap<Issuer, Entry>>,
    given: ParsedSets,
}

type Checked = Result<Result<Verified, SignatureFault>, KeysUnavailable>;

impl IssuerKeySets {
    /// Fetches by `fetch`, and reports each fetch to `on_event`. Both are called on separate threads, and `on_event` never about
    /// a token.
    #[must_use]
    pub fn new(
        fetch: impl Fetch,
        limits: FetchLimits,
        on_event: impl Fn(FetchEvent) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            fetch: Box::new(fetch),
            limits,
            on_event: Box::new(on_event),
            entries: Mutex::default(),
            given: ParsedSets::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// As [`IssuerKeys::verify`], but blocks this thread.
    ///
    /// # Errors
    /// If the keys are not available at present.
    pub fn verify_blocking(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        wait(self.verify(issuer, token, now))
    }

    /// Fetches the keys of an issuer once, on this thread, without caching them: a check that they are available. Keys that the
    /// operator gave are parsed.
    ///
    /// # Errors
    /// Why they are not available.
    pub fn fetched_once(&self, issuer: &TrustedIssuer) -> Result<PublicKeys, FetchFault> {
        let shared = &self.shared;
        published(&*shared.fetch, issuer, shared.limits.within).map(|published| published.keys)
    }

    /// The number of usable keys of an issuer; `None` if they were never fetched.
    #[must_use]
    pub fn usable_keys(&self, issuer: &TrustedIssuer, now: Timestamp) -> Option<usize> {
        let shared = &self.shared;
        match &issuer.trust.keys {
            KeySource::Jwks(text) => Some(shared.given.of(text).map_or(0, |keys| keys.len())),
            KeySource::JwksUri(_) | KeySource::Discovery => {
                let entries = shared.entries();
                let entry = entries.get(&issuer.issuer).filter(|entry| entry.source == issuer.trust.keys);
                entry?.usable_keys(now, &shared.limits)
            }
        }
    }

    /// Until when the fetched keys of an issuer are used if they cannot be fetched again; `None` if there are none, and for keys that
    /// the operator gave, which have no end.
    #[must_use]
    pub fn usable_until(&self, issuer: &TrustedIssuer, now: Timestamp) -> Option<Timestamp> {
        let entries = self.shared.entries();
        let entry = entries.get(&issuer.issuer).filter(|entry| entry.source == issuer.trust.keys);
        entry?.usable_until(now, &self.shared.limits)
    }

    /// The keys to verify the token with. A token waits for two fetches at most: one that was under way when it came, and one
    /// that began later.
    async fn keys(&self, issuer: &TrustedIssuer, sought: Sought<'_>) -> Result<Arc<PublicKeys>, Outage> {
        let mut is_after = false;
        loop {
            let flight = match self.shared.look(issuer, sought) {
                Found::Keys(keys) => return Ok(keys),
                Found::Nothing(outage) => return Err(outage),
                Found::Begun(flight) => {
                    is_after = true;
                    flight
                }
                Found::UnderWay(flight) => flight,
            };
            flight.landed().await;
            let landed = {
                let entries = self.shared.entries();
                let entry = entries.get(&issuer.issuer).filter(|entry| entry.source == issuer.trust.keys);
                entry.map_or_else(
                    || Landed::Unavailable(broke_off()),
                    |entry| entry.landed(sought, is_after, &self.shared.limits),
                )
            };
            match landed {
                Landed::Use(keys) => return Ok(keys),
                Landed::Unavailable(outage) => return Err(outage),
                Landed::Again => is_after = true,
            }
        }
    }
}

fn broke_off() -> Outage {
    Outage { fault: FetchFault::BrokeOff, retry_after: Lifetime::from_seconds(1) }
}

impl IssuerKeys for IssuerKeySets {
    fn verify<'a>(
        &'a self,
        issuer: &'a TrustedIssuer,
        token: &'a CompactJws,
        now: Timestamp,
    ) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let keys = match &issuer.trust.keys {
                KeySource::Jwks(text) => match self.shared.given.of(text) {
                    Ok(keys) => keys,
                    Err(_) => return Ok(Err(SignatureFault::no_key(token.header(), 0))),
                },
                KeySource::JwksUri(_) | KeySource::Discovery => {
                    let sought = Sought { token, now, leeway: issuer.trust.leeway };
                    self.keys(issuer, sought).await.map_err(|outage| KeysUnavailable {
                        issuer: issuer.issuer.as_str().into(),
                        reason: outage.fault.to_string(),
                        retry_after: outage.retry_after,
                    })?
                }
            };
            Ok(keys.verify_among(issuer.trust.accepted_algorithms(), token))
        })
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, HashMap<Issuer, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up the keys, and starts a fetch if one is needed.
    fn look(self: &Arc<Self>, issuer: &TrustedIssuer, sought: Sought<'_>) -> Found {
        let (source, now) = (&issuer.trust.keys, sought.now);
        let (found, flight) = {
            let mut entries = self.entries();
            if entries.get(&issuer.issuer).is_none_or(|entry| entry.source != *source) {
                make_room(&mut entries);
                entries.insert(issuer.issuer.clone(), Entry::new(source.clone(), now, &self.limits));
            }
            let Some(entry) = entries.get_mut(&issuer.issuer) else {
                return Found::Nothing(broke_off());
            };
            match entry.next(sought, &self.limits) {
                Decision::Use(keys) => return Found::Keys(keys),
                Decision::Wait(flight) => return Found::UnderWay(flight),
                Decision::Unavailable(outage) => return Found::Nothing(outage),
                Decision::UseAndFetch(keys) => (Found::Keys(keys), entry.begin(now)),
                Decision::Fetch => {
                    let flight = entry.begin(now);
                    (Found::Begun(Arc::clone(&flight)), flight)
                }
            }
        };
        let landing =
            Landing { shared: Arc::clone(self), issuer: issuer.issuer.clone(), flight, outcome: None };
        let trusted = issuer.clone();
        // One thread per issuer at most, and the operator lists the issuers. If the system gives no thread, dropping the landing
        // reports that.
        let _ =
            std::thread::Builder::new().name("issuer-keys".to_owned()).spawn(move || landing.fetch(&trusted));
        found
    }
}

/// What the cache has for a token.
enum Found {
    Keys(Arc<PublicKeys>),
    /// A fetch that has begun for it.
    Begun(Arc<Flight>),
    /// A fetch that had begun before.
    UnderWay(Arc<Flight>),
    Nothing(Outage),
}

/// A fetch under way. Dropping it, after a panic too, wakes all who wait.
struct Landing {
    shared: Arc<Shared>,
    issuer: Issuer,
    flight: Arc<Flight>,
    outcome: Option<Result<Published, FetchFault>>,
}

impl Landing {
    fn fetch(mut self, issuer: &TrustedIssuer) {
        let within = self.shared.limits.within;
        self.outcome = Some(published(&*self.shared.fetch, issuer, within));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Err(FetchFault::BrokeOff));
        let fresh_for = outcome.as_ref().map_or(Lifetime::ZERO, |published| published.fresh_for);
        let taken = match self.shared.entries().get_mut(&self.issuer) {
            Some(entry) => entry.take(&self.flight, outcome, &self.shared.limits),
            None => None,
        };
        self.flight.land();
        let issuer = self.issuer.clone();
        match taken {
            Some(Ok(keys)) => (self.shared.on_event)(FetchEvent::Fetched {
                issuer,
                keys: keys.len(),
                ignored: keys.ignored().to_vec(),
                left_out: keys.left_out(),
                fresh_for,
            }),
            Some(Err((fault, stale))) => (self.shared.on_event)(FetchEvent::Failed { issuer, fault, stale }),
            None => {}
        }
    }
}

/// Evicts one issuer if the cache is full.
fn make_room(entries: &mut HashMap<Issuer, Entry>) {
    if entries.len() < MOST_ISSUERS {
        return;
    }
    let idle = entries.iter().filter_map(|(issuer, entry)| Some((entry.idle_since()?, issuer)));
    if let Some(oldest) = idle.min().map(|(_, issuer)| issuer.clone()) {
        entries.remove(&oldest);
    }
}
