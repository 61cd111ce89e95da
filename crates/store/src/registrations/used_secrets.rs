//! Which secrets were used, collected in memory and written for many requests together; conformance CA-21.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The secrets that were used since the last write: for each client, the names of its secrets. There are no more than are
/// registered.
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

    /// Takes all of them, sorted, so that no two nodes wait for each other.
    pub(crate) fn take(&self) -> Vec<(Box<str>, Box<str>)> {
        let used = std::mem::take(&mut *self.used());
        let mut all: Vec<_> = used
            .into_iter()
            .flat_map(|(id, secrets)| secrets.into_iter().map(move |s| (id.clone(), s)))
            .collect();
        all.sort();
        all
    }

    fn used(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Box<str>>>> {
        // A panic elsewhere loses at most the time of a use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
