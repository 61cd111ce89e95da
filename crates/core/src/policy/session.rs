//! The session of an exchange's result, and the other tokens the result depends on; RFC 8693 §2.2.1 leaves both to the deployment.

use super::delegation::Delegation;
use super::parties::Parties;
use super::party::{ProvenActor, ProvenSubject, Realm};
use super::proof::{Authenticated, ProvenToken};
use super::{Policy, rights};
use crate::refusal::{NotRenewable, Refusal, SessionLimit, TokenFault};
use crate::token::{MOST_ORIGINS, Origin, Provenance, Session};
use crate::{AccessTokenClaims, ClientId, GrantType, Issuer, Lifetime, Subject, Timestamp, TokenId};

/// The session of the result: that of the subject, which ends no later than that of the actor.
///
/// When it has expired, a client that has authenticated with its own credential begins a new one for its own token, because it could
/// equally have requested client credentials; a stolen token without the credential never does.
pub(crate) fn of(
    parties: &Parties<'_>,
    delegation: &Delegation,
    id: &TokenId,
    now: Timestamp,
) -> Result<Session, Refusal> {
    let token = match parties.subject {
        ProvenSubject::Own(token) => token,
        ProvenSubject::Foreign(_) | ProvenSubject::Unsecured(_) => return begun(parties, id, now),
    };
    let client = parties.client;
    let subject = &token.claims().session;
    let lasts = |client| subject.start.plus(rights::session_lifetime(client));
    let limits =
        [Some(subject.end), Some(lasts(client.client())), token.principal().map(lasts), actors_end(parties)];
    let end = limits.into_iter().flatten().min().unwrap_or(now);
    if now < end {
        let provenance = provenance(parties, delegation, id, now)?;
        return Ok(Session { end, provenance, ..subject.clone() });
    }
    let limit = match limits.iter().position(|limit| *limit == Some(end)) {
        Some(0) | None => SessionLimit::Subject,
        Some(1) => SessionLimit::Client,
        Some(2) => SessionLimit::Principal,
        Some(_) => SessionLimit::Actor,
    };
    let could_begin_one = client.with_credential()
        && token.claims().client_id == *client.id()
        && token.claims().is_clients_own()
        && rights::check_grant(client.client(), GrantType::ClientCredentials).is_ok();
    if !could_begin_one {
        return Err(Refusal::SessionOver { end, now, limit });
    }
    // What the old session depended on is of no concern to one that begins with the client's credential.
    let mut provenance = Provenance::default();
    add(&mut provenance.origins, actors_origins(parties, now));
    add_identity(&mut provenance.origins, client, now);
    Ok(Session { provenance: provenance.boxed(), ..Session::own(id.clone(), now, end_of_new(parties, now)?) })
}

/// The session of a user of another issuer, or of an unsecured JWT, begins here.
fn begun(parties: &Parties<'_>, id: &TokenId, now: Timestamp) -> Result<Session, Refusal> {
    let identity = parties.subject.identity();
    let mut provenance = Provenance { may_act: parties.subject.may_act().cloned(), ..Provenance::default() };
    provenance.subject = issuer_subject(parties, &identity.subject);
    add(&mut provenance.origins, actors_origins(parties, now));
    add_identity(&mut provenance.origins, parties.client, now);
    Ok(Session {
        subject_issuer: identity.realm.issuer().cloned(),
        unsecured: identity.realm == Realm::Unsecured,
        provenance: checked(provenance)?,
        ..Session::own(id.clone(), now, end_of_new(parties, now)?)
    })
}

/// When a session that begins now ends: none outlives the client's session lifetime, a foreign subject token unless its issuer may
/// be outlived, or the end that the actor sets.
fn end_of_new(parties: &Parties<'_>, now: Timestamp) -> Result<Timestamp, Refusal> {
    let longest = now.plus(rights::session_lifetime(parties.client.client()));
    let limit = match parties.subject {
        ProvenSubject::Unsecured(_) | ProvenSubject::Own(_) => actors_end(parties),
        ProvenSubject::Foreign(token) => {
            let claims = token.claims();
            let subjects = (!claims.issuer.trust.outlives_subject).then_some(claims.times.expires_at);
            subjects.into_iter().chain(actors_end(parties)).min()
        }
    };
    let end = limit.map_or(longest, |limit| limit.min(longest));
    if now < end {
        return Ok(end);
    }
    let is_actors = actors_end(parties) == Some(end);
    let limit = match parties.subject {
        _ if is_actors => SessionLimit::Actor,
        ProvenSubject::Foreign(_) if end < longest => SessionLimit::SubjectToken,
        ProvenSubject::Own(_) | ProvenSubject::Foreign(_) | ProvenSubject::Unsecured(_) => {
            SessionLimit::Client
        }
    };
    Err(Refusal::SessionOver { end, now, limit })
}

/// The time at which the result has to expire because of its actor.
///
/// A user from an unsecured JWT outlives the session of a client that acts, and ends when that session is revoked: the client can name
/// the user again at any time, and engines that renew many users' tokens simultaneously depend on it (conformance TX-44).
fn actors_end(parties: &Parties<'_>) -> Option<Timestamp> {
    let actor = parties.actor?;
    match (actor, parties.subject.identity().realm) {
        (ProvenActor::Own(_), Realm::Unsecured) => None,
        (ProvenActor::Own(_) | ProvenActor::Foreign(_), _) => Some(actor.end()),
    }
}

