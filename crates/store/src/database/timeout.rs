//! Limits how long a caller waits for the database.

use crate::error::StoreError;
use std::time::Duration;

/// The limit for everything that a request waits for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// The limit for reading everything, and for a migration.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(60);

/// Fails if the work takes longer; the connection that it used is closed then.
pub(crate) async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(StoreError::unavailable(&format!("the database did not answer for {} s", timeout.as_secs())))
        }
    }
}
