//! The heartbeat of a server: when it records itself in the store, and that it removes itself at its end.

use crate::error::StoreError;
use crate::hex::to_hex;
use crate::nodes::{Position, Report};
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

/// The interval without changes.
const INTERVAL: Duration = Duration::from_secs(10);
/// The least time between two records, however many changes there are.
const LEAST: Duration = Duration::from_millis(250);
/// How long a server that ends waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records one server.
pub(crate) struct Heartbeat {
    /// Empty if the system has no random numbers; then nothing is recorded.
    id: String,
    began: Instant,
    /// Whether the server has ended; held while something is written, so that nothing is written afterwards.
    has_ended: Mutex<bool>,
    news: Notify,
    /// How many servers were seen last; 0 before the first record.
    seen: AtomicI64,
    is_refusal_reported: AtomicBool,
}

impl Heartbeat {
    pub(crate) fn new() -> Self {
        let mut bits = [0; 8];
        let id = SystemRandom::new().fill(&mut bits).map_or_else(|_| String::new(), |()| to_hex(&bits));
        Self {
            id,
            began: Instant::now(),
            has_ended: Mutex::default(),
            news: Notify::new(),
            seen: AtomicI64::new(0),
            is_refusal_reported: AtomicBool::new(false),
        }
    }

    /// A change was followed, or the ability to follow has changed.
    pub(crate) fn has_news(&self) {
        self.news.notify_one();
    }

    /// Waits until the next record is due.
    pub(crate) async fn wait(&self) {
        tokio::time::sleep(LEAST).await;
        // Without news it is an interval.
        let _ = timeout(INTERVAL, self.news.notified()).await;
    }

    /// Records the server, unless it has ended. A failure is no fault of the server: the next record repeats it.
    pub(crate) async fn record(&self, store: &Store, followed: &Position, clock: Option<i64>, fault: &str) {
        let has_ended = self.has_ended.lock().await;
        if *has_ended || self.id.is_empty() {
            return;
        }
        let report = Report { id: &self.id, runs_for: self.began.elapsed(), clock, fault, followed };
        match store.put_node(&report).await {
            Ok(seen) => {
                self.seen.store(seen, Ordering::Relaxed);
                self.is_refusal_reported.store(false, Ordering::Relaxed);
            }
            Err(error @ StoreError::Database { .. })
                if !self.is_refusal_reported.swap(true, Ordering::Relaxed) =>
            {
                tracing::warn!(%error, "cannot record this server in the table nodes, so `tokenberg nodes` does not list it");
            }
            Err(error) => tracing::debug!(%error, "cannot record this server in the store now"),
        }
    }

    /// Removes the record. Nothing is recorded afterwards.
    pub(crate) async fn end(&self, store: &Store) {
        let end = async {
            *self.has_ended.lock().await = true;
            store.remove_node(&self.id).await
        };
        match timeout(PATIENCE, end).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot remove the record of this server"),
            Err(_) => tracing::debug!("the record of this server was not removed in time"),
        }
    }

    /// How many servers of the store were seen when this one was recorded last, this one included; `None` before that.
    pub(crate) fn seen(&self) -> Option<u64> {
        u64::try_from(self.seen.load(Ordering::Relaxed)).ok().filter(|seen| *seen > 0)
    }
}
