//! What is a catalog's client told of its token? RFC 6750 §3, in the error model of Iceberg's REST specification.

use crate::reply;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use tokenberg_core::TokenFault;

/// Why a request has no [`Bearer`](crate::Bearer), or not one that suffices. Its `Display` is for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization`, or one of another scheme.
    #[error("the request has no Bearer token")]
    NoCredentials,
    /// More than one token, or more than one place for it.
    #[error("the request carries a token in more than one way")]
    SeveralMethods,
    /// `Bearer` without exactly one token of the grammar.
    #[error("Authorization: Bearer holds no token")]
    Malformed,
    /// The token is not good.
    #[error("the token is not acceptable: {0}")]
    InvalidToken(#[from] TokenFault),
    /// The token has expired, where [`expired_as_419`](crate::BearerConfig::expired_as_419) was asked for.
    #[error("the token is not acceptable: {0}")]
    TimedOut(TokenFault),
    /// The token is good and does not hold this scope-token.
    #[error("the token lacks the scope {0}")]
    InsufficientScope(Box<str>),
    /// The app has no [`BearerConfig`](crate::BearerConfig).
    #[error(
        "put `.app_data(BearerConfig::of(&service))`, and not a web::Data of it, on the App or the scope of this route"
    )]
    NotConfigured,
    /// There is no time to check against.
    #[error("the clock is out of range")]
    Unavailable,
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
            Self::TimedOut(_) => ("AuthenticationTimeoutException", "the token expired"),
            Self::InsufficientScope(_) => ("ForbiddenException", "the scope of the token does not suffice"),
            Self::NotConfigured | Self::Unavailable => {
                ("InternalServerError", "an internal failure, which was logged")
            }
        }
    }

    // RFC 6750 §3.1: "If the request lacks any authentication information […], the resource server SHOULD NOT include an
    // error code or other error information."
    fn challenge(&self) -> Option<String> {
        let realm = r#"Bearer realm="tokenberg""#;
        match self {
            Self::NoCredentials => Some(realm.to_owned()),
            Self::SeveralMethods => Some(format!(r#"{realm}, error="invalid_request""#)),
            Self::Malformed | Self::InvalidToken(_) | Self::TimedOut(_) => {
                Some(format!(r#"{realm}, error="invalid_token""#))
            }
            Self::InsufficientScope(scope) => {
                Some(format!(r#"{realm}, error="insufficient_scope", scope="{scope}""#))
            }
            Self::NotConfigured | Self::Unavailable => None,
        }
    }
}

impl ResponseError for BearerError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoCredentials | Self::Malformed | Self::InvalidToken(_) => StatusCode::UNAUTHORIZED,
            Self::SeveralMethods => StatusCode::BAD_REQUEST,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::TimedOut(_) => StatusCode::from_u16(419).unwrap_or(StatusCode::UNAUTHORIZED),
            Self::NotConfigured | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let reason = self.to_string();
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), reason = ?reason, "could not judge a Bearer token");
        } else {
            tracing::debug!(status = status.as_u16(), reason = ?reason, "refused a Bearer token");
        }
        let (kind, message) = self.model();
        let mut response = reply::private(status);
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        let error = json!({ "error": { "message": message, "type": kind, "code": status.as_u16() } });
        response.body(error.to_string())
    }
}
