//! How often were the keys of issuers asked for, and in vain? Two counts, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use tokenberg_actix::Exposition;
use tokenberg_jose::FetchEvent;

/// What became of all fetches together; which issuer it was is in the log.
#[derive(Default)]
pub(crate) struct KeyFetches {
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl KeyFetches {
    /// Counts one.
    pub(crate) fn count(&self, event: &FetchEvent) {
        let counter = match event {
            FetchEvent::Fetched { .. } => &self.fetched,
            FetchEvent::Failed { .. } => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn expose(&self, to: &mut Exposition) {
        const NAME: &str = "tokenberg_issuer_key_fetches_total";
        to.family("counter", NAME, "Fetches of the keys of issuers.");
        for (outcome, counter) in [("fetched", &self.fetched), ("failed", &self.failed)] {
            to.sample(NAME, &[("outcome", outcome)], super::figures::count(counter.load(Ordering::Relaxed)));
        }
    }
}