/// The dependencies of the result other than its session: those of the subject token, the subject token itself where it was passed to
/// another client, and those of the actor.
fn provenance(
    parties: &Parties<'_>,
    delegation: &Delegation,
    id: &TokenId,
    now: Timestamp,
) -> Result<Option<Box<Provenance>>, Refusal> {
    let token = parties.subject.own().map(ProvenToken::claims);
    let mut provenance =
        token.and_then(|token| token.session.provenance.as_deref()).cloned().unwrap_or_default();
    let passed_on = token.filter(|token| token.client_id != *parties.client.id());
    if let Some(token) = passed_on {
        provenance.joined = Some(now).filter(|now| *now > token.session.start);
        provenance.branch = Some(id.clone());
        let renewed_with = std::mem::take(&mut provenance.renewed_with);
        add(&mut provenance.origins, renewed_with);
        add(&mut provenance.origins, [origin(token)]);
    }
    provenance.served.clone_from(&delegation.served);
    let mut actors = actors_origins(parties, now);
    // A token of the same session and client adds no dependency: the same revocations end both.
    actors.retain(|origin| !token.is_some_and(|token| is_of(token, parties.client, origin)));
    if delegation.is_extended || passed_on.is_some() {
        add(&mut provenance.origins, actors);
    } else if parties.actor.is_some() {
        // Renewals with ever new tokens of the same actor would make the token longer each time, and grant no more than the subject token
        // alone.
        provenance.renewed_with = actors;
    }
    // An expired token alone grants nothing, so the result depends on the identity that renews it.
    if passed_on.is_some() || token.is_some_and(|token| token.expires_at <= now) {
        add_identity(&mut provenance.origins, parties.client, now);
    }
    checked(provenance)
}

fn checked(provenance: Provenance) -> Result<Option<Box<Provenance>>, Refusal> {
    let origins = provenance.all_origins().count();
    if origins > MOST_ORIGINS {
        return Err(Refusal::TooManyOrigins { origins, most: MOST_ORIGINS });
    }
    Ok(provenance.boxed())
}

/// The subject as its issuer calls it, where our tokens call it otherwise.
fn issuer_subject(parties: &Parties<'_>, subject: &Subject) -> Option<Subject> {
    (parties.subject.sub() != subject).then(|| subject.clone())
}

/// The actor, and what its token was obtained with.
fn actors_origins(parties: &Parties<'_>, now: Timestamp) -> Vec<Origin> {
    let mut origins = Vec::new();
    match parties.actor {
        None => {}
        Some(ProvenActor::Own(token)) => {
            add(&mut origins, [origin(token.claims())]);
            add(&mut origins, token.claims().origins().cloned());
        }
        Some(ProvenActor::Foreign(token)) => {
            let claims = token.claims();
            let (issuer, subject) = (claims.issuer.issuer.clone(), claims.subject.clone());
            origins.push(Origin::Foreign { issuer, subject, since: now });
        }
    }
    origins
}

fn origin(token: &AccessTokenClaims) -> Origin {
    Origin::Session {
        session: token.session.family().clone(),
        client: token.client_id.clone(),
        joined: token.session.joined(),
    }
}

fn is_of(token: &AccessTokenClaims, client: &Authenticated, origin: &Origin) -> bool {
    match origin {
        Origin::Session { session, client: by, .. } => session == token.session.family() && by == client.id(),
        Origin::Foreign { .. } | Origin::Identity { .. } => false,
    }
}

/// Adds the identity by which the client authenticated, where the client joins the session. A renewal adds none, because it grants no
/// more than the token alone. If the same identity is already present, its earlier time is the stricter one.
fn add_identity(origins: &mut Vec<Origin>, client: &Authenticated, now: Timestamp) {
    let Some(identity) = client.identity(now) else { return };
    if !origins.iter().any(|known| is_same_identity(known, &identity)) {
        origins.push(identity);
    }
}

fn is_same_identity(one: &Origin, other: &Origin) -> bool {
    fn named(origin: &Origin) -> Option<(&Issuer, &Subject, &ClientId)> {
        match origin {
            Origin::Identity { issuer, subject, client, .. } => Some((issuer, subject, client)),
            Origin::Session { .. } | Origin::Foreign { .. } => None,
        }
    }
    named(one).is_some() && named(one) == named(other)
}

/// Adds what is not there yet.
fn add(origins: &mut Vec<Origin>, more: impl IntoIterator<Item = Origin>) {
    for origin in more {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
}

/// Whether an expired subject may still be exchanged (conformance D13): by the client to which it was issued, with the client's
/// own credential, within the grace; and only for the client itself, or where the client is the present actor.
pub(crate) fn check_expired(
    policy: &Policy,
    client: &Authenticated,
    token: &AccessTokenClaims,
    now: Timestamp,
) -> Result<(), TokenFault> {
    if !client.with_credential() {
        return Err(TokenFault::Expired { expired: token.expires_at, now, leeway: Lifetime::ZERO });
    }
    let acts = token
        .actor
        .as_ref()
        .is_some_and(|actor| actor.issuer.is_none() && *client.id() == *actor.subject.as_str());
    let why = if token.client_id != *client.id() {
        NotRenewable::OtherClient(Box::new(token.client_id.clone()))
    } else if !token.is_clients_own() && !acts {
        NotRenewable::NotTheActor
    } else if now.since(token.expires_at) > policy.expired_subject_grace {
        NotRenewable::TooLate { now, most: policy.expired_subject_grace }
    } else {
        return Ok(());
    };
    Err(TokenFault::NotRenewable { expired: token.expires_at, why })
}

/// An expired token is renewed as it is; it is not passed on to another actor.
pub(crate) fn check_unchanged(
    parties: &Parties<'_>,
    delegation: &Delegation,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(token) = parties.subject.own().map(ProvenToken::claims) else { return Ok(()) };
    if now < token.expires_at || !delegation.is_extended {
        return Ok(());
    }
    let why = NotRenewable::AnotherActor;
    Err(Refusal::SubjectToken(TokenFault::NotRenewable { expired: token.expires_at, why }))
}
