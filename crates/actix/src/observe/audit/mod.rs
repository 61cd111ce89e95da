//! Records each decision once, without any token or secret; conformance SE-01, SE-05 and SE-06.

mod event;
mod proof;
mod unanswered;

use crate::endpoint::fault::Fault;
use crate::endpoint::request_id::RequestId;
use crate::observe::AUDIT;
use crate::observe::observer::Observer;
use crate::origin::ClientAddress;
use crate::paths::Endpoint;
use actix_web::{HttpMessage, HttpRequest};
use proof::Proof;
use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokenberg_core::audit::AuditRecord;
use tokenberg_core::flow::Who;
use tokenberg_core::request::{Authentication, ClaimedToken, Credential};
use tokenberg_core::revocation::Revoked;
use tokenberg_core::token::{Actor, Thumbprint, UNSECURED};
use tokenberg_core::{
    AccessTokenClaims, Client, ClientId, GrantType, Granted, Introspection, Issuer, Listener, Outcome,
    Presented, Scope, Subject, TokenFault,
};
use tracing::field;

/// The target of the spans, one for each request to the token endpoint and its companions, at the level of debug.
///
/// Fields: `endpoint`, `request_id`, `grant` and `outcome`, as in the audit.
pub const SPANS: &str = "tokenberg::request";

const ABOUT_A_TOKEN: &str = "described a token";

/// The span of a request.
pub(crate) fn span(request: &HttpRequest, endpoint: Endpoint) -> tracing::Span {
    let extensions = request.extensions();
    tracing::debug_span!(
        target: SPANS,
        "request",
        otel.kind = "server",
        endpoint = endpoint.path(),
        request_id = extensions.get().map(RequestId::as_str),
        grant = field::Empty,
        outcome = field::Empty,
    )
}

/// The known facts about a request so far.
pub(crate) struct Audit {
    endpoint: Endpoint,
    request_id: Option<RequestId>,
    begun: Instant,
    is_counted: Cell<bool>,
    is_authenticated: bool,
    proof: Proof,
    observer: Arc<Observer>,
    source: Option<ClientAddress>,
    client: Option<ClientId>,
    method: Option<&'static str>,
    grant: Option<GrantType>,
    scope: Option<Scope>,
}

impl Audit {
    pub(crate) fn of(
        request: &HttpRequest,
        endpoint: Endpoint,
        source: Option<ClientAddress>,
        observer: &Arc<Observer>,
    ) -> Self {
        Self {
            endpoint,
            request_id: request.extensions().get().copied(),
            begun: Instant::now(),
            is_counted: Cell::new(false),
            is_authenticated: false,
            proof: Proof::None,
            observer: Arc::clone(observer),
            source,
            client: None,
            method: None,
            grant: None,
            scope: None,
        }
    }

