//! Runs computations of milliseconds, a limited number at a time, with a bounded queue; conformance AB-02.

use crate::endpoint::fault::Fault;
use crate::observe::exposition::{Exposition, exact};
use crate::observe::metrics::Metrics;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// How long all computations that wait may take together. What would have to wait for longer is refused at once. With as much HTTP as
/// comes with twice the load, they are answered within a second.
const LONGEST_QUEUE: Duration = Duration::from_millis(800);

/// Permits for as many costly computations of one kind as there are cores, and a queue before them.
///
/// Digests and signatures have separate pools: a client that guesses secrets must not delay authenticated ones.
pub(crate) struct ComputePool {
    work: &'static str,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    at_once: usize,
    /// Up to which duration a worker computes itself.
    brief: Duration,
    typical: Arc<Typical>,
    refused: AtomicU64,
    /// What is being computed, by its hash.
    under_way: Mutex<HashMap<u64, watch::Sender<()>>>,
    hashes: RandomState,
    metrics: Arc<Metrics>,
}

impl ComputePool {
    /// `work` is the name of the work in the metrics. What takes no longer than `brief` may be computed by the worker that answers
    /// the request, so that its other requests wait for as long.
    pub(crate) fn new(
        work: &'static str,
        (at_once, most_waiting): (usize, usize),
        brief: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let at_once = at_once.max(1);
        Self {
            work,
            permits: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
            at_once,
            brief,
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

    /// How many may wait: as many as are computed within [`LONGEST_QUEUE`], but at least one.
    fn limit(&self) -> usize {
        let rounds = LONGEST_QUEUE.as_nanos() / self.typical.get().as_nanos().max(1);
        usize::try_from(rounds)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.at_once)
            .max(1)
            .min(self.most_waiting)
    }

    /// Computes on a thread that may block, or, if it is brief and this worker has nothing else to do, on this one. That saves two
    /// switches of threads.
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
        let timed = move || {
            let begun = Instant::now();
            let result = work();
            typical.learn(begun.elapsed());
            drop(permit);
            result
        };
        let is_brief = (1..=self.brief.as_nanos()).contains(&self.typical.get().as_nanos());
        if let Some(turn) = is_brief.then(WorkersTurn::take).flatten() {
            // First all that has arrived meanwhile: so no other request waits for more than one computation.
            let begun = Instant::now();
            tokio::task::yield_now().await;
            if begun.elapsed() <= self.brief {
                return Ok(timed());
            }
            turn.is_crowded();
        }
        actix_web::web::block(timed).await.map_err(|_| Fault::Panicked)
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

/// How many computations go to other threads, in one piece, when a worker has much else to do.
const ELSEWHERE: u32 = 64;

thread_local! {
    static COMPUTES: Cell<bool> = const { Cell::new(false) };
    static ELSEWHERE_LEFT: Cell<u32> = const { Cell::new(0) };
}

/// Of each worker, one computation at a time.
struct WorkersTurn;

impl WorkersTurn {
    /// `None` if another computation of this worker has it, or if the worker is crowded.
    fn take() -> Option<Self> {
        let left = ELSEWHERE_LEFT.get();
        ELSEWHERE_LEFT.set(left.saturating_sub(1));
        (left == 0 && !COMPUTES.replace(true)).then(|| Self)
    }

    /// Records that other requests took long. If computations came after all of those, a flood of requests that cost little would
    /// stop them; so the system shares the core between threads.
    fn is_crowded(&self) {
        ELSEWHERE_LEFT.set(ELSEWHERE);
    }
}

impl Drop for WorkersTurn {
    fn drop(&mut self) {
        COMPUTES.set(false);
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
