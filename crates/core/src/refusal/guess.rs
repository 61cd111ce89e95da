//! Distinguishes a wrong guess at a client secret from every other refusal.

use super::Refusal;

impl Refusal {
    /// Whether an attacker who guesses secrets would receive this, if the request authenticated by a secret.
    ///
    /// A bad token is no guess: it cannot be guessed, and Iceberg's Java client presents an expired one seven times in three seconds
    /// (conformance IC-12).
    #[must_use]
    pub fn is_failed_guess(&self) -> bool {
        match self {
            Self::WrongSecret { .. }
            | Self::ExpiredSecret(_)
            | Self::UnknownClient(_)
            | Self::DisabledClient(_)
            | Self::OtherMethod { .. } => true,
            Self::MalformedForm(..)
            | Self::SeveralAuthorizationHeaders
            | Self::SeveralAuthenticationMethods(..)
            | Self::IncompleteClientAssertion(..)
            | Self::UnsupportedClientAssertion(..)
            | Self::ClientAssertion(..)
            | Self::ClientAssertionReplayed(..)
            | Self::WrongCertificate(..)
            | Self::SeveralProofs
            | Self::MalformedProof(..)
            | Self::Proof(..)
            | Self::ProofReplayed(..)
            | Self::ProofNonce(..)
            | Self::ProofMissing(..)
            | Self::Assertion(..)
            | Self::AssertionReplayed(..)
            | Self::NoCredentials
            | Self::UnknownScheme
            | Self::MalformedBasic(..)
            | Self::MalformedBearer
            | Self::SecretWithoutClientId
            | Self::SecretTooLong
            | Self::ClientIdsDiffer(..)
            | Self::BearerOutsideOfExchange
            | Self::BearerIsNeitherSubjectNorActor
            | Self::BearerToken(..)
            | Self::GrantNotAllowed { .. }
            | Self::UnsupportedGrantType(..)
            | Self::MissingParameter(..)
            | Self::UnknownTokenType { .. }
            | Self::UnsupportedTokenType { .. }
            | Self::MalformedScope(..)
            | Self::ScopeNotAllowed { .. }
            | Self::MalformedTarget(..)
            | Self::TargetNotAllowed { .. }
            | Self::SubjectToken(..)
            | Self::ActorToken(..)
            | Self::MayNotActFor { .. }
            | Self::ActorOfAnotherClient { .. }
            | Self::ActorIsDelegated(..)
            | Self::ChainTooDeep { .. }
            | Self::TooManyOrigins { .. }
            | Self::SessionOver { .. }
            | Self::TokenOfAnotherClient { .. }
            | Self::TokenTooLarge { .. }
            | Self::Denied(..) => false,
        }
    }
}
