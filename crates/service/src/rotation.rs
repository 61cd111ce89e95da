//! Rotates the signing key automatically when the present one has signed for long enough: KS-04, OP-02, OP-20.

use crate::error::ServiceError;
use crate::following::Following;
use crate::{clock, devices, key_state};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokenberg_core::Lifetime;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::key_schedule::is_rotation_due;
use tokio::task::AbortHandle;

/// The interval between checks. A day more or less would make no difference.
const INTERVAL: Duration = Duration::from_secs(60);

/// After how long a key is replaced, which can change while the service runs; a clone is the same setting.
#[derive(Clone, Debug, Default)]
pub struct Rotation(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// In seconds; zero is never.
    every: AtomicU32,
    has_warned: AtomicBool,
}

impl Rotation {
    /// Replaces keys that have signed for so long, at least a day; never with `None`.
    #[must_use]
    pub fn of(every: Option<Lifetime>) -> Self {
        let rotation = Self::default();
        rotation.set(every);
        rotation
    }

    /// Changes the setting.
    pub fn set(&self, every: Option<Lifetime>) {
        self.0.every.store(every.map_or(0, Lifetime::as_seconds), Ordering::Relaxed);
    }

    fn every(&self) -> Option<Lifetime> {
        let seconds = self.0.every.load(Ordering::Relaxed);
        (seconds > 0).then(|| Lifetime::from_seconds(seconds))
    }

    /// Begins, in the background, until it is aborted or the runtime ends.
    pub(crate) fn begin(&self, following: Following) -> AbortHandle {
        let rotation = self.clone();
        let run = async move {
            loop {
                if let Some(every) = rotation.every()
                    && let Err(error) = rotation.rotate(&following, every).await
                {
                    // The present key goes on signing; the next time may succeed.
                    tracing::warn!(%error, "could not create a new signing key");
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::spawn(run).abort_handle()
    }

    async fn rotate(&self, following: &Following, every: Lifetime) -> Result<(), ServiceError> {
        let (watched, now) = (following.watched(), clock::now()?);
        let moment = watched.now();
        let keys = moment.snapshot().keys();
        let times: Vec<_> = keys.iter().map(KeyMaterial::times).collect();
        let Some(present) = key_state::signing(keys, now).filter(|_| is_rotation_due(&times, now, every))
        else {
            tracing::debug!("no new signing key is due");
            return Ok(());
        };
        let in_device = present.private.device().is_some();
        let device = following.device().filter(|_| in_device);
        if in_device && device.is_none() {
            // A node that has the device makes the next key.
            tracing::debug!("a new signing key is due, in a device that this process has no access to");
            return Ok(());
        }
        let alg = match present.algorithm {
            alg @ (Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA) => alg,
            alg @ (Algorithm::RS256 | Algorithm::PS256) if in_device => alg,
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => {
                if !self.0.has_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "a new signing key is due, but RSA keys are not generated; import one with `tokenberg key import`"
                    );
                }
                return Ok(());
            }
        };
        let key = devices::generate(device, alg, now).await?;
        // Whether it is still time is decided where all nodes see the same.
        let introduced = watched.store().rotate_if_due(now, &key, every).await;
        if !matches!(introduced, Ok(Some(_))) {
            devices::discard(device, &key).await;
        }
        if let Some(introduced) = introduced? {
            let (kid, signs_from) = (introduced.id.as_str(), introduced.signs_from.as_seconds());
            tracing::info!(kid, signs_from, replaces = present.id.as_str(), "published a new signing key");
        } else {
            tracing::debug!("another node has published a new signing key");
        }
        Ok(())
    }
}
