//! Deletes expired data and records, and writes in batches which secrets were used.

use crate::clock;
use std::time::Duration;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{Store, StoreError};

/// The interval between runs.
const INTERVAL: Duration = Duration::from_secs(300);
/// The interval between writes of which secrets were used.
const INTERVAL_OF_USES: Duration = Duration::from_secs(60);
/// The time that a key is kept after it last verifies, so that a clock that jumps ahead and back loses none (conformance OP-02).
const GRACE: Lifetime = Lifetime::from_hours(2);

/// Starts housekeeping in the background, until the runtime ends.
pub(super) fn begin(store: Store, audit_retention: Lifetime) {
    let used_in = store.clone();
    actix_web::rt::spawn(async move {
        loop {
            actix_web::rt::time::sleep(INTERVAL_OF_USES).await;
            write_uses(&used_in).await;
        }
    });
    actix_web::rt::spawn(async move {
        loop {
            actix_web::rt::time::sleep(INTERVAL).await;
            if let Err(error) = clean(&store).await {
                // Remaining data does no harm; the next run may succeed.
                tracing::warn!(error = %format!("{error:#}"), "could not delete expired data of the store");
            }
            if let Err(error) = expire_records(&store, audit_retention).await {
                tracing::error!(error = %format!("{error:#}"), "could not delete expired audit records");
            }
        }
    });
}

/// Writes which secrets were used (conformance CA-21).
pub(super) async fn write_uses(store: &Store) {
    let written = async { anyhow::Ok(store.write_used_secrets(clock::now()?).await?) };
    if let Err(error) = written.await {
        tracing::warn!(error = %format!("{error:#}"), "could not record which secrets were used");
    }
}

async fn clean(store: &Store) -> anyhow::Result<()> {
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

async fn expire_records(store: &Store, retention: Lifetime) -> anyhow::Result<()> {
    if retention == Lifetime::ZERO {
        return Ok(());
    }
    let before = i64::from(retention.as_seconds());
    let removed = store.expire_audit(Timestamp::from_seconds(clock::now()?.as_seconds() - before)?).await?;
    if removed > 0 {
        tracing::info!(removed, "deleted expired audit records");
    }
    Ok(())
}

fn is_past_grace(until: Timestamp, now: Timestamp) -> bool {
    until.plus(GRACE) <= now
}
