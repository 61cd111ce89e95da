//! The paths of the service, under the issuer: RFC 8414 §3, RFC 8615.

use tokenberg_core::request::{LARGEST_BODY, LARGEST_PRESENTATION};

pub(crate) use tokenberg_core::metadata::{
    AUTHORIZATION_SERVER, INTROSPECTION, JWKS, OPENID_CONFIGURATION, REVOCATION, TOKENS,
};

/// Where proxies have the token of a request verified.
pub(crate) const VERIFICATION: &str = "/v1/oauth/verify";
pub(crate) const OPENAPI: &str = "/openapi.json";

/// An endpoint that decides about credentials or tokens. All but the last take a form from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tokens,
    Introspection,
    Revocation,
    Verification,
}

impl Endpoint {
    /// Its path, under the issuer.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Tokens => TOKENS,
            Self::Introspection => INTROSPECTION,
            Self::Revocation => REVOCATION,
            Self::Verification => VERIFICATION,
        }
    }

    /// How much larger than a token request its body may be.
    pub(crate) fn more_than_tokens(self) -> usize {
        match self {
            Self::Tokens | Self::Verification => 0,
            Self::Introspection | Self::Revocation => LARGEST_PRESENTATION - LARGEST_BODY,
        }
    }
}
