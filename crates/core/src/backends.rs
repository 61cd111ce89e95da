//! The answers that wait for a disk or another server: the traits of an adapter that awaits them.
//!
//! Answers that are only computed are in [`Answers`](crate::Answers).

use crate::answers::SigningFault;
use crate::jws::{Algorithm, KeyId, KeyMaterial};
use crate::token::SingleUseId;
use crate::{CompactJws, Issuer, Lifetime, Revoke, SignatureFault, Timestamp, TrustedIssuer, Verified};
use std::pin::Pin;

/// A pending operation.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A pending write.
pub type Writing<'a> = BoxFuture<'a, Result<(), NotWritten>>;

/// Revokes tokens, durably before any response reports it.
///
/// ```
/// use std::sync::Mutex;
/// use tokenberg_core::backends::{NotWritten, Writing};
/// use tokenberg_core::token::TokenId;
/// use tokenberg_core::{Revocation, Revocations, Revoke, Timestamp};
///
/// /// In the memory of one process. A database writes it here, and the future is ready when it is on disk.
/// struct Revoked(Mutex<Vec<(TokenId, Revocation, Timestamp)>>);
///
/// impl Revocations for Revoked {
///     fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a> {
///         Box::pin(async move {
///             let failed = |_| NotWritten { reason: "another write panicked".to_owned() };
///             let revoked = (revoke.id().clone(), revoke.family(), revoke.until());
///             self.0.lock().map_err(failed)?.push(revoked);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Revocations: Send + Sync {
    /// Writes it durably; every later answer of this process takes it into account.
    ///
    /// After the future is dropped, it is unknown whether it was written.
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a>;

    /// Reads what other processes have changed in the store. It is called before a token with an unknown key is reported as invalid.
    ///
    /// The default is for a process that shares its keys with no other: it reads nothing.
    fn catch_up(&self) -> Writing<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Stores the use of single-use identifiers, for all nodes together.
///
/// ```
/// use std::collections::HashSet;
/// use std::sync::Mutex;
/// use tokenberg_core::SingleUse;
/// use tokenberg_core::backends::{BoxFuture, NotWritten};
/// use tokenberg_core::token::SingleUseId;
///
/// /// In the memory of one process. In SQL it is an insert that does nothing if the row is there, and the number of inserted rows.
/// struct Used(Mutex<HashSet<(Box<str>, Box<str>)>>);
///
/// impl SingleUse for Used {
///     fn use_once<'a>(&'a self, once: &'a SingleUseId) -> BoxFuture<'a, Result<bool, NotWritten>> {
///         Box::pin(async move {
///             let failed = |_| NotWritten { reason: "another write panicked".to_owned() };
///             Ok(self.0.lock().map_err(failed)?.insert((once.namespace.clone(), once.id.clone())))
///         })
///     }
/// }
/// ```
pub trait SingleUse: Send + Sync {
    /// Uses the identifier up: returns `true` exactly once, to the first caller, after it is on disk.
    fn use_once<'a>(&'a self, once: &'a SingleUseId) -> BoxFuture<'a, Result<bool, NotWritten>>;
}

/// Holds the keys of issuers that publish them at an address, and fetches them.
///
/// `IssuerKeySets` of `tokenberg-jose` implements it. A resource server of any framework verifies a token like this:
///
/// ```
/// use std::sync::Arc;
/// use tokenberg_core::backends::KeysUnavailable;
/// use tokenberg_core::token::Possession;
/// use tokenberg_core::{
///     AccessTokenClaims, IssuerKeys, KeySource, Timestamp, TokenFault, TokenVerification, Trust, TrustedIssuer,
/// };
///
/// enum NoCaller {
///     /// 401 with `WWW-Authenticate: Bearer error="invalid_token"`; the reason is for the log.
///     Token(TokenFault),
///     /// 503 with `Retry-After`: an outage is never the fault of the caller.
///     Away(KeysUnavailable),
/// }
///
/// /// `token` follows `Bearer ` in the only `Authorization` of the request; without one, the response is 401 with the challenge `Bearer`.
/// async fn caller(
///     token: &str,
///     verification: &TokenVerification,
///     keys: &impl IssuerKeys,
///     now: Timestamp,
/// ) -> Result<Arc<AccessTokenClaims>, NoCaller> {
///     let (issuer, trust) = (verification.issuer().clone(), Trust::new(KeySource::Discovery));
///     let issuer = TrustedIssuer { issuer, enabled: true, trust };
///     let token = verification.framed(token).map_err(NoCaller::Token)?;
///     let verified = keys.verify(&issuer, &token, now).await.map_err(NoCaller::Away)?;
///     // The caller has proven possession of no key, so a token that is bound to one is refused.
///     verification.claims(&token, verified, now, &Possession::default()).map_err(NoCaller::Token)
/// }
/// ```
pub trait IssuerKeys: Send + Sync {
    /// Checks the signature with the keys of this issuer, fetching them if necessary. Never called for an issuer that is not trusted, nor
    /// with an address from a token (conformance KS-06).
    fn verify<'a>(
        &'a self,
        issuer: &'a TrustedIssuer,
        token: &'a CompactJws,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Result<Verified, SignatureFault>, KeysUnavailable>>;
}

