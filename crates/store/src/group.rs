//! Writes changes in groups: those that come while a group is being written are the next group. So a change on a long way to the
//! database does not wait for each change before it.

use crate::error::StoreError;
use futures_util::future::{BoxFuture, Either, select};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// The most changes of a group.
const MOST: usize = 256;

/// Changes that wait until they are written together.
pub(crate) struct Group<T> {
    waiting: Mutex<Vec<(T, oneshot::Sender<Outcome>)>>,
    /// Held by the caller that writes for all.
    turn: tokio::sync::Mutex<()>,
}

type Outcome = Result<(), StoreError>;

impl<T: Clone> Group<T> {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::new(Vec::new()), turn: tokio::sync::Mutex::new(()) }
    }

    /// Writes a change, with `write` of this caller or of another one. Returns after it is written. If the future is dropped, the
    /// change may be written or not.
    pub(crate) async fn write<'a>(
        &self,
        change: T,
        write: &(dyn Fn(Vec<T>) -> BoxFuture<'a, Outcome> + Sync),
    ) -> Outcome {
        loop {
            let (done, outcome) = oneshot::channel();
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((change.clone(), done));
            let (_turn, mut outcome) = match select(outcome, pin!(self.turn.lock())).await {
                Either::Left((Ok(outcome), _)) => return outcome,
                // The caller that wrote for all did not wait for the end.
                Either::Left((Err(_), _)) => continue,
                Either::Right(turn) => turn,
            };
            loop {
                match outcome.try_recv() {
                    Ok(outcome) => return outcome,
                    Err(TryRecvError::Closed) => break,
                    Err(TryRecvError::Empty) => {}
                }
                let group: Vec<_> = {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let count = waiting.len().min(MOST);
                    waiting.drain(..count).collect()
                };
                let (changes, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                let outcome = write(changes).await;
                for caller in callers {
                    // It may not wait any more.
                    let _ = caller.send(outcome.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    // The clock goes on when nothing else can, so that the machine's pace does not matter.
    #[tokio::test(start_paused = true)]
    async fn changes_that_come_together_are_written_together_and_none_is_lost() {
        let group = Group::new();
        let (writes, written) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let write = |changes: Vec<usize>| -> BoxFuture<'_, Outcome> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                writes.fetch_add(1, Ordering::Relaxed);
                written.lock().unwrap().extend(changes);
                Ok(())
            })
        };
        // The first one writes for others and is dropped in the middle.
        let first = group.write(usize::MAX, &write);
        let others = futures_util::future::join_all((0..600).map(|n| group.write(n, &write)));
        let dropped = tokio::time::timeout(Duration::from_millis(5), first);
        let (dropped, outcomes) = futures_util::future::join(dropped, others).await;
        assert!(dropped.is_err() && outcomes.iter().all(Result::is_ok));
        assert!(writes.load(Ordering::Relaxed) <= 5);
        let mut written = written.into_inner().unwrap();
        written.sort_unstable();
        written.dedup();
        assert_eq!(written.iter().filter(|n| **n < 600).count(), 600);
    }

    #[tokio::test]
    async fn a_failure_is_the_outcome_of_all_in_the_group() {
        let group = Group::new();
        let write = |_: Vec<usize>| -> BoxFuture<'_, Outcome> {
            Box::pin(async { Err(StoreError::unavailable("it is gone")) })
        };
        let outcomes = futures_util::future::join_all((0..9).map(|n| group.write(n, &write))).await;
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(StoreError::is_unavailable)));
    }
}
