//! Who may keep a core busy, and who waits? Work of milliseconds, off the event loop; conformance AB-02.

use crate::fault::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// A place for as many costly computations as there are cores, and a short queue before it.
pub(crate) struct Costly {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Costly {
    pub(crate) fn new(at_once: usize, most_waiting: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once.max(1))), waiting: AtomicUsize::new(0), most_waiting }
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
        let costly = Arc::new(Costly::new(1, 1));
        let (release, wait) = mpsc::channel::<()>();
        let holder = Arc::clone(&costly);
        let first = actix_web::rt::spawn(async move { holder.run(move || wait.recv().is_ok()).await });
        while costly.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(costly.run(|| 2));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(costly.run(|| 3).await, Err(Fault::Overloaded));
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
        let costly = Costly::new(1, 0);
        for _ in 0..2 {
            assert_eq!(costly.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
        }
        assert_eq!(costly.run(|| 1).await, Ok(1));
    }
}
