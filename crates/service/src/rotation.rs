//! Rotates the signing key automatically when the present one has signed for long enough: KS-04, OP-02, OP-20.

use super::following::Following;
use crate::{clock, key_state};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokenberg_core::Lifetime;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::key_schedule::is_rotation_due;

/// The interval between checks. A day more or less would make no difference.
const INTERVAL: Duration = Duration::from_secs(60);

/// After how long a key is replaced; it can change while the server runs.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// In seconds; zero is never.
    every: AtomicU32,
    has_warned: AtomicBool,
}

impl Rotation {
    pub(super) fn of(every: Option<Lifetime>) -> Self {
        let rotation = Self::default();
        rotation.set(every);
        rotation
    }

    pub(super) fn set(&self, every: Option<Lifetime>) {
        self.0.every.store(every.map_or(0, Lifetime::as_seconds), Ordering::Relaxed);
    }

    fn every(&self) -> Option<Lifetime> {
        let seconds = self.0.every.load(Ordering::Relaxed);
        (seconds > 0).then(|| Lifetime::from_seconds(seconds))
    }

    /// Begins, in the background, until the runtime ends.
    pub(super) fn begin(self, following: Following) {
        actix_web::rt::spawn(async move {
            loop {
                if let Some(every) = self.every()
                    && let Err(error) = self.rotate(&following, every).await
                {
                    // The present key goes on signing; the next time may succeed.
                    tracing::warn!(error = %format!("{error:#}"), "could not create a new signing key");
                }
                actix_web::rt::time::sleep(INTERVAL).await;
            }
        });
    }

    async fn rotate(&self, following: &Following, every: Lifetime) -> anyhow::Result<()> {
        let (watched, now) = (following.watched(), clock::now()?);
        let moment = watched.now();
        let keys = moment.snapshot().keys();
        let times: Vec<_> = keys.iter().map(KeyMaterial::times).collect();
        let Some(present) = key_state::signing(keys, now).filter(|_| is_rotation_due(&times, now, every))
        else {
            tracing::debug!("no new signing key is due");
            return Ok(());
        };
        let alg = match present.algorithm {
            alg @ (Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA) => alg,
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
        let key = tokenberg_jose::generate(alg, now, now)?;
        // Whether it is still time is decided where all nodes see the same.
        if let Some(introduced) = watched.store().rotate_if_due(now, &key, every).await? {
            let (kid, signs_from) = (introduced.id.as_str(), introduced.signs_from.as_seconds());
            tracing::info!(kid, signs_from, replaces = present.id.as_str(), "published a new signing key");
        } else {
            tracing::debug!("another node has published a new signing key");
        }
        Ok(())
    }
}
