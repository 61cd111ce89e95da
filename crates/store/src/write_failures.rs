//! Counts the writes of a server that failed, and remembers why the last ones did.

use crate::error::StoreError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a failure says that the store cannot be written, if nothing of its kind was written since.
const RECENT: Duration = Duration::from_secs(60);

/// What a server writes while it answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The revocation of a token.
    Revocation,
    /// The use of a single-use identifier.
    SingleUse,
    /// Records of the audit.
    Audit,
}

impl Write {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Revocation, Self::SingleUse, Self::Audit];

    /// The name of the kind in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::SingleUse => "single_use",
            Self::Audit => "audit",
        }
    }
}

/// The failures of each kind.
#[derive(Debug, Default)]
pub(crate) struct WriteFailures([OfKind; Write::ALL.len()]);

#[derive(Debug, Default)]
struct OfKind {
    count: AtomicU64,
    /// The last one, unless something was written since.
    last: Mutex<Option<(Instant, StoreError)>>,
}

impl OfKind {
    fn last(&self) -> MutexGuard<'_, Option<(Instant, StoreError)>> {
        // It is set as a whole, so a panic elsewhere leaves it consistent.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteFailures {
    /// Notes the outcome of a write, and returns it.
    pub(crate) fn note<T>(&self, write: Write, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Ok(_) => self.written(write),
            Err(error) => self.failed(write, error),
        }
        outcome
    }

    pub(crate) fn written(&self, write: Write) {
        *self.0[write as usize].last() = None;
    }

    pub(crate) fn failed(&self, write: Write, error: &StoreError) {
        self.0[write as usize].count.fetch_add(1, Ordering::Relaxed);
        *self.0[write as usize].last() = Some((Instant::now(), error.clone()));
    }

    /// How many failed, in the order of [`Write::ALL`].
    pub(crate) fn counts(&self) -> [u64; Write::ALL.len()] {
        Write::ALL.map(|write| self.0[write as usize].count.load(Ordering::Relaxed))
    }

    /// What could not be written lately, and why.
    pub(crate) fn recent(&self) -> Option<(Write, StoreError)> {
        Write::ALL.into_iter().find_map(|write| {
            let last = self.0[write as usize].last().clone();
            last.filter(|(at, _)| at.elapsed() < RECENT).map(|(_, error)| (write, error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_12_failures_are_counted_by_kind_and_remembered_until_a_write_succeeds() {
        let failures = WriteFailures::default();
        let fault = StoreError::unavailable("the disk of the database is full");
        assert_eq!(failures.note::<()>(Write::SingleUse, Err(fault.clone())), Err(fault.clone()));
        failures.failed(Write::SingleUse, &fault);
        failures.written(Write::Audit);
        assert_eq!(failures.recent(), Some((Write::SingleUse, fault)));
        assert_eq!(failures.note(Write::SingleUse, Ok(1)), Ok(1));
        assert_eq!((failures.recent(), failures.counts()), (None, [0, 2, 0]));
    }
}
