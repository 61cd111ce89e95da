//! Limits failed authentications by client and source: RFC 6749 §10.10, conformance AB-01 to AB-04, D26.

use crate::answering::Denied;
use crate::answering::failures::{Allowance, FailureTable, Millis};
use crate::endpoint::fault::Fault;
use crate::observe::metrics::{Metrics, ThrottledBy};
use crate::origin::sources::site;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokenberg_core::request::CredentialReading;
use tokenberg_core::{NotGranted, Refusal, Secret, SignatureFault, TokenFault};

/// The capacity of each table, in keys; about a megabyte for both.
const KEYS: usize = 32 * 1024;
/// The number of locks, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// The number of authenticated pairs of client and source that are kept.
const AUTHENTICATED: usize = 16 * 1024;

/// The failures of all clients and sources.
///
/// A request with a correct generated secret takes no lock.
pub(crate) struct Throttle {
    by_client: Shards,
    by_source: Shards,
    /// Bad signatures that were costly to verify, by source.
    forgeries: Shards,
    authenticated: Box<[AtomicU64]>,
    keys: RandomState,
    begun: Instant,
    metrics: Arc<Metrics>,
}

struct Shards(Box<[Mutex<FailureTable>]>);

impl Shards {
    fn new(allowance: Allowance, keys: usize) -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(FailureTable::new(allowance, keys / SHARDS))).collect())
    }

    fn of(&self, key: u64) -> MutexGuard<'_, FailureTable> {
        let shard = (key >> 32) % SHARDS as u64;
        // A count is stored as a whole, so a panic elsewhere leaves it consistent.
        self.0[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Throttle {
    /// At most so many failures a minute from one source: for one client identifier, and for all together.
    pub(crate) fn new(for_one_client: u32, for_all: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            by_client: Shards::new(Allowance::per_minute(for_one_client), KEYS),
            by_source: Shards::new(Allowance::per_minute(for_all), KEYS),
            forgeries: Shards::new(Allowance::per_minute(for_all), KEYS / 16),
            authenticated: (0..AUTHENTICATED).map(|_| AtomicU64::new(0)).collect(),
            keys: RandomState::new(),
            begun: Instant::now(),
            metrics,
        }
    }

    /// Checks whether the credential may be verified, before anything costly is done.
    ///
    /// Secrets known to be unguessable are always checked: see [`Attempt::judged`].
    pub(crate) fn attempt(
        &self,
        source: Option<IpAddr>,
        credential: Credential<'_>,
        may_be_guessed: impl Fn(&Secret) -> bool,
    ) -> Result<Attempt<'_>, Fault> {
        let source = source.map(site);
        let attempt = |by_secret, keys, forgery| Attempt { throttle: self, by_secret, keys, forgery };
        let (readings, source) = match (credential, source) {
            (Credential::Token(token), Some(source)) if is_costly(token) => {
                return self.verification(source).map(|forgery| attempt(false, None, Some(forgery)));
            }
            (Credential::Secret(readings), Some(source)) => (readings, source),
            (Credential::Secret(_), None) => return Ok(attempt(true, None, None)),
            (Credential::Token(_) | Credential::Other, _) => return Ok(attempt(false, None, None)),
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
        Ok(attempt(true, Some(keys), None))
    }

    /// Checks whether this source may have another costly signature verified. A client's own signatures are good, so only a
    /// source that forges them is ever refused.
    fn verification(&self, source: IpAddr) -> Result<u64, Fault> {
        let key = self.keys.hash_one(("signature", source));
        if let Some(seconds) = self.forgeries.of(key).refused_for(key, self.now()) {
            self.metrics.throttled(ThrottledBy::Source);
            return Err(Fault::TooManyFailures { seconds });
        }
        Ok(key)
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
        &self.authenticated[(pair % AUTHENTICATED as u64) as usize]
    }

    fn now(&self) -> Millis {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The credential of a client, as far as its failures are limited.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// A secret, in each reading of the request.
    Secret(&'a [CredentialReading]),
    /// A token or an assertion, whose signature is verified.
    Token(&'a str),
    /// A credential that can neither be guessed nor is costly to check.
    Other,
}

/// The length of a signature with ES384, 96 bytes, in base64url. No other accepted algorithm has signatures of that length.
const ES384_SIGNATURE: usize = 128;

/// Whether verifying the signature of the token takes several times as long as the rest of a request: half a millisecond with
/// ES384. RSA keys are cheap to verify with, because those of more than 4096 bits are refused (conformance AB-10).
fn is_costly(token: &str) -> bool {
    token.rsplit('.').next().unwrap_or_default().len() == ES384_SIGNATURE
}

/// A client that tries to authenticate.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    by_secret: bool,
    /// The key that a bad signature is counted under, if verifying it is costly.
    forgery: Option<u64>,
    /// `None` if the source of the request is unknown.
    keys: Option<Keys>,
}

struct Keys {
    /// Client identifier and source, for each reading of the request.
    pairs: Vec<u64>,
    source: u64,
    may_be_guessed: bool,
}

impl Attempt<'_> {
    /// Counts the outcome, and returns it unless there have been too many failures.
    ///
    /// A generated secret has 256 random bits. The answer whether one is right is safe at any time, because no number of attempts
    /// finds one; so a client that shares the source and the identifier with an attacker continues to work.
    pub(crate) fn judged<T>(self, outcome: Result<T, Denied>) -> Result<T, Denied> {
        let failed =
            self.by_secret && outcome.as_ref().err().and_then(refusal).is_some_and(Refusal::is_failed_guess);
        if failed {
            self.throttle.metrics.failed_authentication();
        }
        if let Some(key) =
            self.forgery.filter(|_| outcome.as_ref().err().and_then(refusal).is_some_and(is_bad_signature))
        {
            let now = self.throttle.now();
            self.throttle.forgeries.of(key).record(key, now);
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
                // Usually the slot already holds it, and a read is cheaper than a write.
                if slot.load(Ordering::Relaxed) != *pair {
                    slot.store(*pair, Ordering::Relaxed);
                }
            }
        }
        outcome
    }
}

