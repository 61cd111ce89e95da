//! Signs with the keys of the store that a device holds, such as an HSM; conformance KS-10.

use crate::following::Following;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::{BoxFuture, KeyDevice};
use tokenberg_core::jws::{Algorithm, KeyId};
use tokenberg_core::{Signer, Timestamp};

/// How long a device may take for a signature. A request that waits longer is answered with 503.
const LIMIT: Duration = Duration::from_secs(10);

/// Signs by the device that the service has, with the keys of the followed store.
pub(crate) struct DeviceSigner {
    following: Following,
    device: Arc<dyn KeyDevice>,
}

impl DeviceSigner {
    /// The signer of a service that has a device.
    pub(crate) fn of(following: &Following) -> Option<Self> {
        let device = Arc::clone(following.shared_device()?);
        Some(Self { following: following.clone(), device })
    }
}

impl Signer for DeviceSigner {
    fn key(&self, now: Timestamp) -> Option<(KeyId, Algorithm)> {
        let moment = self.following.watched().now();
        moment.signing_keys().signing_device_key(now).map(|(key, algorithm)| (key.clone(), algorithm))
    }

    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        signing_input: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        Box::pin(async move {
            let moment = self.following.watched().now();
            // Revoked since the key was chosen.
            let (algorithm, uri) = moment.signing_keys().device_key(key).ok_or(SigningFault::NoKey)?;
            let signed = self.device.sign(key, uri, algorithm, signing_input);
            tokio::time::timeout(LIMIT, signed).await.unwrap_or_else(|_| {
                let reason = format!("no answer within {} s", LIMIT.as_secs());
                Err(SigningFault::Unavailable { key: key.clone(), reason })
            })
        })
    }
}
