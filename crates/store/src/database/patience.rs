//! How long a caller waits for the database.

use crate::error::StoreError;
use std::future::Future;
use std::time::Duration;

/// How long whatever a request waits for may take in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to read everything, or to migrate.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// Gives up when it takes too long; whatever connection it was using is closed then.
pub(crate) async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(StoreError::unavailable(&format!("the database did not answer for {} s", patience.as_secs())))
        }
    }
}
