//! The task that writes the decisions of a node, in batches, with witnesses of the other chains.

use crate::audit::append::{insert_head, insert_rows, move_head};
use crate::audit::chain_monitor::{ChainMonitor, log_schema};
use crate::audit::observed::{WentBack, is_expired};
use crate::audit::queue::{PIECE, Taken};
use crate::audit::row::Record;
use crate::audit::segment::{Gathering, Segment};
use crate::audit::shared::{Shared, held};
use crate::audit::witness::{HEADS, Witness, heads};
use crate::audit::{Block, Change, Head, Row, now};
use crate::database::values;
use crate::error::StoreError;
use crate::hex::to_hex;
use crate::store::Store;
use crate::write_failures::Write;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long records gather before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// How many are written in one transaction, so that other writers wait for milliseconds at most.
const BATCH: usize = PIECE;
/// How often the ends of the chains are logged.
const NOTE_EVERY: Duration = Duration::from_secs(3600);
/// The pause after a failure.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The head of our chain; `None` before it has begun.
    head: Option<Head>,
    /// The names of the records that have no summary yet.
    gathering: Gathering,
    monitor: ChainMonitor,
    /// How many lost records the chain reports.
    reported_lost: u64,
    /// How many left-out decisions the chain reports, by outcome.
    reported_left_out: BTreeMap<&'static str, u64>,
    /// When the ends of the chains were last logged.
    noted_at: Option<Instant>,
    /// Chains that went back, as they were before; they are written with the next batch.
    went_back: Vec<Witness>,
}

/// Records to be written together, with the head that they leave.
struct Batch {
    from: Head,
    to: Head,
    rows: Vec<Row>,
    /// The summaries of rows that end in it, and the names of the rest.
    summaries: (Vec<Segment>, Gathering),
    lost: u64,
    left_out: BTreeMap<&'static str, u64>,
    went_back: usize,
    installation: Option<Witness>,
    /// Whether it contains anything but a witness of the installation's chain.
    is_more_than_witness: bool,
}

