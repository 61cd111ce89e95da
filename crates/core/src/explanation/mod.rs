//! Why was this decided so? The whole decision about a request, told to the operator; nothing is minted or used up.

mod client_change;
mod command;
mod facts;
mod findings;
mod issuer_change;
mod questions;
mod remedy;
mod rule;
mod token_remedy;

pub use command::quoted;
pub use facts::{KeysTold, Named, Registration, SecretFound};
pub use rule::Rule;

use crate::flow::Step;
use crate::policy::limits::Limits;
use crate::request::Request;
use crate::{
    AccessTokenClaims, Answers, Decision, Entropy, KeysUnavailable, OAuthError, Presented, Refusal,
    Timestamp, TokenEndpoint,
};

/// A decision with all that it was made of. Holds claims, and never a secret or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked and found out, in the order in which it was.
    pub rules: Vec<Rule>,
    /// What it came to.
    pub verdict: Verdict,
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be granted.
    Granted(Box<Granting>),
    /// It is refused.
    Refused(Box<Refusing>),
    /// It cannot be said, because keys of another issuer are not to be had.
    Undecided(KeysUnavailable),
}

/// What would be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granting {
    /// What would be signed; its `jti` is that of no token.
    pub claims: AccessTokenClaims,
    /// On what it was decided.
    pub decision: Decision,
    /// Who allowed what.
    pub limits: Option<Limits>,
}

/// Why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// The exact reason, as the log has it.
    pub refusal: Refusal,
    /// What the client is told.
    pub told: OAuthError,
    /// What would have to change, as a sentence.
    pub remedy: String,
}

/// Why it goes no further. As [`NotGranted`](crate::NotGranted), but for what needs a signature or a memory.
enum Halt {
    Refused(Refusal),
    KeysUnavailable(KeysUnavailable),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Decides about the request as [`drive`](crate::drive) would, and tells what on. It signs nothing, and what may be used
/// once is taken as not used before and left so; everything else is asked of `answers`, once, as for a real request.
pub fn explain(
    endpoint: &TokenEndpoint,
    request: &Request<'_>,
    now: Timestamp,
    entropy: Entropy,
    answers: &(impl Answers + ?Sized),
) -> Explanation {
    let mut trace = questions::Trace::new();
    let step = Presented::of(request).and_then(|presented| {
        trace.presented(&presented);
        endpoint.begin(presented, now, entropy, true)
    });
    let mut step = step.map_err(Halt::from);
    loop {
        step = match step {
            Ok(Step::Ask(question)) => trace.answer(question, answers),
            Ok(Step::Sign(sign)) => {
                let claims = sign.claims().clone();
                let (decision, limits) = (sign.decision().clone(), sign.limits().cloned());
                let verdict = Verdict::Granted(Box::new(Granting { claims, decision, limits }));
                return Explanation { rules: trace.rules, verdict };
            }
            Err(Halt::KeysUnavailable(outage)) => {
                return Explanation { rules: trace.rules, verdict: Verdict::Undecided(outage) };
            }
            Err(Halt::Refused(refusal)) => return trace.refused(endpoint.policy(), refusal),
        };
    }
}
