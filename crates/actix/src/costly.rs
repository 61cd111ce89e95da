//! Who may keep a core busy, and who waits? Work of milliseconds, off the event loop; conformance AB-02.

use crate::exposition::{Exposition, exact};
use crate::fault::Fault;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// A place for as many costly computations as there are cores, and a short queue before it.
pub(crate) struct Costly {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    at_once: usize,
    refused: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Costly {
    pub(crate) fn new(at_once: usize, most_waiting: usize, metrics: Arc<Metrics>) -> Self {
        let at_once = at_once.max(1);
        Self {
            places: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
            at_once,
            refused: AtomicU64::new(0),
            metrics,
        }
    }

    /// Where figures of the work are kept.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn expose(&self, to: &mut Exposition) {
        let running = self.at_once.saturating_sub(self.places.available_permits());
        let waiting = self.waiting.load(Ordering::Relaxed);
        to.gauge(
            "tokenberg_costly_running",
            "Costly digests and signatures being computed.",
            exact(running as u64),
        );
        to.gauge(
            "tokenberg_costly_waiting",
            "Costly digests and signatures that wait.",
            exact(waiting as u64),
        );
        to.gauge("tokenberg_costly_waiting_limit", "How many may wait.", exact(self.most_waiting as u64));
        to.counter(
            "tokenberg_costly_refused_total",
            "Requests refused with 503 because too many waited.",
            self.refused.load(Ordering::Relaxed),
        );
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
        let costly = Arc::new(Costly::new(1, 1, Arc::default()));
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
        costly.expose(&mut exposition);
        let text = exposition.into_text();
        for line in
            ["tokenberg_costly_running 1", "tokenberg_costly_waiting 1", "tokenberg_costly_refused_total 1"]
        {
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
    async fn ht_31_a_panic_gives_the_place_back() {
        let costly = Costly::new(1, 0, Arc::default());
        for _ in 0..2 {
            assert_eq!(costly.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
        }
        assert_eq!(costly.run(|| 1).await, Ok(1));
    }
}
