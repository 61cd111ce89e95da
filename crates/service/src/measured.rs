//! Measures the store in the background, so that `/metrics` costs the database nothing.

use crate::clock;
use crate::error::ServiceError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokenberg_store::{Store, StoreMeasures};
use tokio::task::AbortHandle;

/// The interval between measurements.
const INTERVAL: Duration = Duration::from_secs(60);

/// What was measured last.
#[derive(Clone, Default)]
pub(crate) struct Measured(Arc<Mutex<Option<StoreMeasures>>>);

impl Measured {
    /// Measures from now on, until it is aborted or the runtime ends.
    pub(crate) fn begin(&self, store: &Store) -> AbortHandle {
        let (measured, store) = (self.clone(), store.clone());
        let run = async move {
            loop {
                match measure(&store).await {
                    Ok(measures) => measured.set(measures),
                    // The previous measures stay. Other metrics and the log report the state of the store.
                    Err(error) => tracing::debug!(%error, "could not measure the store"),
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::spawn(run).abort_handle()
    }

    /// The last measures; `None` until the first are made.
    pub(crate) fn last(&self) -> Option<StoreMeasures> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, measures: StoreMeasures) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(measures);
    }
}

async fn measure(store: &Store) -> Result<StoreMeasures, ServiceError> {
    Ok(store.measures(clock::now()?).await?)
}
