//! Counts the fetches of issuers' keys, for `/metrics`; the log names the issuer of each.

use std::sync::atomic::{AtomicU64, Ordering};
use tokenberg_jose::FetchEvent;

/// The numbers of successful and failed fetches, for all issuers together.
#[derive(Default)]
pub(crate) struct KeyFetches {
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl KeyFetches {
    /// Counts one fetch.
    pub(super) fn count(&self, event: &FetchEvent) {
        let counter = match event {
            FetchEvent::Fetched { .. } => &self.fetched,
            FetchEvent::Failed { .. } => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of fetches that succeeded.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// The number of fetches that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
