//! Threads that each keep something of their own, and a bounded queue before them: for calls that block.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use tokio::sync::oneshot::{self, Receiver};

/// Threads that run jobs. `S` is what a thread keeps from job to job, such as a session. Threads are started when they are needed.
pub(super) struct Pool<S>(Arc<Shared<S>>);

struct Shared<S> {
    name: &'static str,
    most_threads: usize,
    most_waiting: usize,
    queue: Mutex<Queue<S>>,
    changed: Condvar,
}

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

struct Queue<S> {
    jobs: VecDeque<Job<S>>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

/// Why a job was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// So many are waiting that this one would wait too long.
    Full,
    /// The operating system starts no thread.
    NoThread,
}

impl<S: Default + 'static> Pool<S> {
    /// A pool of at most so many threads, before which at most so many jobs wait.
    pub(super) fn new(name: &'static str, most_threads: usize, most_waiting: usize) -> Self {
        let queue = Queue { jobs: VecDeque::new(), threads: 0, idle: 0, is_closed: false };
        let (queue, changed) = (Mutex::new(queue), Condvar::new());
        Self(Arc::new(Shared { name, most_threads, most_waiting, queue, changed }))
    }

    /// Runs the job on a thread. A job whose receiver is dropped before it begins is not run.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<Receiver<T>, Refused> {
        let (sender, receiver) = oneshot::channel();
        let job = move |state: &mut S| {
            if !sender.is_closed() {
                // The receiver may be gone by now; then there is no one to answer.
                let _ = sender.send(job(state));
            }
        };
        let shared = &self.0;
        let mut queue = shared.queue();
        let needs_thread = queue.jobs.len() >= queue.idle && queue.threads < shared.most_threads;
        if !needs_thread && queue.jobs.len() >= shared.most_waiting + queue.idle {
            return Err(Refused::Full);
        }
        if needs_thread {
            let of_thread = Arc::clone(shared);
            let started = thread::Builder::new().name(shared.name.to_owned()).spawn(move || of_thread.work());
            match started {
                Ok(_) => queue.threads += 1,
                // The others do it.
                Err(_) if queue.threads > 0 => {}
                Err(_) => return Err(Refused::NoThread),
            }
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        shared.changed.notify_one();
        Ok(receiver)
    }
}

impl<S> Drop for Pool<S> {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl<S> Shared<S> {
    fn queue(&self) -> MutexGuard<'_, Queue<S>> {
        // No job runs while the queue is locked, so it is whole even after a panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Default> Shared<S> {
    fn work(&self) {
        let _counted = Counted(self);
        let mut state = S::default();
        while let Some(job) = self.next() {
            // A thread that ended here could leave behind a job that was queued for it a moment before.
            if panic::catch_unwind(AssertUnwindSafe(|| job(&mut state))).is_err() {
                state = S::default();
            }
        }
    }

    fn next(&self) -> Option<Job<S>> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

/// A thread that ended, by a panic too, makes room for another.
struct Counted<'a, S>(&'a Shared<S>);

impl<S> Drop for Counted<'_, S> {
    fn drop(&mut self) {
        self.0.queue().threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc;

    #[test]
    fn as_many_jobs_run_at_a_time_as_there_may_be_threads() {
        let (pool, together) = (Pool::<u32>::new("test", 8, 100), Arc::new(Barrier::new(8)));
        let waiting: Vec<_> = (0..24)
            .map(|_| {
                let together = Arc::clone(&together);
                // Each waits for seven others.
                pool.run(move |jobs| {
                    together.wait();
                    *jobs += 1;
                    *jobs
                })
                .unwrap()
            })
            .collect();
        let mut jobs: Vec<u32> = waiting.into_iter().map(|job| job.blocking_recv().unwrap()).collect();
        jobs.sort_unstable();
        // Eight threads, each of which counted what it did.
        assert_eq!(jobs.iter().filter(|job| **job == 1).count(), 8, "{jobs:?}");
    }

    #[test]
    fn a_full_queue_refuses_and_a_thread_that_panicked_is_replaced() {
        let pool = Pool::<()>::new("test", 1, 2);
        let (begun, has_begun) = mpsc::channel();
        let (end, ending) = mpsc::channel::<()>();
        let first = pool
            .run(move |()| {
                begun.send(()).unwrap();
                ending.recv().unwrap();
            })
            .unwrap();
        has_begun.recv().unwrap();
        let waiting: Vec<_> = (0..2).map(|number| pool.run(move |()| number).unwrap()).collect();
        assert_eq!(pool.run(|()| ()).err(), Some(Refused::Full));
        end.send(()).unwrap();
        first.blocking_recv().unwrap();
        let numbers: Vec<_> = waiting.into_iter().map(|job| job.blocking_recv().unwrap()).collect();
        assert_eq!(numbers, [0, 1]);
        let panics = pool.run(|()| panic!("as the test wants it")).unwrap();
        assert!(panics.blocking_recv().is_err());
        let answers = || pool.run(|()| 7).ok().and_then(|job| job.blocking_recv().ok());
        // The thread may not have ended yet when its job has.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while answers() != Some(7) {
            assert!(std::time::Instant::now() < end, "no other thread took its place");
        }
    }
}
