//! Runs computations of milliseconds off the event loop, a limited number at a time, with a bounded queue; conformance AB-02.

use crate::endpoint::fault::Fault;
use crate::observe::exposition::{Exposition, exact};
use crate::observe::metrics::Metrics;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// The longest that a computation should wait. What would wait longer is refused at once.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Permits for as many costly computations of one kind as there are cores, and a queue before them.
///
/// Digests and signatures have separate pools: a client that guesses secrets must not delay authenticated ones.
pub(crate) struct ComputePool {
    work: &'static str,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    at_once: usize,
    typical: Arc<Typical>,
    refused: AtomicU64,
    /// What is being computed, by its hash.
    under_way: Mutex<HashMap<u64, watch::Sender<()>>>,
    hashes: RandomState,
    metrics: Arc<Metrics>,
}

impl ComputePool {
    /// `work` is the name of the work in the metrics.
    pub(crate) fn new(
        work: &'static str,
        at_once: usize,
        most_waiting: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let at_once = at_once.max(1);
        Self {
            work,
            permits: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
            at_once,
            typical: Arc::default(),
            refused: AtomicU64::new(0),
            under_way: Mutex::default(),
            hashes: RandomState::new(),
            metrics,
        }
    }

    /// The state that the metrics of the work are read from.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Writes the metrics of all kinds of work.
    pub(crate) fn expose(kinds: &[&Self], to: &mut Exposition) {
        let mut family = |kind, name, help, value: &dyn Fn(&Self) -> u64| {
            to.family(kind, name, help);
            for pool in kinds {
                to.sample(name, &[("work", pool.work)], exact(value(pool)));
            }
        };
        family("gauge", "tokenberg_costly_running", "Costly computations under way, by their kind.", &|c| {
            c.at_once.saturating_sub(c.permits.available_permits()) as u64
        });
        family("gauge", "tokenberg_costly_waiting", "Costly computations that wait.", &|c| {
            c.waiting.load(Ordering::Relaxed) as u64
        });
        family("gauge", "tokenberg_costly_waiting_limit", "How many may wait.", &|c| c.limit() as u64);
        let refused = "Requests refused with 503 because too many waited.";
        family("counter", "tokenberg_costly_refused_total", refused, &|c| c.refused.load(Ordering::Relaxed));
    }

    /// Whether to compute this: a guard for the first caller, `None` for a caller that waited for another one to compute the
    /// same.
    ///
    /// So the hundred tasks of a job that all begin with the same secret compute one digest, and do not fill the queue.
    pub(crate) async fn single_flight(&self, what: impl Hash) -> Option<Turn<'_>> {
        let what = self.hashes.hash_one(what);
        let mut ended = match self.under_way().entry(what) {
            Entry::Occupied(other) => other.get().subscribe(),
            Entry::Vacant(free) => {
                free.insert(watch::channel(()).0);
                return Some(Turn { pool: self, what });
            }
        };
        // Dropping it ends the flight.
        let _ = ended.changed().await;
        None
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<()>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many may wait: as many as are computed within [`LONGEST_WAIT`], but at least one.
    fn limit(&self) -> usize {
        let rounds = LONGEST_WAIT.as_nanos() / self.typical.get().as_nanos().max(1);
        usize::try_from(rounds)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.at_once)
            .max(1)
            .min(self.most_waiting)
    }

    /// Computes on a thread that may block.
    ///
    /// The permit is held until the work is done, even if the client has gone by then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _queued = Queued::behind(self)?;
                Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Fault::Overloaded)?
            }
        };
        let typical = Arc::clone(&self.typical);
        let done = actix_web::web::block(move || {
            let begun = Instant::now();
            let result = work();
            typical.learn(begun.elapsed());
            drop(permit);
            result
        });
        done.await.map_err(|_| Fault::Panicked)
    }
}

/// The duration of a computation while nothing disturbs it: it falls quickly with shorter ones, and rises slowly with longer ones.
#[derive(Default)]
struct Typical(AtomicU64);

impl Typical {
    /// Zero before the first computation.
    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let next = match self.0.load(Ordering::Relaxed) {
            0 => took,
            known if took < known => known - (known - took).div_ceil(4),
            known => known + (took - known).min(known).div_ceil(32),
        };
        self.0.store(next, Ordering::Relaxed);
    }
}

/// The computation under way; dropping it wakes the callers that wait for it.
pub(crate) struct Turn<'a> {
    pool: &'a ComputePool,
    what: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.under_way().remove(&self.what);
    }
}

/// A position in the queue, freed when it is dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn behind(pool: &'a ComputePool) -> Result<Self, Fault> {
        let position = Self(&pool.waiting);
        if pool.waiting.fetch_add(1, Ordering::AcqRel) >= pool.limit() {
            pool.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Fault::Overloaded);
        }
        Ok(position)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
