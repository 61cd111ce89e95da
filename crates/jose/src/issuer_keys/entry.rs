//! Decides per token whether to use the cached keys of its issuer, to fetch them, or to wait; conformance KS-06.

use super::budget::Budget;
use super::document::Published;
use super::fault::FetchFault;
use super::flight::Flight;
use super::limits::FetchLimits;
use crate::public_keys::PublicKeys;
use std::sync::Arc;
use tokenberg_core::{CompactJws, Excerpt, KeySource, Lifetime, Timestamp};

/// How long a stale set is used while it is fetched again. After that, requests wait for the fetch, so that a revoked key does
/// not verify after hours without requests.
const GRACE: Lifetime = Lifetime::from_seconds(60);

/// How far the clocks of two requests may differ. A greater step back means that the clock was set.
const CLOCK_NOISE: Lifetime = Lifetime::from_seconds(60);

/// The longest `Retry-After`: some clients sleep for all of it.
const LONGEST_WAIT: Lifetime = Lifetime::from_seconds(60);

/// The cached keys of one issuer, and the fetches of them.
pub(super) struct Entry {
    /// The source of the keys. A changed source invalidates the entry.
    pub(super) source: KeySource,
    set: Option<Set>,
    last: Option<Attempt>,
    flight: Option<Arc<Flight>>,
    /// The fetches that unknown keys may cause.
    budget: Budget,
    used_at: Timestamp,
}

struct Set {
    keys: Arc<PublicKeys>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
    sequence: Option<u64>,
}

struct Attempt {
    at: Timestamp,
    /// The number of consecutive failures.
    failures: u32,
    fault: Option<FetchFault>,
}

/// A token whose key is needed.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) token: &'a CompactJws,
    /// When the request arrived.
    pub(super) now: Timestamp,
    /// The tolerated difference between the issuer's clock and ours.
    pub(super) leeway: Lifetime,
}

impl Sought<'_> {
    fn is_known_to(&self, set: &Set) -> bool {
        set.keys.knows(self.token.header())
    }

    /// Whether the token's `iat` is before the fetch of the set. A false `iat` harms only the token itself.
    fn was_signed_before(&self, set: &Set) -> bool {
        let issued = self.token.unverified_payload().get("iat").and_then(serde_json::Value::as_f64);
        let seconds = issued.filter(|seconds| (0.0..9e15).contains(seconds)).map(|seconds| seconds as i64);
        let issued = seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok());
        issued.is_some_and(|issued| issued.plus(self.leeway) < set.fetched_at)
    }
}

/// What to do for a token.
pub(super) enum Decision {
    /// Use these keys.
    Use(Arc<PublicKeys>),
    /// Use these keys, and fetch them again in the background.
    UseAndFetch(Arc<PublicKeys>),
    /// Fetch them.
    Fetch,
    /// A fetch is under way.
    Wait(Arc<Flight>),
    /// No keys are available.
    Unavailable(Outage),
}

/// The result of a fetch that a token waited for.
pub(super) enum Landed {
    /// Use these keys.
    Use(Arc<PublicKeys>),
    /// No keys are available.
    Unavailable(Outage),
    /// The fetch began before the token came, and does not have its key: a later one might.
    Again,
}

/// Why keys are not available, and for how long at least.
pub(super) struct Outage {
    pub(super) fault: FetchFault,
    pub(super) retry_after: Lifetime,
}

impl Entry {
    pub(super) fn new(source: KeySource, now: Timestamp, limits: &FetchLimits) -> Self {
        let budget = Budget::full(limits, now);
        Self { source, set: None, last: None, flight: None, budget, used_at: now }
    }

    /// What to do for this token.
    pub(super) fn next(&mut self, sought: Sought<'_>, limits: &FetchLimits) -> Decision {
        let now = sought.now;
        self.used_at = now;
        self.notice_that_the_clock_was_set(now);
        let Some(set) = self.set.as_ref().filter(|set| set.is_usable(now, limits)) else {
            return self
                .fetched_or(Decision::Unavailable(self.outage(now, limits)), self.may_retry(now, limits));
        };
        let keys = Arc::clone(&set.keys);
        if !sought.is_known_to(set) {
            return self.next_for_unknown(sought, limits);
        }
        if now < set.fresh_until {
            return Decision::Use(keys);
        }
        // An issuer that is down must not delay every request.
        let need_not_wait = self.is_failing() || now < set.fresh_until.plus(GRACE);
        match (need_not_wait, self.flight.is_none() && self.may_retry(now, limits)) {
            (true, true) => Decision::UseAndFetch(keys),
            (true, false) => Decision::Use(keys),
            (false, may_fetch) => self.fetched_or(Decision::Use(keys), may_fetch),
        }
    }

    /// A key that is missing in the set may be new, which only the next fetch can show. Until then the token is not bad: clients
    /// give up on a 400. Only a token signed before the last fetch is known to have no key.
    fn next_for_unknown(&mut self, sought: Sought<'_>, limits: &FetchLimits) -> Decision {
        let now = sought.now;
        if self.flight.is_some() || self.is_failing() {
            return self
                .fetched_or(Decision::Unavailable(self.outage(now, limits)), self.may_retry(now, limits));
        }
        if self.budget.take(now, limits) {
            return Decision::Fetch;
        }
        match &self.set {
            Some(set) if sought.was_signed_before(set) => Decision::Use(Arc::clone(&set.keys)),
            Some(_) | None => {
                let retry_after = self.budget.wait(now, limits).min(LONGEST_WAIT);
                let kid = sought.token.header().kid.as_ref().map(|kid| Excerpt::of_claim(kid.as_str()));
                Decision::Unavailable(Outage { fault: FetchFault::UnknownKey(kid), retry_after })
            }
        }
    }

