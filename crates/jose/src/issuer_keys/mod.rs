//! Fetches and caches the keys that issuers publish: RFC 7517 §5, RFC 8725 §3.10, conformance KS-06.
//!
//! [`IssuerKeySets`] decides when to fetch and evaluates the result. It has no client for HTTP and reads no wall clock: the
//! caller gives it a [`Fetch`], and every request brings the time.

mod address;
mod budget;
mod document;
mod entry;
mod fault;
mod flight;
mod limits;
mod sets;

pub use address::{Address, AddressFault, Reach};
pub use document::{Document, LARGEST_METADATA};
pub use fault::FetchFault;
pub use limits::FetchLimits;
pub use sets::IssuerKeySets;

use crate::IgnoredKey;
use std::time::Duration;
use tokenberg_core::{Issuer, Lifetime};

/// Fetches documents over a network, on a separate thread that may block.
///
/// `Web`, with the feature `fetch`, is one that keeps to all of it.
///
/// ```
/// use std::time::Duration;
/// use tokenberg_jose::{Address, Document, Fetch, FetchLimits, IssuerKeySets};
///
/// /// For tests: the same document at each address.
/// struct Constant(&'static [u8]);
///
/// impl Fetch for Constant {
///     fn fetch(&self, _: &Address, largest: usize, _: Duration) -> Result<Document, String> {
///         let body = self.0.get(..largest.min(self.0.len())).unwrap_or_default().to_vec();
///         Ok(Document { status: 200, body, cache_control: None })
///     }
/// }
///
/// let keys = IssuerKeySets::new(Constant(b"{}"), FetchLimits::default(), |event| eprintln!("{event:?}"));
/// # drop(keys);
/// ```
pub trait Fetch: Send + Sync + 'static {
    /// Sends a GET to this address, and returns within `within`: a later result is not used.
    ///
    /// It follows no redirect, forwards nothing of any request, reads at most `largest` bytes, and connects to no private host if
    /// the address has [`Reach::Web`].
    ///
    /// # Errors
    /// The cause of the failure, for the operator.
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String>;
}

/// The result of a fetch, for logs and metrics. It never holds fetched content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// The keys of the issuer were fetched.
    Fetched {
        /// The issuer.
        issuer: Issuer,
        /// The number of keys to verify with.
        keys: usize,
        /// The keys that are not used, and why.
        ignored: Vec<IgnoredKey>,
        /// The number of further unused keys, which are not listed.
        left_out: usize,
        /// How long they are not fetched again, unless a token names an unknown key.
        fresh_for: Lifetime,
    },
    /// The keys could not be obtained.
    Failed {
        /// The issuer.
        issuer: Issuer,
        /// The cause.
        fault: FetchFault,
        /// Whether the previous keys stay in use.
        stale: bool,
    },
}
