//! Counts failures in a leaky bucket for each key, in a table of fixed size; conformance AB-01, AB-03.
//!
//! Values and arithmetic only: the time is an argument, and locking is up to the caller.

use crate::Lifetime;
use std::time::Duration;

/// Milliseconds of a clock that never goes back.
type Millis = u64;

fn millis(now: Duration) -> Millis {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// How many failures a key may have, and how fast they expire.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    most: u64,
    /// How long one failure counts.
    each: Millis,
}

impl Allowance {
    /// So many at once, and so many in every minute after; at least one.
    #[must_use]
    pub fn per_minute(most: u32) -> Self {
        let most = u64::from(most.max(1));
        Self { most, each: (60_000 / most).max(1) }
    }

    fn full(self) -> Millis {
        self.most * self.each
    }
}

/// The failures of one key, as the time when the last of them expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Failures {
    expires_at: Millis,
}

impl Failures {
    /// Adds a failure. Requests that were under way when the allowance ran out count as well, up to twice of it.
    fn and_one_more(self, allowance: Allowance, now: Millis) -> Self {
        let most = now.saturating_add(2 * allowance.full());
        Self { expires_at: self.expires_at.max(now).saturating_add(allowance.each).min(most) }
    }

    /// For how many seconds the key is refused, if it has no failure left.
    fn refused_for(self, allowance: Allowance, now: Millis) -> Option<u32> {
        let with_one_more = self.expires_at.saturating_sub(now) + allowance.each;
        let too_much = with_one_more.checked_sub(allowance.full()).filter(|over| *over > 0)?;
        Some(u32::try_from(too_much.div_ceil(1000)).unwrap_or(u32::MAX))
    }
}

/// The number of keys in a row of the table.
const WAYS: usize = 8;

/// A row of the table.
#[derive(Clone, Copy, Default)]
struct Row([(u64, Failures); WAYS]);

impl Row {
    fn of(&self, key: u64) -> Failures {
        self.0.iter().find(|(other, _)| *other == key).map(|(_, failures)| *failures).unwrap_or_default()
    }

    /// A new key replaces the one with the fewest failures, so that many new keys evict each other and never one that is refused.
    fn put(&mut self, key: u64, failures: Failures) {
        let entry = match self.0.iter_mut().position(|(other, _)| *other == key) {
            Some(at) => self.0.get_mut(at),
            None => self.0.iter_mut().min_by_key(|(_, failures)| failures.expires_at),
        };
        if let Some(entry) = entry {
            *entry = (key, failures);
        }
    }
}

/// The failures of many keys, in a table of fixed size.
///
/// `now` is the time since any fixed moment, by a clock that never goes back. Keys are hashes that clients cannot predict, such as
/// those of `std::hash::RandomState`. A row has room for eight keys; a new key replaces the one with the fewest failures in its row.
///
/// ```
/// use std::time::Duration;
/// use tokenberg_core::limits::{Allowance, FailureTable};
///
/// let mut table = FailureTable::new(Allowance::per_minute(2), 1024);
/// let now = Duration::ZERO;
/// table.record(7, now);
/// assert_eq!(table.refused_for(7, now), None);
/// table.record(7, now);
/// assert_eq!(table.refused_for(7, now).map(|until| until.as_seconds()), Some(30));
/// assert_eq!(table.refused_for(7, now + Duration::from_secs(30)), None);
/// ```
#[derive(Clone)]
pub struct FailureTable {
    allowance: Allowance,
    rows: Box<[Row]>,
}

impl FailureTable {
    /// Room for at most `keys`, which is at least eight; 16 bytes for each.
    #[must_use]
    pub fn new(allowance: Allowance, keys: usize) -> Self {
        Self { allowance, rows: vec![Row::default(); (keys / WAYS).max(1)].into() }
    }

    /// How long the key is refused, if it is: whole seconds, and at most two minutes, because no failure counts for longer.
    #[must_use]
    pub fn refused_for(&self, key: u64, now: Duration) -> Option<Lifetime> {
        let failures = self.rows[self.row(key)].of(key);
        failures.refused_for(self.allowance, millis(now)).map(Lifetime::from_seconds)
    }

    /// Counts a failure.
    pub fn record(&mut self, key: u64, now: Duration) {
        let allowance = self.allowance;
        let at = self.row(key);
        let row = &mut self.rows[at];
        row.put(key, row.of(key).and_one_more(allowance, millis(now)));
    }

    /// The number of keys that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.rows.len() * WAYS
    }

    fn row(&self, key: u64) -> usize {
        (key % self.rows.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Allowance = Allowance { most: 10, each: 6000 };

    fn after(count: usize, now: Millis) -> Failures {
        (0..count).fold(Failures::default(), |failures, _| failures.and_one_more(TEN, now))
    }

    #[test]
    fn ab_01_a_key_is_refused_at_its_limit_of_failures_and_recovers() {
        for (failures, now, refused_for) in [
            (0, 0, None),
            (9, 0, None),
            (10, 0, Some(6)),
            (10, 1, Some(6)),
            (10, 5_001, Some(1)),
            (10, 5_999, Some(1)),
            (10, 6_000, None),
            (12, 0, Some(18)),
            (12, 17_999, Some(1)),
            (12, 18_000, None),
            // However many were under way, the end is near.
            (20, 0, Some(66)),
            (10_000, 0, Some(66)),
            (10_000, 120_000, None),
        ] {
            assert_eq!(after(failures, 0).refused_for(TEN, now), refused_for, "{failures} {now}");
        }
        // After a refusal, one failure becomes available at a time, not all at once.
        let slow = after(10, 0).and_one_more(TEN, 6_000);
        assert_eq!(slow.refused_for(TEN, 6_000), Some(6));
        assert_eq!(Allowance::per_minute(0).most, 1);
        assert!(Allowance::per_minute(1_000_000).each > 0);
    }

    #[test]
    fn ic_12_few_failures_in_a_storm_of_renewals_refuse_no_client() {
        let allowance = Allowance::per_minute(30);
        let storm = (0..7).fold(Failures::default(), |f, n| f.and_one_more(allowance, n * 430));
        assert_eq!(storm.refused_for(allowance, 3_000), None);
    }

    #[test]
    fn ab_03_a_million_keys_need_no_more_room_and_free_none_that_is_refused() {
        let mut table = FailureTable::new(TEN, 1024);
        let (room, later) = (table.capacity(), Duration::from_millis(1));
        let mut state = 1_u64;
        let mut key = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        };
        let hot: Vec<u64> = (0..64).map(|_| key()).collect();
        for _ in 0..10 {
            hot.iter().for_each(|key| table.record(*key, Duration::ZERO));
        }
        for _ in 0..1_000_000 {
            table.record(key(), later);
        }
        assert_eq!(table.capacity(), room);
        let refused = hot.iter().filter(|key| table.refused_for(**key, later).is_some()).count();
        // Of 64 keys in 128 rows a few share one; none shares it with seven others.
        assert_eq!(refused, hot.len());
        assert_eq!(table.refused_for(key(), later), None, "a new key has no failures");
    }
}
