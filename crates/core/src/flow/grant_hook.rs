//! Decisions of an embedding program about tokens that would be issued: allow, deny, narrow the scope, add claims.
//!
//! A [`GrantHook`] is asked last, when everything else allows the token, and before any single-use identifier is used. It can only
//! restrict: no decision of it widens a scope, changes a party or frees a bound token, so the laws of delegation hold with any hook.

use super::sign::Decision;
use crate::refusal::Refusal;
use crate::token::ExtraClaims;
use crate::{AccessTokenClaims, Scope, Timestamp};

/// Decides about tokens that would be issued.
///
/// It computes only, on the thread that answers the request: keep what it decides on in memory. It is asked again whenever a token is
/// renewed.
///
/// ```
/// use tokenberg_core::flow::{GrantHook, Proposal, Verdict};
///
/// /// No token for production at night, and no more than reading for contractors.
/// struct Hours;
///
/// impl GrantHook for Hours {
///     fn decide(&self, proposal: &Proposal<'_>) -> Verdict {
///         let hour = proposal.now.as_seconds() / 3600 % 24;
///         if hour < 6 && proposal.claims.audience.iter().any(|audience| audience.contains("prod")) {
///             return Verdict::deny("production is closed until 06:00");
///         }
///         match proposal.claims.subject.as_str().starts_with("contractor:") {
///             true => Verdict::narrow("ns:read".parse().unwrap_or_default()),
///             false => Verdict::allow(),
///         }
///     }
/// }
/// ```
pub trait GrantHook: Send + Sync {
    /// Decides about one token.
    fn decide(&self, proposal: &Proposal<'_>) -> Verdict;
}

/// A token that would be issued.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// Its claims: the parties, the scope, the audience, and the claims that were added before and are kept.
    pub claims: &'a AccessTokenClaims,
    /// On what it was decided: the grant, how the client authenticated, the requested scope.
    pub decision: &'a Decision,
    /// When it was decided.
    pub now: Timestamp,
}

/// What a [`GrantHook`] decides.
#[derive(Clone, Debug)]
#[must_use = "a verdict has no effect until it is returned"]
pub struct Verdict {
    ruling: Ruling,
    claims: ExtraClaims,
}

#[derive(Clone, Debug)]
enum Ruling {
    Allow,
    Deny(Box<str>),
    Narrow(Scope),
}

impl Verdict {
    /// The token is issued as it is.
    pub fn allow() -> Self {
        Self { ruling: Ruling::Allow, claims: ExtraClaims::default() }
    }

    /// No token is issued. The reason is for the operator's log and audit; the client learns only that it was denied.
    pub fn deny(reason: impl Into<Box<str>>) -> Self {
        Self { ruling: Ruling::Deny(reason.into()), claims: ExtraClaims::default() }
    }

    /// The token has of its scope only what is in this one, too. If nothing is left, no token is issued.
    pub fn narrow(scope: Scope) -> Self {
        Self { ruling: Ruling::Narrow(scope), claims: ExtraClaims::default() }
    }

    /// Adds claims, in a claim of their own (`tokenberg_claims`). They are kept when the token is renewed or exchanged; one of a name that
    /// is there already gets the new value.
    pub fn with_claims(self, claims: ExtraClaims) -> Self {
        Self { claims, ..self }
    }

    /// Applies the verdict.
    pub(crate) fn apply(self, claims: AccessTokenClaims) -> Result<AccessTokenClaims, Refusal> {
        let scope = match self.ruling {
            Ruling::Allow => claims.scope,
            Ruling::Deny(reason) => return Err(Refusal::Denied(reason)),
            Ruling::Narrow(within) => claims.scope.retain(|token| within.contains(token)),
        };
        if scope.is_empty() {
            return Err(Refusal::Denied("the scope was narrowed to nothing".into()));
        }
        let extra =
            claims.extra.with(&self.claims).map_err(|error| Refusal::Denied(error.to_string().into()))?;
        Ok(AccessTokenClaims { scope, extra, ..claims })
    }
}
