//! Faults of the transport, before and after the core, and the response for each: RFC 9110 §15; one enum, one map.

use actix_web::http::StatusCode;
use tokenberg_core::reply::{KEYS_UNAVAILABLE, SIGNER_UNAVAILABLE, TOO_MANY_FAILURES, UNSIGNED, UNWRITTEN};
use tokenberg_core::{ErrorCode, OAuthError};

/// Why a request did not reach the core, or its answer not the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("there is nothing at this path")]
    NotFound,
    #[error("the method is not one of {0}")]
    MethodNotAllowed(&'static str),
    #[error("the head has more than 96 fields or 32 KiB")]
    HeadTooLarge,
    #[error("the target names another authority than the Host header")]
    AuthorityMismatch,
    #[error("the Host header names no host")]
    Host,
    #[error("the request wants to upgrade to another protocol")]
    Upgrade,
    #[error("the body is not declared as a form")]
    ContentType,
    #[error("the body is declared in another charset than UTF-8")]
    Charset,
    #[error("the body is declared as compressed")]
    ContentEncoding,
    #[error("the body is larger than the limit")]
    BodyTooLarge,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body ended early or its framing is not valid HTTP")]
    BrokenBody,
    #[error("a trusted proxy says that the client spoke plain HTTP")]
    PlainHttp,
    #[error("too many failed authentications; refused for {seconds} s")]
    TooManyFailures {
        /// Seconds until another attempt is allowed.
        seconds: u32,
    },
    #[error("too many computations are waiting")]
    Overloaded,
    #[error("signing failed")]
    Unsigned,
    #[error("the holder of the signing key does not answer")]
    SignerUnavailable,
    #[error("a revocation or single-use identifier could not be stored")]
    Unwritten,
    #[error("there is no room for another record of the audit")]
    Unrecorded,
    #[error("cannot obtain the keys of another issuer")]
    KeysUnavailable {
        /// Seconds until a retry may succeed.
        seconds: u32,
    },
    #[error("the state of the store is too old to describe a token")]
    TooOld,
    #[error("the system gave no random bits")]
    NoRandomness,
    #[error("the clock is out of range")]
    NoTime,
    #[error("the handler panicked")]
    Panicked,
}

impl Fault {
    /// The status, and the content of the body.
    pub(crate) fn response(self) -> (StatusCode, OAuthError) {
        use ErrorCode::{InvalidRequest, TemporarilyUnavailable};
        let (status, code, description) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, InvalidRequest, "there is nothing at this path"),
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, InvalidRequest, "the method is not allowed here")
            }
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                InvalidRequest,
                "the request header is too large",
            ),
            Self::Host => (StatusCode::BAD_REQUEST, InvalidRequest, "the Host header is malformed"),
            Self::Upgrade => {
                (StatusCode::BAD_REQUEST, InvalidRequest, "there is no other protocol to upgrade to")
            }
            Self::AuthorityMismatch => {
                (StatusCode::BAD_REQUEST, InvalidRequest, "the request target and Host differ")
            }
            Self::ContentType => (
                StatusCode::BAD_REQUEST,
                InvalidRequest,
                "Content-Type has to be application/x-www-form-urlencoded",
            ),
            Self::Charset => (StatusCode::BAD_REQUEST, InvalidRequest, "the form has to be UTF-8"),
            Self::ContentEncoding => {
                (StatusCode::BAD_REQUEST, InvalidRequest, "a Content-Encoding is not supported")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, InvalidRequest, "the body is too large"),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, InvalidRequest, "the body did not arrive in time")
            }
            Self::BrokenBody => (StatusCode::BAD_REQUEST, InvalidRequest, "the body cannot be read"),
            Self::PlainHttp => (
                StatusCode::BAD_REQUEST,
                InvalidRequest,
                "secrets are accepted over TLS only; use https, and replace the secret that was just sent",
            ),
            Self::TooManyFailures { .. } => return (StatusCode::TOO_MANY_REQUESTS, TOO_MANY_FAILURES),
            Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, TemporarilyUnavailable, "try again in a second")
            }
            Self::SignerUnavailable => return (StatusCode::SERVICE_UNAVAILABLE, SIGNER_UNAVAILABLE),
            Self::Unwritten => return (StatusCode::SERVICE_UNAVAILABLE, UNWRITTEN),
            Self::Unrecorded => (
                StatusCode::SERVICE_UNAVAILABLE,
                TemporarilyUnavailable,
                "the request could not be recorded; try again in a second",
            ),
            Self::KeysUnavailable { .. } => return (StatusCode::SERVICE_UNAVAILABLE, KEYS_UNAVAILABLE),
            Self::TooOld => (
                StatusCode::SERVICE_UNAVAILABLE,
                TemporarilyUnavailable,
                "the revocations are not known at present; try again in a second",
            ),
            Self::Unsigned | Self::NoRandomness | Self::NoTime | Self::Panicked => {
                return (StatusCode::INTERNAL_SERVER_ERROR, UNSIGNED);
            }
        };
        (status, OAuthError::new(code, description))
    }

    /// `Allow`, which every 405 has (RFC 9110 §15.5.6).
    pub(crate) fn allow(self) -> Option<&'static str> {
        if let Self::MethodNotAllowed(methods) = self { Some(methods) } else { None }
    }

    /// Seconds of `Retry-After`: without it, Iceberg's Java client does not retry (conformance IC-16).
    pub(crate) fn retry_after(self) -> Option<u32> {
        if let Self::TooManyFailures { seconds } | Self::KeysUnavailable { seconds } = self {
            return Some(seconds);
        }
        matches!(
            self,
            Self::Overloaded | Self::SignerUnavailable | Self::Unwritten | Self::Unrecorded | Self::TooOld
        )
        .then_some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cc_14_every_fault_is_a_flat_oauth_error() {
        for fault in [
            Fault::NotFound,
            Fault::MethodNotAllowed("POST"),
            Fault::HeadTooLarge,
            Fault::AuthorityMismatch,
            Fault::ContentType,
            Fault::Charset,
            Fault::ContentEncoding,
            Fault::BodyTooLarge,
            Fault::BodyTimeout,
            Fault::BrokenBody,
            Fault::PlainHttp,
            Fault::TooManyFailures { seconds: 7 },
            Fault::Overloaded,
            Fault::Unsigned,
            Fault::SignerUnavailable,
            Fault::Unwritten,
            Fault::Unrecorded,
            Fault::KeysUnavailable { seconds: 42 },
            Fault::TooOld,
            Fault::NoRandomness,
            Fault::NoTime,
            Fault::Panicked,
        ] {
            let (status, error) = fault.response();
            assert!(status.is_client_error() || status.is_server_error());
            let description = error.description.unwrap();
            assert!(description.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
            assert_eq!(fault.allow().is_some(), status == StatusCode::METHOD_NOT_ALLOWED);
            let later = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status);
            assert_eq!(fault.retry_after().is_some(), later);
        }
    }
}
