//! Connects store and keys: the watched store as the world that requests are answered from.

use crate::clock::{self, CLOCK_LEEWAY};
use crate::{devices, key_state};
use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{KeyDevice, Lifetime, Timestamp, World};
use tokenberg_jose::Keyring;
use tokenberg_store::{Moment, Opened, StoreError, Watched};

/// The most that the clock of a node may differ from that of the database.
const CLOCK_LIMIT: Duration = Duration::from_secs(30);
/// How long `/readyz` reports that the database lost changes.
const REPORTED_FOR: Lifetime = Lifetime::from_hours(1);

/// The store and the keys in it, as they are now.
#[derive(Clone)]
pub struct Following {
    watched: Watched<Keyring>,
    /// The longest time without reading the store: after that the server is not ready, since disabled clients would still work.
    max_staleness: Duration,
    device: Option<Arc<dyn KeyDevice>>,
}

impl Following {
    /// Reads the store and starts following it; or begins with its last known state.
    ///
    /// # Errors
    /// If the store fails, or its keys cannot be used.
    pub async fn of(opened: &Opened, max_staleness: Duration) -> Result<Self, StoreError> {
        Ok(Self { watched: opened.watch(keyring).await?, max_staleness, device: None })
    }

    /// Sets the device that holds signing keys.
    pub(crate) fn with_device(self, device: Option<Arc<dyn KeyDevice>>) -> Self {
        Self { device, ..self }
    }

    /// The device that holds signing keys, if there is one.
    #[must_use]
    pub fn device(&self) -> Option<&dyn KeyDevice> {
        self.device.as_deref()
    }

    #[cfg(feature = "actix")]
    pub(crate) fn shared_device(&self) -> Option<&Arc<dyn KeyDevice>> {
        self.device.as_ref()
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

    /// Whether this node should get requests, and if not, why; with what an operator should know in either case.
    ///
    /// Only what is wrong with this node is a reason at once. A node that cannot reach the database answers what needs no new data
    /// from memory; it is not ready after `--max-staleness`, because others may reach it. An answer of the database that it serves
    /// no one reaches every node: if all nodes stopped for it, no node would answer (conformance OP-21).
    ///
    /// # Errors
    /// The reason, which holds no secret.
    pub fn ready(&self) -> Result<String, String> {
        let health = self.watched.health();
        let (age, most) = (health.age.as_secs(), self.max_staleness.as_secs());
        let from = health.from_snapshot.map_or_else(String::new, |at| format!("from a snapshot of {at}; "));
        let mut text = format!("{from}the store was last reached {age} s ago, of {most} s at most");
        let is_old = health.age > self.max_staleness;
        match &health.fault {
            None if is_old => return Err(text),
            None => {}
            Some(fault) if fault.is_answer_of_database() => {
                text.push_str(&format!("; cannot follow it: {fault}"));
                if is_old {
                    text.push_str("; the database answers this to every node, so this one stays ready");
                }
            }
            // After the store was resealed, the server still follows everything but its signing keys.
            Some(fault) if fault.is_unavailable() || fault.is_of_the_seal() => {
                text.push_str(&format!("; cannot follow it: {fault}"));
                if is_old {
                    return Err(text);
                }
            }
            Some(fault) => return Err(fault.to_string()),
        }
        if let Some(reason) = health.not_writable.filter(|_| health.fault.is_none()) {
            text.push_str(&format!("; cannot write: {reason}"));
        }
        if let Some(clock) = health.clock {
            if clock.exceeds(CLOCK_LIMIT) {
                return Err(format!("{clock}, {} s at most", CLOCK_LIMIT.as_secs()));
            }
            if clock.exceeds(CLOCK_LEEWAY) {
                text.push_str(&format!("; {clock}"));
            }
        }
        let now = clock::now().map_err(|fault| fault.to_string())?;
        if let Some((at, lost)) = health.lost.filter(|(at, _)| now < at.plus(REPORTED_FOR)) {
            text.push_str(&format!("; the database lost changes at {at}: {lost}"));
        }
        let moment = self.watched.now();
        match key_state::signing(moment.snapshot().keys(), now) {
            None => Err("no signing key is available".to_owned()),
            Some(key) => match key.private.device() {
                Some(held) if self.device.is_none() => Err(devices::out_of_reach(key, held)),
                Some(_) | None => Ok(text),
            },
        }
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
