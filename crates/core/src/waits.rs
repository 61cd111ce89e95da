//! Which answers have to wait, for a disk or for somebody else's server? The traits of an adapter that awaits them.
//!
//! What only computes is in [`Answers`](crate::Answers).

use crate::{CompactJws, Issuer, Lifetime, Revoke, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::pin::Pin;

/// Something that is under way.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A write that is under way.
pub type Writing<'a> = Waiting<'a, Result<(), NotWritten>>;

/// Takes tokens back, on disk before anybody is told of it.
pub trait Revocations: Send + Sync {
    /// Writes it durably; whatever this process answers afterwards already knows of it.
    ///
    /// Dropping the future leaves open whether it was written.
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a>;
}

/// Remembers what may be used once only, for all nodes together.
pub trait SingleUse: Send + Sync {
    /// Uses the identifier up: `true` exactly once, whoever asks first; it is on disk by then.
    fn use_once<'a>(&'a self, once: &'a Once) -> Waiting<'a, Result<bool, NotWritten>>;
}

/// Holds the keys of issuers that publish them at an address, and fetches them.
pub trait IssuerKeys: Send + Sync {
    /// Checks the signature with the keys of this issuer, fetching them if need be. Never asked about an issuer that is not
    /// trusted, nor with an address out of a token (conformance KS-06).
    fn verify<'a>(
        &'a self,
        issuer: &'a TrustedIssuer,
        token: &'a CompactJws,
        now: Timestamp,
    ) -> Waiting<'a, Result<Result<Verified, SignatureFault>, KeysUnavailable>>;
}

/// What a program that may block waits for on its own thread: the same as [`SingleUse`] and [`IssuerKeys`], for
/// [`drive`](crate::drive) and [`inquire`](crate::inquire). `()` has no memory and fetches nothing.
pub trait Blocking {
    /// As [`SingleUse::use_once`].
    ///
    /// # Errors
    /// If it cannot be recorded.
    fn use_once(&self, once: &Once) -> Result<bool, NotWritten>;

    /// As [`IssuerKeys::verify`].
    ///
    /// # Errors
    /// If the keys cannot be obtained.
    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable>;
}

impl Blocking for () {
    fn use_once(&self, _: &Once) -> Result<bool, NotWritten> {
        Err(NotWritten { reason: "nothing here remembers what was used".to_owned() })
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        _: &CompactJws,
        _: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        Err(KeysUnavailable::new(&issuer.issuer, "nothing here fetches keys"))
    }
}

/// An identifier that is good for one use (RFC 7523 §3, RFC 9449 §11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// What the identifier is and whose, so that neither features nor clients take each other's.
    pub namespace: Box<str>,
    /// The identifier.
    pub id: Box<str>,
    /// Until when what carries it could be presented again.
    pub until: Timestamp,
}

/// Why it is not certain that something was written. The client is told to try again, and never that it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be written: {reason}")]
pub struct NotWritten {
    /// What is in the way; no secret.
    pub reason: String,
}

/// Why a signature cannot be checked at present: an outage, which is never reported as a bad token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot obtain the keys of {issuer}: {reason}")]
pub struct KeysUnavailable {
    /// Whose.
    pub issuer: Box<str>,
    /// What is in the way.
    pub reason: String,
    /// After how long it is worth trying again: `Retry-After` of the answer, a second at least.
    pub retry_after: Lifetime,
}

impl KeysUnavailable {
    /// An outage of which nobody knows how long it lasts.
    #[must_use]
    pub fn new(issuer: &Issuer, reason: impl Into<String>) -> Self {
        let retry_after = Lifetime::from_seconds(1);
        Self { issuer: issuer.as_str().into(), reason: reason.into(), retry_after }
    }
}
