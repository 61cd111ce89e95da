//! What is remembered of a decision? One event each, without any token or secret; conformance SE-01, SE-05 and SE-06.

use crate::fault::Fault;
use crate::guard::RequestId;
use crate::routes::TOKENS;
use actix_web::{HttpMessage, HttpRequest};
use std::net::SocketAddr;
use tokenberg_core::{
    Actor, ClientId, CompactJws, GrantType, Granted, OAuthError, Presented, Refusal, Scope, SigningFault,
};
use tracing::field::{self, DebugValue};

/// The target of the events, one for each decision of the token endpoint.
///
/// Fields: `endpoint`, `request_id`, `source`, `client`, `method`, `grant`, `scope_in`, `outcome`, and either `reason` or
/// `subject`, `actors`, `scope_out`, `aud`, `jti`, `subject_jti`, `actor_jti`. Texts that a client may have chosen are
/// written as by `Debug`, so they cannot forge lines. The client of a refused request is the registered one that it claims to
/// be; an identifier that nobody has is not written, because a secret may stand in its place. `tokens` of a refused request
/// are the `jti` and `client_id` of the tokens that it presented, as they claim to be.
pub const AUDIT: &str = "tokenberg::audit";

/// What is known about a request so far.
pub(crate) struct Audit {
    request_id: Option<RequestId>,
    // Of the connection; whoever sends X-Forwarded-For says about himself what he likes (HT-22).
    source: Option<SocketAddr>,
    client: Option<ClientId>,
    method: Option<&'static str>,
    grant: Option<GrantType>,
    scope: Option<Scope>,
    tokens: Vec<String>,
}

impl Audit {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self {
            request_id: request.extensions().get().cloned(),
            source: request.peer_addr(),
            client: None,
            method: None,
            grant: None,
            scope: None,
            tokens: Vec::new(),
        }
    }

    pub(crate) fn presented(&mut self, presented: &Presented) {
        self.method = Some(presented.method());
        self.grant = presented.grant_type();
        self.scope = presented.request().ok().map(|request| request.scope().clone());
    }

    /// Somebody is registered under the identifier that was presented.
    pub(crate) fn claimed(&mut self, client: &ClientId) {
        self.client = Some(client.clone());
    }

    /// A token was presented; whether it is good is not known yet.
    pub(crate) fn token(&mut self, token: &CompactJws) {
        let claim = |name: &str| {
            let text = token.unverified_payload().get(name).and_then(|value| value.as_str());
            text.unwrap_or_default().chars().take(64).collect::<String>()
        };
        self.tokens.push(format!("{} of {}", claim("jti"), claim("client_id")));
    }

    pub(crate) fn granted(&self, granted: &Granted) {
        let (claims, decision) = (&granted.claims, &granted.decision);
        let actors: Vec<&str> =
            claims.actor.iter().flat_map(Actor::chain).map(|actor| actor.subject.as_str()).collect();
        tracing::info!(
            target: AUDIT,
            endpoint = TOKENS,
            request_id = self.request_id(),
            source = self.source.map(field::display),
            client = ?claims.client_id.as_str(),
            method = decision.method,
            grant = decision.grant.as_parameter(),
            subject = ?claims.subject.as_str(),
            actors = ?actors,
            scope_in = ?decision.scope_asked.as_str(),
            scope_out = ?claims.scope.as_str(),
            aud = ?claims.audience,
            jti = claims.token_id.as_str(),
            subject_jti = decision.subject_token.as_ref().map(|id| id.as_str()),
            actor_jti = decision.actor_token.as_ref().map(|id| id.as_str()),
            outcome = "granted",
            "granted a token"
        );
    }

    pub(crate) fn refused(&self, refusal: &Refusal, error: &OAuthError) {
        tracing::info!(
            target: AUDIT,
            endpoint = TOKENS,
            request_id = self.request_id(),
            source = self.source.map(field::display),
            client = self.client(),
            method = self.method,
            grant = self.grant.map(GrantType::as_parameter),
            scope_in = self.scope(),
            tokens = (!self.tokens.is_empty()).then(|| field::debug(&self.tokens)),
            outcome = error.code.as_str(),
            reason = ?refusal.to_string(),
            "refused a token request"
        );
    }

    pub(crate) fn unsigned(&self, fault: &SigningFault) {
        self.error(Fault::Unsigned, &fault.to_string());
    }

    pub(crate) fn failed(&self, fault: Fault) {
        let (status, error) = fault.told();
        if status.is_server_error() {
            return self.error(fault, &fault.to_string());
        }
        tracing::info!(
            target: AUDIT,
            endpoint = TOKENS,
            request_id = self.request_id(),
            source = self.source.map(field::display),
            outcome = error.code.as_str(),
            status = status.as_u16(),
            reason = %fault,
            "could not read a token request"
        );
    }

    fn error(&self, fault: Fault, reason: &str) {
        let (status, error) = fault.told();
        tracing::error!(
            target: AUDIT,
            endpoint = TOKENS,
            request_id = self.request_id(),
            source = self.source.map(field::display),
            client = self.client(),
            method = self.method,
            grant = self.grant.map(GrantType::as_parameter),
            scope_in = self.scope(),
            outcome = error.code.as_str(),
            status = status.as_u16(),
            reason,
            "failed to answer a token request"
        );
    }

    fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }

    fn client(&self) -> Option<DebugValue<&str>> {
        self.client.as_ref().map(|id| field::debug(id.as_str()))
    }

    fn scope(&self) -> Option<DebugValue<&str>> {
        self.scope.as_ref().map(|scope| field::debug(scope.as_str()))
    }
}
