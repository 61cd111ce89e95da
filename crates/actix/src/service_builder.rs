//! Builds the token service: what it is answered from, who signs, and the limits of its requests.

use crate::answering::Backends;
use crate::answering::compute_pool::ComputePool;
use crate::answering::throttle::Throttle;
use crate::answering::world::World;
use crate::documents::left_out::MetadataDocument;
use crate::documents::openapi;
use crate::endpoint::fault::Fault;
use crate::observe::metrics::Metrics;
use crate::observe::observer::Observer;
use crate::origin::TrustedProxies;
use crate::service::{Inner, Revocation, TokenService};
use ring::rand::SystemRandom;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokenberg_core::audit::Recorder;
use tokenberg_core::flow::GrantHook;
use tokenberg_core::metadata::{Abilities, Metadata};
use tokenberg_core::request::LARGEST_BODY;
use tokenberg_core::{
    Answers, IntrospectionEndpoint, IssuerKeys, Policy, RevocationEndpoint, Revocations, Signer, SingleUse,
    Timestamp, TokenEndpoint,
};
use tokio::sync::Semaphore;

/// How many bodies that are larger than a token request may be read at a time.
const LARGE_BODIES: usize = 8;

/// How many RSA signatures may wait, at most: bursts of that size are usual (wire-compat R11).
const SIGNATURES_WAITING: usize = 4096;

/// The longest signature that a worker makes itself while its other requests wait: RSA with 2,048 bits takes half of this.
const BRIEF_SIGNATURE: Duration = Duration::from_millis(2);

/// Builds a [`TokenService`]; everything but policy and world has a default.
///
/// ```
/// use std::time::Duration;
/// use tokenberg_actix::{Fixed, TokenService};
/// use tokenberg_core::{Answers, Policy, Revocations};
///
/// fn service(policy: Policy, answers: impl Answers + 'static, revocations: impl Revocations + 'static) -> TokenService {
///     TokenService::builder(policy, Fixed::new(answers))
///         .revocations(revocations)
///         .body_timeout(Duration::from_secs(2))
///         .build()
/// }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct TokenServiceBuilder {
    policy: Policy,
    now: Box<dyn Fn() -> Arc<dyn Answers> + Send + Sync>,
    is_too_old: Box<dyn Fn() -> bool + Send + Sync>,
    clock: Box<dyn Fn() -> Result<Timestamp, Fault> + Send + Sync>,
    revocations: Option<Box<dyn Revocations>>,
    single_use: Option<Box<dyn SingleUse>>,
    signer: Option<Box<dyn Signer>>,
    recorder: Option<Arc<dyn Recorder>>,
    issuer_keys: Option<Box<dyn IssuerKeys>>,
    sees_certificates: bool,
    audiences: Option<Vec<Box<str>>>,
    largest_body: usize,
    body_timeout: Duration,
    digests_at_once: usize,
    digests_waiting: usize,
    failures_per_client: u32,
    failures_per_source: u32,
    unverified_bytes_per_minute: u32,
    trusted_proxies: TrustedProxies,
    left_out: Vec<MetadataDocument>,
    hook: Option<Arc<dyn GrantHook>>,
}

impl TokenServiceBuilder {
    /// Asks this hook about every token that would be issued: it may deny it, narrow its scope, or add claims.
    pub fn decided_by(self, hook: impl GrantHook + 'static) -> Self {
        Self { hook: Some(Arc::new(hook)), ..self }
    }

    /// The metadata documents that are not mounted, because the host has its own at their paths.
    pub fn leave_out(self, documents: impl IntoIterator<Item = MetadataDocument>) -> Self {
        Self { left_out: documents.into_iter().collect(), ..self }
    }

    /// The `aud` that [`Bearer`](crate::Bearer) accepts; the issuer by default, which is the audience of clients that are
    /// registered without one.
    pub fn audiences(self, audiences: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self { audiences: Some(audiences.into_iter().map(Into::into).collect()), ..self }
    }

    /// Where revocations are stored. Without it, there is no revocation endpoint, and the metadata name none.
    pub fn revocations(self, revocations: impl Revocations + 'static) -> Self {
        Self { revocations: Some(Box::new(revocations)), ..self }
    }

    /// Where single-use identifiers are stored. Without it, assertions of clients and DPoP proofs are answered with 503, and the
    /// metadata list neither.
    pub fn single_use(self, single_use: impl SingleUse + 'static) -> Self {
        Self { single_use: Some(Box::new(single_use)), ..self }
    }

    /// Who signs, instead of the keys of the world, whenever it has a key that signs: a KMS or an HSM. Requests wait for it without
    /// holding up others. The world publishes the public keys and verifies with them, as `PublicKeyring` of `tokenberg-jose` does.
    pub fn signer(self, signer: impl Signer + 'static) -> Self {
        Self { signer: Some(Box::new(signer)), ..self }
    }

    /// Where a record of every decision is kept. Without it, there are only the events of [`AUDIT`](crate::AUDIT).
    pub fn recorder(self, recorder: impl Recorder + 'static) -> Self {
        Self { recorder: Some(Arc::new(recorder)), ..self }
    }

    /// The source of other issuers' keys. Without it, only issuers whose keys are in the store can be used.
    pub fn issuer_keys(self, issuer_keys: impl IssuerKeys + 'static) -> Self {
        Self { issuer_keys: Some(Box::new(issuer_keys)), ..self }
    }

    /// Declares that the server requests client certificates, see
    /// `ClientAuthorities` and `read_certificate`, so that the
    /// metadata list them as an authentication method.
    pub fn client_certificates(self) -> Self {
        Self { sees_certificates: true, ..self }
    }

