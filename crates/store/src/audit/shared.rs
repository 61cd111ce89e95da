//! The state that the trail of a node shares with the task that writes it.

use crate::audit::queue::{Queue, USUAL_QUEUE, WhenFull};
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The options of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "options are made with `..default()`")]
pub struct TrailOptions {
    /// What to do with records that cannot be stored.
    pub when_full: WhenFull,
    /// The most records of authenticated requests that wait in memory. Their texts have at most 1 KiB for each of that number,
    /// and at least 1 MiB in all. An eighth more may wait for requests without client authentication.
    pub most_waiting: u32,
    /// How often all chains are compared with what they were; 1m by default.
    pub look_every: Duration,
    /// How often the installation's chain witnesses those of nodes; 5m by default.
    pub witness_every: Duration,
}

impl Default for TrailOptions {
    fn default() -> Self {
        Self {
            when_full: WhenFull::Drop,
            most_waiting: USUAL_QUEUE,
            look_every: Duration::from_secs(60),
            witness_every: Duration::from_secs(300),
        }
    }
}

/// The state that the trail and the writing task share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) options: TrailOptions,
    pub(super) queue: Mutex<Queue>,
    /// Since when the batch that is being written has waited.
    pub(super) writing_since: Mutex<Option<Instant>>,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) went_back: AtomicU64,
    /// How many decisions were left out since the trail began, by outcome.
    pub(super) left_out: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) wake: Notify,
    pub(super) is_ending: AtomicBool,
    pub(super) task: Mutex<Option<JoinHandle<()>>>,
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
