//! A signing key on its way from the store to the signer: a private key and its times; conformance KS-04.

use super::algorithm::{Algorithm, KeyId};
use super::time::Timestamp;
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
    /// The private key, PKCS#8 DER.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs, unless another key's time came later.
    pub signs_from: Timestamp,
    /// When its verification period ends, if that is settled.
    pub verifies_until: Option<Timestamp>,
}
