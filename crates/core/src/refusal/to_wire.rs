//! Maps the exact reason of a refusal to the error that the client receives; the only such map, RFC 6749 §5.2.

use super::Refusal;
use crate::error::Challenge;
use crate::request::form::{FormFault, Parameter};
use crate::{ErrorCode, OAuthError, TokenType};

const NOT_AUTHENTICATED: OAuthError =
    OAuthError::new(ErrorCode::InvalidClient, "client authentication failed: unknown client or wrong secret");

impl Refusal {
    /// The error that the client receives: enough to repair its request, no information about other principals, and no text that it sent.
    /// [`Policy::error_for`](crate::Policy::error_for) is the public function for it.
    #[must_use]
    pub(crate) fn to_oauth_error(&self) -> OAuthError {
        use ErrorCode::{InvalidClient, InvalidRequest, InvalidScope, InvalidTarget};
        let error = OAuthError::new;
        match self {
            Self::MalformedForm(fault) => form_error(*fault),
            Self::SeveralAuthorizationHeaders => error(InvalidRequest, "more than one Authorization header"),
            Self::SeveralAuthenticationMethods(..) => {
                error(InvalidRequest, "more than one client authentication method")
            }
            Self::IncompleteClientAssertion(_) => {
                error(InvalidRequest, "client_assertion and client_assertion_type belong together")
            }
            Self::ClientIdsDiffer(_) => {
                error(InvalidRequest, "client_id differs from the authenticated client")
            }
            Self::NoCredentials | Self::UnknownScheme => {
                error(InvalidClient, "client authentication is required").challenged(Challenge::Basic)
            }
            Self::MalformedBasic(_) => {
                error(InvalidClient, "the Basic credentials are not base64 of client_id:client_secret")
                    .challenged(Challenge::Basic)
            }
            Self::SecretWithoutClientId => {
                error(InvalidClient, "client_id missing: the credential has to be client_id:client_secret")
                    .challenged(Challenge::Basic)
            }
            Self::UnsupportedClientAssertion(_)
            | Self::ClientAssertion(_)
            | Self::ClientAssertionReplayed(_)
            | Self::WrongCertificate(_)
            | Self::SecretTooLong
            | Self::UnknownClient(_)
            | Self::DisabledClient(_)
            | Self::OtherMethod { .. }
            | Self::ExpiredSecret(_)
            | Self::WrongSecret { .. } => NOT_AUTHENTICATED.challenged(Challenge::Basic),
            Self::BearerOutsideOfExchange => {
                error(InvalidClient, "a Bearer token does not authenticate the client for this request")
                    .challenged(Challenge::Basic)
            }
            Self::MalformedBearer | Self::BearerToken(_) => {
                error(InvalidClient, "the Bearer token is not acceptable")
                    .challenged(Challenge::BearerInvalidToken)
            }
            Self::BearerIsNeitherSubjectNorActor => {
                error(InvalidClient, "the Bearer token has to be the subject_token or the actor_token")
                    .challenged(Challenge::BearerInvalidToken)
            }
            Self::SeveralProofs => error(ErrorCode::InvalidDpopProof, "more than one DPoP proof"),
            Self::MalformedProof(_) | Self::Proof(_) => {
                error(ErrorCode::InvalidDpopProof, "the DPoP proof is not for this request, or is malformed")
            }
            Self::ProofReplayed(_) => error(ErrorCode::InvalidDpopProof, "the DPoP proof was used before"),
            Self::ProofMissing(_) => {
                error(ErrorCode::InvalidDpopProof, "the client has to send a DPoP proof")
            }
            Self::ProofNonce(_) => error(
                ErrorCode::UseDpopNonce,
                "the DPoP proof has to have the nonce of the DPoP-Nonce header",
            ),
            Self::Assertion(_) | Self::AssertionReplayed(_) => {
                error(ErrorCode::InvalidGrant, "the assertion is not acceptable")
            }
            Self::GrantNotAllowed { .. } => {
                error(ErrorCode::UnauthorizedClient, "the client is not registered for this grant")
            }
            Self::TokenOfAnotherClient { .. } => {
                error(ErrorCode::UnauthorizedClient, "the token was issued to another client")
            }
            Self::UnsupportedGrantType(_) => error(
                ErrorCode::UnsupportedGrantType,
                "supported are client_credentials, token-exchange and jwt-bearer",
            ),
            Self::MissingParameter(parameter) => error(InvalidRequest, missing(*parameter)),
            Self::UnknownTokenType { .. } => error(InvalidRequest, "unknown token type identifier"),
            Self::UnsupportedTokenType { kind, .. } => error(InvalidRequest, unsupported(*kind)),
            Self::MalformedScope(_) => error(InvalidScope, "the scope is malformed"),
            Self::ScopeNotAllowed { .. } => error(InvalidScope, "the scope exceeds what may be granted"),
            Self::Denied(_) => {
                error(ErrorCode::UnauthorizedClient, "a decision of this service denies the request")
            }
            Self::TokenTooLarge { .. } => error(InvalidScope, "the token would be too large; request less"),
            Self::MalformedTarget(_) => error(
                InvalidTarget,
                "resource has to be an absolute URI without fragment, audience printable ASCII",
            ),
            // A client that named no target receives one of the codes that every client knows.
            Self::TargetNotAllowed { refused: None, .. } => {
                error(InvalidRequest, "no audience of the subject_token is allowed")
            }
            Self::TargetNotAllowed { .. } => error(InvalidTarget, "the resource or audience is not allowed"),
            Self::SubjectToken(_) | Self::MayNotActFor { .. } => {
                error(InvalidRequest, "the subject_token is not acceptable")
            }
            Self::ActorToken(_) | Self::ActorOfAnotherClient { .. } | Self::ActorIsDelegated(_) => {
                error(InvalidRequest, "the actor_token is not acceptable")
            }
            Self::ChainTooDeep { .. } => error(InvalidRequest, "the chain of actors is too deep"),
            Self::TooManyOrigins { .. } => {
                error(InvalidRequest, "the subject_token was exchanged too often; authenticate again")
            }
            Self::SessionOver { .. } => error(InvalidRequest, "the session has ended; authenticate again"),
        }
    }
}

