//! Why could the keys of an issuer not be had? In words for the operator; nothing of what was fetched is in them.

use super::address::{Address, AddressFault};
use crate::public_keys::JwksFault;
use tokenberg_core::Excerpt;

/// Why a fetch brought no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// An address that is not asked. The text is the operator's or the metadata's.
    #[error("{url:?} is not fetched: {fault}")]
    Address {
        /// The address.
        url: Box<str>,
        /// Why.
        fault: AddressFault,
    },
    /// Whoever fetches could not.
    #[error("{address} cannot be fetched: {reason}")]
    Unreachable {
        /// What was asked.
        address: Address,
        /// What was in the way.
        reason: String,
    },
    /// Another answer than 200.
    #[error("{address} answered {status}")]
    Status {
        /// What was asked.
        address: Address,
        /// The HTTP status.
        status: u16,
    },
    /// Somewhere else is where it is said to be.
    #[error("{address} redirects (status {status}), and redirects are not followed")]
    Redirect {
        /// What was asked.
        address: Address,
        /// The HTTP status.
        status: u16,
    },
    /// More than is read.
    #[error("{address} is longer than {largest} bytes")]
    TooLarge {
        /// What was asked.
        address: Address,
        /// How much is read.
        largest: usize,
    },
    /// Metadata that are not a JSON object.
    #[error("{address} is no metadata of an issuer: not a JSON object")]
    Metadata {
        /// What was asked.
        address: Address,
    },
    /// RFC 8414 §3.3: "If these values are not identical, the data contained in the response MUST NOT be used."
    #[error("{address} is the metadata of another issuer; an issuer is compared letter by letter")]
    Issuer {
        /// What was asked.
        address: Address,
    },
    /// Metadata without an address of keys.
    #[error("{address} names no jwks_uri")]
    NoJwksUri {
        /// What was asked.
        address: Address,
    },
    /// Not a JWK Set.
    #[error("{address}: {fault}")]
    Jwks {
        /// What was asked.
        address: Address,
        /// What is wrong with it.
        fault: JwksFault,
    },
    /// What the operator gave is no JWK Set.
    #[error("the keys that were given: {0}")]
    Given(JwksFault),
    /// The SPIFFE Trust Domain and Bundle §4.1.3: an older bundle than one that was seen.
    #[error("the bundle has sequence {came}, which is older than {had}")]
    Sequence {
        /// What was seen before.
        had: u64,
        /// What came now.
        came: u64,
    },
    /// A set without a key to verify with.
    #[error("the key set that is published has no key that can be used")]
    Empty,
    /// A token names a key that was not published when the keys were last fetched, and it is too early to fetch them again.
    #[error("{} was not published when they were last fetched", named(.0.as_ref()))]
    UnknownKey(Option<Excerpt>),
    /// It took all the time that there is for it.
    #[error("it took too long")]
    TooLong,
    /// Whoever fetches broke off, or the system gave no thread.
    #[error("the fetch broke off")]
    BrokeOff,
}

fn named(kid: Option<&Excerpt>) -> String {
    match kid {
        Some(kid) => format!("the key {kid}, which the token names,"),
        None => "a key for the alg of the token, which names none,".to_owned(),
    }
}
