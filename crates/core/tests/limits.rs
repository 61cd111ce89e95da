//! Limits of failed authentications: conformance AB-01, AB-03, AB-04, AB-09, IC-12, D26, and the same as properties.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use proptest::prelude::*;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::time::Duration;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::KeyId;
use tokenberg_core::limits::{Attempt, LimitedBy, Limiter, PresentedCredential, TooManyFailures};
use tokenberg_core::request::CredentialReading;
use tokenberg_core::{ErrorCode, NotGranted, Refusal, Reply, Secret, SignatureFault, TokenFault};

/// A limiter, a time, and keys that are the same in each run.
struct World {
    limiter: Limiter,
    now: Duration,
    keys: BuildHasherDefault<DefaultHasher>,
}

#[derive(Debug, PartialEq)]
enum End {
    Granted,
    Refused,
    Limited(TooManyFailures),
}

impl End {
    fn is_limited(&self) -> bool {
        matches!(self, Self::Limited(_))
    }
}

fn wrong() -> NotGranted {
    Refusal::WrongSecret { client: "c1".parse().unwrap(), live: 1, copied: None }.into()
}

fn reading(id: &str, secret: &str) -> CredentialReading {
    CredentialReading { client_id: id.into(), secret: Secret::new(secret.to_owned()) }
}

fn world() -> World {
    World { limiter: Limiter::new(5, 20, 4096), now: Duration::ZERO, keys: BuildHasherDefault::default() }
}

impl World {
    /// A request whose credential would be judged like this.
    fn answers(
        &mut self,
        source: Option<IpAddr>,
        credential: PresentedCredential<'_>,
        reason: Option<&NotGranted>,
    ) -> End {
        let attempt = Attempt::of(credential, source, &self.keys, |secret| secret.expose() != "generated");
        let checked = self.limiter.check(&attempt, self.now);
        assert!(attempt.may_be_refused() || checked.is_ok(), "no lock is needed for it");
        if let Err(limited) = checked {
            return End::Limited(limited);
        }
        let recorded = attempt.judged(reason).map_or(Ok(()), |judged| self.limiter.record(judged, self.now));
        match (recorded, reason) {
            (Err(limited), _) => End::Limited(limited),
            (Ok(()), Some(_)) => End::Refused,
            (Ok(()), None) => End::Granted,
        }
    }

    /// Tries a secret once; `generated` is one that cannot be guessed.
    fn tries(&mut self, source: &str, id: &str, secret: &str, is_right: bool) -> End {
        let reason = (!is_right).then(wrong);
        let readings = [reading(id, secret)];
        self.answers(source.parse().ok(), PresentedCredential::Secret(&readings), reason.as_ref())
    }
}

#[test]
fn ab_01_one_source_is_refused_for_one_client_and_no_other() {
    let mut w = world();
    for _ in 0..5 {
        assert_eq!(w.tries("192.0.2.1", "c1", "x", false), End::Refused);
    }
    let End::Limited(limited) = w.tries("192.0.2.1", "c1", "x", false) else { panic!("the sixth") };
    assert_eq!((limited.by, limited.retry_after.as_seconds()), (LimitedBy::Client, 12));
    let reply = Reply::too_many_failures(&limited);
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("12")));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.body.expose().contains(ErrorCode::TemporarilyUnavailable.as_str()));
    assert!(w.tries("192.0.2.1", "c1", "x", true).is_limited(), "refused without a check");
    assert!(w.tries("::ffff:192.0.2.1", "c1", "x", true).is_limited());
    for (source, id) in [("192.0.2.2", "c1"), ("192.0.2.1", "c2"), ("2001:db8::1", "c1")] {
        assert_eq!(w.tries(source, id, "x", true), End::Granted, "{source} {id}");
    }
    // Unguessable secrets are checked: right is right, and a wrong one is refused as any other.
    assert_eq!(w.tries("192.0.2.1", "c1", "generated", true), End::Granted);
    assert!(w.tries("192.0.2.1", "c1", "generated", false).is_limited());
}

