//! Whether the client was authenticated when its request was refused.

use super::Refusal;

impl Refusal {
    /// Whether this was decided before a client was authenticated, so that anyone can cause it, any number of times.
    ///
    /// `by_bearer` means that the request authenticates with a token only: if that token is bound to a key, the DPoP proof is checked
    /// before the token counts. A client with its own credential is authenticated before its proof is reported.
    #[must_use]
    pub fn precedes_authentication(&self, by_bearer: bool) -> bool {
        match self {
            Self::MalformedForm(_)
            | Self::SeveralAuthorizationHeaders
            | Self::SeveralAuthenticationMethods(..)
            | Self::IncompleteClientAssertion(_)
            | Self::UnsupportedClientAssertion(_)
            | Self::ClientAssertion(_)
            | Self::ClientAssertionReplayed(_)
            | Self::WrongCertificate(_)
            | Self::NoCredentials
            | Self::UnknownScheme
            | Self::MalformedBasic(_)
            | Self::MalformedBearer
            | Self::SecretWithoutClientId
            | Self::SecretTooLong
            | Self::ClientIdsDiffer(_)
            | Self::UnknownClient(_)
            | Self::DisabledClient(_)
            | Self::ExpiredSecret(_)
            | Self::WrongSecret { .. }
            | Self::OtherMethod { .. }
            | Self::BearerOutsideOfExchange
            | Self::BearerIsNeitherSubjectNorActor
            | Self::BearerToken(_) => true,
            Self::SeveralProofs | Self::MalformedProof(_) | Self::Proof(_) | Self::ProofNonce(_) => by_bearer,
            Self::ProofReplayed(_)
            | Self::ProofMissing(_)
            | Self::Assertion(_)
            | Self::AssertionReplayed(_)
            | Self::GrantNotAllowed { .. }
            | Self::UnsupportedGrantType(_)
            | Self::MissingParameter(_)
            | Self::UnknownTokenType { .. }
            | Self::UnsupportedTokenType { .. }
            | Self::MalformedScope(_)
            | Self::ScopeNotAllowed { .. }
            | Self::MalformedTarget(_)
            | Self::TargetNotAllowed { .. }
            | Self::SubjectToken(_)
            | Self::ActorToken(_)
            | Self::MayNotActFor { .. }
            | Self::ActorOfAnotherClient { .. }
            | Self::ActorIsDelegated(_)
            | Self::ChainTooDeep { .. }
            | Self::TooManyOrigins { .. }
            | Self::SessionOver { .. }
            | Self::TokenOfAnotherClient { .. }
            | Self::TokenTooLarge { .. }
            | Self::Denied(_) => false,
        }
    }
}
