//! The steps that verify the tokens of an exchange: RFC 8693 §2.1.

use super::known::{Known, Possessed, conclude};
use super::party::{self, Checking, Presented};
use super::sign::Decision;
use super::step::Step;
use crate::issuer::AcceptedAs;
use crate::policy::exchange;
use crate::policy::parties::Parties;
use crate::policy::party::{ProvenActor, ProvenSubject};
use crate::policy::proof::{Authenticated, ProvenToken};
use crate::policy::{access_token, delegation, foreign_token, session};
use crate::refusal::{DelegatedActor, Refusal, TokenFault, WithoutRight};
use crate::request::client_authentication::Role;
use crate::request::form::Parameter;
use crate::request::token_request::TokenExchangeRequest;
use crate::token::TypedToken;
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{CompactJws, Subject, TokenType};
use std::sync::Arc;

/// An exchange by an authenticated client, with the tokens verified so far.
pub(super) struct Exchange {
    known: Known,
    client: Authenticated,
    request: TokenExchangeRequest,
    possessed: Possessed,
    /// Whether both parameters hold the same token (conformance D23).
    has_one_token: bool,
    subject: Option<ProvenSubject>,
    actor: Option<ProvenActor>,
}

impl Exchange {
    pub(super) fn begin(
        known: Known,
        client: Authenticated,
        request: TokenExchangeRequest,
        possessed: Possessed,
    ) -> Result<Self, Refusal> {
        match request.requested_token_type {
            None | Some(TokenType::AccessToken) => {}
            Some(kind) => {
                return Err(Refusal::UnsupportedTokenType { parameter: Parameter::RequestedTokenType, kind });
            }
        }
        check_declared(&request.subject, Parameter::SubjectTokenType)?;
        let actor = request.actor.as_ref();
        actor.map_or(Ok(()), |actor| check_declared(actor, Parameter::ActorTokenType))?;
        let has_one_token = actor.is_some_and(|actor| is_same(actor, &request.subject));
        Ok(Self { known, client, request, possessed, has_one_token, subject: None, actor: None })
    }

    /// Takes the token that the client authenticated with, which is one of the request's.
    /// It is ours, so it has to be declared as what ours are.
    pub(super) fn with_bearer(mut self, role: Role, token: ProvenToken) -> Result<Self, Refusal> {
        let declared = match role {
            Role::Subject => Some(&self.request.subject),
            Role::Actor => self.request.actor.as_ref(),
        };
        if let Some(kind) = declared.map(|typed| typed.token_type).filter(|k| *k != TokenType::AccessToken) {
            let fault = TokenFault::DeclaredType(kind);
            return Err(match role {
                Role::Subject => Refusal::SubjectToken(fault),
                Role::Actor => Refusal::ActorToken(fault),
            });
        }
        match role {
            Role::Subject => self.subject = Some(ProvenSubject::Own(token)),
            Role::Actor => self.actor = Some(ProvenActor::Own(token)),
        }
        Ok(self)
    }

    pub(super) fn next(self) -> Result<Step, Refusal> {
        match (&self.request.actor, &self.actor, &self.subject) {
            // An unsecured user needs an actor who asserts it, and the actor is verified first.
            (Some(_), None, None) if self.is_unsecured() => self.prove_actor(),
            (_, _, None) => self.prove_subject(),
            (Some(_), None, Some(_)) => self.prove_actor(),
            (None, _, Some(_)) | (Some(_), Some(_), Some(_)) => self.compose(),
        }
    }

    fn is_unsecured(&self) -> bool {
        self.request.subject.token_type == TokenType::Jwt
            && UnsecuredJwt::is_one(self.request.subject.token.expose())
    }

    fn prove_subject(mut self) -> Result<Step, Refusal> {
        if let (true, Some(ProvenActor::Own(same))) = (self.has_one_token, &self.actor) {
            self.subject = Some(ProvenSubject::Own(same.clone()));
            return self.next();
        }
        if self.is_unsecured() {
            return self.prove_unsecured();
        }
        if self.request.subject.token_type != TokenType::AccessToken {
            let token = parsed(&self.request.subject).map_err(Refusal::SubjectToken)?;
            return self.prove_foreign_subject(token);
        }
        let checking = self.checking();
        let (policy, client, now) = (checking.policy.clone(), self.client.clone(), checking.now);
        let times = move |claims: &_| match access_token::unexpired(claims, now) {
            Ok(()) => Ok(()),
            Err(_) => session::check_expired(&policy, &client, claims, now),
        };
        let token = self.request.subject.token.take();
        let then = move |token: Result<_, _>| match token.map_err(Refusal::SubjectToken)? {
            Presented::Foreign(token) => self.prove_foreign_subject(token),
            Presented::Ours(token) => {
                self.subject = Some(ProvenSubject::Own(token));
                self.next()
            }
        };
        Ok(party::own(&checking, token, times, then))
    }

    fn prove_foreign_subject(mut self, token: CompactJws) -> Result<Step, Refusal> {
        let checking = self.checking();
        let (token, issuer, used_as) =
            foreign(token, self.request.subject.token_type, &self.known).map_err(Refusal::SubjectToken)?;
        let client = self.client.id().clone();
        let then = move |token: Result<_, _>| {
            self.subject = Some(ProvenSubject::Foreign(token.map_err(Refusal::SubjectToken)?));
            self.next()
        };
        Ok(party::foreign(&checking, token, &issuer, used_as, client, then))
    }

