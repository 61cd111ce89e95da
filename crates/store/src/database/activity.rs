//! Measures how long transactions take. A transaction adds to a few atomics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds of the buckets of [`TransactionTimes`], in microseconds.
const BOUNDS: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// What a transaction is for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Read,
    Change,
}

/// How long the transactions of this process have taken, from waiting for a connection until the end, whatever came of them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TransactionTimes {
    /// `read` or `change`.
    pub kind: &'static str,
    /// For each upper bound in seconds, how many took at most as long.
    pub buckets: Vec<(f64, u64)>,
    /// The number of all.
    pub count: u64,
    /// Their times together.
    pub sum: Duration,
}

/// The connections of this process to its database, besides the one that listens for notifications of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreConnections {
    /// Those in use.
    pub busy: u32,
    /// Those that are open and not in use.
    pub idle: u32,
    /// The most that are open at a time.
    pub limit: u32,
}

/// The times of the transactions on one database.
#[derive(Default)]
pub(crate) struct Activity(Box<[Times; 2]>);

#[derive(Default)]
struct Times {
    /// Each bucket without those below; the last is above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// A transaction that is under way. It ends when this is dropped.
pub(crate) struct UnderWay<'a> {
    times: &'a Times,
    since: Instant,
}

impl Activity {
    /// A transaction begins.
    pub(crate) fn begin(&self, kind: Kind) -> UnderWay<'_> {
        UnderWay { times: &self.0[kind as usize], since: Instant::now() }
    }

    pub(crate) fn times(&self) -> Vec<TransactionTimes> {
        self.0.iter().zip(["read", "change"]).map(|(times, kind)| times.read(kind)).collect()
    }
}

impl Times {
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    fn read(&self, kind: &'static str) -> TransactionTimes {
        let mut count = 0;
        let mut up_to = |counter: &AtomicU64| {
            count += counter.load(Ordering::Relaxed);
            count
        };
        let seconds = |bound: u64| Duration::from_micros(bound).as_secs_f64();
        let buckets =
            BOUNDS.iter().zip(&self.counts).map(|(bound, counter)| (seconds(*bound), up_to(counter)));
        let buckets = buckets.collect();
        let count = self.counts.last().map_or(0, up_to);
        let sum = Duration::from_micros(self.microseconds.load(Ordering::Relaxed));
        TransactionTimes { kind, buckets, count, sum }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.times.observe(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_07_buckets_of_transactions_add_up() {
        let activity = Activity::default();
        for microseconds in [100, 101, 2_000_000, 9_000_000] {
            activity.0[Kind::Change as usize].observe(Duration::from_micros(microseconds));
        }
        drop(activity.begin(Kind::Read));
        let [read, change] = &*activity.times() else { panic!() };
        assert_eq!((read.kind, read.count), ("read", 1));
        assert_eq!((change.kind, change.count, change.sum), ("change", 4, Duration::from_micros(11_000_201)));
        let up_to = |bound: f64| change.buckets.iter().find(|(b, _)| *b == bound).unwrap().1;
        assert_eq!([0.0001, 0.00025, 1.0, 5.0].map(up_to), [1, 2, 2, 3]);
    }
}