    /// What to do after the fetch that the token waited for; `is_after` says whether that fetch began after the token came.
    pub(super) fn landed(&self, sought: Sought<'_>, is_after: bool, limits: &FetchLimits) -> Landed {
        match self.set.as_ref().filter(|set| set.is_usable(sought.now, limits)) {
            Some(set) if sought.is_known_to(set) => Landed::Use(Arc::clone(&set.keys)),
            Some(set) if is_after && !self.is_failing() => Landed::Use(Arc::clone(&set.keys)),
            Some(_) if !self.is_failing() => Landed::Again,
            Some(_) | None => Landed::Unavailable(self.outage(sought.now, limits)),
        }
    }

    /// Begins a fetch.
    pub(super) fn begin(&mut self, now: Timestamp) -> Arc<Flight> {
        let failures = self.last.as_ref().map_or(0, |last| last.failures);
        let fault = self.last.take().and_then(|last| last.fault);
        self.last = Some(Attempt { at: now, failures, fault });
        let flight = Arc::new(Flight::default());
        self.flight = Some(Arc::clone(&flight));
        flight
    }

    /// Stores the result of a fetch, unless the source of the keys has changed meanwhile.
    pub(super) fn take(
        &mut self,
        flight: &Arc<Flight>,
        outcome: Result<Published, FetchFault>,
        limits: &FetchLimits,
    ) -> Option<Result<Arc<PublicKeys>, (FetchFault, bool)>> {
        if !self.flight.as_ref().is_some_and(|under_way| Arc::ptr_eq(under_way, flight)) {
            return None;
        }
        self.flight = None;
        let last = self.last.as_mut()?;
        let before = self.set.as_ref().filter(|set| set.is_usable(last.at, limits));
        let known = before.and_then(|set| set.sequence);
        let outcome = outcome.and_then(|published| match (known, published.sequence) {
            (Some(known), Some(published)) if published < known => {
                Err(FetchFault::Sequence { known, published })
            }
            (Some(_) | None, Some(_) | None) => Ok(published),
        });
        Some(match outcome {
            Ok(published) => {
                let keys = Arc::new(published.keys);
                (last.failures, last.fault) = if keys.is_empty() {
                    // The previous keys were revoked, and the next ones are not known yet.
                    (last.failures.saturating_add(1), Some(FetchFault::empty(&keys)))
                } else {
                    (0, None)
                };
                self.set = (!keys.is_empty()).then(|| Set {
                    keys: Arc::clone(&keys),
                    fetched_at: last.at,
                    fresh_until: last.at.plus(published.fresh_for),
                    sequence: published.sequence.or(known),
                });
                Ok(keys)
            }
            Err(fault) => {
                last.failures = last.failures.saturating_add(1);
                last.fault = Some(fault.clone());
                Err((fault, before.is_some()))
            }
        })
    }

    /// When a token last needed it, if it can be evicted.
    pub(super) fn idle_since(&self) -> Option<Timestamp> {
        self.flight.is_none().then_some(self.used_at)
    }

    /// The number of keys to verify with; `None` if they were never fetched.
    pub(super) fn usable_keys(&self, now: Timestamp, limits: &FetchLimits) -> Option<usize> {
        let set = self.set.as_ref().filter(|set| set.is_usable(now, limits));
        match set {
            Some(set) => Some(set.keys.len()),
            None => self.last.as_ref().filter(|last| last.failures > 0).map(|_| 0),
        }
    }

    /// Until when the set is used if no further fetch succeeds.
    pub(super) fn usable_until(&self, now: Timestamp, limits: &FetchLimits) -> Option<Timestamp> {
        let set = self.set.as_ref().filter(|set| set.is_usable(now, limits));
        set.map(|set| set.usable_until(limits))
    }

    fn fetched_or(&self, otherwise: Decision, may_fetch: bool) -> Decision {
        match &self.flight {
            Some(flight) => Decision::Wait(Arc::clone(flight)),
            None if may_fetch => Decision::Fetch,
            None => otherwise,
        }
    }

    fn is_failing(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.failures > 0)
    }

    fn outage(&self, now: Timestamp, limits: &FetchLimits) -> Outage {
        let last = self.last.as_ref();
        let next = last.map_or(now, |last| last.at.plus(limits.after_failures(last.failures.max(1))));
        Outage {
            fault: last.and_then(|last| last.fault.clone()).unwrap_or(FetchFault::BrokeOff),
            retry_after: next.since(now).clamp(Lifetime::from_seconds(1), LONGEST_WAIT),
        }
    }

    fn may_retry(&self, now: Timestamp, limits: &FetchLimits) -> bool {
        let Some(last) = &self.last else { return true };
        last.failures == 0 || now.since(last.at) >= limits.after_failures(last.failures)
    }

    /// Times in the future would prevent fetches until they come.
    fn notice_that_the_clock_was_set(&mut self, now: Timestamp) {
        let was_set = |then: Timestamp| then.since(now) > CLOCK_NOISE;
        self.budget.notice_clock(now, CLOCK_NOISE);
        if let Some(last) = self.last.as_mut().filter(|last| was_set(last.at)) {
            last.at = now;
        }
        if let Some(set) = self.set.as_mut().filter(|set| was_set(set.fetched_at)) {
            (set.fetched_at, set.fresh_until) = (now, now);
        }
    }
}

impl Set {
    fn is_usable(&self, now: Timestamp, limits: &FetchLimits) -> bool {
        now < self.usable_until(limits)
    }

    fn usable_until(&self, limits: &FetchLimits) -> Timestamp {
        self.fresh_until.max(self.fetched_at.plus(limits.longest_stale))
    }
}
