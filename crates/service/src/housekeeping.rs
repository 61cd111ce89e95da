//! Deletes expired data and records, and writes in batches which secrets were used.

use crate::clock;
use crate::error::ServiceError;
use std::time::Duration;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{Store, StoreError};
use tokio::task::AbortHandle;

/// The interval between runs.
const INTERVAL: Duration = Duration::from_secs(300);
/// The interval between writes of which secrets were used.
const INTERVAL_OF_USES: Duration = Duration::from_secs(60);
/// The time that a key is kept after it last verifies, so that a clock that jumps ahead and back loses none (conformance OP-02).
const GRACE: Lifetime = Lifetime::from_hours(2);

/// What is kept, and for how long.
pub(crate) struct Housekeeping {
    pub(crate) store: Store,
    pub(crate) audit_retention: Lifetime,
}

impl Housekeeping {
    /// Starts in the background, until it is aborted or the runtime ends.
    pub(crate) fn begin(&self) -> Vec<AbortHandle> {
        let (used_in, store, audit_retention) =
            (self.store.clone(), self.store.clone(), self.audit_retention);
        let uses = async move {
            loop {
                tokio::time::sleep(INTERVAL_OF_USES).await;
                write_uses(&used_in).await;
            }
        };
        let expiry = async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                expire(&store, audit_retention).await;
            }
        };
        vec![tokio::spawn(uses).abort_handle(), tokio::spawn(expiry).abort_handle()]
    }

    /// Does all of it now.
    pub(crate) async fn run(&self) {
        write_uses(&self.store).await;
        expire(&self.store, self.audit_retention).await;
    }
}

async fn expire(store: &Store, audit_retention: Lifetime) {
    if let Err(error) = clean(store).await {
        // Remaining data does no harm; the next run may succeed.
        tracing::warn!(%error, "could not delete expired data of the store");
    }
    match store.remove_old_nodes().await {
        Ok(0) => {}
        Ok(nodes) => tracing::info!(nodes, "removed servers from the list that were not seen for a day"),
        // The heartbeat reports a role that may not use the list.
        Err(error) => tracing::debug!(%error, "could not remove old servers from the list"),
    }
    if let Err(error) = expire_records(store, audit_retention).await {
        tracing::error!(%error, "could not delete expired audit records");
    }
}

/// Writes which secrets were used (conformance CA-21).
pub(crate) async fn write_uses(store: &Store) {
    let written = async { Ok::<_, ServiceError>(store.write_used_secrets(clock::now()?).await?) };
    if let Err(error) = written.await {
        tracing::warn!(%error, "could not record which secrets were used");
    }
}

async fn clean(store: &Store) -> Result<(), ServiceError> {
    let now = clock::now()?;
    let deleted = store.expire(now).await?;
    if deleted > 0 {
        tracing::debug!(forgotten = deleted, "deleted expired data of the store");
    }
    for key in store.keys().await? {
        if key.verifies_until.is_some_and(|until| is_past_grace(until, now)) {
            match store.remove_key(&key.id).await {
                Ok(()) => {
                    tracing::info!(
                        kid = key.id.as_str(),
                        "removed a retired key, whose tokens have all expired"
                    );
                }
                // Another node has removed the key already.
                Err(StoreError::NoSuchKey { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn expire_records(store: &Store, retention: Lifetime) -> Result<(), ServiceError> {
    if retention == Lifetime::ZERO {
        return Ok(());
    }
    let before = clock::now()?.as_seconds() - i64::from(retention.as_seconds());
    // A retention that reaches before 1970 keeps everything.
    let Ok(before) = Timestamp::from_seconds(before) else { return Ok(()) };
    let removed = store.expire_audit(before).await?;
    if removed > 0 {
        tracing::info!(removed, "deleted expired audit records");
    }
    Ok(())
}

fn is_past_grace(until: Timestamp, now: Timestamp) -> bool {
    until.plus(GRACE) <= now
}
