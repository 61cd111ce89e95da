//! Why the keys of an issuer could not be obtained, in words for the operator, without anything that was fetched.

use super::address::{Address, AddressFault};
use crate::jwks_reading::JwksFault;
use crate::public_keys::{IgnoredKey, PublicKeys};
use tokenberg_core::Excerpt;

/// Why a fetch brought no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// An address that must not be fetched. The text is the operator's or from the metadata.
    #[error("{url:?} is not fetched: {fault}")]
    Address {
        /// The address.
        url: Box<str>,
        /// Why.
        fault: AddressFault,
    },
    /// The client for HTTP failed.
    #[error("{address} cannot be fetched: {reason}")]
    Unreachable {
        /// The requested address.
        address: Address,
        /// The cause.
        reason: String,
    },
    /// Any status but 200.
    #[error("{address} answered {status}")]
    Status {
        /// The requested address.
        address: Address,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect.
    #[error("{address} redirects (status {status}), and redirects are not followed")]
    Redirect {
        /// The requested address.
        address: Address,
        /// The HTTP status.
        status: u16,
    },
    /// Larger than the limit.
    #[error("{address} is longer than {largest} bytes")]
    TooLarge {
        /// The requested address.
        address: Address,
        /// The limit, in bytes.
        largest: usize,
    },
    /// Metadata that are not a JSON object.
    #[error("{address} is not the metadata of an issuer: it is not a JSON object")]
    Metadata {
        /// The requested address.
        address: Address,
    },
    /// RFC 8414 §3.3: "If these values are not identical, the data contained in the response MUST NOT be used."
    #[error("{address} is the metadata of another issuer (names are compared character by character)")]
    Issuer {
        /// The requested address.
        address: Address,
    },
    /// Metadata without `jwks_uri`.
    #[error("{address} has no jwks_uri")]
    NoJwksUri {
        /// The requested address.
        address: Address,
    },
    /// Not a JWK Set.
    #[error("{address}: {fault}")]
    Jwks {
        /// The requested address.
        address: Address,
        /// What is wrong with it.
        fault: JwksFault,
    },
    /// The configured text is not a JWK Set.
    #[error("the keys that were given: {0}")]
    Given(JwksFault),
    /// The SPIFFE Trust Domain and Bundle §4.1.3: the bundle is older than the cached one.
    #[error("the bundle has sequence {published}, which is older than {known}")]
    Sequence {
        /// The sequence of the cached bundle.
        known: u64,
        /// The sequence of the fetched bundle.
        published: u64,
    },
    /// A set without a usable key.
    #[error("the published key set has no usable key: {}", contents(.first.as_deref(), *.others))]
    Empty {
        /// The first of its keys, and why it is not used; `None` if the set is empty.
        first: Option<Box<IgnoredKey>>,
        /// The number of the others.
        others: usize,
    },
    /// A token names a key that the last fetch did not have, and the next fetch is not due yet.
    #[error("{} was not published at the last fetch", named(.0.as_ref()))]
    UnknownKey(Option<Excerpt>),
    /// The fetch took longer than [`FetchLimits::within`](super::FetchLimits).
    #[error("it took too long")]
    TooLong,
    /// The fetch panicked, or the system gave no thread.
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
    /// The message for a set without usable keys.
    pub(super) fn empty(keys: &PublicKeys) -> Self {
        let first = keys.ignored().first().cloned().map(Box::new);
        Self::Empty { first, others: (keys.ignored().len() + keys.left_out()).saturating_sub(1) }
    }

    /// Whether the issuer was unreachable or could not answer, so that its keys may be good and a later fetch may succeed.
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
