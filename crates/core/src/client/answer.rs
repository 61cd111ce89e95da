//! What did the server say? RFC 6749 §5.1 and §5.2, from any server of this API.

use crate::{NotAnOAuthError, OAuthError, TokenResponse, TokenResponseFault};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// The server refused, and said why.
    #[error("the server refused with {status}: {error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error response.
        error: OAuthError,
    },
    /// The server succeeded, with a body that is no token response.
    #[error("the server answered 200, but {0}")]
    NoToken(TokenResponseFault),
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
    match OAuthError::parse(body) {
        Ok(error) => Err(AnswerFault::Refused { status, error }),
        Err(NotAnOAuthError) => Err(AnswerFault::NoError { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn answers_of_any_server_are_told_apart() {
        assert!(read_answer(200, br#"{"access_token":"t","token_type":"bearer"}"#).is_ok());
        let refused = read_answer(400, br#"{"error":"invalid_scope","error_description":"no"}"#).err();
        assert!(
            matches!(refused, Some(AnswerFault::Refused { status: 400, error }) if error.code == ErrorCode::InvalidScope)
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
