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
