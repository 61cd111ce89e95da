//! Why could the keys of an issuer not be had? In words for the operator; nothing of what was fetched is in them.

use super::address::{Address, AddressFault};
use crate::public_keys::{IgnoredKey, JwksFault, PublicKeys};
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
    #[error("the key set that is published has no key that can be used: {}", contents(.first.as_deref(), *.others))]
    Empty {
        /// The first of its keys, and why it is not used; `None` if the set is empty.
        first: Option<Box<IgnoredKey>>,
        /// How many more there are.
        others: usize,
    },
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

impl FetchFault {
    /// That none of these keys can be used.
    pub(super) fn empty(keys: &PublicKeys) -> Self {
        let first = keys.ignored().first().cloned().map(Box::new);
        Self::Empty { first, others: (keys.ignored().len() + keys.left_out()).saturating_sub(1) }
    }

    /// Whether the issuer could not be reached or could not answer, so that its keys may be good: later they may be had.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TooLong | Self::BrokeOff | Self::UnknownKey(_) => true,
            // RFC 9110 §15.5.9 and §15.6, RFC 6585 §4.
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::Address { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Metadata { .. }
            | Self::Issuer { .. }
            | Self::NoJwksUri { .. }
            | Self::Jwks { .. }
            | Self::Given(_)
            | Self::Sequence { .. }
            | Self::Empty { .. } => false,
        }
    }
}

fn contents(first: Option<&IgnoredKey>, others: usize) -> String {
    match (first, others) {
        (None, _) => "it is empty".to_owned(),
        (Some(first), 0) => first.to_string(),
        (Some(first), _) => format!("{first}; {others} more are in the log"),
    }
}
