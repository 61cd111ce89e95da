//! Explains what a token would be taken for, if a client presented it. Only the authentication of the client is supposed.

use super::verdict::Explanation;
use super::what_if::{WhatIf, authenticated, explained, grant, own_token, put_subject, token_type};
use crate::issuer::AcceptedAs;
use crate::{Answers, Blocking, ClientId, CompactJws, GrantType, Timestamp, TokenEndpoint, TokenType};

/// The part that a token has in an exchange (RFC 8693 §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRole {
    /// On whose behalf the result is.
    Subject,
    /// Who acts. The subject is the client itself.
    Actor,
}

/// A token that a client could present.
#[derive(Clone, Debug)]
pub struct PresentedToken<'a> {
    /// The client. It is supposed to authenticate successfully.
    pub client: &'a ClientId,
    /// The token, whose signature is checked as in a real request.
    pub token: &'a CompactJws,
    /// As what it is presented.
    pub presented_as: AcceptedAs,
    /// The part that it has.
    pub role: TokenRole,
}

/// Decides about the request, as [`explain`](super::explain) does about one that was made. It issues and writes nothing.
pub fn explain_presented(
    endpoint: &TokenEndpoint,
    presented: &PresentedToken<'_>,
    now: Timestamp,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Explanation {
    let PresentedToken { client, token, presented_as, role } = *presented;
    let mut form = authenticated(client, answers);
    let token = token.expose().to_owned();
    let itself = WhatIf { client: client.clone(), scope: None, audience: None, user: None };
    let own = || own_token(endpoint, &itself, now, answers, blocking);
    let supposed = match role {
        TokenRole::Subject => put_subject(&mut form, token, presented_as, own),
        TokenRole::Actor => {
            let (urn, own) = (|kind: TokenType| kind.as_urn().to_owned(), own());
            form.extend([
                grant(GrantType::TokenExchange),
                ("subject_token", own.clone().unwrap_or_default()),
                ("subject_token_type", urn(TokenType::AccessToken)),
                ("actor_token", token),
                ("actor_token_type", urn(token_type(presented_as))),
            ]);
            own
        }
    };
    let supposed: Vec<String> = supposed.into_iter().collect();
    explained(endpoint, client, &form, &supposed, now, answers, blocking)
}
