//! The refusals of a catalog's access token: RFC 6750 §3 and RFC 9449 §7.1, in the error model of Iceberg's REST specification.

use crate::endpoint::reply;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use tokenberg_core::TokenFault;
use tokenberg_core::backends::{KeysUnavailable, NotWritten};
use tokenberg_core::error::Realm;
use tokenberg_core::jws::FramingFault;
use tokenberg_core::metadata::proof_algorithms;
use tokenberg_core::refusal::ProofFault;

/// Why a request has no sufficient [`Bearer`](crate::Bearer). Its `Display` is for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization`, or one of another scheme.
    #[error("the request has no Bearer token")]
    NoCredentials,
    /// More than one token, or more than one place for it.
    #[error("the request carries a token in more than one way")]
    SeveralMethods,
    /// `Bearer` or `DPoP` without exactly one well-formed token.
    #[error("Authorization holds no token")]
    Malformed,
    /// The token is not valid.
    #[error("the token{mark} is not acceptable: {0}", mark = .0.mark())]
    InvalidToken(#[from] TokenFault),
    /// The token has expired, and [`expired_as_419`](crate::BearerConfig::expired_as_419) is set.
    #[error("the token is not acceptable: {0}")]
    TimedOut(TokenFault),
    /// `DPoP` without exactly one proof.
    #[error("the request has no DPoP proof, or more than one")]
    NotOneProof,
    /// A DPoP header that is not a proof.
    #[error("the DPoP proof is unreadable: {0}")]
    MalformedProof(FramingFault),
    /// The proof is not for this request and this token.
    #[error("the DPoP proof is not acceptable: {0}")]
    InvalidProof(#[from] ProofFault),
    /// The proof was used before.
    #[error("the DPoP proof was used before")]
    ProofReplayed,
    /// A proof beside a token that is bound to no key (RFC 9449 §7.2).
    #[error("the token is not bound to a key, and was sent with the scheme DPoP")]
    NotBound,
    /// It is not certain whether the proof was used before.
    #[error(transparent)]
    Unwritten(NotWritten),
    /// The token is valid and does not contain this scope-token.
    #[error("the token lacks the scope {scope}")]
    InsufficientScope {
        /// The scope-token.
        scope: Box<str>,
        /// The realm of the challenge.
        realm: Realm,
    },
    /// The app has no [`BearerConfig`](crate::BearerConfig) for the route.
    #[error(
        "no BearerConfig applies to this route: put `.app_data(BearerConfig::of(&service))` on its App or a scope around it"
    )]
    NotConfigured,
    /// The app has a [`BearerConfig`](crate::BearerConfig) in a `web::Data`.
    #[error(
        "the BearerConfig of this route is in a web::Data: put `.app_data(config)` in place of `.app_data(web::Data::new(config))`"
    )]
    Misplaced,
    /// The last successful read of the store is so old that the token may have been revoked since (conformance OP-21).
    #[error("the state of the store is too old to accept a token")]
    TooOld,
    /// The keys that would verify the token cannot be obtained at present.
    #[error(transparent)]
    KeysUnavailable(KeysUnavailable),
    /// The clock is unusable.
    #[error("the clock is out of range")]
    Unavailable,
}

/// How a token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// Why a request has no [`Bearer`](crate::Bearer), and which schemes it could use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct BearerRefusal {
    /// The reason.
    pub error: BearerError,
    /// The scheme of the attempt.
    pub(crate) scheme: Option<Scheme>,
    pub(crate) takes_proofs: bool,
    pub(crate) realm: Realm,
}

impl From<BearerError> for BearerRefusal {
    fn from(error: BearerError) -> Self {
        // A handler returns no other one: all others come from the extractor.
        let realm = if let BearerError::InsufficientScope { realm, .. } = &error {
            realm.clone()
        } else {
            Realm::default()
        };
        Self { error, scheme: Some(Scheme::Bearer), takes_proofs: false, realm }
    }
}

