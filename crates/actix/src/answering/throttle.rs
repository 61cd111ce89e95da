//! Adapts the core's limits of failed authentications to threads, a clock and metrics: conformance AB-01 to AB-04.

use crate::answering::Denied;
use crate::endpoint::fault::Fault;
use crate::observe::metrics::Metrics;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokenberg_core::Secret;
use tokenberg_core::limits::{self, Limiter, PresentedCredential, TooManyFailures, source_of};

/// The capacity of all limiters, in pairs of client and source; about a megabyte.
const CAPACITY: usize = 32 * 1024;
/// The number of limiters, so that threads seldom wait for each other. All that is counted of a source is in one of them.
const LIMITERS: usize = 16;

/// The failures of all clients and sources.
///
/// A request with a correct generated secret takes no lock.
pub(crate) struct Throttle {
    limiters: Box<[Mutex<Limiter>]>,
    keys: RandomState,
    begun: Instant,
    metrics: Arc<Metrics>,
}

impl Throttle {
    /// At most so many failures a minute from one source: for one client identifier, and for all together.
    pub(crate) fn new(for_one_client: u32, for_all: u32, metrics: Arc<Metrics>) -> Self {
        let limiter = || Mutex::new(Limiter::new(for_one_client, for_all, CAPACITY / LIMITERS));
        Self {
            limiters: std::iter::repeat_with(limiter).take(LIMITERS).collect(),
            keys: RandomState::new(),
            begun: Instant::now(),
            metrics,
        }
    }

    /// Checks whether the credential may be verified, before anything costly is done.
    pub(crate) fn attempt<'a>(
        &self,
        source: Option<IpAddr>,
        credential: impl Into<PresentedCredential<'a>>,
        may_be_guessed: impl Fn(&Secret) -> bool,
    ) -> Result<Attempt<'_>, Fault> {
        let attempt = limits::Attempt::of(credential, source, &self.keys, may_be_guessed);
        if attempt.may_be_refused() {
            let checked = self.limiter(source).check(&attempt, self.begun.elapsed());
            checked.map_err(|limited| self.refused(limited))?;
        }
        Ok(Attempt { throttle: self, source, attempt })
    }

    fn limiter(&self, source: Option<IpAddr>) -> MutexGuard<'_, Limiter> {
        // The high bits; the low ones of other hashes choose the place in a table.
        let of_source = self.keys.hash_one(source.map(source_of)) >> 32;
        let limiter = &self.limiters[of_source as usize % LIMITERS];
        // A count is stored as a whole, so a panic elsewhere leaves it consistent.
        limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, limited: TooManyFailures) -> Fault {
        self.metrics.throttled(limited.by);
        Fault::TooManyFailures { seconds: limited.retry_after.as_seconds() }
    }
}

/// A client that tries to authenticate.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    source: Option<IpAddr>,
    attempt: limits::Attempt,
}

impl Attempt<'_> {
    /// Counts the outcome, and returns it unless there have been too many failures.
    pub(crate) fn judged<T>(self, outcome: Result<T, Denied>) -> Result<T, Denied> {
        let Self { throttle, source, attempt } = self;
        let reason = match &outcome {
            Ok(_) => None,
            Err(Denied::NotGranted(reason)) => Some(reason),
            Err(Denied::Fault(_)) => return outcome,
        };
        if reason.is_some_and(|reason| attempt.is_failed_guess(reason)) {
            throttle.metrics.failed_authentication();
        }
        if let Some(judged) = attempt.judged(reason) {
            let recorded = throttle.limiter(source).record(judged, throttle.begun.elapsed());
            recorded.map_err(|limited| throttle.refused(limited))?;
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::Refusal;
    use tokenberg_core::request::CredentialReading;

    #[test]
    fn ab_01_ab_04_failures_count_in_the_limiter_of_their_source_and_outages_do_not() {
        let throttle = Throttle::new(5, 20, Arc::default());
        let readings = [CredentialReading { client_id: "c1".into(), secret: Secret::new("x".to_owned()) }];
        let tries = |source: u32, outcome: Result<(), Denied>| {
            let by = PresentedCredential::Secret(&readings);
            let attempt = throttle.attempt(Some(IpAddr::from(source.to_be_bytes())), by, |_| true);
            attempt.map_err(Denied::Fault).and_then(|attempt| attempt.judged(outcome))
        };
        let wrong = || {
            let client = "c1".parse().unwrap();
            Err(Denied::from(Refusal::WrongSecret { client, live: 1, copied: None }))
        };
        let is_limited = |outcome| matches!(outcome, Err(Denied::Fault(Fault::TooManyFailures { .. })));
        // More sources than limiters.
        for source in 0..100 {
            for _ in 0..100 {
                assert!(!is_limited(tries(source, Err(Denied::Fault(Fault::Overloaded)))));
            }
            for _ in 0..5 {
                assert!(!is_limited(tries(source, wrong())), "{source}");
            }
            assert!(is_limited(tries(source, Ok(()))), "{source}");
        }
        assert!(tries(100, Ok(())).is_ok());
    }
}
