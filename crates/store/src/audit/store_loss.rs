//! The record of a server that the whole store came back with another history, as after a failover to a standby that lacked changes.

use crate::audit::Change;
use crate::error::StoreError;
use crate::store::Store;

const EVENT: &str = "store went back";

/// A server found that the store had lost changes that the server had read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreLoss {
    /// When it was recorded, in milliseconds since 1970.
    pub at: i64,
    /// The number of the last record of the installation's chain before, and when it came back.
    pub was_at: i64,
    /// See `was_at`.
    pub is_at: i64,
    /// The timelines of PostgreSQL before and after, if they differ: a failover or a point-in-time restore starts a new one, and no
    /// change of the tables does.
    pub timelines: Option<[String; 2]>,
}

impl StoreLoss {
    /// Reads a record of the installation's chain, if it is such a record.
    pub(super) fn read(at: i64, text: &str) -> Option<Self> {
        if !text.contains(EVENT) {
            return None;
        }
        let record: serde_json::Value = serde_json::from_str(text).ok()?;
        let timeline = |name: &str| record[name].as_str().map(str::to_owned);
        (record["event"] == EVENT).then(|| Self {
            at,
            was_at: record["was_at"].as_i64().unwrap_or_default(),
            is_at: record["is_at"].as_i64().unwrap_or_default(),
            timelines: timeline("timeline_before").zip(timeline("timeline")).map(|(was, is)| [was, is]),
        })
    }
}

impl Store {
    /// Records that the store came back with another history, for `audit verify`.
    pub(crate) async fn record_loss(&self, loss: &StoreLoss, restrictions: usize) -> Result<(), StoreError> {
        let event = Change::event(EVENT).with("was_at", loss.was_at).with("is_at", loss.is_at);
        let event = match &loss.timelines {
            Some([was, is]) => event.with("timeline_before", was.as_str()).with("timeline", is.as_str()),
            None => event,
        };
        let event = &event.with("restrictions", restrictions);
        self.0.db.change(&[], |tx| Box::pin(self.record_change(tx, event.clone()))).await.map(drop)
    }
}
