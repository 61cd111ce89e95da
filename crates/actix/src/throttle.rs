//! Who has guessed too often? Failed authentications by client and source; RFC 6749 §10.10, conformance AB-01 to AB-04, D26.

use crate::answering::Denied;
use crate::failures::{Allowance, FailureTable, Millis};
use crate::fault::Fault;
use crate::metrics::{Metrics, ThrottledBy};
use crate::sources::site;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokenberg_core::{Reading, Refusal, Secret};

/// How many keys each table has room for; about a megabyte for both.
const KEYS: usize = 32 * 1024;
/// Threads meet at one of so many locks.
const SHARDS: usize = 64;
/// How many pairs of client and source that have once been right are remembered.
const PROVEN: usize = 16 * 1024;

/// The failures of all clients and sources.
///
/// No lock is taken for a request with a generated secret that is right.
pub(crate) struct Throttle {
    by_client: Shards,
    by_source: Shards,
    proven: Box<[AtomicU64]>,
    keys: RandomState,
    begun: Instant,
    metrics: Arc<Metrics>,
}

struct Shards(Box<[Mutex<FailureTable>]>);

impl Shards {
    fn new(allowance: Allowance) -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(FailureTable::new(allowance, KEYS / SHARDS))).collect())
    }

    fn of(&self, key: u64) -> MutexGuard<'_, FailureTable> {
        let shard = (key >> 32) % SHARDS as u64;
        // A count is put in whole, so a panic elsewhere cannot have left it half done.
        self.0[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Throttle {
    /// At most so many failures a minute from one source: for one client identifier, and for all together.
    pub(crate) fn new(for_one_client: u32, for_all: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            by_client: Shards::new(Allowance::per_minute(for_one_client)),
            by_source: Shards::new(Allowance::per_minute(for_all)),
            proven: (0..PROVEN).map(|_| AtomicU64::new(0)).collect(),
            keys: RandomState::new(),
            begun: Instant::now(),
            metrics,
        }
    }

    /// Whether the secret may be looked at, before anything costly is done.
    ///
    /// A secret of which it is known that nobody guesses it is always looked at: see [`Attempt::judged`].
    pub(crate) fn attempt(
        &self,
        source: Option<IpAddr>,
        readings: &[Reading],
        may_be_guessed: impl Fn(&Secret) -> bool,
    ) -> Result<Attempt<'_>, Fault> {
        let by_secret = !readings.is_empty();
        let Some(source) = source.map(site).filter(|_| by_secret) else {
            return Ok(Attempt { throttle: self, by_secret, keys: None });
        };
        let pairs = readings.iter().map(|r| self.keys.hash_one((&r.client_id, source))).collect();
        let keys = Keys {
            pairs,
            source: self.keys.hash_one(source),
            may_be_guessed: readings.iter().any(|reading| may_be_guessed(&reading.secret)),
        };
        if keys.may_be_guessed {
            self.check(&keys)?;
        }
        Ok(Attempt { throttle: self, by_secret, keys: Some(keys) })
    }

    fn check(&self, keys: &Keys) -> Result<(), Fault> {
        let now = self.now();
        for pair in &keys.pairs {
            if let Some(seconds) = self.by_client.of(*pair).refused_for(*pair, now) {
                self.metrics.throttled(ThrottledBy::Client);
                return Err(Fault::TooManyFailures { seconds });
            }
        }
        if keys.pairs.iter().any(|pair| self.slot(*pair).load(Ordering::Relaxed) == *pair) {
            return Ok(());
        }
        if let Some(seconds) = self.by_source.of(keys.source).refused_for(keys.source, now) {
            self.metrics.throttled(ThrottledBy::Source);
            return Err(Fault::TooManyFailures { seconds });
        }
        Ok(())
    }

    fn slot(&self, pair: u64) -> &AtomicU64 {
        &self.proven[(pair % PROVEN as u64) as usize]
    }

    fn now(&self) -> Millis {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A client that tries to authenticate.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    by_secret: bool,
    /// None where nobody knows from where the request comes.
    keys: Option<Keys>,
}

struct Keys {
    /// Client identifier and source, for each reading of what was sent.
    pairs: Vec<u64>,
    source: u64,
    may_be_guessed: bool,
}

impl Attempt<'_> {
    /// Counts the outcome, and tells it, unless there have been too many failures.
    ///
    /// A generated secret has 256 random bits. Whether one is right can be told at any time, because no number of
    /// questions finds one; so whoever shares the source with an attacker, and his victim's identifier, goes on working.
    pub(crate) fn judged<T>(self, outcome: Result<T, Denied>) -> Result<T, Denied> {
        let failed = self.by_secret && outcome.as_ref().err().is_some_and(is_failed_authentication);
        if failed {
            self.throttle.metrics.failed_authentication();
        }
        let Some(keys) = self.keys else { return outcome };
        if failed {
            if !keys.may_be_guessed {
                self.throttle.check(&keys)?;
            }
            let now = self.throttle.now();
            for (at, pair) in keys.pairs.iter().enumerate() {
                if !keys.pairs[..at].contains(pair) {
                    self.throttle.by_client.of(*pair).record(*pair, now);
                }
            }
            self.throttle.by_source.of(keys.source).record(keys.source, now);
        } else if outcome.is_ok() && keys.may_be_guessed {
            for pair in &keys.pairs {
                let slot = self.throttle.slot(*pair);
                // Mostly it is there already, and a read is cheaper than a write.
                if slot.load(Ordering::Relaxed) != *pair {
                    slot.store(*pair, Ordering::Relaxed);
                }
            }
        }
        outcome
    }
}

