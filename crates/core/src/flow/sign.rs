//! What is signed, and what does the client get? RFC 9068 §2 and RFC 6749 §5.1.

use super::Step;
use crate::response::{PresentedAs, TokenResponse};
use crate::{AccessTokenClaims, GrantType, Scope, Secret, Timestamp, TokenId, TokenType};

/// Sign this: the last question.
pub struct Sign {
    claims: AccessTokenClaims,
    decision: Decision,
    now: Timestamp,
}

/// What was decided and on what, for log and audit; without any token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The grant.
    pub grant: GrantType,
    /// How the client authenticated: `client_secret_basic`, `client_secret_post` or `bearer`.
    pub method: &'static str,
    /// What was asked for; empty if nothing was.
    pub scope_asked: Scope,
    /// `jti` of the subject token.
    pub subject_token: Option<TokenId>,
    /// `jti` of the actor token.
    pub actor_token: Option<TokenId>,
}

impl Decision {
    pub(super) fn client_credentials(method: &'static str, scope_asked: Scope) -> Self {
        Self {
            grant: GrantType::ClientCredentials,
            method,
            scope_asked,
            subject_token: None,
            actor_token: None,
        }
    }

    pub(super) fn token_exchange(
        method: &'static str,
        scope_asked: Scope,
        subject: &AccessTokenClaims,
        actor: Option<&AccessTokenClaims>,
    ) -> Self {
        Self {
            grant: GrantType::TokenExchange,
            method,
            scope_asked,
            subject_token: Some(subject.token_id.clone()),
            actor_token: actor.map(|token| token.token_id.clone()),
        }
    }
}

pub(super) fn ask(claims: AccessTokenClaims, decision: Decision, now: Timestamp) -> Step {
    Step::Sign(Sign { claims, decision, now })
}

impl Sign {
    /// The claims to be signed.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// On what it was decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// When it was decided.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Answers with the signed token: the end.
    #[must_use]
    pub fn signed(self, access_token: Secret) -> TokenResponse {
        TokenResponse {
            access_token,
            token_type: PresentedAs::Bearer,
            expires_in: Some(self.claims.remaining(self.now)),
            issued_token_type: Some(TokenType::AccessToken),
            scope: Some(self.claims.scope),
        }
    }
}