    /// The source of the request.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.source.map(|source| source.ip)
    }

    fn count(&self, outcome: Outcome, status: u16) {
        self.is_counted.set(true);
        let span = tracing::Span::current();
        if !span.is_disabled() {
            span.record("grant", self.grant.map(GrantType::as_parameter)).record("outcome", outcome.as_str());
        }
        self.observer.metrics().answered(self.endpoint, self.grant, (outcome, status), self.begun.elapsed());
    }

    pub(crate) fn presented(&mut self, presented: &Presented) {
        self.method = Some(presented.method());
        self.proof = match presented.authentication() {
            Authentication::Credential(credential) => Proof::of(credential),
            Authentication::Bearer(_) => Proof::Bearer,
        };
        self.grant = presented.grant_type();
        self.scope = presented.request().ok().map(|request| request.scope().clone());
    }

    /// How the client of a companion endpoint authenticates.
    pub(crate) fn authenticates(&mut self, credential: &Credential) {
        self.method = Some(credential.method());
        self.proof = Proof::of(credential);
    }

    /// The client has been authenticated, whatever happens later.
    pub(crate) fn authenticated(&mut self) {
        self.is_authenticated = true;
    }

    pub(crate) fn granted(&self, granted: &Granted) {
        self.count(Outcome::Granted, 200);
        if !self.is_reported() {
            return;
        }
        let (claims, decision) = (&granted.claims, &granted.decision);
        let actors = claims.actor.iter().flat_map(Actor::chain);
        // An unsecured user stays unsecured, however often the token is renewed (conformance TX-69).
        let subject_auth = if claims.session.unsecured { UNSECURED } else { decision.subject_proof.as_str() };
        let mut record = about(claims, self.begun_record(Outcome::Granted));
        record.client = Some(claims.client_id.as_str().into());
        record.method = Some(decision.method);
        record.secret = decision.secret.as_ref().map(|name| name.as_str().into());
        record.grant = Some(decision.grant.as_parameter());
        record.actors = actors.map(|actor| actor.subject.as_str().into()).collect();
        record.subject_auth = Some(subject_auth.into());
        record.scope_in = Some(decision.scope_asked.as_str().into());
        record.scope_out = Some(claims.scope.as_str().into());
        record.aud = claims.audience.iter().map(|aud| (&**aud).into()).collect();
        record.subject_jti = decision.subject_token.as_deref().map(Cow::Borrowed);
        record.actor_jti = decision.actor_token.as_deref().map(Cow::Borrowed);
        self.report(&record, "granted a token");
    }

    pub(crate) fn introspected(&self, introspection: &Introspection, body: &[u8]) {
        match introspection {
            Introspection::Active(claims) => self.good(Outcome::Active, claims),
            Introspection::Inactive(reason) => {
                self.unusable_token(Outcome::Inactive, reason.to_string(), body)
            }
        }
    }

    pub(crate) fn revoked(&self, outcome: &Result<Revoked, TokenFault>, body: &[u8]) {
        match outcome {
            Ok(revoked) => self.good(Outcome::Revoked, revoked.claims()),
            Err(reason) => self.unusable_token(Outcome::NothingToRevoke, reason.to_string(), body),
        }
    }

    /// A presented token that is valid, with its claims.
    fn good(&self, outcome: Outcome, claims: &AccessTokenClaims) {
        self.count(outcome, 200);
        if !self.is_reported() {
            return;
        }
        let mut record = about(claims, self.begun_record(outcome));
        record.owner = Some(claims.client_id.as_str().into());
        record.subject_auth = claims.session.unsecured.then(|| UNSECURED.into());
        self.report(&record, ABOUT_A_TOKEN);
    }

    /// A presented token that is not valid, or that the client may not see, with its unverified claims.
    fn unusable_token(&self, outcome: Outcome, reason: String, body: &[u8]) {
        self.count(outcome, 200);
        self.report(&self.failed_record(outcome, reason, Some(body)), ABOUT_A_TOKEN);
    }

    /// Whether a record would be logged or kept: an embedding program may want neither.
    fn is_reported(&self) -> bool {
        self.observer.recorder().is_some() || tracing::enabled!(target: AUDIT, tracing::Level::INFO)
    }

    /// Logs the record, and passes it to the recorder, if there is one.
    fn report(&self, record: &AuditRecord<'_>, message: &'static str) {
        event::log(record, self.source, message);
        if let Some(recorder) = self.observer.recorder() {
            recorder.record(record);
        }
    }

    /// The fields of every request.
    fn begun_record(&self, outcome: Outcome) -> AuditRecord<'_> {
        let mut record = AuditRecord::new(self.endpoint.path(), outcome);
        record.request_id = self.name();
        record.source = self.source.map(|source| source.ip.to_string().into());
        record.port = self.source.and_then(|source| source.port);
        record.client = self.client.as_ref().map(|id| id.as_str().into());
        record.method = self.method;
        record.grant = self.grant.map(GrantType::as_parameter);
        record.scope_in = self.scope.as_ref().map(|scope| scope.as_str().into());
        record
    }

    /// The same of a request that failed, with the claims of the tokens in its body, if those are recorded.
    fn failed_record(&self, outcome: Outcome, reason: String, body: Option<&[u8]>) -> AuditRecord<'_> {
        let presented = body.map(ClaimedToken::all_of).unwrap_or_default();
        let mut record = self.begun_record(outcome);
        record.reason = Some(reason.into());
        record.tokens = presented.iter().map(|token| token.name().into()).collect();
        record.presented = presented;
        record
    }

    /// The identifier of the request.
    pub(crate) fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    fn name(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }
}

impl Listener for Audit {
    /// Whether a client is registered under the presented identifier.
    fn client_found(&mut self, _: &Who, client: Option<&Client>) {
        if let Some(client) = client {
            self.client = Some(client.id.clone());
        }
    }
}

impl Drop for Audit {
    /// A panic ends here without another record; [`crate::endpoint::guard`] answers it.
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_counted.get() {
            self.failed(Fault::Panicked);
        }
    }
}

/// The claims of a valid token.
fn about<'a>(claims: &'a AccessTokenClaims, mut record: AuditRecord<'a>) -> AuditRecord<'a> {
    record.subject = Some(claims.subject.as_str().into());
    record.subject_issuer = subject_issuer(claims).map(Cow::Borrowed);
    record.issuer_subject = issuer_subject(claims).map(Cow::Borrowed);
    record.bound = bound(claims).unwrap_or_default().into_iter().map(Cow::Owned).collect();
    record.jti = Some(claims.token_id.as_str().into());
    record.session = Some(claims.session.id.as_str().into());
    record
}

/// The issuer of the subject, if it is not ours.
fn subject_issuer(claims: &AccessTokenClaims) -> Option<&str> {
    claims.session.subject_issuer.as_ref().map(Issuer::as_str)
}

/// The subject as its issuer names it, if `sub` has a prefix before that.
fn issuer_subject(claims: &AccessTokenClaims) -> Option<&str> {
    claims.session.issuer_subject().map(Subject::as_str)
}

/// The keys that a token is bound to, by their thumbprints: `jkt=…`, `x5t#S256=…`.
fn bound(claims: &AccessTokenClaims) -> Option<Vec<String>> {
    let confirmation = claims.confirmation.as_ref()?;
    let keys = [("jkt", &confirmation.key), ("x5t#S256", &confirmation.certificate)];
    let named = |(name, key): (&str, &Option<Thumbprint>)| {
        key.as_ref().map(|thumbprint| format!("{name}={}", thumbprint.as_str()))
    };
    Some(keys.into_iter().filter_map(named).collect())
}
