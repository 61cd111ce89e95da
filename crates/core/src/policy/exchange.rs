//! What does a client get for a token? RFC 8693 §2.2; the one function that composes subject, actor and policy.

use super::limits::{AudienceCeilings, Ceiling, Limits, Party, ScopeCeiling, ScopeCeilings};
use super::party::{ProvenActor, ProvenSubject, Realm};
use super::proof::{Authenticated, ProvenToken};
use super::{Policy, binding, delegation, rights};
use crate::refusal::{NotRenewable, Refusal, TokenFault};
use crate::types::confirmation::Possession;
use crate::{AccessTokenClaims, GrantType, Scope, Session, Target, Timestamp, TokenId};

/// What was proven before anything is composed.
pub(crate) struct Parties<'a> {
    pub(crate) client: &'a Authenticated,
    pub(crate) subject: &'a ProvenSubject,
    pub(crate) actor: Option<&'a ProvenActor>,
    pub(crate) possession: &'a Possession,
}

/// The claims of the result: docs/delegation.md has the laws of it.
///
/// Scope and audience are within those of the subject, of the actor and of the client's present registration; the
/// session is the subject's; the subject stays who he is; what was bound to a key stays bound to it.
pub(crate) fn grant(
    policy: &Policy,
    parties: &Parties<'_>,
    asked: (&Scope, &[Target]),
    now: Timestamp,
    id: TokenId,
) -> Result<AccessTokenClaims, Refusal> {
    let (scope, targets) = asked;
    let client = parties.client;
    let actor = delegation::chain(policy, client, parties.subject, parties.actor)?;
    let scope = rights::scope_within(scope, &scope_ceiling(parties), || scope_by_party(parties))?;
    let ceiling = audience_ceiling(policy, parties, targets);
    let audience = rights::targets_within(targets, &ceiling, || audience_by_party(policy, parties))?;
    let session = session(parties, &id, now)?;
    let claims = AccessTokenClaims {
        issuer: policy.issuer.clone(),
        audience,
        subject: parties.subject.identity().subject,
        client_id: client.id().clone(),
        issued_at: now,
        expires_at: now.plus(rights::token_lifetime(client.client())).min(session.end),
        token_id: id,
        scope,
        actor,
        confirmation: binding::of(client, parties.possession, parties.subject.confirmation()),
        session,
    };
    rights::check_size(&claims)?;
    Ok(claims)
}

/// What everybody who takes part may have: subject, actor, the client as it is registered now, and the subject too
/// where he is a client of ours (conformance TX-40, TX-42, TX-43, TX-48, TX-66;
/// RFC 8693 §5 warns of what happens otherwise).
fn scope_ceiling(parties: &Parties<'_>) -> Scope {
    let principal = parties.subject.own().and_then(ProvenToken::principal);
    let actors = parties.actor.map(ProvenActor::scope);
    // Whoever brings no scope of his own has no more than who acts for him; without an actor he is refused elsewhere.
    let Some(widest) = parties.subject.scope().or(actors) else { return Scope::default() };
    widest.retain(|token| {
        parties.client.client().rights.scope.allows(token)
            && actors.is_none_or(|actors| actors.contains(token))
            && principal.is_none_or(|registered| registered.rights.scope.allows(token))
    })
}

/// A token of ours goes where it went before, and no further. For somebody from elsewhere it is as for the client itself: one
/// place, its first, unless it asks for others that it may ask for.
fn audience_ceiling(policy: &Policy, parties: &Parties<'_>, asked: &[Target]) -> Vec<Box<str>> {
    let client = parties.client.client();
    let actors = parties.actor.and_then(ProvenActor::audience);
    let is_actors = |aud: &str| actors.is_none_or(|audience| audience.iter().any(|own| **own == *aud));
    match parties.subject.own() {
        Some(token) => {
            let mut common = token.claims().audience.clone();
            let is_registered =
                |aud: &str| rights::audiences_of_tokens(client, &policy.issuer).any(|known| known == aud);
            common.retain(|aud| is_registered(aud) && is_actors(aud));
            common
        }
        None => {
            let mut registered = rights::audiences(client, &policy.issuer).into_owned();
            registered.retain(|aud| is_actors(aud));
            if asked.is_empty() {
                registered.truncate(1);
            }
            registered
        }
    }
}

