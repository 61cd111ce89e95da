//! Compares all chains with their last known heads, once a minute, and lets the installation's chain witness those of nodes.

use crate::audit::head::{HeadRow, SELECT_HEADS, read_head};
use crate::audit::observed::{Observed, Present, WentBack};
use crate::audit::row::records;
use crate::audit::shared::TrailOptions;
use crate::audit::walk::{AnchorRow, SELECT_ANCHORS};
use crate::audit::witness::Witness;
use crate::audit::{Head, INSTALLATION};
use crate::error::StoreError;
use crate::store::Store;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most chains that one record names.
const MOST: usize = 32;

/// A node's knowledge of all chains.
pub(crate) struct ChainMonitor {
    look_every: Duration,
    witness_every: Duration,
    looked_at: Instant,
    witnessed_at: Instant,
    present: HashMap<String, Present>,
    observed: Observed,
    /// The installation's chain as it was last read, and the number of it that our chain last witnessed.
    installation: Option<Witness>,
    witnessed_installation: i64,
    /// Whether our chain has grown by more than witnesses since the installation's chain last witnessed it.
    has_grown: bool,
    /// The numbers at which the installation's chain witnessed those of other nodes, as far as we know, and their numbers one
    /// round ago.
    witnessed: HashMap<String, i64>,
    before: HashMap<String, i64>,
}

