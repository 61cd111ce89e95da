//! Reads the response of any server of this API, RFC 6749 §5.1 and §5.2.

use crate::response::TokenResponseFault;
use crate::{ErrorCode, TokenResponse};
use serde_json::{Map, Value};

/// An error response of a server. Its texts hold only the characters that RFC 6749 §5.2 allows, because they reach terminals and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedError {
    /// `error`, at most 64 characters. [`ReceivedError::known_code`] compares it with ours.
    pub code: Box<str>,
    /// `error_description`, at most 512 characters.
    pub description: Option<Box<str>>,
    /// `error_uri`, at most 512 characters.
    pub uri: Option<Box<str>>,
}

impl ReceivedError {
    /// Reads a body; `None` if it is not a JSON object with a text `error`.
    fn parse(body: &[u8]) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let is_allowed = |c: &char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E');
        let text = |name: &str, most: usize| -> Option<Box<str>> {
            let given = body.get(name).and_then(Value::as_str)?;
            Some(given.chars().filter(is_allowed).take(most).collect::<String>().into())
        };
        Some(Self {
            code: text("error", 64)?,
            description: text("error_description", 512),
            uri: text("error_uri", 512),
        })
    }

    /// The code, if it is one that this server uses as well.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|code| code.as_str() == &*self.code)
    }
}

impl std::fmt::Display for ReceivedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        self.description.iter().try_for_each(|description| write!(f, ": {description}"))
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// The server refused, and said why.
    #[error("the server refused with {status}: {error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error response.
        error: ReceivedError,
    },
    /// The server succeeded, with a body that is no token response.
    #[error("the server answered 200, but {0}")]
    NoToken(TokenResponseFault),
    /// The body of a success is no introspection response.
    #[error("the server answered 200 without saying whether the token is active")]
    NoIntrospection,
    /// The server failed with a body that is no OAuth error: perhaps this is no token endpoint.
    #[error("the server answered {status}, and the body is no OAuth error: is this a token endpoint?")]
    NoError {
        /// The HTTP status.
        status: u16,
    },
}

/// Reads a response. Only 200 is a success (RFC 6749 §5.1).
///
/// # Errors
/// [`AnswerFault`]; none holds anything of a token.
pub fn read_answer(status: u16, body: &[u8]) -> Result<TokenResponse, AnswerFault> {
    if status == 200 {
        return TokenResponse::parse(body).map_err(AnswerFault::NoToken);
    }
    Err(failure(status, body))
}

/// What a response says that is no success.
pub(super) fn failure(status: u16, body: &[u8]) -> AnswerFault {
    match ReceivedError::parse(body) {
        Some(error) => AnswerFault::Refused { status, error },
        None => AnswerFault::NoError { status },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn responses_of_other_servers_are_distinguished() {
        assert!(read_answer(200, br#"{"access_token":"t","token_type":"bearer"}"#).is_ok());
        let refused = read_answer(400, br#"{"error":"invalid_scope","error_description":"no"}"#).err();
        assert!(
            matches!(refused, Some(AnswerFault::Refused { status: 400, error }) if error.known_code() == Some(ErrorCode::InvalidScope))
        );
        // Iceberg's own error model, as a catalog without a token endpoint answers.
        let nested = br#"{"error":{"message":"m","type":"T","code":404}}"#;
        assert_eq!(read_answer(404, nested).err(), Some(AnswerFault::NoError { status: 404 }));
        assert_eq!(read_answer(502, b"<html>").err(), Some(AnswerFault::NoError { status: 502 }));
        assert!(matches!(read_answer(200, b"{}").err(), Some(AnswerFault::NoToken(_))));
        let created = br#"{"access_token":"t","token_type":"bearer"}"#;
        assert_eq!(read_answer(201, created).err(), Some(AnswerFault::NoError { status: 201 }));
    }
}
