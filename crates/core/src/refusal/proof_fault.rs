//! Why a DPoP proof was refused: RFC 9449 §4.3.

use crate::token::ClaimFault;
use crate::{Excerpt, Lifetime, SignatureFault, Timestamp};

/// Why a DPoP proof was refused (RFC 9449 §4.3). Its claims may be written by anyone who holds some key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It is not signed with the key that it carries, or that is no key to verify with.
    #[error("{0}")]
    Signature(SignatureFault),
    /// A claim is absent or malformed.
    #[error("{0}")]
    Claim(ClaimFault),
    /// It is for another method.
    #[error("its htm is {htm}, but the method of the request is {method}")]
    Method {
        /// `htm`.
        htm: Box<Excerpt>,
        /// The method of the request.
        method: Box<Excerpt>,
    },
    /// It is for another address.
    #[error("its htu is {htu}, but the address of the request is {address}")]
    Address {
        /// `htu`.
        htu: Box<Excerpt>,
        /// The address that it should be for.
        address: Box<Excerpt>,
    },
    /// It is for another token: `ath` is not the hash of the one that was presented (RFC 9449 §4.3(11)).
    #[error("its ath is not the hash of the token that was presented with it")]
    Token,
    /// It is too old, or from the future.
    #[error("its iat is {issued}; it is {now} now, and at most {oldest} ago or {ahead} ahead is allowed")]
    Time {
        /// `iat`.
        issued: Timestamp,
        /// The present.
        now: Timestamp,
        /// How old it may be.
        oldest: Lifetime,
        /// How far ahead the clock of the client may be.
        ahead: Lifetime,
    },
}
