//! Generates signing keys, in the device that holds them if there is one; conformance KS-10.

use crate::error::ServiceError;
use tokenberg_core::jws::{Algorithm, DeviceKey, KeyMaterial};
use tokenberg_core::{KeyDevice, Timestamp};

/// Generates a key in the device or, without one, for the store.
///
/// # Errors
/// If such a key cannot be generated.
pub async fn generate(
    device: Option<&dyn KeyDevice>,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<KeyMaterial, ServiceError> {
    match device {
        Some(device) => Ok(device.generate(algorithm, now, now).await?),
        None => Ok(tokenberg_jose::generate(algorithm, now, now)?),
    }
}

/// Destroys a key that was generated in the device and that the store does not have.
pub async fn discard(device: Option<&dyn KeyDevice>, key: &KeyMaterial) {
    let (Some(device), Some(held)) = (device, key.private.device()) else { return };
    if let Err(error) = device.destroy(&held.uri).await {
        tracing::warn!(%error, key = &*held.uri, "cannot destroy a key that is not used; destroy it in the device");
    }
}

/// A sentence about a signing key in a device that this process does not reach.
#[must_use]
pub fn out_of_reach(key: &KeyMaterial, held: &DeviceKey) -> String {
    format!(
        "the signing key {} is in the device {}, which this process has no access to; it needs --pkcs11-module or, in a \
         program, `Options::device`",
        key.id, held.uri
    )
}