/// Signs with a key that another process or a device holds, such as a KMS or an HSM, which takes milliseconds.
///
/// The public half of the key has to be in [`Keys::jwks`](crate::Keys::jwks) before it signs, and to verify there for as long as its
/// tokens live.
///
/// ```
/// use tokenberg_core::answers::SigningFault;
/// use tokenberg_core::flow::Sign;
/// use tokenberg_core::{Granted, NotGranted, Signer};
///
/// /// The last step of a request, [`Step::Sign`](tokenberg_core::Step::Sign), in the loop of an adapter.
/// async fn signed(question: Sign, signer: &impl Signer) -> Result<Granted, NotGranted> {
///     let (key, algorithm) = signer.key(question.now()).ok_or(SigningFault::NoKey)?;
///     let input = question.signing_input(&key, algorithm)?;
///     let signature = signer.sign(&key, input.as_bytes()).await?;
///     Ok(input.signed_by(&signature))
/// }
/// ```
pub trait Signer: Send + Sync {
    /// The name and the algorithm of the key that signs at `now`. With `None`, the keys of the world sign.
    fn key(&self, now: Timestamp) -> Option<(KeyId, Algorithm)>;

    /// Signs this JWS Signing Input (RFC 7515 §5.1). The signature has the form of JWS: for ECDSA r and s side by side, each of the
    /// length of the curve (RFC 7518 §3.4), which is not the DER that many a KMS returns.
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        signing_input: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>>;
}

/// A device that holds signing keys whose public halves the store has, such as an HSM.
///
/// A key in it is called by the name that the store has for it, [`DeviceKey::uri`](crate::jws::DeviceKey::uri).
pub trait KeyDevice: Send + Sync {
    /// Signs this JWS Signing Input with the key of this name, as [`Signer::sign`] does. `key` is for messages.
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        uri: &'a str,
        algorithm: Algorithm,
        signing_input: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>>;

    /// Generates a key that never leaves the device.
    fn generate(
        &self,
        algorithm: Algorithm,
        created_at: Timestamp,
        signs_from: Timestamp,
    ) -> BoxFuture<'_, Result<KeyMaterial, DeviceFault>>;

    /// Destroys a key that was generated and is not needed, because another node generated one at the same time.
    fn destroy<'a>(&'a self, uri: &'a str) -> BoxFuture<'a, Result<(), DeviceFault>>;
}

/// Why a device did not do what it was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device with the signing keys: {0}")]
pub struct DeviceFault(pub String);

/// The traits [`SingleUse`] and [`IssuerKeys`] for a program that may block, for [`drive`](crate::drive) and [`inquire`](crate::inquire).
/// `()` has no memory and fetches nothing.
///
/// ```
/// use std::cell::RefCell;
/// use std::collections::HashSet;
/// use tokenberg_core::backends::{Blocking, KeysUnavailable, NotWritten};
/// use tokenberg_core::token::SingleUseId;
/// use tokenberg_core::{CompactJws, SignatureFault, Timestamp, TrustedIssuer, Verified};
///
/// /// Has a memory, and fetches no keys.
/// struct Backend(RefCell<HashSet<(Box<str>, Box<str>)>>);
///
/// impl Blocking for Backend {
///     fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten> {
///         Ok(self.0.borrow_mut().insert((once.namespace.clone(), once.id.clone())))
///     }
///
///     fn verify(
///         &self,
///         issuer: &TrustedIssuer,
///         token: &CompactJws,
///         now: Timestamp,
///     ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
///         ().verify(issuer, token, now)
///     }
/// }
/// ```
pub trait Blocking {
    /// As [`SingleUse::use_once`].
    ///
    /// # Errors
    /// If it cannot be recorded.
    fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten>;

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
    fn use_once(&self, _: &SingleUseId) -> Result<bool, NotWritten> {
        Err(NotWritten { reason: "this backend does not store single-use identifiers".to_owned() })
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        _: &CompactJws,
        _: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        Err(KeysUnavailable::new(&issuer.issuer, "this backend does not fetch keys"))
    }
}

/// Why it is not certain that a write succeeded. The response asks the client to retry, and never reports success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be written: {reason}")]
pub struct NotWritten {
    /// The cause, without any secret.
    pub reason: String,
}

/// Why a signature cannot be checked at present: an outage, which is never reported as a bad token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot obtain the keys of {issuer}: {reason}")]
pub struct KeysUnavailable {
    /// The issuer whose keys are unavailable.
    pub issuer: Box<str>,
    /// The cause.
    pub reason: String,
    /// The delay before a retry: `Retry-After` of the response, at least one second.
    pub retry_after: Lifetime,
}

impl KeysUnavailable {
    /// An outage of unknown duration.
    #[must_use]
    pub fn new(issuer: &Issuer, reason: impl Into<String>) -> Self {
        let retry_after = Lifetime::from_seconds(1);
        Self { issuer: issuer.as_str().into(), reason: reason.into(), retry_after }
    }
}
