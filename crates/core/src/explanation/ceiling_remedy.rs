//! What would have to change for a scope or an audience to be granted: for each party that does not allow it, a command, or the person
//! responsible and the change.

use super::command::fit;
use super::findings::Findings;
use super::{client_change, issuer_change};
use crate::policy::limits::{AudienceCeilings, Ceiling, ScopeCeiling, ScopeCeilings};
use crate::policy::limits::{Party, scope_within_all};
use crate::token::CATALOG;
use crate::{Excerpt, Policy, Scope};

/// A sentence without its end about a refused scope; `refused` is empty if the request names no scope and none is left.
pub(super) fn scope(
    refused: &Scope,
    allowed: &Scope,
    ceilings: &ScopeCeilings,
    found: &Findings<'_>,
) -> String {
    if refused.is_empty() {
        return scope_in_common(ceilings, found);
    }
    let lacks = |ceiling: &Ceiling<ScopeCeiling>| refused.retain(|token| !ceiling.allows(token));
    let lacking = ceilings.iter().map(|ceiling| (ceiling, lacks(ceiling))).filter(|(_, l)| !l.is_empty());
    let steps: Vec<String> = lacking.map(|(ceiling, lacking)| widen(ceiling, &lacking, found)).collect();
    let or_less = if allowed.is_empty() {
        String::new()
    } else {
        format!("; or the client has to request no more than {:?}", allowed.as_str())
    };
    format!("{}{or_less}", steps.join("; and "))
}

/// The smallest change after which all parties allow some scope.
fn scope_in_common(ceilings: &ScopeCeilings, found: &Findings<'_>) -> String {
    let (empty, others): (Vec<_>, Vec<_>) = ceilings.iter().partition(|ceiling| ceiling.is_empty());
    if !empty.is_empty() {
        let common = scope_within_all(others.iter().copied());
        let one = one_of(&common);
        let steps = empty.iter().map(|ceiling| widen(ceiling, &one, found));
        return steps.collect::<Vec<_>>().join("; and ");
    }
    // No ceiling is empty, but they have nothing in common: one of them has to allow what all the others do.
    let options = ceilings.iter().filter_map(|ceiling| {
        let common = scope_within_all(ceilings.iter().filter(|other| other.party != ceiling.party));
        (!common.is_empty()).then(|| widen(ceiling, &one_of(&common), found))
    });
    let options: Vec<String> = options.collect();
    if options.is_empty() { in_common("the same scope", ceilings) } else { options.join("; or ") }
}

/// `catalog` if the scope contains it, otherwise the first scope-token; `catalog` if the scope is empty.
fn one_of(scope: &Scope) -> Scope {
    let one = scope.tokens().find(|token| *token == CATALOG).or_else(|| scope.tokens().next());
    one.and_then(|token| token.parse().ok()).unwrap_or_else(Scope::catalog)
}

fn in_common<T>(what: &str, ceilings: &[Ceiling<T>]) -> String {
    let parties: Vec<String> = ceilings.iter().map(|ceiling| ceiling.party.to_string()).collect();
    format!("the operator has to let all of these parties allow {what}: {}", parties.join(", "))
}

/// What makes this party allow what it lacks.
fn widen(ceiling: &Ceiling<ScopeCeiling>, lacking: &Scope, found: &Findings<'_>) -> String {
    let party = &ceiling.party;
    let is_fit = lacking.tokens().all(|token| fit(token).is_some());
    let nothing = if ceiling.is_empty() { format!("{party} allows nothing: ") } else { String::new() };
    let change = match party {
        Party::Client(id) | Party::Principal(id) => match found.registration(id).filter(|_| is_fit) {
            Some(known) => format!("`{}`", client_change::scope(known, lacking)),
            None => format!("the operator has to give {id} more in --scope"),
        },
        Party::SubjectToken => format!(
            "the client has to request {} when it obtains the subject token",
            Excerpt::of_claim(lacking.as_str())
        ),
        Party::SubjectIssuer(issuer) | Party::ActorIssuer(issuer) => {
            match found.trusted(issuer).filter(|_| is_fit) {
                Some(known) => format!(
                    "`{}` allows it for all users of {issuer}, and {} for some of them",
                    issuer_change::scope(known, lacking.as_str()),
                    issuer_change::map(known, lacking.as_str())
                ),
                None => format!("the operator has to give more --scope to users of {issuer}"),
            }
        }
        Party::ActorToken => {
            format!(
                "the client has to request {} when it obtains the actor token",
                Excerpt::of_claim(lacking.as_str())
            )
        }
    };
    format!("{nothing}{change}")
}

/// A sentence without its end about a refused audience; `None` if the request names no audience and none is left.
pub(super) fn target(
    refused: Option<&str>,
    allowed: &[Box<str>],
    ceilings: &AudienceCeilings,
    found: &Findings<'_>,
    policy: &Policy,
) -> String {
    let Some(target) = refused else { return audience_in_common(ceilings, found, policy) };
    let lacking = ceilings.iter().filter(|ceiling| !ceiling.allows(target));
    let steps: Vec<String> = lacking.map(|ceiling| allow(&ceiling.party, target, found, policy)).collect();
    let steps = steps.join("; and ");
    if allowed.is_empty() {
        return steps;
    }
    format!("{steps}; or the client has to request one of {}", allowed.join(", "))
}

/// The changes of one party each after which all parties allow some audience.
fn audience_in_common(ceilings: &AudienceCeilings, found: &Findings<'_>, policy: &Policy) -> String {
    let options = ceilings.iter().filter_map(|ceiling| {
        let mut others = ceilings.iter().filter(|other| other.party != ceiling.party);
        let first = others.next()?.allowed.clone();
        let others: Vec<_> = others.collect();
        let common = first.into_iter().find(|target| others.iter().all(|other| other.allows(target)))?;
        Some(allow(&ceiling.party, &common, found, policy))
    });
    let options: Vec<String> = options.collect();
    if options.is_empty() { in_common("the same audience", ceilings) } else { options.join("; or ") }
}

/// What makes this party allow the target.
fn allow(party: &Party, target: &str, found: &Findings<'_>, policy: &Policy) -> String {
    match party {
        Party::Client(id) | Party::Principal(id) => match found.registration(id).zip(fit(target)) {
            Some((known, target)) => {
                format!("`{}`", client_change::audience(known, &policy.issuer, target))
            }
            None => format!("the operator has to give {id} another --audience"),
        },
        Party::SubjectToken => format!(
            "the client has to request the audience {} when it obtains the subject token",
            Excerpt::of_parameter(target)
        ),
        Party::ActorToken => {
            format!(
                "the client has to request the audience {} when it obtains the actor token",
                Excerpt::of_parameter(target)
            )
        }
        Party::SubjectIssuer(issuer) | Party::ActorIssuer(issuer) => format!("{issuer} has to allow it"),
    }
}
