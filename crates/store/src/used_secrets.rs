//! When was a secret last used? Noted in memory, and written for many requests at once: conformance CA-21.

use crate::error::StoreError;
use crate::store::Store;
use crate::tx::values;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::Timestamp;

/// Rows that one transaction writes, so that others wait a few milliseconds at most.
const BATCH: usize = 500;

/// Which secrets were used since this was last written: of each client, the names of its secrets. There are no more than
/// are registered.
#[derive(Default)]
pub(crate) struct UsedSecrets(Mutex<HashMap<Box<str>, Vec<Box<str>>>>);

impl UsedSecrets {
    pub(crate) fn note(&self, client_id: &str, secret_id: &str) {
        let mut used = self.used();
        match used.get_mut(client_id) {
            Some(secrets) if secrets.iter().any(|secret| **secret == *secret_id) => {}
            Some(secrets) => secrets.push(secret_id.into()),
            None => {
                used.insert(client_id.into(), vec![secret_id.into()]);
            }
        }
    }

    /// All of them, in an order that all nodes have in common, so that no two wait for each other.
    fn take(&self) -> Vec<(Box<str>, Box<str>)> {
        let used = std::mem::take(&mut *self.used());
        let mut all: Vec<_> = used
            .into_iter()
            .flat_map(|(id, secrets)| secrets.into_iter().map(move |s| (id.clone(), s)))
            .collect();
        all.sort();
        all
    }

    fn used(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Box<str>>>> {
        // A panic elsewhere loses the time of a use at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Writes down which secrets were used since the last time, as used now. To be called once a minute or so, and at the end.
    /// Returns how many.
    ///
    /// # Errors
    /// If the store fails; what was not written is kept for the next time.
    pub async fn write_used_secrets(&self, now: Timestamp) -> Result<usize, StoreError> {
        let used = self.0.used_secrets.take();
        for (n, batch) in used.chunks(BATCH).enumerate() {
            if let Err(error) = self.write_uses(batch, now).await {
                for (client, secret) in &used[n * BATCH..] {
                    self.0.used_secrets.note(client, secret);
                }
                return Err(error);
            }
        }
        Ok(used.len())
    }

    async fn write_uses(&self, batch: &[(Box<str>, Box<str>)], now: Timestamp) -> Result<(), StoreError> {
        // Another node may have noted a later use; and one that is dead was refused.
        let update = "UPDATE client_secrets SET last_used_at = $3 WHERE client_id = $1 AND id = $2 \
                      AND (last_used_at IS NULL OR last_used_at < $3) AND (expires_at IS NULL OR expires_at > $3)";
        let write = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                for (client, secret) in batch {
                    tx.execute(update, values![&**client, &**secret, now]).await?;
                }
                Ok(())
            })
        });
        write.await
    }
}
