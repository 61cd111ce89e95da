//! Keeps the last known state of the store in a file, from which a process can start while the database is away.

use crate::following::Following;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_store::{SnapshotError, SnapshotFile};
use tokio::task::AbortHandle;

/// How often it is compared with the file; the file itself limits how often it is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file and what is kept in it.
#[derive(Clone)]
pub(crate) struct Keeping {
    pub(crate) following: Following,
    pub(crate) file: Arc<SnapshotFile>,
}

impl Keeping {
    /// Begins, in the background, until it is aborted or the runtime ends.
    pub(crate) fn begin(&self) -> AbortHandle {
        let keeping = self.clone();
        let run = async move {
            let mut is_failing = false;
            loop {
                let outcome = keeping.write(false).await;
                if let Err(error) = &outcome
                    && !is_failing
                {
                    keeping.report(error);
                } else if outcome.is_ok() && is_failing {
                    tracing::info!("the snapshot can be written again");
                }
                is_failing = outcome.is_err();
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::spawn(run).abort_handle()
    }

    /// Writes the last state, when the process ends.
    pub(crate) async fn end(&self) {
        if let Err(error) = self.write(true).await {
            self.report(&error);
        }
    }

    async fn write(&self, is_end: bool) -> Result<(), SnapshotError> {
        let keeping = self.clone();
        let write = move || keeping.following.watched().keep_in(&keeping.file, is_end);
        // A panic has been reported.
        tokio::task::spawn_blocking(write).await.unwrap_or(Ok(false)).map(drop)
    }

    fn report(&self, error: &SnapshotError) {
        let file = self.file.path().display();
        tracing::warn!(%file, %error, "the snapshot is as it was before; if the database is away at the next start, that one is used");
    }
}
