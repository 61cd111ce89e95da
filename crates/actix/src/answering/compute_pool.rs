//! Runs computations of milliseconds off the event loop, a limited number at a time, with a bounded queue; conformance AB-02.

use crate::endpoint::fault::Fault;
use crate::observe::exposition::{Exposition, exact};
use crate::observe::metrics::Metrics;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// Permits for as many costly computations of one kind as there are cores, and a queue before them.
///
/// Digests and signatures have separate pools: a client that guesses secrets must not delay authenticated ones.
pub(crate) struct ComputePool {
    work: &'static str,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    at_once: usize,
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
        family("gauge", "tokenberg_costly_waiting_limit", "How many may wait.", &|c| c.most_waiting as u64);
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
        let done = actix_web::web::block(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|_| Fault::Panicked)
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
        if pool.waiting.fetch_add(1, Ordering::AcqRel) >= pool.most_waiting {
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
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[actix_web::test]
    async fn ab_02_permits_and_the_queue_are_bounded_and_returned() {
        let pool = Arc::new(ComputePool::new("digest", 1, 1, Arc::default()));
        let (release, wait) = mpsc::channel::<()>();
        let holder = Arc::clone(&pool);
        let first = actix_web::rt::spawn(async move { holder.run(move || wait.recv().is_ok()).await });
        while pool.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(pool.run(|| 2));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(pool.run(|| 3).await, Err(Fault::Overloaded));
        let mut exposition = Exposition::default();
        ComputePool::expose(&[&pool], &mut exposition);
        let text = exposition.into_text();
        for name in ["running", "waiting", "refused_total"] {
            let line = format!("tokenberg_costly_{name}{{work=\"digest\"}} 1");
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        // A caller that leaves the queue makes room in it.
        drop(second);
        assert_eq!(pool.waiting.load(Ordering::Acquire), 0);
        let mut fourth = Box::pin(pool.run(|| 4));
        assert!(futures_util::poll!(fourth.as_mut()).is_pending());
        release.send(()).unwrap();
        assert_eq!(fourth.await, Ok(4));
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(pool.permits.available_permits(), 1);
    }

    #[actix_web::test]
    async fn ab_02_r11_callers_of_the_same_computation_wait_for_the_first_only() {
        let pool = ComputePool::new("digest", 1, 0, Arc::default());
        let first = pool.single_flight(("c1", "s")).await.unwrap();
        let mut same = [(); 3].map(|()| Box::pin(pool.single_flight(("c1", "s"))));
        for waiting in &mut same {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        assert!(
            pool.single_flight(("c2", "s")).await.is_some()
                && pool.single_flight(("c1", "t")).await.is_some()
        );
        drop(first);
        for waiting in same {
            assert!(waiting.await.is_none());
        }
        assert!(pool.single_flight(("c1", "s")).await.is_some());
        assert!(pool.under_way().is_empty(), "nothing is kept of a finished flight");
    }

    #[actix_web::test]
    async fn ht_31_a_panic_returns_the_permit() {
        let pool = ComputePool::new("digest", 1, 0, Arc::default());
        for _ in 0..2 {
            assert_eq!(pool.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
        }
        assert_eq!(pool.run(|| 1).await, Ok(1));
    }
}
