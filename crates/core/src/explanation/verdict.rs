//! The values of an explanation.

use super::rule::Rule;
use crate::backends::KeysUnavailable;
use crate::flow::Decision;
use crate::policy::limits::Limits;
use crate::{AccessTokenClaims, OAuthError, Refusal};

/// A decision with all that it was made of. Holds claims, and never a secret or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The findings, in the order in which they were made.
    pub rules: Vec<Rule>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be granted.
    Granted(Box<Granting>),
    /// It is refused.
    Refused(Box<Refusing>),
    /// Undecided, because the keys of another issuer are not available.
    Undecided(KeysUnavailable),
}

/// What would be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granting {
    /// What would be signed; its `jti` is that of no token.
    pub claims: AccessTokenClaims,
    /// On what it was decided.
    pub decision: Decision,
    /// The ceilings of each party.
    pub limits: Option<Limits>,
}

/// Why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// The exact reason, as the log has it.
    pub refusal: Refusal,
    /// The error that the client receives.
    pub response: OAuthError,
    /// What would have to change, as a sentence.
    pub remedy: String,
}