#[test]
fn ab_03_a_site_of_ipv6_is_one_source_and_other_identifiers_do_not_help() {
    let mut w = world();
    for n in 0..20 {
        let (source, id) = (format!("2001:db8::{n:x}"), format!("c{n}"));
        assert_eq!(w.tries(&source, &id, "x", false), End::Refused);
    }
    assert!(w.tries("2001:db8::ffff", "new", "x", false).is_limited());
    assert!(w.tries("2001:db8::ffff", "new", "generated", false).is_limited());
    assert_eq!(w.tries("2001:db8:0:1::1", "new", "x", false), End::Refused);
}

#[test]
fn ab_04_d26_an_authenticated_client_is_not_refused_for_others_at_its_source() {
    let mut w = world();
    for _ in 0..10_000 {
        assert_eq!(w.tries("192.0.2.1", "honest", "x", true), End::Granted, "successes do not count");
    }
    for n in 0..30 {
        let end = w.tries("192.0.2.1", &format!("c{n}"), "x", false);
        assert_eq!(end.is_limited(), n >= 20, "{n}");
    }
    assert_eq!(w.tries("192.0.2.1", "honest", "x", true), End::Granted);
    assert!(w.tries("192.0.2.1", "newcomer", "x", true).is_limited());
}

#[test]
fn ab_01_spellings_of_an_identifier_share_their_failures() {
    let mut w = world();
    let readings = [reading("%631", "x"), reading("c1", "x")];
    let both = |w: &mut World| {
        let source = "192.0.2.1".parse().ok();
        w.answers(source, PresentedCredential::Secret(&readings), Some(&wrong()))
    };
    for _ in 0..5 {
        assert_eq!(both(&mut w), End::Refused);
    }
    assert!(both(&mut w).is_limited());
    assert!(w.tries("192.0.2.1", "c1", "x", true).is_limited());
}

#[test]
fn ic_12_only_failed_secrets_count_and_not_from_an_unknown_source() {
    let mut w = world();
    let readings = [reading("c1", "x")];
    for refusal in [Refusal::NoCredentials, Refusal::SecretTooLong, Refusal::MalformedBearer] {
        let reason = NotGranted::from(refusal);
        for _ in 0..100 {
            let end =
                w.answers("192.0.2.1".parse().ok(), PresentedCredential::Secret(&readings), Some(&reason));
            assert_eq!(end, End::Refused);
        }
    }
    let outage = NotGranted::from(SigningFault::NoKey);
    for _ in 0..100 {
        let secret = PresentedCredential::Secret(&readings);
        assert_eq!(w.answers("192.0.2.1".parse().ok(), secret, Some(&outage)), End::Refused);
        assert_eq!(w.tries("unknown", "c1", "x", false), End::Refused);
    }
    let attempt = Attempt::of(PresentedCredential::Secret(&readings), None, &w.keys, |_| true);
    assert!(attempt.is_failed_guess(&wrong()) && !attempt.is_failed_guess(&outage), "metrics count it");
    let other = Attempt::of(PresentedCredential::Other, None, &w.keys, |_| true);
    assert!(!other.is_failed_guess(&wrong()));
}

#[test]
fn ab_09_a_source_that_forges_costly_signatures_is_refused_and_no_other_is() {
    let mut w = world();
    let token = |bytes: usize| Secret::new(format!("e30.e30.{}", "A".repeat((bytes * 4).div_ceil(3))));
    let bad = NotGranted::from(Refusal::BearerToken(TokenFault::Signature(SignatureFault::Signature {
        key: KeyId::new("k"),
    })));
    let expired = NotGranted::from(Refusal::BearerToken(TokenFault::NoActor));
    let mut tries = |source: &str, bytes: usize, reason: Option<&NotGranted>| {
        w.answers(source.parse().ok(), PresentedCredential::Token(&token(bytes)), reason)
    };
    for _ in 0..100 {
        assert_eq!(tries("192.0.2.1", 64, Some(&bad)), End::Refused, "ES256 and EdDSA cost nothing");
        assert_eq!(tries("192.0.2.1", 512, Some(&bad)), End::Refused, "nor does RSA of 4096 bits");
        assert_eq!(tries("192.0.2.1", 1024, Some(&bad)), End::Refused, "no key has such signatures");
        assert_eq!(tries("192.0.2.1", 96, Some(&expired)), End::Refused, "a good signature is no forgery");
    }
    let source = "192.0.2.96";
    let refused = (0..100).filter(|_| tries(source, 96, Some(&bad)).is_limited()).count();
    assert_eq!(refused, 80, "20 a minute");
    assert!(tries(source, 96, None).is_limited(), "refused without verification");
    assert_eq!(tries(source, 64, None), End::Granted);
    assert_eq!(tries("192.0.2.9", 96, None), End::Granted, "another source");
}

