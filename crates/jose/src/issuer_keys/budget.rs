//! Limits the fetches caused by unknown `kid`s: a few at once, then one per interval; conformance KS-06.
//!
//! Every client can write any `kid`, so the limit counts per issuer, across all clients.

use super::limits::FetchLimits;
use tokenberg_core::{Lifetime, Timestamp};

/// A token bucket of fetches.
pub(super) struct Budget {
    left: u32,
    /// When the next fetch of the bucket began to accrue.
    since: Timestamp,
}

impl Budget {
    /// A full bucket.
    pub(super) fn full(limits: &FetchLimits, now: Timestamp) -> Self {
        Self { left: limits.refetches, since: now }
    }

    /// Takes one fetch, if one is available.
    pub(super) fn take(&mut self, now: Timestamp, limits: &FetchLimits) -> bool {
        self.accrue(now, limits);
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// How long until a fetch is available, at least 1 s.
    pub(super) fn wait(&self, now: Timestamp, limits: &FetchLimits) -> Lifetime {
        let next = self.since.plus(interval(limits));
        next.since(now).max(Lifetime::from_seconds(1))
    }

    /// Drops a time that lies in the future because the clock was set back.
    pub(super) fn notice_clock(&mut self, now: Timestamp, noise: Lifetime) {
        if self.since.since(now) > noise {
            self.since = now;
        }
    }

    fn accrue(&mut self, now: Timestamp, limits: &FetchLimits) {
        let interval = interval(limits);
        let accrued = now.since(self.since).as_seconds() / interval.as_seconds();
        self.left = self.left.saturating_add(accrued).min(limits.refetches);
        if self.left == limits.refetches {
            self.since = now;
        } else {
            let passed = interval.as_seconds().saturating_mul(accrued);
            self.since = self.since.plus(Lifetime::from_seconds(passed));
        }
    }
}

fn interval(limits: &FetchLimits) -> Lifetime {
    limits.refetch_after.max(Lifetime::from_seconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn ks_06_a_burst_of_fetches_and_then_one_per_interval() {
        let limits = FetchLimits::default();
        let mut budget = Budget::full(&limits, at(0));
        assert!([1, 2, 3].into_iter().all(|_| budget.take(at(1000), &limits)));
        let taken: Vec<i64> = (1000..1400).filter(|now| budget.take(at(*now), &limits)).collect();
        assert_eq!(taken, [1060, 1120, 1180, 1240, 1300, 1360]);
        assert_eq!(budget.wait(at(1361), &limits).as_seconds(), 59);
        assert_eq!(budget.wait(at(1500), &limits).as_seconds(), 1);
        // 15 minutes without a fetch fill it, and no more than that.
        assert_eq!((0..10).filter(|_| budget.take(at(2300), &limits)).count(), 3);
    }

    #[test]
    fn op_02_a_clock_that_was_set_back_does_not_stop_it() {
        let limits = FetchLimits::default();
        let mut budget = Budget::full(&limits, at(100_000));
        assert_eq!((0..10).filter(|_| budget.take(at(100_000), &limits)).count(), 3);
        budget.notice_clock(at(50_000), Lifetime::from_seconds(60));
        assert!(!budget.take(at(50_059), &limits) && budget.take(at(50_060), &limits));
    }
}
