//! What does a client get for a token? RFC 8693 §2.2; the one function that composes subject, actor and policy.

use super::proof::{Authenticated, ProvenToken};
use super::{Policy, delegation, rights};
use crate::refusal::{NotRenewable, Refusal, TokenFault};
use crate::request::token_request::TokenExchangeRequest;
use crate::{AccessTokenClaims, GrantType, Scope, Session, Timestamp, TokenId};

/// What was proven before anything is composed.
pub(crate) struct Parties<'a> {
    pub(crate) client: &'a Authenticated,
    pub(crate) subject: &'a ProvenToken,
    pub(crate) actor: Option<&'a ProvenToken>,
}

/// The claims of the result.
///
/// Scope and audience are within those of the subject, of the actor and of the client's present registration; the
/// session is the subject's; the subject stays who he is.
pub(crate) fn grant(
    policy: &Policy,
    parties: &Parties<'_>,
    request: &TokenExchangeRequest,
    now: Timestamp,
    id: TokenId,
) -> Result<AccessTokenClaims, Refusal> {
    let client = parties.client;
    let subject = parties.subject.claims();
    let actor = delegation::chain(policy, client, parties.subject, parties.actor)?;
    let scope = rights::scope_within(&request.scope, &scope_ceiling(parties))?;
    let audience = rights::targets_within(&request.targets, &audience_ceiling(policy, parties))?;
    let session = session(parties, &id, now)?;
    let claims = AccessTokenClaims {
        issuer: policy.issuer.clone(),
        audience,
        subject: subject.subject.clone(),
        client_id: client.id().clone(),
        issued_at: now,
        expires_at: now.plus(rights::token_lifetime(client.client())).min(session.end),
        token_id: id,
        scope,
        actor,
        confirmation: subject.confirmation.clone(),
        session,
    };
    rights::check_size(&claims)?;
    Ok(claims)
}

/// What everybody who takes part may have: subject, actor, the client as it is registered now, and the subject too
/// where he is a client of ours (conformance TX-40, TX-43, TX-48;
/// RFC 8693 §5 warns of what happens otherwise).
fn scope_ceiling(parties: &Parties<'_>) -> Scope {
    let principal = parties.subject.principal();
    parties.subject.claims().scope.retain(|token| {
        parties.client.client().rights.scope.allows(token)
            && parties.actor.is_none_or(|actor| actor.claims().scope.contains(token))
            && principal.is_none_or(|registered| registered.rights.scope.allows(token))
    })
}

fn audience_ceiling(policy: &Policy, parties: &Parties<'_>) -> Vec<Box<str>> {
    let registered = rights::audiences_of_tokens(parties.client.client(), &policy.issuer);
    let actor = parties.actor.map(|actor| &actor.claims().audience);
    let mut common = parties.subject.claims().audience.clone();
    common.retain(|aud| registered.contains(aud) && actor.is_none_or(|audience| audience.contains(aud)));
    common
}

/// The session that the result belongs to: that of the subject, ended no later than that of the actor.
///
/// When it is over, a client that has proven its own credential for its own token begins a new one, because it could
/// as well have asked for client credentials; a stolen token without the credential never does.
fn session(parties: &Parties<'_>, id: &TokenId, now: Timestamp) -> Result<Session, Refusal> {
    let subject = parties.subject.claims();
    let lifetime = parties.client.client().rights.session_lifetime;
    let mut end = subject.session.end.min(subject.session.start.plus(lifetime));
    if let Some(principal) = parties.subject.principal() {
        end = end.min(subject.session.start.plus(principal.rights.session_lifetime));
    }
    if let Some(actor) = parties.actor {
        end = end.min(actor.claims().session.end);
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
    Ok(Session { id: id.clone(), start: now, end: now.plus(lifetime), subject_issuer: None, asserted: false })
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
