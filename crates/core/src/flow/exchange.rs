//! Which tokens are still to be proven before the exchange? RFC 8693 §2.1.

use super::{Decision, Known, Step, sign, verify_token};
use crate::policy::access_token;
use crate::policy::exchange::{self, Parties};
use crate::policy::proof::{Authenticated, ProvenToken};
use crate::refusal::{Refusal, TokenFault};
use crate::request::client_authentication::Role;
use crate::request::form::Parameter;
use crate::request::token_request::TokenExchangeRequest;
use crate::{CompactJws, TokenType, TypedToken};

/// An exchange by a client that is known, with the tokens that were proven so far.
pub(super) struct Exchange {
    pub(super) known: Known,
    pub(super) client: Authenticated,
    request: TokenExchangeRequest,
    subject: Option<ProvenToken>,
    actor: Option<ProvenToken>,
}

impl Exchange {
    pub(super) fn begin(
        known: Known,
        client: Authenticated,
        request: TokenExchangeRequest,
    ) -> Result<Self, Refusal> {
        match request.requested_token_type {
            None | Some(TokenType::AccessToken) => {}
            Some(kind) => {
                return Err(Refusal::UnsupportedTokenType { parameter: Parameter::RequestedTokenType, kind });
            }
        }
        check_declared(&request.subject, Role::Subject)?;
        request.actor.as_ref().map_or(Ok(()), |actor| check_declared(actor, Role::Actor))?;
        Ok(Self { known, client, request, subject: None, actor: None })
    }

    pub(super) fn proven(mut self, role: Role, token: ProvenToken) -> Self {
        match role {
            Role::Subject => self.subject = Some(token),
            Role::Actor => self.actor = Some(token),
        }
        self
    }

    pub(super) fn next(self) -> Result<Step, Refusal> {
        let Some(subject) = &self.subject else {
            return match self.same_token(&self.actor) {
                Some(same) => self.proven(Role::Subject, same).next(),
                None => {
                    let token = self.framed(&self.request.subject, Role::Subject)?;
                    Ok(verify_token::ask(self, Role::Subject, token))
                }
            };
        };
        match (&self.request.actor, &self.actor) {
            (Some(actor), None) => {
                match self.same_token(&self.subject) {
                    Some(same) => {
                        // An expired subject may be renewed by its client; an expired actor acts for nobody.
                        access_token::unexpired(same.claims(), self.known.now)
                            .map_err(Refusal::ActorToken)?;
                        self.proven(Role::Actor, same).next()
                    }
                    None => {
                        let token = self.framed(actor, Role::Actor)?;
                        Ok(verify_token::ask(self, Role::Actor, token))
                    }
                }
            }
            (None, _) | (Some(_), Some(_)) => {
                let parties = Parties { client: &self.client, subject, actor: self.actor.as_ref() };
                let decision = Decision::token_exchange(
                    self.known.method,
                    self.request.scope.clone(),
                    subject.claims(),
                    self.actor.as_ref().map(ProvenToken::claims),
                );
                let now = self.known.now;
                let claims =
                    exchange::grant(&self.known.policy, &parties, &self.request, now, self.known.id)?;
                Ok(sign::ask(claims, decision, now))
            }
        }
    }

    fn framed(&self, token: &TypedToken, role: Role) -> Result<CompactJws, Refusal> {
        let framed = access_token::framed(token.token.expose(), &self.known.policy.issuer);
        framed.map_err(|fault| fault.in_role(role))
    }

    /// The token that was proven already, if both parameters hold the same one (conformance D23).
    fn same_token(&self, proven: &Option<ProvenToken>) -> Option<ProvenToken> {
        let actor = self.request.actor.as_ref()?;
        let is_same = actor.token.expose() == self.request.subject.token.expose();
        proven.as_ref().filter(|_| is_same).cloned()
    }
}

/// A token of ours is an access token and nothing else (conformance TX-06); nobody else is trusted yet.
fn check_declared(token: &TypedToken, role: Role) -> Result<(), Refusal> {
    let parameter = match role {
        Role::Subject => Parameter::SubjectTokenType,
        Role::Actor => Parameter::ActorTokenType,
    };
    match token.token_type {
        TokenType::AccessToken => Ok(()),
        kind @ (TokenType::IdToken | TokenType::Jwt) => Err(TokenFault::DeclaredType(kind).in_role(role)),
        kind @ (TokenType::RefreshToken | TokenType::Saml1 | TokenType::Saml2) => {
            Err(Refusal::UnsupportedTokenType { parameter, kind })
        }
    }
}