fn form_error(fault: FormFault) -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        match fault {
            FormFault::TooLong => "the form is too long",
            FormFault::TooMany => "the form has too many parameters",
            FormFault::LongName => "a parameter name is too long",
            FormFault::Repeated(_) => "a parameter is repeated",
            FormFault::Percent(_) => "a parameter is not form-encoded: % without two hexadecimal digits",
            FormFault::Utf8(_) => "a parameter is not UTF-8",
            FormFault::Control(_) => "a parameter has a control character",
            FormFault::InQuery(_) => "parameters belong in the body, not in the query",
        },
    )
}

fn missing(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::GrantType => "grant_type is missing",
        Parameter::SubjectToken => "subject_token is missing",
        Parameter::SubjectTokenType => "subject_token_type is missing",
        Parameter::ActorToken => "actor_token_type is present without actor_token",
        Parameter::ActorTokenType => "actor_token_type is missing",
        Parameter::Token => "token is missing",
        Parameter::Assertion => "assertion is missing",
        Parameter::Scope
        | Parameter::ClientId
        | Parameter::ClientSecret
        | Parameter::RequestedTokenType
        | Parameter::ClientAssertion
        | Parameter::ClientAssertionType
        | Parameter::TokenTypeHint
        | Parameter::Resource
        | Parameter::Audience => "a required parameter is missing",
    }
}

fn unsupported(kind: TokenType) -> &'static str {
    match kind {
        TokenType::AccessToken => "an access_token is not supported here",
        TokenType::RefreshToken => "a refresh_token is not supported",
        TokenType::IdToken => "an id_token is not supported here",
        TokenType::Saml1 => "saml1 is not supported",
        TokenType::Saml2 => "saml2 is not supported",
        TokenType::Jwt => "a jwt is not supported here",
    }
}