impl BearerError {
    /// `type` and `message` of Iceberg's `ErrorModel`.
    fn model(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoCredentials => ("NotAuthorizedException", "a Bearer token is required"),
            Self::SeveralMethods => {
                ("BadRequestException", "the token has to be in one Authorization header only")
            }
            Self::Malformed | Self::InvalidToken(_) => {
                ("NotAuthorizedException", "the token is malformed, expired or revoked")
            }
            Self::NotOneProof
            | Self::MalformedProof(_)
            | Self::InvalidProof(_)
            | Self::ProofReplayed
            | Self::NotBound => {
                ("NotAuthorizedException", "the DPoP proof is not for this request and this token")
            }
            Self::Unwritten(_) | Self::TooOld => ("ServiceUnavailableException", "try again in a second"),
            Self::KeysUnavailable(_) => (
                "ServiceUnavailableException",
                "the keys of the token's issuer cannot be fetched now; try again after Retry-After",
            ),
            Self::TimedOut(_) => ("AuthenticationTimeoutException", "the token expired"),
            Self::InsufficientScope { .. } => {
                ("ForbiddenException", "the scope of the token does not suffice")
            }
            // For the developer of the app, who meets it at the first request.
            Self::NotConfigured => (
                "InternalServerError",
                "the route has no BearerConfig: put it with app_data on its App or a scope around it",
            ),
            Self::Misplaced => (
                "InternalServerError",
                "the BearerConfig of the route is in a web::Data: put it with app_data itself",
            ),
            Self::Unavailable => ("InternalServerError", "an internal error, which was logged"),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoCredentials
            | Self::Malformed
            | Self::InvalidToken(_)
            | Self::NotOneProof
            | Self::MalformedProof(_)
            | Self::InvalidProof(_)
            | Self::ProofReplayed
            | Self::NotBound => StatusCode::UNAUTHORIZED,
            Self::SeveralMethods => StatusCode::BAD_REQUEST,
            Self::InsufficientScope { .. } => StatusCode::FORBIDDEN,
            Self::TimedOut(_) => StatusCode::from_u16(419).unwrap_or(StatusCode::UNAUTHORIZED),
            Self::Unwritten(_) | Self::TooOld | Self::KeysUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotConfigured | Self::Misplaced | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds of `Retry-After`.
    fn retry_after(&self) -> u32 {
        if let Self::KeysUnavailable(fault) = self { fault.retry_after.as_seconds().max(1) } else { 1 }
    }

    // RFC 6750 §3.1: "If the request lacks any authentication information […], the resource server SHOULD NOT include an
    // error code or other error information."
    fn code(&self) -> Option<String> {
        Some(match self {
            Self::NoCredentials
            | Self::Unwritten(_)
            | Self::TooOld
            | Self::KeysUnavailable(_)
            | Self::NotConfigured
            | Self::Misplaced
            | Self::Unavailable => return None,
            Self::SeveralMethods => r#"error="invalid_request""#.to_owned(),
            Self::Malformed | Self::InvalidToken(_) | Self::TimedOut(_) | Self::NotBound => {
                r#"error="invalid_token""#.to_owned()
            }
            Self::NotOneProof | Self::MalformedProof(_) | Self::InvalidProof(_) | Self::ProofReplayed => {
                r#"error="invalid_dpop_proof""#.to_owned()
            }
            Self::InsufficientScope { scope, .. } => {
                format!(r#"error="insufficient_scope", scope="{scope}""#)
            }
        })
    }
}

impl BearerRefusal {
    /// The value of `WWW-Authenticate`: each accepted scheme, with the error at the one that was tried.
    fn challenges(&self) -> Vec<String> {
        if self.error.status().is_server_error() {
            return Vec::new();
        }
        let code = |scheme| if self.scheme == Some(scheme) { self.error.code() } else { None };
        let bearer = code(Scheme::Bearer).map(|code| format!(", {code}")).unwrap_or_default();
        let mut challenges = vec![format!(r#"Bearer realm="{}"{bearer}"#, self.realm.as_str())];
        if self.takes_proofs {
            let dpop = code(Scheme::Dpop).map(|code| format!("{code}, ")).unwrap_or_default();
            challenges.push(format!(r#"DPoP {dpop}algs="{}""#, proof_algorithms().join(" ")));
        }
        challenges
    }

    /// The response.
    pub(crate) fn response(&self) -> HttpResponse {
        let status = self.error.status();
        let (kind, message) = self.error.model();
        let mut response = reply::private(status);
        for challenge in self.challenges() {
            response.append_header((header::WWW_AUTHENTICATE, challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, self.error.retry_after()));
        }
        let error = json!({ "error": { "message": message, "type": kind, "code": status.as_u16() } });
        response.body(error.to_string())
    }
}

impl ResponseError for BearerRefusal {
    fn status_code(&self) -> StatusCode {
        self.error.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let reason = self.to_string();
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), reason = ?reason, "could not check a Bearer token");
        } else {
            tracing::debug!(status = status.as_u16(), reason = ?reason, "refused a Bearer token");
        }
        self.response()
    }
}

impl ResponseError for BearerError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        BearerRefusal::from(self.clone()).error_response()
    }
}
