//! How do decisions get into the store without anybody waiting? A queue in memory, and a task that writes it in batches.

use crate::audit::load::Load;
use crate::audit::queue::{PIECE, Queue, Taken, USUAL_QUEUE, WhenFull, written};
use crate::audit::row::Record;
use crate::audit::{Block, Change, Head, Row, now};
use crate::error::StoreError;
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokenberg_core::{AuditRecord, Recorder};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long records gather before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// How many are written in one transaction, so that other writers wait for milliseconds at most.
const BATCH: usize = PIECE;
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long [`AuditTrail::end`] waits for what is left.
const LAST: Duration = Duration::from_secs(5);

/// Where a node's decisions are recorded. A clone is the same trail.
#[derive(Clone)]
pub struct AuditTrail(Arc<Shared>);

/// How the trail does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    /// How long the oldest record has waited that is not in the store yet.
    pub lag: Duration,
    /// How many records wait to be written.
    pub waiting: u64,
    /// How many may.
    pub most_waiting: u64,
    /// The length of their texts in bytes.
    pub waiting_bytes: u64,
    /// The most that this may be.
    pub most_waiting_bytes: u64,
    /// How many records are in the store.
    pub written: u64,
    /// How many could not be kept.
    pub lost: u64,
}

struct Shared {
    store: Store,
    when_full: WhenFull,
    queue: Mutex<Queue>,
    /// Since when the batch that is being written has waited.
    writing_since: Mutex<Option<Instant>>,
    written: AtomicU64,
    lost: AtomicU64,
    /// How many decisions were left out since the trail began, by outcome.
    left_out: Mutex<BTreeMap<&'static str, u64>>,
    wake: Notify,
    is_ending: AtomicBool,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Begins a chain of records for this process, and goes on writing what it is given.
    ///
    /// To be called within a tokio runtime; the trail lasts no longer than that.
    #[must_use]
    pub fn audit_trail(&self, when_full: WhenFull) -> AuditTrail {
        self.audit_trail_of_at_most(when_full, USUAL_QUEUE)
    }

    /// The same for so many records in memory at most.
    #[must_use]
    pub fn audit_trail_of_at_most(&self, when_full: WhenFull, most_waiting: u32) -> AuditTrail {
        let trail = AuditTrail(Arc::new(Shared {
            store: self.clone(),
            when_full,
            queue: Mutex::new(Queue::new(most_waiting)),
            writing_since: Mutex::default(),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            left_out: Mutex::default(),
            wake: Notify::new(),
            is_ending: AtomicBool::new(false),
            task: Mutex::default(),
        }));
        let writer = Writer {
            shared: Arc::clone(&trail.0),
            head: None,
            reported_lost: 0,
            reported_left_out: BTreeMap::new(),
        };
        *held(&trail.0.task) = Some(tokio::spawn(writer.run()));
        trail
    }
}

impl Recorder for AuditTrail {
    fn record(&self, record: &AuditRecord<'_>) {
        // Before anybody is kept waiting for the queue; of what comes to nothing, only one of many is written.
        if record.is_effective() {
            written(record, |text| self.put(record, Some(text)));
        } else {
            self.put(record, None);
        }
    }

