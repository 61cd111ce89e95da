//! Who may keep a core busy, and who waits? Work of milliseconds, off the event loop; conformance AB-02.

use crate::exposition::{Exposition, exact};
use crate::fault::Fault;
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// A place for as many costly computations of one kind as there are cores, and a queue before it.
///
/// Digests and signatures have places of their own: whoever guesses must not keep those waiting who have proven who they are.
pub(crate) struct Costly {
    work: &'static str,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    at_once: usize,
    refused: AtomicU64,
    /// What is being computed, by its hash.
    under_way: Mutex<HashMap<u64, watch::Sender<()>>>,
    hashes: RandomState,
    metrics: Arc<Metrics>,
}

impl Costly {
    /// `work` is what the figures call it.
    pub(crate) fn new(
        work: &'static str,
        at_once: usize,
        most_waiting: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let at_once = at_once.max(1);
        Self {
            work,
            places: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
            at_once,
            refused: AtomicU64::new(0),
            under_way: Mutex::default(),
            hashes: RandomState::new(),
            metrics,
        }
    }

    /// Where figures of the work are kept.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Writes the figures of all kinds of work.
    pub(crate) fn expose(kinds: &[&Self], to: &mut Exposition) {
        let mut family = |kind, name, help, value: &dyn Fn(&Self) -> u64| {
            to.family(kind, name, help);
            for costly in kinds {
                to.sample(name, &[("work", costly.work)], exact(value(costly)));
            }
        };
        family("gauge", "tokenberg_costly_running", "Costly computations under way, by their kind.", &|c| {
            c.at_once.saturating_sub(c.places.available_permits()) as u64
        });
        family("gauge", "tokenberg_costly_waiting", "Costly computations that wait.", &|c| {
            c.waiting.load(Ordering::Relaxed) as u64
        });
        family("gauge", "tokenberg_costly_waiting_limit", "How many may wait.", &|c| c.most_waiting as u64);
        let refused = "Requests refused with 503 because too many waited.";
        family("counter", "tokenberg_costly_refused_total", refused, &|c| c.refused.load(Ordering::Relaxed));
    }

    /// The turn to compute this; `None` after waiting for somebody who was computing the same, once.
    ///
    /// So the hundred tasks of a job that all begin with the same secret are one digest, and fill no queue.
    pub(crate) async fn turn(&self, what: impl Hash) -> Option<Turn<'_>> {
        let what = self.hashes.hash_one(what);
        let mut ended = match self.under_way().entry(what) {
            Entry::Occupied(other) => other.get().subscribe(),
            Entry::Vacant(nobody) => {
                nobody.insert(watch::channel(()).0);
                return Some(Turn { costly: self, what });
            }
        };
        // It ends by being dropped.
        let _ = ended.changed().await;
        None
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<()>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes on a thread that may block.
    ///
    /// The place stays taken until the work is done, even if the client has gone by then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _queued = Queued::behind(self)?;
                Arc::clone(&self.places).acquire_owned().await.map_err(|_| Fault::Overloaded)?
            }
        };
        let done = actix_web::web::block(move || {
            let result = work();
            drop(place);
            result
        });
        done.await.map_err(|_| Fault::Panicked)
    }
}

/// The turn of whoever came first; those who wait for it go on when it is dropped.
pub(crate) struct Turn<'a> {
    costly: &'a Costly,
    what: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.costly.under_way().remove(&self.what);
    }
}

/// A position in the queue, given up when it is dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn behind(costly: &'a Costly) -> Result<Self, Fault> {
        let position = Self(&costly.waiting);
        if costly.waiting.fetch_add(1, Ordering::AcqRel) >= costly.most_waiting {
            costly.refused.fetch_add(1, Ordering::Relaxed);
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
    async fn ab_02_places_and_the_queue_are_bounded_and_given_up() {
        let costly = Arc::new(Costly::new("digest", 1, 1, Arc::default()));
        let (release, wait) = mpsc::channel::<()>();
        let holder = Arc::clone(&costly);
        let first = actix_web::rt::spawn(async move { holder.run(move || wait.recv().is_ok()).await });
        while costly.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(costly.run(|| 2));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(costly.run(|| 3).await, Err(Fault::Overloaded));
        let mut exposition = Exposition::default();
        Costly::expose(&[&costly], &mut exposition);
        let text = exposition.into_text();
        for name in ["running", "waiting", "refused_total"] {
            let line = format!("tokenberg_costly_{name}{{work=\"digest\"}} 1");
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        // Who leaves the queue makes room in it.
        drop(second);
        assert_eq!(costly.waiting.load(Ordering::Acquire), 0);
        let mut fourth = Box::pin(costly.run(|| 4));
        assert!(futures_util::poll!(fourth.as_mut()).is_pending());
        release.send(()).unwrap();
        assert_eq!(fourth.await, Ok(4));
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(costly.places.available_permits(), 1);
    }

    #[actix_web::test]
    async fn ab_02_r11_whoever_wants_the_same_waits_for_the_first_and_for_nobody_else() {
        let costly = Costly::new("digest", 1, 0, Arc::default());
        let first = costly.turn(("c1", "s")).await.unwrap();
        let mut same = [(); 3].map(|()| Box::pin(costly.turn(("c1", "s"))));
        for waiting in &mut same {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        assert!(costly.turn(("c2", "s")).await.is_some() && costly.turn(("c1", "t")).await.is_some());
        drop(first);
        for waiting in same {
            assert!(waiting.await.is_none());
        }
        assert!(costly.turn(("c1", "s")).await.is_some());
        assert!(costly.under_way().is_empty(), "nothing is kept of what is over");
    }

    #[actix_web::test]
    async fn ht_31_a_panic_gives_the_place_back() {
        let costly = Costly::new("digest", 1, 0, Arc::default());
        for _ in 0..2 {
            assert_eq!(costly.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
        }
        assert_eq!(costly.run(|| 1).await, Ok(1));
    }
}
