//! Whether the client had been authenticated when its request was refused.

use super::Refusal;

impl Refusal {
    /// Whether this was decided before a client was authenticated, so that anyone can cause it, as often as they like.
    ///
    /// `by_bearer` says that a token is all that the request authenticates with: if that token is bound to a key, the DPoP proof is
    /// checked before the token counts. A client with a credential of its own is authenticated before its proof is reported.
    #[must_use]
    pub fn precedes_authentication(&self, by_bearer: bool) -> bool {
        match self {
            Self::MalformedForm(_)
            | Self::SeveralAuthorizationHeaders
            | Self::SeveralAuthenticationMethods
            | Self::IncompleteClientAssertion
            | Self::UnsupportedClientAssertion
            | Self::ClientAssertion(_)
            | Self::ClientAssertionReplayed
            | Self::WrongCertificate { .. }
            | Self::NoCredentials
            | Self::MalformedBasic(_)
            | Self::MalformedBearer
            | Self::SecretWithoutClientId
            | Self::SecretTooLong
            | Self::ClientIdsDiffer
            | Self::UnknownClient(_)
            | Self::DisabledClient(_)
            | Self::WrongSecret { .. }
            | Self::OtherMethod { .. }
            | Self::BearerOutsideOfExchange
            | Self::BearerIsNeitherSubjectNorActor
            | Self::BearerToken(_) => true,
            Self::SeveralProofs | Self::MalformedProof(_) | Self::Proof(_) | Self::ProofNonce => by_bearer,
            Self::ProofReplayed
            | Self::ProofMissing(_)
            | Self::Assertion(_)
            | Self::AssertionReplayed
            | Self::GrantNotAllowed { .. }
            | Self::UnsupportedGrantType
            | Self::MissingParameter(_)
            | Self::UnknownTokenType(_)
            | Self::UnsupportedTokenType { .. }
            | Self::MalformedScope(_)
            | Self::ScopeNotAllowed { .. }
            | Self::MalformedTarget(_)
            | Self::TargetNotAllowed { .. }
            | Self::SubjectToken(_)
            | Self::ActorToken(_)
            | Self::MayNotActFor { .. }
            | Self::ActorOfAnotherClient { .. }
            | Self::ActorIsDelegated
            | Self::ChainTooDeep { .. }
            | Self::TooManyOrigins { .. }
            | Self::SessionOver { .. }
            | Self::TokenOfAnotherClient { .. }
            | Self::TokenTooLarge { .. } => false,
        }
    }
}