fn refusal(denied: &Denied) -> Option<&Refusal> {
    match denied {
        Denied::NotGranted(NotGranted::Refused(refusal)) => Some(refusal),
        Denied::NotGranted(
            NotGranted::Unsigned(_) | NotGranted::Unwritten(_) | NotGranted::KeysUnavailable(_),
        )
        | Denied::Fault(_) => None,
    }
}

/// Whether the signature of the credential is bad, which never happens to a client with its own key.
fn is_bad_signature(refusal: &Refusal) -> bool {
    let (Refusal::BearerToken(TokenFault::Signature(fault))
    | Refusal::ClientAssertion(TokenFault::Signature(fault))) = refusal
    else {
        return false;
    };
    matches!(fault, SignatureFault::Signature { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::ClientId;
    use tokenberg_core::jws::KeyId;

    fn throttle() -> Throttle {
        Throttle::new(5, 20, Arc::default())
    }

    fn reading(id: &str, secret: &str) -> Vec<CredentialReading> {
        vec![CredentialReading { client_id: id.into(), secret: Secret::new(secret.to_owned()) }]
    }

    fn wrong() -> Result<(), Denied> {
        let client: ClientId = "c1".parse().unwrap();
        Err(Denied::from(Refusal::WrongSecret { client, live: 1, copied: None }))
    }

    /// Tries once; the secret `generated` is an unguessable one.
    fn try_once(t: &Throttle, source: &str, id: &str, secret: &str, right: bool) -> Result<(), &'static str> {
        let attempt = t.attempt(source.parse().ok(), Credential::Secret(&reading(id, secret)), |secret| {
            secret.expose() != "generated"
        });
        let outcome =
            attempt.map_err(Denied::Fault).and_then(|a| a.judged(if right { Ok(()) } else { wrong() }));
        outcome.map_err(|denied| match denied {
            Denied::Fault(Fault::TooManyFailures { .. }) => "throttled",
            Denied::Fault(_) | Denied::NotGranted(_) => "refused",
        })
    }

    #[test]
    fn ab_01_one_source_is_refused_for_one_client_and_no_other() {
        let t = throttle();
        for _ in 0..5 {
            assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", false), Err("refused"));
        }
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", false), Err("throttled"));
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", true), Err("throttled"), "refused without a check");
        assert_eq!(try_once(&t, "::ffff:192.0.2.1", "c1", "x", true), Err("throttled"));
        for (source, id) in [("192.0.2.2", "c1"), ("192.0.2.1", "c2"), ("2001:db8::1", "c1")] {
            assert_eq!(try_once(&t, source, id, "x", true), Ok(()), "{source} {id}");
        }
        // Unguessable secrets are checked: right is right, and a wrong one is refused as any other.
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
    fn ab_04_d26_an_authenticated_client_is_not_refused_for_others_at_its_source() {
        let t = throttle();
        for _ in 0..10_000 {
            assert_eq!(try_once(&t, "192.0.2.1", "honest", "x", true), Ok(()), "successes do not count");
        }
        for n in 0..30 {
            let outcome = try_once(&t, "192.0.2.1", &format!("c{n}"), "x", false);
            assert_eq!(outcome, Err(if n < 20 { "refused" } else { "throttled" }));
        }
        assert_eq!(try_once(&t, "192.0.2.1", "honest", "x", true), Ok(()));
        assert_eq!(try_once(&t, "192.0.2.1", "newcomer", "x", true), Err("throttled"));
    }

    #[test]
    fn ab_01_spellings_of_an_identifier_share_their_failures() {
        let t = throttle();
        let both = |t: &Throttle| {
            let readings =
                [reading("%631", "x"), reading("c1", "x")].into_iter().flatten().collect::<Vec<_>>();
            t.attempt("192.0.2.1".parse().ok(), Credential::Secret(&readings), |_| true)
                .map(|a| drop(a.judged(wrong())))
        };
        for _ in 0..5 {
            assert_eq!(both(&t), Ok(()));
        }
        assert!(both(&t).is_err());
        assert_eq!(try_once(&t, "192.0.2.1", "c1", "x", true), Err("throttled"));
    }

    #[test]
    fn ic_12_only_failed_secrets_count_and_not_from_an_unknown_source() {
        let t = throttle();
        for denied in [Refusal::NoCredentials, Refusal::SecretTooLong, Refusal::MalformedBearer] {
            assert!(!denied.is_failed_guess());
        }
        assert!(refusal(&Denied::Fault(Fault::Overloaded)).is_none());
        for _ in 0..100 {
            assert_eq!(try_once(&t, "unknown", "c1", "x", false), Err("refused"));
        }
    }

    #[test]
    fn ab_09_a_source_that_forges_costly_signatures_is_refused_and_no_other_is() {
        let t = throttle();
        let token = |bytes: usize| format!("e30.e30.{}", "A".repeat((bytes * 4).div_ceil(3)));
        let bad = || {
            let fault = SignatureFault::Signature { key: KeyId::new("k") };
            Err(Denied::from(Refusal::BearerToken(TokenFault::Signature(fault))))
        };
        let try_once = |source: &str, token: &str, outcome: Result<(), Denied>| {
            let attempt = t.attempt(source.parse().ok(), Credential::Token(token), |_| true);
            attempt.map_err(Denied::Fault).and_then(|attempt| attempt.judged(outcome))
        };
        let is_throttled = |outcome: Result<(), Denied>| {
            matches!(outcome, Err(Denied::Fault(Fault::TooManyFailures { .. })))
        };
        let expired = || Err(Denied::from(Refusal::BearerToken(TokenFault::NoActor)));
        for _ in 0..100 {
            assert!(!is_throttled(try_once("192.0.2.1", &token(64), bad())), "ES256 and EdDSA cost nothing");
            assert!(!is_throttled(try_once("192.0.2.1", &token(512), bad())), "nor does RSA of 4096 bits");
            assert!(!is_throttled(try_once("192.0.2.1", &token(1024), bad())), "no key has such signatures");
            assert!(
                !is_throttled(try_once("192.0.2.1", &token(96), expired())),
                "a good signature is no forgery"
            );
        }
        let source = "192.0.2.96";
        let refused = (0..100).filter(|_| is_throttled(try_once(source, &token(96), bad()))).count();
        assert_eq!(refused, 80, "20 a minute");
        assert!(is_throttled(try_once(source, &token(96), Ok(()))), "refused without verification");
        assert!(!is_throttled(try_once(source, &token(64), Ok(()))));
        assert!(!is_throttled(try_once("192.0.2.9", &token(96), Ok(()))), "another source");
    }
}
