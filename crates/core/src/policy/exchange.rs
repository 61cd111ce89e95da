//! Composes subject, actor and policy into the claims of an exchanged token, in one function: RFC 8693 §2.2.

use super::limits::{AudienceCeilings, Ceiling, Limits, Party, ScopeCeiling, ScopeCeilings};
use super::parties::Parties;
use super::party::{ProvenActor, ProvenSubject, Realm};
use super::proof::ProvenToken;
use super::{Policy, binding, delegation, rights, session};
use crate::refusal::{Refusal, TokenFault};
use crate::{AccessTokenClaims, Scope, Target, Timestamp, TokenId};

/// The claims of the result: docs/delegation.md describes its laws.
///
/// Scope and audience are within those of the subject, of the actor and of the client's present registration; the session is the
/// subject's; the subject is unchanged; a token bound to a key stays bound to it.
pub(crate) fn grant(
    policy: &Policy,
    parties: &Parties<'_>,
    requested: (&Scope, &[Target]),
    now: Timestamp,
    id: TokenId,
) -> Result<AccessTokenClaims, Refusal> {
    let (scope, targets) = requested;
    let client = parties.client;
    check_name(parties.subject)?;
    check_issuer(parties.subject)?;
    let delegation = delegation::of(policy, parties)?;
    session::check_unchanged(parties, &delegation, now)?;
    let scope = rights::scope_within(scope, &scope_ceiling(parties), || scope_by_party(parties))?;
    let ceiling = audience_ceiling(policy, parties, targets, delegation.served.is_some());
    let audience = rights::targets_within(targets, &ceiling, || audience_by_party(policy, parties))?;
    let session = session::of(parties, &delegation, &id, now)?;
    let claims = AccessTokenClaims {
        issuer: policy.issuer.clone(),
        audience,
        subject: parties.subject.sub().clone(),
        client_id: client.id().clone(),
        issued_at: now,
        expires_at: now.plus(rights::token_lifetime(client.client())).min(session.end),
        token_id: id,
        scope,
        actor: delegation.chain,
        confirmation: binding::of(client, parties.possession, parties.confirmations()),
        session,
        // What a hook added stays with the subject's token, also if another client renews it.
        extra: parties.subject.own().map(|token| token.claims().extra.clone()).unwrap_or_default(),
    };
    rights::check_size(&claims)?;
    Ok(claims)
}

/// RFC 9068 §5: the authorization server should "prevent collisions between sub values", because catalogs decide by `sub`.
fn check_name(subject: &ProvenSubject) -> Result<(), Refusal> {
    match subject.namesake() {
        None => Ok(()),
        Some(namesake) => Err(Refusal::SubjectToken(TokenFault::NameTaken {
            sub: subject.sub().clone(),
            by: namesake.clone(),
        })),
    }
}

/// An issuer that the operator accepts only for identities of clients has no subjects any more. The kind of token that began the session
/// is not known, so any other accepted kind is sufficient.
fn check_issuer(subject: &ProvenSubject) -> Result<(), Refusal> {
    match subject.own().and_then(ProvenToken::issuer) {
        Some(trusted) if !trusted.trust.names_subjects() => {
            Err(Refusal::SubjectToken(TokenFault::NoSubjects(Box::new(trusted.issuer.clone()))))
        }
        Some(_) | None => Ok(()),
    }
}

/// The scope that all parties may have: subject, actor, the client as it is registered now, and the subject's registration where it is a
/// client of ours or its issuer is registered (conformance TX-40, TX-42, TX-43, TX-48, TX-66; RFC 8693 §5 warns of the consequences
/// otherwise). The claims of the user's own token are not known any more when a token of ours is renewed, so each mapping of the issuer
/// counts.
fn scope_ceiling(parties: &Parties<'_>) -> Scope {
    let principal = parties.subject.own().and_then(ProvenToken::principal);
    let issuer = parties.subject.own().and_then(ProvenToken::issuer);
    let actors = parties.actor.map(ProvenActor::scope);
    // A subject without its own scope gets no more than its actor; without an actor it is refused elsewhere.
    let Some(widest) = parties.subject.scope().or(actors) else { return Scope::default() };
    widest.retain(|token| {
        parties.client.client().rights.scope.allows(token)
            && actors.is_none_or(|actors| actors.contains(token))
            && principal.is_none_or(|registered| registered.rights.scope.allows(token))
            && issuer.is_none_or(|trusted| trusted.trust.may_give(token))
    })
}

