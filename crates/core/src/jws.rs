//! Signed tokens in compact form (RFC 7515), their signatures and keys.

pub use crate::policy::signed_token::{SignedToken, TokenReading};
pub use crate::types::algorithm::{Algorithm, Algorithms, KeyId, NotForSigning, UnknownAlgorithm};
pub use crate::types::claim_fault::HeaderFault;
pub use crate::types::compact_jws::{CompactJws, FramingFault, Header, LONGEST_TOKEN, Part};
pub use crate::types::dpop_proof::DpopProof;
pub use crate::types::json::JsonFault;
pub use crate::types::key_material::{DeviceKey, KeyMaterial, PrivateHalf};
pub use crate::types::signature_fault::{NoKey, OtherAlgorithm, SignatureFault, Sought};
pub use crate::types::verified::Verified;
