//! Why a DPoP proof was refused: RFC 9449 §4.3.

use crate::{SignatureFault, Timestamp};

/// Why a DPoP proof does not prove what it should (RFC 9449 §4.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It is not signed with the key that it carries, or that is no key to verify with.
    #[error("{0}")]
    Signature(SignatureFault),
    /// A claim is absent or malformed.
    #[error("the claim {0} is missing or malformed")]
    Claim(&'static str),
    /// It is for another method.
    #[error("it is for another method")]
    Method,
    /// It is for another address.
    #[error("it is for another address")]
    Address,
    /// It is too old, or from the future.
    #[error("it was made at {issued}, and it is {now}")]
    Time {
        /// `iat`.
        issued: Timestamp,
        /// The present.
        now: Timestamp,
    },
}
