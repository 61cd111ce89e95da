//! The three answers that take time: a costly digest, keys that have to be fetched, and a write to the store.

use super::find_client::DigestSecret;
use super::use_once::UseOnce;
use super::verify_token::FetchKeys;

/// What answering a question from memory leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for one turn of its adapter's loop")]
#[must_use = "a request makes no progress until it is answered"]
pub enum Answered<S> {
    /// The next step.
    Next(S),
    /// An answer that the adapter obtains.
    Pending(Pending<S>),
}

/// An answer that takes so long that an event loop must not wait for it.
///
/// Exhaustive on purpose: an adapter that leaves one out does not compile.
#[derive(Debug)]
#[must_use = "a request makes no progress until it is answered"]
pub enum Pending<S> {
    /// Derive the digest of a secret that a person chose: some 20 ms of computing.
    Digest(DigestSecret<S>),
    /// Verify a signature with keys that their issuer publishes.
    FetchKeys(FetchKeys<S>),
    /// Record the use of a single-use identifier.
    UseOnce(UseOnce<S>),
}
