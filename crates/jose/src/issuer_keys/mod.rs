//! Which keys does an issuer sign with now? Those that it publishes, held and fetched: RFC 7517 §5, RFC 8725 §3.10, conformance KS-06.
//!
//! [`IssuerKeySets`] decides when something is fetched and what is made of it. It has no client for HTTP and reads no clock that
//! tells the time: whoever sets it up gives a [`Fetch`], and every request says when it is.

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

/// Gets documents over a network, on a thread of its own that may block.
pub trait Fetch: Send + Sync + 'static {
    /// Asks with GET for what is at this address, and returns within `within`: later than that nobody waits for it.
    ///
    /// It follows no redirect, sends nothing of any request, reads no more than `largest` bytes, and connects, where the address
    /// is one of the web, to no machine that only we can reach.
    ///
    /// # Errors
    /// What was in the way, in words for the operator.
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String>;
}

/// What became of a fetch: for logs and metrics. It never holds what was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// The keys of the issuer are known anew.
    Fetched {
        /// Whose.
        issuer: Issuer,
        /// How many there are to verify with.
        keys: usize,
        /// Those that are not used, and why.
        ignored: Vec<IgnoredKey>,
        /// How many more of the set are not used, too many to be listed.
        left_out: usize,
        /// How long they are not fetched again, unless a token names another one.
        fresh_for: Lifetime,
    },
    /// They could not be had.
    Failed {
        /// Whose.
        issuer: Issuer,
        /// Why.
        fault: FetchFault,
        /// Whether keys from before go on being used.
        stale: bool,
    },
}