/// A token of ours keeps its audience or narrows it. For a foreign subject the rule is that of the client itself: its first audience,
/// unless it requests other audiences that it may request.
fn audience_ceiling(
    policy: &Policy,
    parties: &Parties<'_>,
    requested: &[Target],
    is_served: bool,
) -> Vec<Box<str>> {
    let client = parties.client.client();
    let actors = parties.actor.and_then(ProvenActor::audience);
    let is_actors = |aud: &str| actors.is_none_or(|audience| audience.iter().any(|own| **own == *aud));
    match parties.subject.own() {
        Some(token) => {
            let mut common = token.claims().audience.clone();
            let registered = || rights::audiences_of_tokens(client, &policy.issuer, is_served);
            common.retain(|aud| registered().any(|known| *known == **aud) && is_actors(aud));
            common
        }
        None => {
            let mut registered = rights::audiences(client, &policy.issuer).into_owned();
            registered.retain(|aud| is_actors(aud));
            if requested.is_empty() {
                registered.truncate(1);
            }
            registered
        }
    }
}

/// The parties and what each of them allows: the same as [`scope_ceiling`] and [`audience_ceiling`], but separately for each party.
pub(crate) fn limits(policy: &Policy, parties: &Parties<'_>) -> Limits {
    Limits { scope: scope_by_party(parties), audience: audience_by_party(policy, parties) }
}

fn scope_by_party(parties: &Parties<'_>) -> ScopeCeilings {
    let registered = |client: &crate::Client| ScopeCeiling::Registered(client.rights.scope.clone());
    let client = parties.client;
    let party = Party::Client(client.id().clone());
    let mut ceilings = vec![Ceiling { party, allowed: registered(client.client()) }];
    if let Some(scope) = parties.subject.scope() {
        let party = match parties.subject.identity().realm {
            Realm::Of(issuer) if parties.subject.own().is_none() => Party::SubjectIssuer(issuer),
            Realm::Of(_) | Realm::Ours | Realm::Unsecured => Party::SubjectToken,
        };
        ceilings.push(Ceiling { party, allowed: ScopeCeiling::Held(scope.clone()) });
    }
    if let Some(actor) = parties.actor {
        let party = match actor {
            ProvenActor::Own(_) => Party::ActorToken,
            ProvenActor::Foreign(token) => Party::ActorIssuer(token.claims().issuer.issuer.clone()),
        };
        ceilings.push(Ceiling { party, allowed: ScopeCeiling::Held(actor.scope().clone()) });
    }
    if let Some(principal) = parties.subject.own().and_then(ProvenToken::principal) {
        let party = Party::Principal(principal.id.clone());
        ceilings.push(Ceiling { party, allowed: registered(principal) });
    }
    if let Some(trusted) = parties.subject.own().and_then(ProvenToken::issuer) {
        let party = Party::SubjectIssuer(trusted.issuer.clone());
        ceilings.push(Ceiling { party, allowed: ScopeCeiling::Held(trusted.trust.widest_scope()) });
    }
    ceilings
}

fn audience_by_party(policy: &Policy, parties: &Parties<'_>) -> AudienceCeilings {
    let client = parties.client;
    let registered = match parties.subject.own() {
        Some(_) => {
            let is_served = delegation::served(client, parties.subject).is_some();
            rights::audiences_of_tokens(client.client(), &policy.issuer, is_served).map(Into::into).collect()
        }
        None => rights::audiences(client.client(), &policy.issuer).into_owned(),
    };
    let mut ceilings = vec![Ceiling { party: Party::Client(client.id().clone()), allowed: registered }];
    if let Some(token) = parties.subject.own() {
        ceilings.push(Ceiling { party: Party::SubjectToken, allowed: token.claims().audience.clone() });
    }
    if let Some(audience) = parties.actor.and_then(ProvenActor::audience) {
        ceilings.push(Ceiling { party: Party::ActorToken, allowed: audience.to_vec() });
    }
    ceilings
}