/// A request of a generated history: source, client, whether the secret is generated, whether it is right, and milliseconds before it.
type Event = (u8, u8, bool, bool, u32);

fn history() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0_u8..6, 0_u8..4, any::<bool>(), any::<bool>(), 0_u32..3000), 0..400)
}

impl World {
    fn event(&mut self, (source, client, is_generated, is_right, after): Event) -> End {
        self.now += Duration::from_millis(after.into());
        let secret = if is_generated { "generated" } else { "x" };
        self.tries(&format!("192.0.2.{source}"), &format!("c{client}"), secret, is_right)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ab_01_ab_04_a_source_that_never_failed_is_never_refused(history in history()) {
        let mut w = world();
        for event in history {
            // The source 0 always has the right secret, of whatever client, between the failures of all others.
            let is_right = event.3 || event.0 == 0;
            let end = w.event((event.0, event.1, event.2, is_right, event.4));
            prop_assert!(event.0 != 0 || end == End::Granted, "{event:?} {end:?}");
        }
    }

    #[test]
    fn ab_01_every_refusal_ends_when_it_says_and_within_two_minutes(history in history()) {
        let mut w = world();
        for event in history {
            if let End::Limited(limited) = w.event(event) {
                let seconds = limited.retry_after.as_seconds();
                prop_assert!((1..=120).contains(&seconds), "{seconds}");
                // A second earlier it is still refused; then no more by this limit.
                let tried = |w: &World, after: u64| {
                    let readings = [reading(&format!("c{}", event.1), "x")];
                    let source = format!("192.0.2.{}", event.0).parse().ok();
                    let attempt = Attempt::of(PresentedCredential::Secret(&readings), source, &w.keys, |_| true);
                    w.limiter.check(&attempt, w.now + Duration::from_secs(after)).map_err(|limited| limited.by)
                };
                prop_assert_eq!(tried(&w, u64::from(seconds) - 1), Err(limited.by));
                prop_assert_ne!(tried(&w, u64::from(seconds)), Err(limited.by));
                prop_assert_eq!(tried(&w, 120), Ok(()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn ab_03_a_flood_of_sources_needs_no_more_room_and_frees_none_that_is_refused(first in any::<u32>()) {
        let mut w = world();
        w.limiter = Limiter::new(5, 20, 64);
        let source = |n: u32| IpAddr::from((u128::from(first.wrapping_add(n)) << 64).to_be_bytes()).to_string();
        for n in 0..1000 {
            for _ in 0..5 {
                w.tries(&source(n), "c1", "x", false);
            }
        }
        let is_refused = |w: &mut World, n: u32| w.tries(&source(n), "c1", "x", true).is_limited();
        let refused = (0..1000).filter(|n| is_refused(&mut w, *n)).count();
        prop_assert!((8..=64).contains(&refused), "{refused}");
        // What floods the tables has fewer failures each, and they expire.
        w.now += Duration::from_secs(120);
        for _ in 0..5 {
            w.tries("192.0.2.1", "c1", "x", false);
        }
        for n in 1000..6000 {
            w.tries(&source(n), "c1", "x", false);
        }
        prop_assert!(w.tries("192.0.2.1", "c1", "x", true).is_limited());
        prop_assert_eq!(w.tries("192.0.2.1", "c2", "x", true), End::Granted);
    }
}