    /// An unsecured name counts only if the client may assert it and presents its own token as the actor.
    fn prove_unsecured(mut self) -> Result<Step, Refusal> {
        let checking = self.checking();
        let acts = matches!(&self.actor, Some(ProvenActor::Own(token)) if token.claims().client_id == *self.client.id());
        let client = Arc::clone(self.client.client());
        let may_assert = move |name: &Subject| {
            if !acts {
                Err(TokenFault::NoActor)
            } else if !delegation::may_assert(&client, name) {
                Err(TokenFault::MayNotAssert(WithoutRight::boxed(&client.id, None, name.as_str())))
            } else {
                Ok(())
            }
        };
        let text = self.request.subject.token.clone();
        let then = move |user: Result<_, _>| {
            self.subject = Some(ProvenSubject::Unsecured(user.map_err(Refusal::SubjectToken)?));
            self.next()
        };
        party::unsecured(&checking, text.expose(), may_assert, then)
    }

    fn prove_actor(mut self) -> Result<Step, Refusal> {
        if let (true, Some(ProvenSubject::Own(same))) = (self.has_one_token, &self.subject) {
            // An expired subject may be renewed by its client; an expired actor may not act.
            access_token::unexpired(same.claims(), self.known.now).map_err(Refusal::ActorToken)?;
            self.actor = Some(ProvenActor::Own(same.clone()));
            return self.next();
        }
        let Some(actor) = &mut self.request.actor else { return self.next() };
        if actor.token_type != TokenType::AccessToken {
            let token = parsed(actor).map_err(Refusal::ActorToken)?;
            let declared = actor.token_type;
            return self.prove_foreign_actor(token, declared);
        }
        let token = actor.token.take();
        let checking = self.checking();
        let now = checking.now;
        let times = move |claims: &_| access_token::unexpired(claims, now);
        let then = move |token: Result<_, _>| match token.map_err(Refusal::ActorToken)? {
            Presented::Foreign(token) => self.prove_foreign_actor(token, TokenType::AccessToken),
            Presented::Ours(token) => {
                self.actor = Some(ProvenActor::Own(token));
                self.next()
            }
        };
        Ok(party::own(&checking, token, times, then))
    }

    fn prove_foreign_actor(mut self, token: CompactJws, declared: TokenType) -> Result<Step, Refusal> {
        let checking = self.checking();
        let (token, issuer, used_as) = foreign(token, declared, &self.known).map_err(Refusal::ActorToken)?;
        // Conformance D24: a subject with an actor cannot be an actor.
        if token.unverified_payload().contains_key("act") {
            return Err(Refusal::ActorIsDelegated(DelegatedActor::HasAct));
        }
        let client = self.client.id().clone();
        let then = move |token: Result<_, _>| {
            self.actor = Some(ProvenActor::Foreign(token.map_err(Refusal::ActorToken)?));
            self.next()
        };
        Ok(party::foreign(&checking, token, &issuer, used_as, client, then))
    }

    fn compose(self) -> Result<Step, Refusal> {
        let Self { known, client, request, possessed, subject, actor, .. } = self;
        let subject = subject.ok_or(Refusal::MissingParameter(Parameter::SubjectToken))?;
        let parties = Parties {
            client: &client,
            subject: &subject,
            actor: actor.as_ref(),
            possession: &possessed.possession,
        };
        let decision =
            Decision::token_exchange(known.method, request.scope.clone(), &subject, actor.as_ref())
                .of_client(&client);
        let requested = (&request.scope, &request.targets[..]);
        let claims = exchange::grant(&known.policy, &parties, requested, known.now, known.id.clone())?;
        let claims = known.decided(claims, &decision)?;
        let limits = known.explains(|| exchange::limits(&known.policy, &parties));
        conclude(&known, claims, decision, limits, possessed.once)
    }

    fn checking(&self) -> Checking {
        Checking {
            policy: Arc::clone(&self.known.policy),
            now: self.known.now,
            possession: self.possessed.possession.clone(),
        }
    }
}

/// A token that names another issuer; no key has been fetched. A token of ours is only ever an access token (conformance TX-06).
fn foreign(
    token: CompactJws,
    declared: TokenType,
    known: &Known,
) -> Result<(CompactJws, Box<str>, AcceptedAs), TokenFault> {
    let used_as = match declared {
        TokenType::AccessToken => AcceptedAs::AccessToken,
        TokenType::IdToken => AcceptedAs::IdToken,
        TokenType::Jwt | TokenType::RefreshToken | TokenType::Saml1 | TokenType::Saml2 => AcceptedAs::Jwt,
    };
    let issuer = foreign_token::issuer_of(&token, used_as)?;
    if *issuer == *known.policy.issuer.as_str() {
        return Err(match used_as {
            AcceptedAs::AccessToken => TokenFault::Type(token.into_typ()),
            AcceptedAs::IdToken | AcceptedAs::Jwt | AcceptedAs::JwtBearer => {
                TokenFault::DeclaredType(declared)
            }
        });
    }
    Ok((token, issuer, used_as))
}

fn is_same(token: &TypedToken, other: &TypedToken) -> bool {
    token.token_type == other.token_type && token.token.expose() == other.token.expose()
}

fn parsed(token: &TypedToken) -> Result<CompactJws, TokenFault> {
    Ok(CompactJws::parse(token.token.expose())?)
}

/// Types of RFC 8693 §3 that we neither issue nor read.
fn check_declared(token: &TypedToken, parameter: Parameter) -> Result<(), Refusal> {
    match token.token_type {
        TokenType::AccessToken | TokenType::IdToken | TokenType::Jwt => Ok(()),
        kind @ (TokenType::RefreshToken | TokenType::Saml1 | TokenType::Saml2) => {
            Err(Refusal::UnsupportedTokenType { parameter, kind })
        }
    }
}