/// Only what somebody who guesses secrets would get. A token that is no good is none: it cannot be guessed, and Iceberg's
/// Java client presents one seven times in three seconds before it gives up (conformance IC-12).
fn is_failed_authentication(denied: &Denied) -> bool {
    let Denied::Refused(refusal) = denied else { return false };
    matches!(
        refusal,
        Refusal::WrongSecret { .. }
            | Refusal::UnknownClient(_)
            | Refusal::DisabledClient(_)
            | Refusal::OtherMethod { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::ClientId;

    fn throttle() -> Throttle {
        Throttle::new(5, 20, Arc::default())
    }

    fn reading(id: &str, secret: &str) -> Vec<Reading> {
        vec![Reading { client_id: id.into(), secret: Secret::new(secret.to_owned()) }]
    }

    fn wrong() -> Result<(), Denied> {
        let client: ClientId = "c1".parse().unwrap();
        Err(Denied::Refused(Refusal::WrongSecret { client, live: 1 }))
    }

    /// Tries once; the secret `generated` is one that nobody guesses.
    fn try_once(t: &Throttle, source: &str, id: &str, secret: &str, right: bool) -> Result<(), &'static str> {
        let attempt =
            t.attempt(source.parse().ok(), &reading(id, secret), |secret| secret.expose() != "generated");
        let outcome =
            attempt.map_err(Denied::Fault).and_then(|a| a.judged(if right { Ok(()) } else { wrong() }));
        outcome.map_err(|denied| match denied {
            Denied::Fault(Fault::TooManyFailures { .. }) => "throttled",
            Denied::Fault(_)
            | Denied::Refused(_)
            | Denied::Unsigned(_)
            | Denied::Unwritten(_)
            | Denied::KeysUnavailable(_) => "refused",
        })
    }

    #[test]
    fn ab_01_one_source_is_refused_for_one_client_and_nobody_else_is() {
        let t = throttle();
        for _ in 0..5 {
            assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", false), Err("refused"));
        }
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", false), Err("throttled"));
        assert_eq!(
            try_once(&t, "192.0.2.1", "c1", "x", true),
            Err("throttled"),
            "right or wrong is not told"
        );
        assert_eq!(try_once(&t, "::ffff:192.0.2.1", "c1", "x", true), Err("throttled"));
        for (source, id) in [("192.0.2.2", "c1"), ("192.0.2.1", "c2"), ("2001:db8::1", "c1")] {
            assert_eq!(try_once(&t, source, id, "x", true), Ok(()), "{source} {id}");
        }
        // What nobody guesses is looked at: right is right, and wrong is as for everybody.
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "generated", true), Ok(()));
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "generated", false), Err("throttled"));
    }

    #[test]
    fn ab_03_a_site_of_ipv6_is_one_source_and_other_identifiers_do_not_help() {
        let t = throttle();
        for n in 0..20 {
            assert_eq!(
                try_once(&t, &format!("2001:db8::{n:x}"), &format!("c{n}"), "x", false),
                Err("refused")
            );
        }
        assert_eq!(try_once(&t, "2001:db8::ffff", "new", "x", false), Err("throttled"));
        assert_eq!(try_once(&t, "2001:db8::ffff", "new", "generated", false), Err("throttled"));
        assert_eq!(try_once(&t, "2001:db8:0:1::1", "new", "x", false), Err("refused"));
    }

    #[test]
    fn ab_04_d26_whoever_was_right_before_is_not_refused_for_his_neighbours() {
        let t = throttle();
        for _ in 0..10_000 {
            assert_eq!(try_once(&t, "192.0.2.1", "honest", "x", true), Ok(()), "successes are no failures");
        }
        for n in 0..30 {
            let outcome = try_once(&t, "192.0.2.1", &format!("c{n}"), "x", false);
            assert_eq!(outcome, Err(if n < 20 { "refused" } else { "throttled" }));
        }
        assert_eq!(try_once(&t, "192.0.2.1", "honest", "x", true), Ok(()));
        assert_eq!(try_once(&t, "192.0.2.1", "newcomer", "x", true), Err("throttled"));
    }

    #[test]
    fn ab_01_neither_spelling_of_an_identifier_has_failures_of_its_own() {
        let t = throttle();
        let both = |t: &Throttle| {
            let readings =
                [reading("%631", "x"), reading("c1", "x")].into_iter().flatten().collect::<Vec<_>>();
            t.attempt("192.0.2.1".parse().ok(), &readings, |_| true).map(|a| drop(a.judged(wrong())))
        };
        for _ in 0..5 {
            assert_eq!(both(&t), Ok(()));
        }
        assert!(both(&t).is_err());
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", true), Err("throttled"));
    }

    #[test]
    fn ic_12_only_secrets_are_guessed_and_an_unknown_source_is_not_held_to_account() {
        let t = throttle();
        for denied in [Refusal::NoCredentials, Refusal::SecretTooLong, Refusal::MalformedBearer] {
            assert!(!is_failed_authentication(&Denied::Refused(denied)));
        }
        assert!(!is_failed_authentication(&Denied::Fault(Fault::Overloaded)));
        for _ in 0..100 {
            assert_eq!(try_once(&t, "unknown", "c1", "x", false), Err("refused"));
        }
    }
}
