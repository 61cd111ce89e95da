//! Explains the whole decision about a request to the operator, without issuing a token or using up an identifier.

mod as_if;
mod ceiling_remedy;
mod client_change;
mod command;
mod facts;
mod findings;
mod issuer_change;
mod issuer_remedy;
mod presented;
mod record;
mod recorded;
mod recorded_client;
mod remedy;
mod right_remedy;
mod rule;
mod supposed;
mod token_remedy;
mod trace;
mod verdict;
mod what_if;

pub use command::{about, option, quoted};
pub use facts::{KeysFound, Named, Registration, SecretFound};
pub use presented::{PresentedToken, TokenRole, explain_presented};
pub use recorded::{RecordedDecision, explain_recorded};
pub use rule::Rule;
pub use verdict::{Explanation, Granting, Refusing, Verdict};
pub use what_if::{SupposedUser, WhatIf, explain_what_if};

use crate::flow::{Answered, Pending, Step};
use crate::request::Request;
use crate::{Answers, Blocking, Entropy, Presented, Timestamp, TokenEndpoint};
use supposed::{Supposed, WithKeys};

/// Decides about the request as [`drive`](crate::drive) would, and records each rule that decided. It signs nothing, and a single-use
/// identifier counts as unused. Everything else comes from `answers` and `blocking`, as for a real request.
///
/// Where one change of a registration leads to another refusal, the advice also contains the next step.
pub fn explain(
    endpoint: &TokenEndpoint,
    request: &Request<'_>,
    now: Timestamp,
    entropy: Entropy,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Explanation {
    let mut explanation = decide(endpoint, request, now, entropy, answers, blocking);
    let mut supposed = Supposed::new(answers);
    let (mut is_followed, mut steps) = (supposed.follow(&explanation), Vec::new());
    while is_followed && steps.len() < MOST_STEPS {
        let keys = WithKeys { supposed: &supposed, blocking };
        let next = decide(endpoint, request, now, Entropy::from_bits([0; 16]), &supposed, &keys);
        is_followed = supposed.follow(&next);
        let Verdict::Refused(refusing) = next.verdict else { break };
        steps.push(refusing.remedy);
    }
    if let Verdict::Refused(refusing) = &mut explanation.verdict {
        steps.iter().for_each(|step| refusing.remedy += &format!("; and then {step}"));
    }
    explanation
}

/// The most steps that an advice has after the first one.
const MOST_STEPS: usize = 4;

fn decide(
    endpoint: &TokenEndpoint,
    request: &Request<'_>,
    now: Timestamp,
    entropy: Entropy,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Explanation {
    let mut trace = trace::Trace::new(answers, &endpoint.policy().issuer, now);
    let mut step = Presented::of(request).and_then(|presented| {
        trace.presented(&presented);
        endpoint.begin(presented, now, entropy, true)
    });
    loop {
        let question = match step {
            Ok(Step::Ask(question)) => question,
            Ok(Step::Sign(sign)) => {
                let claims = sign.claims().clone();
                let (decision, limits) = (sign.decision().clone(), sign.limits().cloned());
                let verdict = Verdict::Granted(Box::new(Granting { claims, decision, limits }));
                return Explanation { rules: trace.rules, verdict };
            }
            Err(refusal) => return trace.refused(endpoint.policy(), refusal),
        };
        step = match question.answer(answers, &mut trace) {
            Ok(Answered::Next(step)) => Ok(step),
            Ok(Answered::Pending(Pending::Digest(question))) => question.computed(answers, &mut trace),
            Ok(Answered::Pending(Pending::FetchKeys(question))) => {
                match blocking.verify(question.issuer(), question.token(), question.now()) {
                    Ok(answer) => question.verified(answer, &mut trace),
                    Err(outage) => {
                        question.unavailable(&mut trace);
                        return Explanation { rules: trace.rules, verdict: Verdict::Undecided(outage) };
                    }
                }
            }
            Ok(Answered::Pending(Pending::UseOnce(question))) => {
                trace.single_use(&question);
                question.used(true)
            }
            Err(refusal) => Err(refusal),
        };
    }
}
