//! Lets all requests for one issuer wait for a single fetch, in any async runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// A fetch that is under way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_landed: bool,
    waiting: Vec<Waker>,
}

impl Flight {
    /// Wakes all who wait.
    pub(super) fn land(&self) {
        let waiting = {
            let mut state = self.state();
            state.has_landed = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until it has landed.
    pub(super) fn landed(self: &Arc<Self>) -> Landed {
        Landed { flight: Arc::clone(self), place: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready when the flight has landed.
pub(super) struct Landed {
    flight: Arc<Flight>,
    /// Our position among the wakers, so that a second poll does not add a second waker.
    place: Option<usize>,
}

impl Future for Landed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let flight = Arc::clone(&self.flight);
        let mut state = flight.state();
        if state.has_landed {
            return Poll::Ready(());
        }
        match self.place.and_then(|place| state.waiting.get_mut(place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                self.place = Some(state.waiting.len());
                state.waiting.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// Blocks this thread until the future is ready.
pub(super) fn wait<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
