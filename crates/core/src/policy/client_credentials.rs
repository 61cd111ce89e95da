//! What does a client get for itself? RFC 6749 §4.4 and RFC 9068 §2.2.

use super::proof::Authenticated;
use super::{Policy, binding, rights};
use crate::refusal::Refusal;
use crate::request::token_request::ClientCredentialsRequest;
use crate::types::confirmation::Possession;
use crate::{AccessTokenClaims, Session, Subject, Timestamp, TokenId};

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
    let scope = if request.scope.is_empty() {
        let ceiling = registered.default_scope.retain(|token| registered.scope.allows(token));
        rights::scope_within(&request.scope, &ceiling)?
    } else {
        let ceiling = registered.scope.ceiling(&request.scope);
        rights::scope_within(&request.scope, &ceiling)?
    };
    let audience = audience(policy, client, request)?;
    let end = now.plus(registered.session_lifetime);
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
        session: Session { id, start: now, end, subject_issuer: None, asserted: false },
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
    let mut ceiling = rights::audiences(client.client(), &policy.issuer);
    if request.targets.is_empty() {
        ceiling.truncate(1);
    }
    rights::targets_within(&request.targets, &ceiling)
}
