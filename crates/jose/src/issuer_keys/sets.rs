//! Holds the keys of all issuers and fetches them: one fetch at a time for an issuer, however many requests wait; conformance KS-06.

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
use tokenberg_core::{
    CompactJws, Issuer, IssuerKeys, KeySource, KeysUnavailable, Lifetime, SignatureFault, Timestamp,
    TrustedIssuer, Verified, Waiting,
};

/// The most issuers whose keys are held. The least recently used set is evicted first.
const MOST_ISSUERS: usize = 1000;

/// The keys of issuers that publish them: held in memory, fetched when they are needed and as seldom as can be. A clone holds the
/// same ones.
#[derive(Clone)]
pub struct IssuerKeySets {
    shared: Arc<Shared>,
}

struct Shared {
    fetch: Box<dyn Fetch>,
    limits: FetchLimits,
    told: Box<dyn Fn(FetchEvent) + Send + Sync>,
    entries: Mutex<HashMap<Issuer, Entry>>,
    given: ParsedSets,
}

type Checked = Result<Result<Verified, SignatureFault>, KeysUnavailable>;

impl IssuerKeySets {
    /// Asks by `fetch`, and tells `told` of each time. Both are called on threads of their own, `told` never for a token.
    #[must_use]
    pub fn new(
        fetch: impl Fetch,
        limits: FetchLimits,
        told: impl Fn(FetchEvent) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            fetch: Box::new(fetch),
            limits,
            told: Box::new(told),
            entries: Mutex::default(),
            given: ParsedSets::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// As [`IssuerKeys::verify`], but waits on this thread.
    ///
    /// # Errors
    /// If the keys cannot be had at present.
    pub fn verify_blocking(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        wait(self.verify(issuer, token, now))
    }

    /// Fetches the keys of an issuer once, on this thread, and keeps nothing: to see whether they can be had. Keys that the
    /// operator gave are read.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn fetched_once(&self, issuer: &TrustedIssuer) -> Result<PublicKeys, FetchFault> {
        let shared = &self.shared;
        published(&*shared.fetch, issuer, shared.limits.within).map(|published| published.keys)
    }

    /// The number of usable keys of an issuer; `None` if they are fetched and never were so far.
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

    /// The keys that the token is to be verified with. A token waits for two fetches at most: one that had begun when it came, and one
    /// that has begun since.
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
    ) -> Waiting<'a, Checked> {
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

    /// Looks for the keys; what has to be fetched is on its way by then.
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
        // One thread for each issuer at most, and those are on the operator's list. If there is none to be had, dropping
        // the landing says so.
        let _ =
            std::thread::Builder::new().name("issuer-keys".to_owned()).spawn(move || landing.fetch(&trusted));
        found
    }
}

/// What there is for a token.
enum Found {
    Keys(Arc<PublicKeys>),
    /// A fetch that has begun for it.
    Begun(Arc<Flight>),
    /// A fetch that had begun before.
    UnderWay(Arc<Flight>),
    Nothing(Outage),
}

/// A fetch under way. Whatever becomes of it, dropping it lets everybody go on who waits.
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
            Some(Ok(keys)) => (self.shared.told)(FetchEvent::Fetched {
                issuer,
                keys: keys.len(),
                ignored: keys.ignored().to_vec(),
                left_out: keys.left_out(),
                fresh_for,
            }),
            Some(Err((fault, stale))) => (self.shared.told)(FetchEvent::Failed { issuer, fault, stale }),
            None => {}
        }
    }
}

/// Evicts one issuer if there are too many.
fn make_room(entries: &mut HashMap<Issuer, Entry>) {
    if entries.len() < MOST_ISSUERS {
        return;
    }
    let idle = entries.iter().filter_map(|(issuer, entry)| Some((entry.idle_since()?, issuer)));
    if let Some(oldest) = idle.min().map(|(_, issuer)| issuer.clone()) {
        entries.remove(&oldest);
    }
}
