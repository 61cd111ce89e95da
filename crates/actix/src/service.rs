//! The token service: a policy, a world, a clock, and the limits of its requests.

use crate::answering::compute_pool::ComputePool;
use crate::answering::random_bits;
use crate::answering::throttle::{Attempt, Throttle};
use crate::answering::{self, Backends, Denied};
use crate::documents::left_out::MetadataDocument;
use crate::endpoint::fault::Fault;
use crate::observe::audit::Audit;
use crate::observe::exposition::Exposition;
use crate::observe::metrics::Metrics;
use crate::observe::observer::Observer;
use crate::origin::TrustedProxies;
use ring::rand::SystemRandom;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::limits::PresentedCredential;
use tokenberg_core::metadata::Metadata;
use tokenberg_core::revocation::Revoked;
use tokenberg_core::{
    Answers, AuthenticatedClient, Entropy, Granted, Introspection, IntrospectionEndpoint, Issuer, Policy,
    Presented, PresentedToken, Request, RevocationEndpoint, Revocations, Timestamp, TokenEndpoint,
    TokenFault, TokenVerification,
};
use tokio::sync::Semaphore;

/// The token endpoint and its documents, ready to be mounted; a clone is the same service.
#[derive(Clone)]
pub struct TokenService {
    pub(crate) inner: Arc<Inner>,
}

/// What every clone shares.
pub(crate) struct Inner {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) introspection: IntrospectionEndpoint,
    pub(crate) revocation: Option<Revocation>,
    pub(crate) now: Box<dyn Fn() -> Arc<dyn Answers> + Send + Sync>,
    pub(crate) is_too_old: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) clock: Box<dyn Fn() -> Result<Timestamp, Fault> + Send + Sync>,
    pub(crate) random: SystemRandom,
    pub(crate) backends: Backends,
    pub(crate) throttle: Throttle,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) observer: Arc<Observer>,
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) largest_body: usize,
    pub(crate) large_bodies: Semaphore,
    pub(crate) body_timeout: Duration,
    pub(crate) left_out: Vec<MetadataDocument>,
    pub(crate) metadata: Metadata,
    pub(crate) openapi: String,
}

/// The endpoint, with the audit of its decisions.
pub(crate) struct Revocation {
    pub(crate) endpoint: RevocationEndpoint,
    pub(crate) revocations: Box<dyn Revocations>,
}

impl TokenService {
    /// Our issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.policy().issuer
    }

    /// The policy of every request.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.inner.endpoint.policy()
    }

    /// The check of our tokens by a resource server in this process.
    pub(crate) fn verification(&self) -> TokenVerification {
        TokenVerification::new(self.issuer().clone(), self.inner.audiences.clone())
    }

    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.inner.trusted_proxies
    }

    /// Reports how many decisions were left out since the last report, see [`unverified_bytes_per_minute`](crate::TokenServiceBuilder::unverified_bytes_per_minute).
    /// Call it when the service ends; until then it happens once a minute.
    pub fn report_left_out(&self) {
        self.inner.observer.report();
    }

    pub(crate) fn observer(&self) -> &Arc<Observer> {
        &self.inner.observer
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        self.inner.observer.metrics()
    }

    /// Writes the present metrics of requests, for a registry of your own; [`Operations`](crate::Operations) serves them, too.
    pub fn expose(&self, to: &mut Exposition) {
        self.metrics().expose(to);
        ComputePool::expose(&[&self.inner.backends.digests, &self.inner.backends.signatures], to);
    }

    /// Whether the credential may be checked, or there were too many failures.
    pub(crate) fn attempt<'a>(
        &self,
        source: Option<IpAddr>,
        by: impl Into<PresentedCredential<'a>>,
    ) -> Result<Attempt<'_>, Fault> {
        let moment = self.moment();
        self.inner.throttle.attempt(source, by, |secret| moment.may_be_guessed(secret))
    }

    /// Whether tokens can be revoked here.
    pub(crate) fn revokes(&self) -> bool {
        self.inner.revocation.is_some()
    }

    pub(crate) fn moment(&self) -> Arc<dyn Answers> {
        (self.inner.now)()
    }

    /// Whether the state of the store is too old to call a token active: it may have been revoked since.
    pub(crate) fn is_too_old(&self) -> bool {
        (self.inner.is_too_old)()
    }

    pub(crate) fn time(&self) -> Result<Timestamp, Fault> {
        (self.inner.clock)()
    }

    /// The nonce that DPoP proofs should have from now on.
    pub(crate) fn dpop_nonce(&self) -> Option<Box<str>> {
        self.moment().nonce(self.time().ok()?)
    }

    pub(crate) fn largest_body(&self) -> usize {
        self.inner.largest_body
    }

    pub(crate) fn large_bodies(&self) -> &Semaphore {
        &self.inner.large_bodies
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        self.inner.body_timeout
    }

    pub(crate) fn leaves_out(&self, document: MetadataDocument) -> bool {
        self.inner.left_out.contains(&document)
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    pub(crate) fn openapi(&self) -> &str {
        &self.inner.openapi
    }

    /// Answers a request that was read.
    pub(crate) async fn answer(&self, presented: Presented, audit: &mut Audit) -> Result<Granted, Denied> {
        let bits = random_bits::next(&self.inner.random)?;
        let step = self.inner.endpoint.start(presented, self.time()?, Entropy::from_bits(bits))?;
        answering::answer(step, self.moment(), &self.inner.backends, audit).await
    }

    /// Authenticates the client of a request, and nothing else.
    pub(crate) async fn client_of(
        &self,
        request: &Request<'_>,
        audit: &mut Audit,
    ) -> Result<AuthenticatedClient, Denied> {
        let inquiry = self.inner.endpoint.authenticate(request, self.time()?)?;
        let client = answering::inquire(inquiry, self.moment(), &self.inner.backends, audit).await?;
        audit.authenticated();
        Ok(client)
    }

    /// Describes a token.
    pub(crate) async fn introspect(
        &self,
        presented: PresentedToken,
        audit: &mut Audit,
    ) -> Result<Introspection, Denied> {
        let inquiry = self.inner.introspection.start(presented, self.time()?)?;
        let description = answering::inquire(inquiry, self.moment(), &self.inner.backends, audit).await?;
        audit.authenticated();
        if self.is_too_old() { Err(Fault::TooOld.into()) } else { Ok(description) }
    }

    /// Revokes a token, or says why there is nothing to revoke.
    pub(crate) async fn revoke(
        &self,
        presented: PresentedToken,
        audit: &mut Audit,
    ) -> Result<Result<Revoked, TokenFault>, Denied> {
        let Revocation { endpoint, revocations } = self.inner.revocation.as_ref().ok_or(Fault::NotFound)?;
        let (inquiry, moment) = (endpoint.start(presented, self.time()?)?, self.moment());
        let decided = answering::inquire(inquiry, Arc::clone(&moment), &self.inner.backends, audit).await?;
        audit.authenticated();
        answering::revoking::carry_out(decided, &**revocations, &*moment, || self.moment()).await
    }
}
