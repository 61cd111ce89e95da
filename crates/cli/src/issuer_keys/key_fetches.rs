//! Counts the fetches of each issuer's keys, for `/metrics`.

use crate::clock;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::{Issuer, Timestamp};
use tokenberg_jose::FetchEvent;

/// The fetches of the keys of issuers. Only registered issuers are fetched from, so that their number is bounded.
#[derive(Default)]
pub(crate) struct KeyFetches(Mutex<HashMap<Issuer, Fetches>>);

/// The fetches of the keys of one issuer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fetches {
    /// The number of fetches that succeeded.
    pub(crate) fetched: u64,
    /// The number of fetches that failed.
    pub(crate) failed: u64,
    /// When the last one succeeded.
    pub(crate) last: Option<Timestamp>,
}

impl KeyFetches {
    /// Counts one fetch.
    pub(super) fn count(&self, event: &FetchEvent) {
        match event {
            FetchEvent::Fetched { issuer, .. } => {
                let mut all = self.all();
                let fetches = all.entry(issuer.clone()).or_default();
                fetches.fetched += 1;
                fetches.last = clock::now().ok().or(fetches.last);
            }
            FetchEvent::Failed { issuer, .. } => self.all().entry(issuer.clone()).or_default().failed += 1,
        }
    }

    /// Those of the issuer.
    pub(crate) fn of(&self, issuer: &Issuer) -> Fetches {
        self.all().get(issuer).copied().unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Issuer, Fetches>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
