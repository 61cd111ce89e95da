//! The limits of fetches, and how long fetched keys are fresh: conformance KS-06 and WL-06.

use std::time::Duration;
use tokenberg_core::Lifetime;

/// How often and how long the keys of issuers are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "options are made with `..default()`")]
pub struct FetchLimits {
    /// Minimum interval between fetches caused by an unknown `kid`, once `refetches` of them are used up; 60 s.
    pub refetch_after: Lifetime,
    /// The number of such fetches that may follow each other at once; each `refetch_after` allows one more, up to this number. 3.
    pub refetches: u32,
    /// How long keys are used when they cannot be fetched again; 24 h.
    pub longest_stale: Lifetime,
    /// The maximum time of all fetches for one answer together; 5 s.
    pub within: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            refetch_after: Lifetime::from_seconds(60),
            refetches: 3,
            longest_stale: Lifetime::from_hours(24),
            within: Duration::from_secs(5),
        }
    }
}

impl FetchLimits {
    /// The pause after so many consecutive failures: a sixth of `refetch_after`, doubled each time, at most five times it.
    pub(super) fn after_failures(&self, failures: u32) -> Lifetime {
        let first = (self.refetch_after.as_seconds() / 6).max(1);
        let longest = self.refetch_after.as_seconds().saturating_mul(5).max(1);
        let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        Lifetime::from_seconds(doubled.min(longest))
    }
}

/// How long keys are fresh if the response does not say.
const USUAL: Lifetime = Lifetime::from_seconds(600);

/// The shortest freshness: an issuer cannot cause more frequent fetches.
const SHORTEST: Lifetime = Lifetime::from_seconds(60);

/// The longest freshness: an issuer cannot make us keep keys longer that it may have revoked.
const LONGEST: Lifetime = Lifetime::from_hours(24);

/// How long keys are fresh if the response says this many seconds.
pub(super) fn freshness(stated: Option<u64>) -> Lifetime {
    let Some(stated) = stated else { return USUAL };
    Lifetime::from_seconds(u32::try_from(stated).unwrap_or(u32::MAX)).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_06_wl_06_freshness_has_bounds() {
        for (stated, seconds) in [
            (None, 600),
            (Some(0), 60),
            (Some(59), 60),
            (Some(61), 61),
            (Some(86_399), 86_399),
            (Some(86_401), 86_400),
            (Some(u64::MAX), 86_400),
        ] {
            assert_eq!(freshness(stated), Lifetime::from_seconds(seconds), "{stated:?}");
        }
    }

    #[test]
    fn ks_06_the_pause_grows_with_each_failure() {
        let of = |limits: FetchLimits| {
            [1, 2, 3, 5, 6, 40, u32::MAX].map(|n| limits.after_failures(n).as_seconds())
        };
        assert_eq!(of(FetchLimits::default()), [10, 20, 40, 160, 300, 300, 300]);
        let hasty = FetchLimits { refetch_after: Lifetime::from_seconds(1), ..FetchLimits::default() };
        assert_eq!(of(hasty), [1, 2, 4, 5, 5, 5, 5]);
        let at_once = FetchLimits { refetch_after: Lifetime::ZERO, ..FetchLimits::default() };
        assert_eq!(of(at_once), [1; 7]);
    }
}
