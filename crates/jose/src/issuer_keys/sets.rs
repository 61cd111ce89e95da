//! Who holds the keys of all issuers, and asks for them? One flight for an issuer, however many wait; conformance KS-06.

use super::document::{Published, published};
use super::entry::{Decision, Entry};
use super::fault::FetchFault;
use super::flight::{Flight, wait};
use super::limits::FetchLimits;
use super::{Fetch, FetchEvent};
use crate::parsed_sets::ParsedSets;
use crate::public_keys::PublicKeys;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_core::{
    CompactJws, Header, Issuer, IssuerKeys, KeySource, KeysUnavailable, Lifetime, SignatureFault, Timestamp,
    TrustedIssuer, Verified, Waiting,
};

/// The most issuers whose keys are held. Who was not asked for longest is forgotten first.
const MOST_ISSUERS: usize = 1000;

/// The keys of issuers that publish them: held in memory, asked for when they are needed and as seldom as can be.
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
        published(&*shared.fetch, &issuer.issuer, &issuer.trust.keys, shared.limits.within)
            .map(|published| published.keys)
    }

    async fn keys(
        &self,
        issuer: &TrustedIssuer,
        header: &Header,
        now: Timestamp,
    ) -> Result<Arc<PublicKeys>, FetchFault> {
        let flight = match self.shared.look(issuer, header, now) {
            Found::Keys(keys) => return Ok(keys),
            Found::Nothing(fault) => return Err(fault),
            Found::Flight(flight) => flight,
        };
        flight.landed().await;
        let entries = self.shared.entries();
        let entry = entries.get(&issuer.issuer).filter(|entry| entry.source == issuer.trust.keys);
        entry.ok_or(FetchFault::BrokeOff)?.landed(header, now, &self.shared.limits)
    }
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
                    Err(_) => return Ok(Err(SignatureFault::NoKey)),
                },
                KeySource::JwksUri(_) | KeySource::Discovery => {
                    self.keys(issuer, token.header(), now).await.map_err(|fault| KeysUnavailable {
                        issuer: issuer.issuer.as_str().into(),
                        reason: fault.to_string(),
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
    fn look(self: &Arc<Self>, issuer: &TrustedIssuer, header: &Header, now: Timestamp) -> Found {
        let source = &issuer.trust.keys;
        let (found, flight) = {
            let mut entries = self.entries();
            if entries.get(&issuer.issuer).is_none_or(|entry| entry.source != *source) {
                make_room(&mut entries);
                entries.insert(issuer.issuer.clone(), Entry::new(source.clone(), now));
            }
            let Some(entry) = entries.get_mut(&issuer.issuer) else {
                return Found::Nothing(FetchFault::BrokeOff);
            };
            match entry.next(header, now, &self.limits) {
                Decision::Use(keys) => return Found::Keys(keys),
                Decision::Wait(flight) => return Found::Flight(flight),
                Decision::Unavailable(fault) => return Found::Nothing(fault),
                Decision::UseAndFetch(keys) => (Found::Keys(keys), entry.begin(now)),
                Decision::Fetch => {
                    let flight = entry.begin(now);
                    (Found::Flight(Arc::clone(&flight)), flight)
                }
            }
        };
        let landing =
            Landing { shared: Arc::clone(self), issuer: issuer.issuer.clone(), flight, outcome: None };
        let source = source.clone();
        // One thread for each issuer at most, and those are on the operator's list. If there is none to be had, dropping
        // the landing says so.
        let _ =
            std::thread::Builder::new().name("issuer-keys".to_owned()).spawn(move || landing.fetch(&source));
        found
    }
}

/// What there is for a token.
enum Found {
    Keys(Arc<PublicKeys>),
    Flight(Arc<Flight>),
    Nothing(FetchFault),
}

/// A fetch under way. Whatever becomes of it, dropping it lets everybody go on who waits.
struct Landing {
    shared: Arc<Shared>,
    issuer: Issuer,
    flight: Arc<Flight>,
    outcome: Option<Result<Published, FetchFault>>,
}

impl Landing {
    fn fetch(mut self, source: &KeySource) {
        let within = self.shared.limits.within;
        self.outcome = Some(published(&*self.shared.fetch, &self.issuer, source, within));
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
                fresh_for,
            }),
            Some(Err((fault, stale))) => (self.shared.told)(FetchEvent::Failed { issuer, fault, stale }),
            None => {}
        }
    }
}

/// Forgets one issuer if there are too many.
fn make_room(entries: &mut HashMap<Issuer, Entry>) {
    if entries.len() < MOST_ISSUERS {
        return;
    }
    let idle = entries.iter().filter_map(|(issuer, entry)| Some((entry.idle_since()?, issuer)));
    if let Some(oldest) = idle.min().map(|(_, issuer)| issuer.clone()) {
        entries.remove(&oldest);
    }
}
