//! The response to a request as HTTP (status, header fields, body), for adapters of any framework: RFC 6749 §5, RFC 9449 §8.

use crate::answers::SigningFault;
use crate::error::{ErrorCode, OAuthError, Realm};
use crate::limits::TooManyFailures;
use crate::{Introspection, Lifetime, NotGranted, Policy, Secret, TokenResponse};
use std::borrow::Cow;

/// The response to a request. It may hold a token, so `Debug` leaves the body out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields, with names in lower case. The length of the body and the date are not among them.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body: a JSON object.
    pub body: Secret,
}

/// We could not sign.
pub const UNSIGNED: OAuthError =
    OAuthError::new(ErrorCode::ServerError, "an internal error, which was logged");
/// There is no signing key, or its holder does not answer.
pub const SIGNER_UNAVAILABLE: OAuthError =
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "no token can be signed now; try again in a second");
/// A revocation or a single-use identifier could not be stored.
pub const UNWRITTEN: OAuthError = OAuthError::new(
    ErrorCode::TemporarilyUnavailable,
    "the change could not be stored; try again in a second",
);
/// The keys of another issuer cannot be obtained.
pub const KEYS_UNAVAILABLE: OAuthError = OAuthError::new(
    ErrorCode::TemporarilyUnavailable,
    "the keys of the issuer of a token cannot be fetched now; try again after Retry-After",
);

/// A source had too many failed authentications.
pub const TOO_MANY_FAILURES: OAuthError = OAuthError::new(
    ErrorCode::TemporarilyUnavailable,
    "too many failed authentications from this address; try again later",
);

impl Reply {
    /// The header fields of every response that must not be stored. RFC 6749 §5.1: "The authorization server MUST include the HTTP
    /// 'Cache-Control' response header field with a value of 'no-store' […] as well as the 'Pragma' response header field with a
    /// value of 'no-cache'."
    pub const PRIVATE: [(&'static str, &'static str); 4] = [
        ("content-type", "application/json"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
    ];

    fn new(status: u16, body: Secret) -> Self {
        let headers = Self::PRIVATE.map(|(name, value)| (name, Cow::Borrowed(value))).to_vec();
        Self { status, headers, body }
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// `DPoP-Nonce` (RFC 9449 §8.1).
    fn with_nonce(self, nonce: Option<&str>) -> Self {
        match nonce {
            Some(nonce) => self.with("dpop-nonce", nonce.to_owned()),
            None => self,
        }
    }

    /// A token, and the nonce for the next proof if the [policy](Policy::require_dpop_nonce) requires one and the request had a proof.
    #[must_use]
    pub fn granted(response: &TokenResponse, nonce: Option<&str>) -> Self {
        Self::new(200, response.to_json()).with_nonce(nonce)
    }

    /// The description of a token (RFC 7662 §2.2).
    #[must_use]
    pub fn introspected(introspection: &Introspection) -> Self {
        Self::new(200, Secret::new(introspection.to_json()))
    }

    /// The response to a revocation, whether there was something to revoke or not. RFC 7009 §2.2: "The content of the response body is
    /// ignored".
    #[must_use]
    pub fn revoked() -> Self {
        Self::new(200, Secret::new("{}".to_owned()))
    }

    /// An error, with its challenge, and with the nonce for the next proof if that is what it asks for
    /// ([`ErrorCode::UseDpopNonce`]; [`Answers::nonce`](crate::Answers::nonce)).
    #[must_use]
    pub fn refused(error: &OAuthError, nonce: Option<&str>) -> Self {
        let reply = Self::new(error.status(), Secret::new(error.to_json()));
        let reply = match error.challenge {
            Some(challenge) => reply.with("www-authenticate", challenge.as_header()),
            None => reply,
        };
        reply.with_nonce(nonce)
    }

    /// The same with its challenge in this realm, which is that of the [policy](Policy::realm). [`Reply::not_granted`] does it.
    #[must_use]
    pub fn in_realm(mut self, realm: &Realm) -> Self {
        if !realm.is_default() {
            for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "www-authenticate") {
                *value = realm.of_challenge(value).into();
            }
        }
        self
    }

    /// What becomes of a request that was not granted: the error of its refusal, or one of the three failures that are not the
    /// client's: 500, or 503 with `Retry-After`, without which Iceberg's Java client does not retry (conformance IC-16). Log the
    /// reason, which the client does not receive. `nonce` is used if the client needs one.
    #[must_use]
    pub fn not_granted(policy: &Policy, reason: &NotGranted, nonce: Option<&str>) -> Self {
        let later = |error: &OAuthError, after: Lifetime| {
            Self::refused(error, None).with("retry-after", after.as_seconds().max(1).to_string())
        };
        match reason {
            NotGranted::Refused(refusal) => {
                let error = policy.error_for(refusal);
                let needs_nonce = error.code == ErrorCode::UseDpopNonce;
                Self::refused(&error, nonce.filter(|_| needs_nonce)).in_realm(&policy.realm)
            }
            // Another node may have a key, and this one gets one when it can open it.
            NotGranted::Unsigned(SigningFault::Unavailable { .. } | SigningFault::NoKey) => {
                later(&SIGNER_UNAVAILABLE, Lifetime::from_seconds(1))
            }
            NotGranted::Unsigned(SigningFault::Key { .. }) => Self::refused(&UNSIGNED, None),
            NotGranted::Unwritten(_) => later(&UNWRITTEN, Lifetime::from_seconds(1)),
            NotGranted::KeysUnavailable(fault) => later(&KEYS_UNAVAILABLE, fault.retry_after),
        }
    }

    /// The response to a source that had too many failures: 429 with `Retry-After` (RFC 6585 §4).
    #[must_use]
    pub fn too_many_failures(limited: &TooManyFailures) -> Self {
        let seconds = limited.retry_after.as_seconds().to_string();
        Self::new(429, Secret::new(TOO_MANY_FAILURES.to_json())).with("retry-after", seconds)
    }

    /// The value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}
