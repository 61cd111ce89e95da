//! What introduces store and keys to the server? The watched store as the world that actix answers from.

use crate::clock;
use std::time::Duration;
use tokenberg_core::{KeyMaterial, Timestamp};
use tokenberg_jose::Keyring;
use tokenberg_store::{Store, StoreError, Watched};

/// A server that has not seen its store for this long is not ready: what was disabled meanwhile would still work.
const TOO_OLD: Duration = Duration::from_secs(5);

/// The store and the keys in it, as they are now.
#[derive(Clone)]
pub(crate) struct Following(Watched<Keyring>);

impl Following {
    /// Reads the store and goes on following it.
    ///
    /// # Errors
    /// If the store fails, or its keys cannot be used.
    pub(crate) async fn of(store: &Store) -> Result<Self, StoreError> {
        Ok(Self(store.watch(keyring).await?))
    }

    /// The world that requests are answered from, and where revocations are written down.
    pub(crate) fn watched(&self) -> Watched<Keyring> {
        self.0.clone()
    }

    /// Follows at once, as after a change of our own.
    ///
    /// # Errors
    /// If the store fails, or its keys cannot be used.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        self.0.refresh().await
    }

    /// Whether requests can be answered, and if not, why.
    ///
    /// # Errors
    /// The reason, which holds no secret.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let health = self.0.health();
        if let Some(fault) = health.fault {
            return Err(fault.to_string());
        }
        if health.age > TOO_OLD {
            return Err(format!("the store was last seen {} s ago", health.age.as_secs()));
        }
        let now = clock::now().map_err(|fault| fault.to_string())?;
        let moment = self.0.now();
        if crate::commands::key::signing(moment.snapshot().keys(), now).is_none() {
            return Err("no key is there to sign with".to_owned());
        }
        Ok(())
    }
}

/// Builds the keys of a moment, out of those of the moment before where they are the same.
fn keyring(material: &[KeyMaterial], before: Option<&Keyring>) -> Result<Keyring, String> {
    let now: Timestamp = clock::now().map_err(|fault| fault.to_string())?;
    Keyring::follow(material, before, now).map_err(|fault| fault.to_string())
}
