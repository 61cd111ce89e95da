//! Records in the store that a server follows it, and how far.

use crate::nodes::Position;
use crate::snapshot::watch::{Inner, Watched};
use std::sync::{Arc, Weak};
use tokenberg_core::Keys;

impl<K: Keys + 'static> Watched<K> {
    /// Records this process as a server of the store from now on: every 10 s, and at once after a change was followed, so that
    /// [`Store::nodes`](crate::Store::nodes) lists it. A store that cannot be written has no effect on the server.
    ///
    /// Must be called within a tokio runtime, once. It ends with [`Watched::leave`], or with the last clone.
    pub fn appear(&self) {
        tokio::spawn(appear(Arc::downgrade(&self.0)));
    }

    /// Removes the record of this process. Waits 2 s for the store at most.
    pub async fn leave(&self) {
        self.0.heartbeat.end(&self.0.store).await;
    }

    /// How many servers of the store were seen within 30 s when this one was recorded last, this one included; `None` before that.
    #[must_use]
    pub fn nodes_seen(&self) -> Option<u64> {
        self.0.heartbeat.seen()
    }
}

async fn appear<K: Keys + 'static>(watched: Weak<Inner<K>>) {
    if let Some(inner) = watched.upgrade() {
        // Afterwards the clock is known. A failure is reported where it is followed.
        let _ = Watched(inner).refresh().await;
    }
    while let Some(inner) = watched.upgrade() {
        let watched = Watched(inner);
        let health = watched.health();
        // Otherwise the attempt would only take a connection from those that wait for the store. That a revocation failed a moment ago
        // is no reason: after an outage, commands have to wait for this server at once.
        if watched.0.condition().may_be_written() {
            let followed = Position::of(&watched.now().snapshot.numbers);
            let fault = health.fault.map(|fault| fault.to_string()).unwrap_or_default();
            let clock = health.clock.map(|clock| clock.milliseconds);
            watched.0.heartbeat.record(&watched.0.store, &followed, clock, &fault).await;
        }
        // A clone that is held here would keep the watch alive.
        let heartbeat = Arc::clone(&watched.0.heartbeat);
        drop(watched);
        heartbeat.wait().await;
    }
}