    /// The timeout of a body, counted from its head; 5 s (conformance HT-09).
    pub fn body_timeout(self, body_timeout: Duration) -> Self {
        Self { body_timeout, ..self }
    }

    /// The largest token request in bytes; 64 KiB, and never more than the core reads. A body with a token to be introspected or
    /// revoked may be a megabyte larger.
    pub fn largest_body(self, largest_body: usize) -> Self {
        Self { largest_body: largest_body.min(LARGEST_BODY), ..self }
    }

    /// The clock; that of the system by default.
    pub fn clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(move || Ok(clock())), ..self }
    }

    /// The limit of concurrent costly digests, and separately of costly signatures; one per core by default.
    pub fn digests_at_once(self, digests_at_once: usize) -> Self {
        Self { digests_at_once, ..self }
    }

    /// How many more digests may wait before 503 is answered; 64, and never more than are computed within 0.8 s.
    pub fn digests_waiting(self, digests_waiting: usize) -> Self {
        Self { digests_waiting, ..self }
    }

    /// How many wrong secrets a minute one source, an address or an IPv6 site of 2^64, may present for one client identifier
    /// before its secrets are answered with 429 unchecked; 30. Generated secrets are always checked.
    pub fn failures_per_client(self, failures_per_client: u32) -> Self {
        Self { failures_per_client, ..self }
    }

    /// The same for all client identifiers together; 600. It does not apply to a client that has been authenticated from there.
    pub fn failures_per_source(self, failures_per_source: u32) -> Self {
        Self { failures_per_source, ..self }
    }

    /// How many bytes of audit records a minute requests without client authentication may cause, each with a line of the log;
    /// 128 KiB. Beyond that they are counted by outcome, which a record and a line a minute report. A source may have one for
    /// every 8 KiB.
    pub fn unverified_bytes_per_minute(self, unverified_bytes_per_minute: u32) -> Self {
        Self { unverified_bytes_per_minute, ..self }
    }

    /// The proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` are used; none by default.
    pub fn trusted_proxies(self, trusted_proxies: TrustedProxies) -> Self {
        Self { trusted_proxies, ..self }
    }

    /// Builds the service.
    #[must_use]
    pub fn build(self) -> TokenService {
        let issuer = &self.policy.issuer;
        let can = Abilities {
            introspects: true,
            revokes: self.revocations.is_some(),
            records_uses: self.single_use.is_some(),
            sees_certificates: self.sees_certificates,
        };
        let audiences = self.audiences.unwrap_or_else(|| vec![issuer.as_str().into()]);
        let metadata = Metadata::new(issuer, can);
        let openapi = openapi::document(issuer, can).to_string();
        let mut endpoint = TokenEndpoint::new(self.policy);
        if let Some(hook) = self.hook {
            endpoint = endpoint.decided_by(hook);
        }
        let revocation =
            |revocations| Revocation { endpoint: RevocationEndpoint::of(&endpoint), revocations };
        let metrics = Arc::<Metrics>::default();
        let throttle =
            Throttle::new(self.failures_per_client, self.failures_per_source, Arc::clone(&metrics));
        let inner = Inner {
            audiences,
            left_out: self.left_out,
            metadata,
            openapi,
            introspection: IntrospectionEndpoint::of(&endpoint),
            revocation: self.revocations.map(revocation),
            endpoint,
            now: self.now,
            is_too_old: self.is_too_old,
            clock: self.clock,
            random: SystemRandom::new(),
            backends: Backends {
                digests: ComputePool::new(
                    "digest",
                    (self.digests_at_once, self.digests_waiting),
                    Duration::ZERO,
                    Arc::clone(&metrics),
                ),
                signatures: ComputePool::new(
                    "signature",
                    (self.digests_at_once, SIGNATURES_WAITING),
                    BRIEF_SIGNATURE,
                    Arc::clone(&metrics),
                ),
                signer: self.signer,
                single_use: self.single_use,
                issuer_keys: self.issuer_keys,
            },
            throttle,
            trusted_proxies: self.trusted_proxies,
            observer: Arc::new(Observer::new(metrics, self.recorder, self.unverified_bytes_per_minute)),
            largest_body: self.largest_body,
            large_bodies: Semaphore::new(LARGE_BODIES),
            body_timeout: self.body_timeout,
        };
        TokenService { inner: Arc::new(inner) }
    }
}

impl TokenService {
    /// Begins a request with the facts that hold for every request, and the moment that it is answered from.
    pub fn builder(policy: Policy, world: impl World) -> TokenServiceBuilder {
        let world = Arc::new(world);
        let now = Arc::clone(&world);
        TokenServiceBuilder {
            policy,
            now: Box::new(move || now.now()),
            is_too_old: Box::new(move || world.is_too_old()),
            clock: Box::new(system_clock),
            revocations: None,
            single_use: None,
            signer: None,
            recorder: None,
            issuer_keys: None,
            sees_certificates: false,
            audiences: None,
            largest_body: LARGEST_BODY,
            body_timeout: Duration::from_secs(5),
            digests_at_once: std::thread::available_parallelism().map_or(1, usize::from),
            digests_waiting: 64,
            failures_per_client: 30,
            failures_per_source: 600,
            unverified_bytes_per_minute: 128 * 1024,
            trusted_proxies: TrustedProxies::default(),
            left_out: Vec::new(),
            hook: None,
        }
    }
}

fn system_clock() -> Result<Timestamp, Fault> {
    SystemTime::now().try_into().map_err(|_| Fault::NoTime)
}
