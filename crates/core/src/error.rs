//! The error response, RFC 6749 §5.2.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// The code of an error response of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed, or a token in it is not acceptable (RFC 6749 §5.2, RFC 8693 §2.2.2).
    InvalidRequest,
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient,
    /// An assertion that is a grant is not acceptable (RFC 6749 §5.2, RFC 7523 §3.1).
    InvalidGrant,
    /// The client may not use this grant (RFC 6749 §5.2).
    UnauthorizedClient,
    /// We do not know this grant (RFC 6749 §5.2).
    UnsupportedGrantType,
    /// The scope is malformed, or this client may not have it (RFC 6749 §5.2).
    InvalidScope,
    /// The resource or audience is malformed, or this client may not request it (RFC 8707 §2, RFC 8693 §2.2.2).
    InvalidTarget,
    /// The DPoP proof is not valid (RFC 9449 §5).
    InvalidDpopProof,
    /// The DPoP proof needs a nonce of ours (RFC 9449 §8).
    UseDpopNonce,
    /// We cannot answer now but will soon (the code of RFC 6749 §4.1.2.1, used here with 429 and 503).
    TemporarilyUnavailable,
    /// We failed (the code of RFC 6749 §4.1.2.1, used here with 500).
    ServerError,
}

impl ErrorCode {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::InvalidDpopProof,
        Self::UseDpopNonce,
        Self::TemporarilyUnavailable,
        Self::ServerError,
    ];

    /// The value of `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

pub use crate::types::realm::{Realm, RealmError};

/// How a client that failed to authenticate should retry (RFC 9110 §11.6.1); constant texts, so no input is reflected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// With its id and secret (RFC 7617 §2).
    Basic,
    /// With another token: this one is not valid (RFC 6750 §3.1).
    BearerInvalidToken,
}

impl Challenge {
    /// The value of `WWW-Authenticate`, in the default [`Realm`].
    #[must_use]
    pub fn as_header(self) -> &'static str {
        match self {
            Self::Basic => r#"Basic realm="tokenberg", charset="UTF-8""#,
            Self::BearerInvalidToken => r#"Bearer realm="tokenberg", error="invalid_token""#,
        }
    }
}

/// An error response of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// `error`.
    pub code: ErrorCode,
    /// `error_description`: for a developer to read. It contains nothing that the client sent.
    pub description: Option<Cow<'static, str>>,
    /// The value of `WWW-Authenticate`; every 401 has one (RFC 9110 §15.5.2).
    pub challenge: Option<Challenge>,
}

impl OAuthError {
    /// An error of ours.
    #[must_use]
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description: Some(Cow::Borrowed(description)), challenge: None }
    }

    /// The same with a challenge.
    #[must_use]
    pub fn challenged(self, challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// The HTTP status: 401 for `invalid_client`, 503 and 500 for our own failures, otherwise 400 (RFC 6749 §5.2).
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code {
            ErrorCode::InvalidClient => 401,
            ErrorCode::TemporarilyUnavailable => 503,
            ErrorCode::ServerError => 500,
            ErrorCode::InvalidRequest
            | ErrorCode::InvalidGrant
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget
            | ErrorCode::InvalidDpopProof
            | ErrorCode::UseDpopNonce => 400,
        }
    }

    /// The body: a flat JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut body = Map::new();
        body.insert("error".to_owned(), self.code.as_str().into());
        if let Some(description) = &self.description {
            body.insert("error_description".to_owned(), description.as_ref().into());
        }
        Value::Object(body).to_string()
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())?;
        self.description.iter().try_for_each(|description| write!(f, ": {description}"))
    }
}

impl std::error::Error for OAuthError {}