/// The state of the stored chain when a batch is to be written.
enum Found {
    /// The chain as it was left; the batch is written.
    AsLeft,
    /// The batch itself: it had been written, and the answer was lost.
    Written,
    /// No such chain.
    Nothing,
    /// Something else.
    Another,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let monitor = ChainMonitor::new(&shared.options);
        Self {
            shared,
            head: None,
            gathering: Gathering::default(),
            monitor,
            reported_lost: 0,
            reported_left_out: BTreeMap::new(),
            noted_at: None,
            went_back: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        self.begin(None).await;
        // The chain begins with a witness of the installation's chain.
        self.write(Taken::default(), false).await;
        tokio::spawn(complete(shared.store.clone()));
        loop {
            if self.monitor.is_due() {
                self.look().await;
            }
            let batch = held(&shared.queue).take(BATCH);
            let is_ending = shared.is_ending.load(Ordering::Relaxed);
            let is_last = is_ending && batch.len() < BATCH;
            let is_drained = held(&shared.queue).is_empty();
            if !batch.is_empty() || is_last || self.has_more_to_report() {
                self.write(batch, is_last).await;
                if is_last {
                    self.end().await;
                    return;
                }
            } else if !is_ending {
                let _ = tokio::time::timeout(self.monitor.due_in(), shared.wake.notified()).await;
            }
            if is_drained && !shared.is_ending.load(Ordering::Relaxed) {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Whether there is something to write beside decisions.
    fn has_more_to_report(&self) -> bool {
        !self.went_back.is_empty()
            || self.monitor.unwitnessed().is_some()
            || self.shared.lost.load(Ordering::Relaxed) != self.reported_lost
            || *held(&self.shared.left_out) != self.reported_left_out
    }

    /// Begins a chain, to replace one that is not as it was left.
    async fn begin(&mut self, instead: Option<Head>) {
        let mut is_reported = false;
        loop {
            match self.try_to_begin(instead.as_ref()).await {
                Ok(head) => {
                    tracing::debug!(chain = head.chain, "the audit begins a chain");
                    self.head = Some(head);
                    self.gathering = Gathering::default();
                    return;
                }
                Err(error) => self.pause(&error, &mut is_reported).await,
            }
        }
    }

    async fn try_to_begin(&mut self, instead: Option<&Head>) -> Result<Head, StoreError> {
        let store = &self.shared.store;
        let back = self.monitor.look(store).await?;
        self.report(back);
        let mut others = self.monitor.youngest();
        others.extend(instead.map(Witness::from));
        let head = self.shared.store.begin_chain(instead, &others).await?;
        self.monitor.begun();
        Ok(head)
    }

    async fn pause(&self, error: &StoreError, is_reported: &mut bool) {
        self.shared.store.0.write_failures.failed(Write::Audit, error);
        if !std::mem::replace(is_reported, true) {
            tracing::warn!(%error, "the audit cannot be written now");
        }
        tokio::time::sleep(AGAIN).await;
    }

    /// Checks whether a chain went back, and writes the witnesses that are due.
    async fn look(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(head) = self.head.clone() else { return };
        // If they cannot be read, the next look tries again.
        let Ok(back) = self.monitor.look(&shared.store).await else { return };
        self.report(back);
        match self.monitor.own(&head) {
            Some(true) => {
                self.monitor.witness(&shared.store, &head).await;
                if self.noted_at.is_none_or(|noted| noted.elapsed() >= NOTE_EVERY) {
                    self.noted_at = Some(Instant::now());
                    log_notes(self.monitor.installation(), &Witness::from(&head));
                    log_schema(&shared.store).await;
                }
            }
            Some(false) => self.begin_instead(head).await,
            None => self.begin_after(head).await,
        }
    }

    /// Goes on after our chain has disappeared: it has expired, or was removed.
    async fn begin_after(&mut self, head: Head) {
        let mut is_reported = false;
        let back = loop {
            // What the installation's chain keeps now may differ from a minute ago.
            match self.monitor.look(&self.shared.store).await {
                Ok(back) => break back,
                Err(error) => self.pause(&error, &mut is_reported).await,
            }
        };
        self.report(back);
        if is_expired(Some(head.begun), self.monitor.installation_begins()) {
            self.begin(None).await;
        } else {
            self.begin_instead(head).await;
        }
    }

    async fn begin_instead(&mut self, head: Head) {
        tracing::error!(
            chain = head.chain,
            number = head.number,
            "the audit chain of this server is not as the server left it; run: tokenberg audit verify"
        );
        self.shared.went_back.fetch_add(1, Ordering::Relaxed);
        self.begin(Some(head)).await;
    }

    fn report(&mut self, back: Vec<WentBack>) {
        for WentBack { was, now } in back {
            if self.head.as_ref().is_some_and(|head| head.chain == was.chain) {
                continue;
            }
            tracing::error!(
                chain = was.chain,
                was_at = was.number,
                is_at = now,
                "an audit chain went back: it was changed, or an older copy of the store was restored; run: tokenberg audit verify"
            );
            self.shared.went_back.fetch_add(1, Ordering::Relaxed);
            self.went_back.push(was);
        }
    }

    async fn write(&mut self, taken: Taken, is_last: bool) {
        let count = taken.len() as u64;
        *held(&self.shared.writing_since) = taken.since();
        let shared = Arc::clone(&self.shared);
        let mut is_reported = false;
        while let Some(head) = self.head.clone() {
            self.monitor.read_installation(&shared.store).await;
            let batch = self.batch(head, &taken, is_last);
            loop {
                match shared.store.append_batch(&batch).await {
                    Ok(Found::AsLeft | Found::Written) => {
                        self.reported_lost += batch.lost;
                        self.reported_left_out = batch.left_out;
                        self.went_back.drain(..batch.went_back);
                        self.monitor.written(batch.installation.as_ref(), batch.is_more_than_witness);
                        shared.written.fetch_add(count, Ordering::Relaxed);
                        (self.head, self.gathering) = (Some(batch.to), batch.summaries.1);
                        shared.store.0.write_failures.written(Write::Audit);
                        *held(&shared.writing_since) = None;
                        held(&shared.queue).written(&taken);
                        return;
                    }
                    Ok(Found::Nothing) => {
                        self.begin_after(batch.from).await;
                        break;
                    }
                    Ok(Found::Another) => {
                        self.begin_instead(batch.from).await;
                        break;
                    }
                    Err(error) => self.pause(&error, &mut is_reported).await,
                }
            }
        }
    }

    fn batch(&self, from: Head, taken: &Taken, is_last: bool) -> Batch {
        let mut records = taken.records();
        let mut add = |event: Change| records.push((now(), event.into_text().into()));
        let lost = self.shared.lost.load(Ordering::Relaxed) - self.reported_lost;
        if lost > 0 {
            add(Change::event("records lost").with("records", lost));
        }
        let left_out = held(&self.shared.left_out).clone();
        if left_out != self.reported_left_out {
            add(self.left_out_since(&left_out));
        }
        if !self.went_back.is_empty() {
            // By name, too: the record stands in the chain of this server, which is not the one that went back.
            let names: Vec<&str> = self.went_back.iter().map(|was| was.chain.as_str()).collect();
            let event = Change::event("chain went back").with("went_back", names);
            add(event.with(HEADS, heads(&self.went_back)));
        }
        let installation = self.monitor.unwitnessed().cloned();
        if let Some(installation) = &installation {
            add(Change::event("witness").with(HEADS, heads([installation])));
        }
        if is_last {
            add(Change::event("ended"));
        }
        let is_more_than_witness = records.len() > usize::from(installation.is_some());
        let records: Vec<Record<'_>> = records.iter().map(|(at, text)| (*at, &**text)).collect();
        let mut to = from.clone();
        let links = &self.shared.store.0.links;
        let rows: Vec<Row> = Block::all(&records).map(|block| to.extend(links, block)).collect();
        to.ended = is_last;
        let mut gathering = self.gathering.clone();
        let add = |row: &Row| gathering.add(links, &to.chain, row, is_last && row.0 == to.number);
        let summaries = (rows.iter().filter_map(add).collect(), gathering);
        let went_back = self.went_back.len();
        Batch { from, to, rows, summaries, lost, left_out, went_back, installation, is_more_than_witness }
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

    /// Lets the installation's chain witness the end of ours, and logs both ends, so that they are known outside of the store.
    async fn end(&mut self) {
        let Some(head) = &self.head else { return };
        let own = Witness::from(head);
        match self.shared.store.witness_in_installation("node ended", &[&own]).await {
            Ok(number) => tracing::debug!(number, "the end of the audit chain is witnessed"),
            Err(error) => tracing::warn!(%error, "cannot write a witness of the end of the audit chain"),
        }
        let installation = self.shared.store.installation_head().await.ok().flatten();
        log_notes(installation.as_ref().map(Witness::from).as_ref(), &own);
    }
}

/// Logs the ends of both chains, so that they are known outside of the store.
fn log_notes(installation: Option<&Witness>, own: &Witness) {
    for witness in installation.into_iter().chain([own]) {
        tracing::info!(
            note = note(witness),
            "the end of an audit chain; audit verify --noted takes the note"
        );
    }
}

/// A chain in the form of `audit verify --noted`.
fn note(witness: &Witness) -> String {
    let hash = witness.hash.map(|hash| to_hex(&hash)).unwrap_or_default();
    format!("{}/{}/{hash}", witness.chain, witness.number)
}

async fn complete(store: Store) {
    if let Err(error) = store.complete_audit().await {
        tracing::warn!(%error, "cannot complete the audit with what is configured; the next start tries again");
    }
}

impl Store {
    async fn begin_chain(&self, instead: Option<&Head>, others: &[Witness]) -> Result<Head, StoreError> {
        let mut bits = [0; 8];
        SystemRandom::new().fill(&mut bits)?;
        // A new one each time: if an answer was lost, that chain stays empty.
        let chain = format!("{:016x}", u64::from_be_bytes(bits));
        let mut event = Change::event("node began").with("node", chain.as_str());
        for (name, fact) in self.node() {
            event = event.with(name, fact.as_str());
        }
        if !others.is_empty() {
            event = event.with(HEADS, heads(others));
        }
        if let Some(other) = instead {
            event = event.with("instead_of", other.chain.as_str()).with("left_at", other.number);
        }
        let (chain, event) = (&chain, &event);
        let begin = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                let begun = self.record_change(tx, event.clone()).await?;
                let head = Head::new(chain, begun, now());
                insert_head(tx, &self.0.links, &head).await?;
                Ok(head)
            })
        });
        begin.await
    }

    async fn append_batch(&self, batch: &Batch) -> Result<Found, StoreError> {
        let Batch { from, to, rows, summaries, .. } = batch;
        let append = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                if move_head(tx, &self.0.links, from, to).await? {
                    insert_rows(tx, &from.chain, rows, &summaries.0).await?;
                    return Ok(Found::AsLeft);
                }
                let read = "SELECT number, hash FROM audit_heads WHERE chain = $1";
                let found: Option<(i64, Vec<u8>)> = tx.find(read, values![&from.chain]).await?;
                Ok(match found {
                    None => Found::Nothing,
                    Some((number, hash)) if number == to.number && hash == to.hash => Found::Written,
                    Some(_) => Found::Another,
                })
            })
        });
        append.await
    }
}