/// Who takes part, and what each of them allows: the same as [`scope_ceiling`] and [`audience_ceiling`], told apart.
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
            Realm::Of(_) | Realm::Ours | Realm::Asserted => Party::SubjectToken,
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
    ceilings
}

fn audience_by_party(policy: &Policy, parties: &Parties<'_>) -> AudienceCeilings {
    let client = parties.client;
    let registered = match parties.subject.own() {
        Some(_) => rights::audiences_of_tokens(client.client(), &policy.issuer).map(Into::into).collect(),
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

/// The session that the result belongs to: that of the subject, ended no later than that of the actor.
///
/// When it is over, a client that has proven its own credential for its own token begins a new one, because it could
/// as well have asked for client credentials; a stolen token without the credential never does.
fn session(parties: &Parties<'_>, id: &TokenId, now: Timestamp) -> Result<Session, Refusal> {
    let lifetime = parties.client.client().rights.session_lifetime;
    let token = match parties.subject {
        ProvenSubject::Own(token) => token,
        ProvenSubject::Foreign(_) | ProvenSubject::Asserted(_) => return new_session(parties, id, now),
    };
    let subject = token.claims();
    let mut end = subject.session.end.min(subject.session.start.plus(lifetime));
    if let Some(principal) = token.principal() {
        end = end.min(subject.session.start.plus(principal.rights.session_lifetime));
    }
    if let Some(actor) = parties.actor {
        end = end.min(actor.end());
    }
    if now < end {
        return Ok(Session { end, ..subject.session.clone() });
    }
    let could_begin_one = parties.client.with_credential()
        && subject.client_id == *parties.client.id()
        && subject.is_clients_own()
        && rights::check_grant(parties.client.client(), GrantType::ClientCredentials).is_ok();
    if !could_begin_one {
        return Err(Refusal::SessionOver { end, now });
    }
    let end = now.plus(lifetime);
    Ok(Session { id: id.clone(), start: now, end, subject_issuer: None, asserted: false })
}

/// The session of somebody from elsewhere begins here, and ends with what it was begun with, unless his issuer may be outlived.
fn new_session(parties: &Parties<'_>, id: &TokenId, now: Timestamp) -> Result<Session, Refusal> {
    let mut end = now.plus(parties.client.client().rights.session_lifetime);
    if let Some(actor) = parties.actor {
        end = end.min(actor.end());
    }
    match (parties.subject, parties.actor) {
        (ProvenSubject::Foreign(token), _) if !token.claims().issuer.trust.outlives_subject => {
            end = end.min(token.claims().expires_at);
        }
        // Conformance TX-67: an assertion is worth no more than the token of whoever made it.
        (ProvenSubject::Asserted(_), Some(actor)) => end = end.min(actor.expires_at()),
        (ProvenSubject::Own(_) | ProvenSubject::Foreign(_) | ProvenSubject::Asserted(_), _) => {}
    }
    if now >= end {
        return Err(Refusal::SessionOver { end, now });
    }
    let realm = parties.subject.identity().realm;
    let asserted = realm == Realm::Asserted;
    Ok(Session { id: id.clone(), start: now, end, subject_issuer: realm.issuer().cloned(), asserted })
}

/// Whether an expired subject may still be exchanged: by the client itself, with its credential, for itself, soon
/// (conformance D13). A user's expired token never becomes the service's own.
pub(crate) fn check_expired(
    policy: &Policy,
    client: &Authenticated,
    token: &AccessTokenClaims,
    now: Timestamp,
) -> Result<(), TokenFault> {
    if !client.with_credential() {
        return Err(TokenFault::Expired { expired: token.expires_at, now });
    }
    let why = if token.client_id != *client.id() {
        NotRenewable::OtherClient
    } else if !token.is_clients_own() {
        NotRenewable::NotClientsOwn
    } else if now.since(token.expires_at) > policy.expired_subject_grace {
        NotRenewable::TooLate(policy.expired_subject_grace)
    } else {
        return Ok(());
    };
    Err(TokenFault::NotRenewable { expired: token.expires_at, why })
}
