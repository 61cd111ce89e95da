//! The claims of a token that a client obtains for itself: RFC 6749 §4.4 and RFC 9068 §2.2.

use super::limits::{AudienceCeilings, Ceiling, Limits, Party, ScopeCeiling, ScopeCeilings};
use super::proof::Authenticated;
use super::{Policy, binding, rights};
use crate::refusal::Refusal;
use crate::request::token_request::ClientCredentialsRequest;
use crate::token::ExtraClaims;
use crate::types::confirmation::Possession;
use crate::{AccessTokenClaims, Subject, Timestamp, TokenId};

/// The claims of a token for the client itself, which begins a session.
pub(crate) fn grant(
    policy: &Policy,
    client: &Authenticated,
    request: &ClientCredentialsRequest,
    possession: &Possession,
    now: Timestamp,
    id: TokenId,
) -> Result<AccessTokenClaims, Refusal> {
    let registered = &client.client().rights;
    let ceiling = if request.scope.is_empty() {
        registered.default_scope.retain(|token| registered.scope.allows(token))
    } else {
        registered.scope.ceiling(&request.scope)
    };
    let scope = rights::scope_within(&request.scope, &ceiling, || scope_by_party(client))?;
    let audience = audience(policy, client, request)?;
    let end = now.plus(rights::session_lifetime(client.client()));
    let claims = AccessTokenClaims {
        issuer: policy.issuer.clone(),
        audience,
        // RFC 9068 §2.2: for a grant without a resource owner, `sub` is the client.
        subject: Subject::from(client.id()),
        client_id: client.id().clone(),
        issued_at: now,
        expires_at: now.plus(rights::token_lifetime(client.client())).min(end),
        token_id: id.clone(),
        scope,
        actor: None,
        confirmation: binding::of(client, possession, None),
        session: client.begin_session(id, now, end),
        extra: ExtraClaims::default(),
    };
    rights::check_size(&claims)?;
    Ok(claims)
}

/// RFC 9700 §2.3: one audience by default, the first that is registered.
fn audience(
    policy: &Policy,
    client: &Authenticated,
    request: &ClientCredentialsRequest,
) -> Result<Vec<Box<str>>, Refusal> {
    let registered = rights::audiences(client.client(), &policy.issuer);
    let most = if request.targets.is_empty() { 1 } else { registered.len() };
    rights::targets_within(&request.targets, &registered[..most], || audience_by_party(policy, client))
}

/// The one party that there is.
pub(crate) fn limits(policy: &Policy, client: &Authenticated) -> Limits {
    Limits { scope: scope_by_party(client), audience: audience_by_party(policy, client) }
}

fn scope_by_party(client: &Authenticated) -> ScopeCeilings {
    let allowed = ScopeCeiling::Registered(client.client().rights.scope.clone());
    vec![Ceiling { party: Party::Client(client.id().clone()), allowed }]
}

fn audience_by_party(policy: &Policy, client: &Authenticated) -> AudienceCeilings {
    let allowed = rights::audiences(client.client(), &policy.issuer).into_owned();
    vec![Ceiling { party: Party::Client(client.id().clone()), allowed }]
}