impl ChainMonitor {
    pub(crate) fn new(options: &TrailOptions) -> Self {
        Self {
            look_every: options.look_every,
            witness_every: options.witness_every,
            looked_at: Instant::now(),
            witnessed_at: Instant::now(),
            present: HashMap::new(),
            observed: Observed::default(),
            installation: None,
            witnessed_installation: 0,
            has_grown: false,
            witnessed: HashMap::new(),
            before: HashMap::new(),
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }

    pub(crate) fn due_in(&self) -> Duration {
        self.look_every.saturating_sub(self.looked_at.elapsed())
    }

    /// Reads the heads of all chains. Returns those that went back since the last time, each once.
    pub(crate) async fn look(&mut self, store: &Store) -> Result<Vec<WentBack>, StoreError> {
        self.looked_at = Instant::now();
        self.present = store.present_chains().await?;
        let (mut back, grown) = self.observed.look(&self.present);
        for grown in grown {
            let found = store.audit_hash(&grown.was.chain, grown.was.number).await?;
            // A missing row has just expired, or was removed, which `audit verify` finds.
            if found.is_some_and(|found| grown.was.hash.is_none_or(|hash| found != hash)) {
                back.push(WentBack { was: grown.was, now: grown.now });
            }
        }
        let went_back = back.iter().any(|back| back.was.chain == INSTALLATION);
        self.installation = self.observed.of(INSTALLATION).cloned();
        if went_back {
            // Our chain witnesses it as it is now.
            self.witnessed_installation = 0;
        }
        Ok(back)
    }

    /// Reads the head of the installation's chain.
    pub(crate) async fn read_installation(&mut self, store: &Store) {
        // If it cannot be read, the next batch tries again; if it went back, the next look reports it.
        if let Ok(Some(head)) = store.installation_head().await
            && self.installation.as_ref().is_none_or(|seen| head.number >= seen.number)
        {
            self.installation = Some(Witness::from(&head));
        }
    }

    /// The installation's chain, if our chain has not witnessed it as far as it has come.
    pub(crate) fn unwitnessed(&self) -> Option<&Witness> {
        self.installation.as_ref().filter(|seen| seen.number > self.witnessed_installation)
    }

    pub(crate) fn installation(&self) -> Option<&Witness> {
        self.installation.as_ref()
    }

    /// The number of the first record that the installation's chain keeps.
    pub(crate) fn installation_begins(&self) -> Option<i64> {
        self.present.get(INSTALLATION).and_then(|present| present.first)
    }

    /// Whether our own chain is as we left it; `None` if it does not exist.
    pub(crate) fn own(&self, head: &Head) -> Option<bool> {
        let found = self.present.get(&head.chain)?.head.as_ref();
        Some(found.is_some_and(|found| found.number == head.number && found.hash == head.hash))
    }

    /// The chains that began last, which the record of the next node's begin witnesses: their ends may have no witness yet.
    pub(crate) fn youngest(&self) -> Vec<Witness> {
        let mut nodes: Vec<Witness> = self.observed.nodes().filter(|node| node.number > 0).cloned().collect();
        nodes.sort_by(|one, other| (other.begun, &other.chain).cmp(&(one.begun, &one.chain)));
        nodes.truncate(MOST);
        nodes
    }

    /// Our chain has begun, and the installation's chain has witnessed the others.
    pub(crate) fn begun(&mut self) {
        self.witnessed = self.observed.nodes().map(|node| (node.chain.clone(), node.number)).collect();
        self.witnessed_installation = 0;
        self.has_grown = false;
    }

    /// Records that a batch of ours was written.
    pub(crate) fn written(&mut self, installation: Option<&Witness>, is_more_than_witness: bool) {
        if let Some(installation) = installation {
            self.witnessed_installation = installation.number;
        }
        self.has_grown |= is_more_than_witness;
    }

    /// If it is due, lets the installation's chain witness our chain, and each that stopped growing before it was witnessed.
    pub(crate) async fn witness(&mut self, store: &Store, own: &Head) {
        if self.witnessed_at.elapsed() < self.witness_every {
            return;
        }
        self.witnessed_at = Instant::now();
        let stopped: Vec<Witness> =
            self.observed.nodes().filter(|node| self.has_stopped(node, own)).cloned().collect();
        let mut unseen = Vec::new();
        for node in stopped {
            match store.has_more_than_witnesses(&node, self.witnessed.get(&node.chain)).await {
                Ok(true) => unseen.push(node),
                Ok(false) => drop(self.witnessed.insert(node.chain, node.number)),
                // The next round tries again.
                Err(_) => {}
            }
        }
        unseen.truncate(MOST);
        let own = Witness::from(own);
        let all: Vec<&Witness> = unseen.iter().chain(self.has_grown.then_some(&own)).collect();
        if !all.is_empty() {
            match store.witness_in_installation("witness", &all).await {
                Ok(_) => {
                    self.has_grown = false;
                    self.witnessed.extend(unseen.into_iter().map(|node| (node.chain, node.number)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot write a witness of the audit; the next round tries again")
                }
            }
        }
        self.before = self.observed.nodes().map(|node| (node.chain.clone(), node.number)).collect();
    }

    /// Whether the chain has not grown for a round, and may not have been witnessed at this number.
    fn has_stopped(&self, node: &Witness, own: &Head) -> bool {
        let is_at = |numbers: &HashMap<String, i64>| numbers.get(&node.chain) == Some(&node.number);
        node.chain != own.chain && node.number > 0 && !is_at(&self.witnessed) && is_at(&self.before)
    }
}

/// Logs differences of the schema that can change what servers read and write.
pub(crate) async fn log_schema(store: &Store) {
    match store.schema_differences().await {
        Ok(differences) => {
            for difference in differences.iter().filter(|difference| difference.affects_servers()) {
                tracing::error!(%difference, "the schema of the store was changed; run: tokenberg audit verify");
            }
        }
        Err(error) => tracing::warn!(%error, "cannot compare the schema of the store"),
    }
}

impl Store {
    /// All chains that have a head.
    async fn present_chains(&self) -> Result<HashMap<String, Present>, StoreError> {
        let read = self.0.db.moment(|tx| {
            Box::pin(async {
                let heads: Vec<HeadRow> = tx.all(SELECT_HEADS, &[]).await?;
                let anchors: Vec<AnchorRow> = tx.all(SELECT_ANCHORS, &[]).await?;
                Ok((heads, anchors))
            })
        });
        let (heads, anchors) = read.await?;
        let mut present: HashMap<String, Present> = heads
            .into_iter()
            .map(|row| (row.0.clone(), Present { head: read_head(&self.0.links, row), first: None }))
            .collect();
        for (chain, first, before, anchor) in anchors {
            if self.0.links.anchor(&chain, first, &before).as_slice() == anchor
                && let Some(present) = present.get_mut(&chain)
            {
                present.first = Some(first);
            }
        }
        Ok(present)
    }

    /// Whether the records behind a number are anything but witnesses.
    async fn has_more_than_witnesses(&self, node: &Witness, after: Option<&i64>) -> Result<bool, StoreError> {
        let Some(after) = after else { return Ok(true) };
        const FEW: i64 = 16;
        if node.number - after > FEW {
            return Ok(true);
        }
        let rows = self.audit_page(&node.chain, *after, FEW).await?;
        let is_witness = |(_, record): (i64, &str)| record.starts_with("{\"event\":\"witness\"");
        Ok(!rows.iter().all(|(_, at, text, _)| records(*at, text).all(is_witness)))
    }
}
