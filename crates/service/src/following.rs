//! Connects store and keys: the watched store as the world that requests are answered from.

use crate::{clock, key_state};
use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{Timestamp, World};
use tokenberg_jose::Keyring;
use tokenberg_store::{Moment, Store, StoreError, Watched};

/// The store and the keys in it, as they are now.
#[derive(Clone)]
pub struct Following {
    watched: Watched<Keyring>,
    /// The longest time without reading the store: after that the server is not ready, since disabled clients would still work.
    max_staleness: Duration,
}

impl Following {
    /// Reads the store and starts following it.
    ///
    /// # Errors
    /// If the store fails, or its keys cannot be used.
    pub async fn of(store: &Store, max_staleness: Duration) -> Result<Self, StoreError> {
        Ok(Self { watched: store.watch(keyring).await?, max_staleness })
    }

    /// The watched store, which records revocations.
    #[must_use]
    pub fn watched(&self) -> Watched<Keyring> {
        self.watched.clone()
    }

    /// Follows the store immediately, as after a change of our own.
    ///
    /// # Errors
    /// If the store fails, or its keys cannot be used.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.watched.refresh().await
    }

    /// Whether requests can be answered, and if not, why. A temporary outage of the store is no reason: requests that need no new
    /// data are answered from memory, and if all nodes stopped for it, no node would answer (conformance OP-21).
    ///
    /// # Errors
    /// The reason, which holds no secret.
    pub fn ready(&self) -> Result<String, String> {
        let health = self.watched.health();
        let age = health.age.as_secs();
        let seen =
            format!("the store was last reached {age} s ago, of {} s at most", self.max_staleness.as_secs());
        let with = |fault: &StoreError| format!("{seen}: {fault}");
        // After the store was resealed, the server still follows everything but its signing keys.
        let is_away = health.fault.as_ref().filter(|fault| fault.is_unavailable() || fault.is_of_the_seal());
        match (&health.fault, is_away) {
            (Some(fault), None) => return Err(fault.to_string()),
            (_, _) if health.age <= self.max_staleness => {}
            (_, Some(fault)) => return Err(with(fault)),
            (None, None) => return Err(seen),
        }
        let now = clock::now().map_err(|fault| fault.to_string())?;
        let moment = self.watched.now();
        if key_state::signing(moment.snapshot().keys(), now).is_none() {
            return Err("no signing key is available".to_owned());
        }
        Ok(is_away.map_or(seen.clone(), with))
    }
}

impl World for Following {
    type Moment = Moment<Keyring>;

    fn now(&self) -> Arc<Self::Moment> {
        self.watched.now()
    }

    fn is_too_old(&self) -> bool {
        self.watched.health().age > self.max_staleness
    }
}

/// Builds the present keys, reusing the previous ones where they are the same.
fn keyring(material: &[KeyMaterial], before: Option<&Keyring>) -> Result<Keyring, String> {
    let now: Timestamp = clock::now().map_err(|fault| fault.to_string())?;
    Keyring::follow(material, before, now).map_err(|fault| fault.to_string())
}
