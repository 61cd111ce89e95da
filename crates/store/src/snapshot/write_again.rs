//! Writes again what the database has lost and this process still has in memory, in pieces, so that changes are followed meanwhile.

use crate::StoreError;
use crate::audit::StoreLoss;
use crate::database::Recorded;
use crate::snapshot::in_memory::Snapshot;
use crate::snapshot::restriction::{Counts, Restriction};
use crate::store::Store;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::token::SingleUseId;

/// How many are written between two polls.
const PIECE: usize = 100;
/// How many ends of the chain are remembered.
const HEADS: usize = 1024;

/// What this process keeps in case the database loses it.
#[derive(Default)]
pub(super) struct Kept(Mutex<State>);

#[derive(Default)]
struct State {
    /// What has to be written again, and is in force until then.
    pending: VecDeque<Restriction>,
    /// A loss that is not recorded yet, and how many restrictions were lost.
    loss: Option<(StoreLoss, usize)>,
    /// The ends of the installation's chain that were read, the oldest first.
    heads: VecDeque<Recorded>,
    /// The keys that were seen to disappear.
    removed_keys: HashSet<KeyId>,
    /// How many were missing and were written again: in all, and since the last report.
    written: u64,
    unreported: u64,
    is_failing: bool,
}

impl Kept {
    /// Remembers how far the history had come, and which keys have disappeared from one snapshot to the next.
    pub(super) fn followed(&self, before: &Snapshot, after: &Snapshot) {
        let is_in = |snapshot: &Snapshot, id: &KeyId| snapshot.keys.iter().any(|key| key.id == *id);
        let removed = before.keys.iter().map(|key| &key.id).filter(|id| !is_in(after, id)).cloned();
        let mut state = self.state();
        if state.heads.back() != Some(&before.recorded) {
            state.heads.push_back(before.recorded.clone());
        }
        if state.heads.len() > HEADS {
            state.heads.pop_front();
        }
        state.removed_keys.extend(removed);
        state.removed_keys.retain(|id| !is_in(after, id));
    }

    /// Whether nothing has to be written again.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state();
        state.pending.is_empty() && state.loss.is_none()
    }

    /// Takes the keys that are older than `contact`, in milliseconds since 1970, and were not in the store then, for removed ones: a
    /// process that begins with an older state has not seen them disappear.
    pub(super) fn knew_keys(&self, before: &Snapshot, after: &Snapshot, contact: i64) {
        let is_known = |key: &&KeyMaterial| before.keys.iter().any(|known| known.id == key.id);
        let is_older = |key: &&KeyMaterial| key.created_at.as_seconds() < contact.div_euclid(1000);
        let removed = after.keys.iter().filter(|key| is_older(key) && !is_known(key));
        self.state().removed_keys.extend(removed.map(|key| key.id.clone()));
    }

    /// Finds what the new history lacks, except what an operator has undone in it since `since`, in milliseconds since 1970.
    pub(super) async fn lost(
        &self,
        store: &Store,
        [before, after]: [&Snapshot; 2],
        since: i64,
    ) -> Result<Vec<Restriction>, StoreError> {
        let mut lost = Restriction::lost(before, after, &self.state().removed_keys);
        let mut known: Vec<Recorded> = self.state().heads.iter().cloned().collect();
        known.push(before.recorded.clone());
        store.retain_in_force(&mut lost, &known, since).await?;
        Ok(lost)
    }

    /// Has these written again, and the loss recorded.
    pub(super) fn write_again(&self, lost: Vec<Restriction>, loss: StoreLoss) {
        let mut state = self.state();
        state.heads.clear();
        state.loss = Some((loss, lost.len()));
        state.pending.extend(lost);
    }

    /// Has the uses of single-use identifiers written again.
    pub(super) fn use_again(&self, uses: Vec<SingleUseId>) {
        self.state().pending.extend(uses.into_iter().map(Restriction::Use));
    }

    /// Puts into force what is not written again yet.
    pub(super) fn apply(&self, to: &mut Snapshot, before: &Snapshot) -> Result<(), StoreError> {
        let pending = self.state().pending.clone();
        if pending.iter().any(|restriction| matches!(restriction, Restriction::Key(..))) {
            to.take_keys_of(before);
        }
        pending.iter().try_for_each(|restriction| restriction.apply(to))
    }

    /// How many were missing in the database and were written again.
    pub(super) fn written(&self) -> u64 {
        self.state().written
    }

    /// Writes a piece of what is pending. What fails is tried again at the next call.
    pub(super) async fn write_piece(&self, store: &Store) {
        let loss = self.state().loss.clone();
        if let Some((loss, restrictions)) = loss {
            if let Err(error) = store.record_loss(&loss, restrictions).await {
                return self.failed(&error);
            }
            self.state().loss = None;
        }
        for _ in 0..PIECE {
            let next = self.state().pending.front().cloned();
            let Some(next) = next else { return self.report() };
            match next.write(store).await {
                Ok(was_missing) => {
                    let mut state = self.state();
                    state.pending.pop_front();
                    state.is_failing = false;
                    state.written += u64::from(was_missing);
                    state.unreported += u64::from(was_missing);
                }
                Err(error) => return self.failed(&error),
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        if !std::mem::replace(&mut self.state().is_failing, true) {
            tracing::warn!(%error, "cannot write again what the database has lost; it stays in force here, and is tried again");
        }
    }

    fn report(&self) {
        let written = std::mem::take(&mut self.state().unreported);
        if written > 0 {
            tracing::warn!(
                written,
                "the database had lost revocations, disablings, removals or used identifiers that this server has written again"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each field is set as a whole, so a panic elsewhere leaves it consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was lost, for the log and for `/readyz`.
pub(super) fn summary(lost: &[Restriction]) -> String {
    Counts(lost).to_string()
}
