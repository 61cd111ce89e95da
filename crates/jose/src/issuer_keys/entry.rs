//! Use what is there, ask, or wait? What is known of one issuer's keys, and what follows from it; conformance KS-06.

use super::document::Published;
use super::fault::FetchFault;
use super::flight::Flight;
use super::limits::FetchLimits;
use crate::public_keys::PublicKeys;
use std::sync::Arc;
use tokenberg_core::{Header, KeySource, Lifetime, Timestamp};

/// How long after it has ceased to be fresh a set is used while it is asked for again. Later, whoever needs it waits, so that
/// a key that was taken back does not verify on a quiet day.
const GRACE: Lifetime = Lifetime::from_seconds(60);

/// How far the clocks of two requests may lie apart. If time goes back further, the clock was set.
const CLOCK_NOISE: Lifetime = Lifetime::from_seconds(60);

/// What is known of one issuer's keys.
pub(super) struct Entry {
    /// Where they come from. Other keys come from elsewhere.
    pub(super) source: KeySource,
    set: Option<Set>,
    last: Option<Attempt>,
    flight: Option<Arc<Flight>>,
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
    /// How many in a row have failed by now.
    failures: u32,
    fault: Option<FetchFault>,
}

/// What is to be done for a token.
pub(super) enum Decision {
    /// These keys are to be used.
    Use(Arc<PublicKeys>),
    /// These keys are to be used, and asked for again meanwhile.
    UseAndFetch(Arc<PublicKeys>),
    /// They are to be asked for.
    Fetch,
    /// Somebody has asked already.
    Wait(Arc<Flight>),
    /// They cannot be had.
    Unavailable(FetchFault),
}

impl Entry {
    pub(super) fn new(source: KeySource, now: Timestamp) -> Self {
        Self { source, set: None, last: None, flight: None, used_at: now }
    }

    /// What is to be done for a token with this header.
    pub(super) fn next(&mut self, header: &Header, now: Timestamp, limits: &FetchLimits) -> Decision {
        self.used_at = now;
        self.notice_that_the_clock_was_set(now);
        let Some(set) = self.set.as_ref().filter(|set| set.is_usable(now, limits)) else {
            return self.fetched_or(Decision::Unavailable(self.fault()), self.may_retry(now, limits));
        };
        let keys = Arc::clone(&set.keys);
        if !keys.knows(header) {
            let otherwise =
                if self.is_failing() { Decision::Unavailable(self.fault()) } else { Decision::Use(keys) };
            return self.fetched_or(otherwise, self.may_seek_a_key(now, limits));
        }
        if now < set.fresh_until {
            return Decision::Use(keys);
        }
        // An issuer that is down does not make everybody wait, again and again.
        let need_not_wait = self.is_failing() || now < set.fresh_until.plus(GRACE);
        match (need_not_wait, self.flight.is_none() && self.may_retry(now, limits)) {
            (true, true) => Decision::UseAndFetch(keys),
            (true, false) => Decision::Use(keys),
            (false, may_fetch) => self.fetched_or(Decision::Use(keys), may_fetch),
        }
    }

    /// What is to be done once the fetch that was waited for has landed: nobody waits twice.
    pub(super) fn landed(
        &self,
        header: &Header,
        now: Timestamp,
        limits: &FetchLimits,
    ) -> Result<Arc<PublicKeys>, FetchFault> {
        match self.set.as_ref().filter(|set| set.is_usable(now, limits)) {
            Some(set) if !self.is_failing() || set.keys.knows(header) => Ok(Arc::clone(&set.keys)),
            Some(_) | None => Err(self.fault()),
        }
    }

    /// Begins to ask.
    pub(super) fn begin(&mut self, now: Timestamp) -> Arc<Flight> {
        let failures = self.last.as_ref().map_or(0, |last| last.failures);
        let fault = self.last.take().and_then(|last| last.fault);
        self.last = Some(Attempt { at: now, failures, fault });
        let flight = Arc::new(Flight::default());
        self.flight = Some(Arc::clone(&flight));
        flight
    }

    /// Takes what came of it, unless it was asked where the keys do not come from any more.
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
        let had = before.and_then(|set| set.sequence);
        let outcome = outcome.and_then(|published| match (had, published.sequence) {
            (Some(had), Some(came)) if came < had => Err(FetchFault::Sequence { had, came }),
            (Some(_) | None, Some(_) | None) => Ok(published),
        });
        Some(match outcome {
            Ok(published) => {
                let keys = Arc::new(published.keys);
                (last.failures, last.fault) = (0, None);
                self.set = Some(Set {
                    keys: Arc::clone(&keys),
                    fetched_at: last.at,
                    fresh_until: last.at.plus(published.fresh_for),
                    sequence: published.sequence.or(had),
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

    /// When it was last asked for, and whether it can be forgotten.
    pub(super) fn idle_since(&self) -> Option<Timestamp> {
        self.flight.is_none().then_some(self.used_at)
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

    fn fault(&self) -> FetchFault {
        self.last.as_ref().and_then(|last| last.fault.clone()).unwrap_or(FetchFault::BrokeOff)
    }

    fn may_retry(&self, now: Timestamp, limits: &FetchLimits) -> bool {
        let Some(last) = &self.last else { return true };
        last.failures == 0 || now.since(last.at) >= limits.after_failures(last.failures)
    }

    fn may_seek_a_key(&self, now: Timestamp, limits: &FetchLimits) -> bool {
        let long_ago = self.last.as_ref().is_none_or(|last| now.since(last.at) >= limits.refetch_after);
        long_ago && self.may_retry(now, limits)
    }

    /// Times from the future would keep us from asking until they come.
    fn notice_that_the_clock_was_set(&mut self, now: Timestamp) {
        let was_set = |then: Timestamp| then.since(now) > CLOCK_NOISE;
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
        now < self.fresh_until.max(self.fetched_at.plus(limits.longest_stale))
    }
}
