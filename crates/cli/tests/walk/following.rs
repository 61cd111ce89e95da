//! The store beside the server: its revision, and the times before which parties were revoked.

use crate::support::{Place, get};
use std::time::{Duration, Instant};
use tokenberg_core::Issuer;
use tokenberg_store::{KekSource, Snapshot, Store, StoreUrl};
use tokio::runtime::{Builder, Runtime};

/// The longest time that a server may take to follow a change, on a machine that is busy with other work.
const DEADLINE: Duration = Duration::from_secs(60);

/// The store of a place, opened by the test itself.
pub struct Following {
    runtime: Runtime,
    store: Store,
}

impl Following {
    /// Opens the store, which the server or a command has made.
    pub fn open(place: &Place) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = StoreUrl::sqlite(&place.path("tokenberg.db"));
        let key = KekSource::File(url.key_file().expect("SQLite has a key file"));
        let store = runtime.block_on(Store::open_existing(&url, key)).unwrap();
        Self { runtime, store }
    }

    fn snapshot(&self) -> Snapshot {
        self.runtime.block_on(self.store.snapshot()).unwrap()
    }

    /// The time before which tokens for all subjects of the issuer were revoked.
    pub fn revoked_before(&self, issuer: &str) -> Option<i64> {
        // The empty name is that of all subjects.
        let status = self.snapshot().subject(Some(&Issuer::foreign(issuer).unwrap()), "", "");
        status.revoked_before.map(|before| before.as_seconds())
    }

    /// Waits until the server whose operations are at this address shows all that the store has.
    pub fn wait_for(&self, operations: &str) {
        let (wanted, begun) = (self.snapshot().revision(), Instant::now());
        while revision(operations) < wanted {
            assert!(begun.elapsed() < DEADLINE, "the server does not follow the store to revision {wanted}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn revision(operations: &str) -> i64 {
    let metrics = get(&format!("{operations}/metrics")).body;
    let metrics = metrics.as_str().expect("a text").to_owned();
    let line = metrics.lines().find_map(|line| line.strip_prefix("tokenberg_snapshot_revision "));
    line.and_then(|number| number.parse::<f64>().ok()).expect("a revision") as i64
}