    fn left_out(&self, outcomes: &[(&'static str, u64)]) {
        let mut left_out = held(&self.0.left_out);
        for (outcome, count) in outcomes {
            *left_out.entry(outcome).or_default() += count;
        }
        drop(left_out);
        self.0.wake.notify_one();
    }

    fn has_room(&self) -> bool {
        match self.0.when_full {
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

    /// How it does.
    #[must_use]
    pub fn figures(&self) -> AuditFigures {
        let shared = &*self.0;
        let writing = held(&shared.writing_since).map(|since| since.elapsed());
        let (oldest, waiting, most) = {
            let queue = held(&shared.queue);
            (queue.oldest(), queue.load(), queue.most())
        };
        let Load { records, bytes } = waiting;
        AuditFigures {
            lag: writing.max(oldest).unwrap_or_default(),
            waiting: records as u64,
            most_waiting: most.records as u64,
            waiting_bytes: bytes as u64,
            most_waiting_bytes: most.bytes as u64,
            written: shared.written.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
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

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that writes.
struct Writer {
    shared: Arc<Shared>,
    /// The end of our chain; `None` until it is begun.
    head: Option<Head>,
    /// How many lost records the chain reports.
    reported_lost: u64,
    /// How many left-out decisions the chain reports, by outcome.
    reported_left_out: BTreeMap<&'static str, u64>,
}

/// Records to be written together, with the head that they leave.
struct Batch {
    from: Head,
    to: Head,
    rows: Vec<Row>,
    lost: u64,
    left_out: BTreeMap<&'static str, u64>,
}

/// What was found when a batch was to be written.
enum Found {
    /// The chain as it was left; the batch is written.
    AsLeft,
    /// The batch, written before: only the answer had been lost.
    Written,
    /// No such chain; it was forgotten because it had long been empty, or removed, which is found by its name elsewhere.
    Nothing,
    /// Something else.
    Another,
}

impl Writer {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        self.begin(None).await;
        loop {
            let batch = held(&shared.queue).take(BATCH);
            let is_ending = shared.is_ending.load(Ordering::Relaxed);
            let is_last = is_ending && batch.len() < BATCH;
            let is_drained = held(&shared.queue).is_empty();
            let has_left_out = *held(&shared.left_out) != self.reported_left_out;
            if !batch.is_empty() || is_last || has_left_out {
                self.write(batch, is_last).await;
                if is_last {
                    return;
                }
            } else if !is_ending {
                shared.wake.notified().await;
            }
            if is_drained && !shared.is_ending.load(Ordering::Relaxed) {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Begins a chain, in the place of one that was not found as it was left.
    async fn begin(&mut self, instead: Option<Head>) {
        let mut is_told = false;
        loop {
            match self.shared.store.begin_chain(instead.as_ref()).await {
                Ok(head) => {
                    tracing::debug!(chain = head.chain, "the audit begins a chain");
                    self.head = Some(head);
                    return;
                }
                Err(error) => self.pause(&error, &mut is_told).await,
            }
        }
    }

    async fn pause(&self, error: &StoreError, is_told: &mut bool) {
        if !std::mem::replace(is_told, true) {
            tracing::warn!(%error, "the audit cannot be written now");
        }
        tokio::time::sleep(AGAIN).await;
    }

    async fn write(&mut self, taken: Taken, is_last: bool) {
        let count = taken.len() as u64;
        *held(&self.shared.writing_since) = taken.since();
        let mut is_told = false;
        while let Some(head) = self.head.clone() {
            let batch = self.batch(head, &taken, is_last);
            loop {
                match self.shared.store.append_batch(&batch).await {
                    Ok(Found::AsLeft | Found::Written) => {
                        self.reported_lost += batch.lost;
                        self.reported_left_out = batch.left_out;
                        self.shared.written.fetch_add(count, Ordering::Relaxed);
                        self.head = Some(batch.to);
                        *held(&self.shared.writing_since) = None;
                        held(&self.shared.queue).written(&taken);
                        return;
                    }
                    Ok(Found::Nothing) => {
                        self.begin(None).await;
                        break;
                    }
                    Ok(Found::Another) => {
                        tracing::error!(
                            chain = batch.from.chain,
                            number = batch.from.number,
                            "the audit is not as it was left: somebody else has changed it; see tokenberg audit verify"
                        );
                        self.begin(Some(batch.from.clone())).await;
                        break;
                    }
                    Err(error) => self.pause(&error, &mut is_told).await,
                }
            }
        }
    }

    fn batch(&self, from: Head, taken: &Taken, is_last: bool) -> Batch {
        let mut records = taken.records();
        let lost = self.shared.lost.load(Ordering::Relaxed) - self.reported_lost;
        if lost > 0 {
            let event = Change::event("records lost").with("records", lost);
            records.push((now(), event.into_text().into()));
        }
        let left_out = held(&self.shared.left_out).clone();
        if left_out != self.reported_left_out {
            records.push((now(), self.left_out_since(&left_out).into_text().into()));
        }
        if is_last {
            records.push((now(), Change::event("ended").into_text().into()));
        }
        let records: Vec<Record<'_>> = records.iter().map(|(at, text)| (*at, &**text)).collect();
        let mut to = from.clone();
        let rows = Block::all(&records).map(|block| to.extend(&self.shared.store.0.links, block)).collect();
        to.ended = is_last;
        Batch { from, to, rows, lost, left_out }
    }

    fn left_out_since(&self, left_out: &BTreeMap<&'static str, u64>) -> Change {
        let since = |outcome: &&'static str, count: &u64| {
            count - self.reported_left_out.get(outcome).copied().unwrap_or_default()
        };
        let outcomes = left_out.iter().map(|(outcome, count)| ((*outcome).to_owned(), since(outcome, count)));
        let outcomes: Map<String, Value> = outcomes
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| (outcome, count.into()))
            .collect();
        let records: u64 = outcomes.values().filter_map(Value::as_u64).sum();
        Change::event("left out").with("records", records).with("outcomes", outcomes)
    }
}

impl Store {
    async fn begin_chain(&self, instead: Option<&Head>) -> Result<Head, StoreError> {
        let mut bits = [0; 8];
        SystemRandom::new().fill(&mut bits)?;
        // A new one each time: if an answer was lost, that chain stays empty.
        let chain = format!("{:016x}", u64::from_be_bytes(bits));
        change!(&self.0.db, [], connection => {
            let mut event = Change::event("node began").with("node", chain.as_str());
            if let Some(other) = instead {
                event = event.with("instead_of", other.chain.as_str()).with("left_at", other.number);
            }
            let begun = note!(self, connection, event);
            let head = Head::new(&chain, begun, now());
            insert_head!(connection, &self.0.links, &head);
            Ok(head)
        })
    }

    async fn append_batch(&self, batch: &Batch) -> Result<Found, StoreError> {
        let Batch { from, to, rows, .. } = batch;
        change!(&self.0.db, [], connection => {
            if move_head!(connection, &self.0.links, from, to) == 1 {
                insert_records!(connection, from.chain.as_str(), rows);
                return Ok(Found::AsLeft);
            }
            let read = "SELECT number, hash FROM audit_heads WHERE chain = $1";
            let found: Option<(i64, Vec<u8>)> =
                sqlx::query_as(read).bind(from.chain.as_str()).fetch_optional(&mut *connection).await?;
            Ok(match found {
                None => Found::Nothing,
                Some((number, hash)) if number == to.number && hash == to.hash => Found::Written,
                Some(_) => Found::Another,
            })
        })
    }
}
