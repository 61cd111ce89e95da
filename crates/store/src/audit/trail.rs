//! Records decisions without making requests wait: a queue in memory, and a task that writes it in batches.

use crate::audit::load::Load;
use crate::audit::now;
use crate::audit::queue::{Queue, WhenFull, written};
use crate::audit::shared::{Shared, TrailOptions, held};
use crate::audit::writer::Writer;
use crate::store::Store;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokenberg_core::Outcome;
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokio::sync::Notify;

/// How long [`AuditTrail::end`] waits for what is left.
const LAST: Duration = Duration::from_secs(5);

/// The trail that a node's decisions are recorded in. A clone is the same trail.
#[derive(Clone)]
pub struct AuditTrail(Arc<Shared>);

/// The state of the trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditMetrics {
    /// How long the oldest record that is not in the store yet has waited.
    pub lag: Duration,
    /// The number of records that wait to be written.
    pub waiting: u64,
    /// The most that may wait.
    pub most_waiting: u64,
    /// The length of their texts, in bytes.
    pub waiting_bytes: u64,
    /// The most that this may be.
    pub most_waiting_bytes: u64,
    /// The number of records that were written.
    pub written: u64,
    /// The number of records that were lost.
    pub lost: u64,
    /// How many times this process has found a chain turned back, rewritten or removed.
    pub went_back: u64,
}

impl Store {
    /// Begins a chain of records for this process, and writes what it receives.
    ///
    /// Must be called within a tokio runtime. The trail ends with the runtime.
    #[must_use]
    pub fn audit_trail(&self, when_full: WhenFull) -> AuditTrail {
        self.audit_trail_with(TrailOptions { when_full, ..TrailOptions::default() })
    }

    /// The same with all options.
    #[must_use]
    pub fn audit_trail_with(&self, options: TrailOptions) -> AuditTrail {
        let trail = AuditTrail(Arc::new(Shared {
            store: self.clone(),
            options,
            queue: Mutex::new(Queue::new(options.most_waiting)),
            writing_since: Mutex::default(),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            went_back: AtomicU64::new(0),
            left_out: Mutex::default(),
            wake: Notify::new(),
            is_ending: AtomicBool::new(false),
            task: Mutex::default(),
        }));
        let writer = Writer::new(Arc::clone(&trail.0));
        *held(&trail.0.task) = Some(tokio::spawn(writer.run()));
        trail
    }
}

impl Recorder for AuditTrail {
    fn record(&self, record: &AuditRecord<'_>) {
        // Serialized before the queue is locked; of equal refusals, only one is serialized.
        if record.outcome.is_effective() {
            written(record, |text| self.put(record, Some(text)));
        } else {
            self.put(record, None);
        }
    }

    fn left_out(&self, outcomes: &[(Outcome, u64)]) {
        let mut left_out = held(&self.0.left_out);
        for (outcome, count) in outcomes {
            *left_out.entry(outcome.as_str()).or_default() += count;
        }
        drop(left_out);
        self.0.wake.notify_one();
    }

    fn has_room_for_unverified(&self) -> bool {
        held(&self.0.queue).has_room_for_unverified()
    }

    fn has_room(&self) -> bool {
        match self.0.options.when_full {
            WhenFull::Drop => true,
            WhenFull::Refuse => !held(&self.0.queue).is_full(),
        }
    }
}

impl AuditTrail {
    fn put(&self, record: &AuditRecord<'_>, text: Option<&str>) {
        let shared = &*self.0;
        let mut queue = held(&shared.queue);
        let was_empty = queue.is_empty();
        if !queue.put(now(), record, text) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        drop(queue);
        if was_empty {
            shared.wake.notify_one();
        }
    }

    /// The state of the trail.
    #[must_use]
    pub fn metrics(&self) -> AuditMetrics {
        let shared = &*self.0;
        let writing = held(&shared.writing_since).map(|since| since.elapsed());
        let (oldest, waiting, most) = {
            let queue = held(&shared.queue);
            (queue.oldest(), queue.load(), queue.most())
        };
        let Load { records, bytes } = waiting;
        AuditMetrics {
            lag: writing.max(oldest).unwrap_or_default(),
            waiting: records as u64,
            most_waiting: most.records as u64,
            waiting_bytes: bytes as u64,
            most_waiting_bytes: most.bytes as u64,
            written: shared.written.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            went_back: shared.went_back.load(Ordering::Relaxed),
        }
    }

    /// Writes what is left and ends the chain. What cannot be written within five seconds is lost, and the log says so.
    pub async fn end(&self) {
        self.0.is_ending.store(true, Ordering::Relaxed);
        self.0.wake.notify_one();
        let task = held(&self.0.task).take();
        if let Some(task) = task
            && tokio::time::timeout(LAST, task).await.is_err()
        {
            let records = held(&self.0.queue).load().records;
            tracing::error!(records, "the end of the audit could not be written");
        }
    }
}
