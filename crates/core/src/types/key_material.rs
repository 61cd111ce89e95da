//! A signing key on its way from the store to the signer: a private key, or who holds it, and its times; conformance KS-04, KS-10.

use super::algorithm::{Algorithm, KeyId};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A signing key as the store hands it to the signer.
///
/// There is no state to be switched: the key is published from the moment it is known, signs from `signs_from` until a
/// later key's `signs_from`, and verifies until `verifies_until`.
#[derive(Clone)]
pub struct KeyMaterial {
    /// The RFC 7638 thumbprint of the public key.
    pub id: KeyId,
    /// The one algorithm it is used with (RFC 8725 §3.1).
    pub algorithm: Algorithm,
    /// The private key, or the device that holds it.
    pub private: PrivateHalf,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs, unless another key's time came later.
    pub signs_from: Timestamp,
    /// When its verification period ends, if that is settled.
    pub verifies_until: Option<Timestamp>,
}

/// Where the private half of a signing key is.
#[derive(Clone)]
pub enum PrivateHalf {
    /// Here: PKCS#8 DER.
    Pkcs8(Zeroizing<Vec<u8>>),
    /// In a device that signs, and from where it is never read.
    Device(DeviceKey),
}

/// A key whose private half a device holds, such as an HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKey {
    /// The name of the key in the device, such as `pkcs11:token=prod;object=tokenberg;id=%01` (RFC 7512).
    pub uri: Box<str>,
    /// The public half as a JWK, JSON.
    pub jwk: Box<str>,
}

impl PrivateHalf {
    /// The device that holds the key, if one does.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceKey> {
        match self {
            Self::Device(key) => Some(key),
            Self::Pkcs8(_) => None,
        }
    }

    /// The private key as PKCS#8 DER, if it is here.
    #[must_use]
    pub fn pkcs8(&self) -> Option<&[u8]> {
        match self {
            Self::Pkcs8(der) => Some(der),
            Self::Device(_) => None,
        }
    }
}
