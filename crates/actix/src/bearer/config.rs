//! Configures which tokens a catalog accepts (RFC 9068 §4, RFC 9449 §7), in the process of the token service or in another.

use crate::bearer::error::BearerError;
use crate::service::TokenService;
use futures_util::future::Either;
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use tokenberg_core::answers::TokenStatus;
use tokenberg_core::backends::BoxFuture;
use tokenberg_core::error::Realm;
use tokenberg_core::jws::DpopProof;
use tokenberg_core::token::{Possession, SingleUseId};
use tokenberg_core::{
    AccessTokenClaims, CompactJws, IssuerKeys, KeySource, SignatureFault, SingleUse, Timestamp, TokenFault,
    TokenVerification, Trust, TrustedIssuer, Verified,
};

/// The claims of an accepted token, or why it is refused.
pub(crate) type Checked = Result<Arc<AccessTokenClaims>, BearerError>;
/// The result, or a future that waits for keys.
pub(crate) type Checking = Either<Checked, BoxFuture<'static, Checked>>;
type Check = dyn Fn(&str, Timestamp, &Possession) -> Checking + Send + Sync;
type Clock = dyn Fn() -> Result<Timestamp, BearerError> + Send + Sync;
type VerifyProof = dyn Fn(&DpopProof) -> Result<Verified, SignatureFault> + Send + Sync;

/// Checks a token of ours as of now: its signature, its claims by each of the verifications, and what the operator did since it was
/// issued. What [`Keys::read`](tokenberg_core::Keys::read) has verified before is not verified again.
///
/// # Errors
/// A [`BearerError`] if the token is not valid, or the state of the store is too old to know.
pub(crate) fn check_now(
    service: &TokenService,
    (verification, others): (&TokenVerification, &[TokenVerification]),
    token: &str,
    now: Timestamp,
    possession: &Possession,
) -> Result<Arc<AccessTokenClaims>, BearerError> {
    let moment = service.moment();
    let issuer = verification.issuer();
    let token = moment.keys().read(token, issuer, now).ours(issuer)?;
    let claims = verification.signed(&token, now, possession)?;
    for other in others {
        other.signed(&token, now, possession)?;
    }
    let status = TokenStatus::of(&*moment, &claims);
    let claims = verification.recalled(claims, status)?;
    if service.is_too_old() { Err(BearerError::TooOld) } else { Ok(claims) }
}

/// The configuration of [`Bearer`](crate::Bearer), to be passed to [`App::app_data`](actix_web::App::app_data).
///
/// ```no_run
/// use actix_web::{App, web};
/// use tokenberg_actix::{Bearer, BearerConfig, TokenService};
/// # fn f(service: TokenService) {
///
/// let config = BearerConfig::of(&service).at("https://catalog.example");
/// let tables = |token: Bearer| async move { format!("the tables of {}", token.subject()) };
/// let app = App::new().app_data(config).route("/v1/tables", web::get().to(tables));
/// # drop(app); }
/// ```
#[derive(Clone)]
pub struct BearerConfig {
    verification: TokenVerification,
    check: Arc<Check>,
    clock: Arc<Clock>,
    verify_proof: Option<Arc<VerifyProof>>,
    base: Option<Arc<str>>,
    single_use: Option<Arc<dyn SingleUse>>,
    expired_as_419: bool,
    realm: Realm,
}

impl BearerConfig {
    /// For a catalog in the same process: a revocation or disabling takes effect with the next request.
    #[must_use]
    pub fn of(service: &TokenService) -> Self {
        let verification = service.verification();
        let (checking, timing, proving) = (service.clone(), service.clone(), service.clone());
        let checked = verification.clone();
        let check = move |token: &str, now: Timestamp, possession: &Possession| {
            check_now(&checking, (&checked, &[]), token, now, possession)
        };
        Self {
            verification,
            check: Arc::new(move |token, now, possession| Either::Left(check(token, now, possession))),
            clock: Arc::new(move || timing.time().map_err(|_| BearerError::Unavailable)),
            verify_proof: Some(Arc::new(move |proof| proving.moment().keys().verify_proof(proof))),
            base: None,
            single_use: None,
            expired_as_419: false,
            realm: service.policy().realm.clone(),
        }
    }

    /// For a catalog in another process, which has the published keys and a clock, but does not know of revocations.
    #[must_use]
    pub fn verifying(
        verification: TokenVerification,
        verify: impl Fn(&CompactJws) -> Result<Verified, SignatureFault> + Send + Sync + 'static,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let checked = verification.clone();
        let check = move |token: &str, now: Timestamp, possession: &Possession| {
            let token = checked.framed(token)?;
            Ok(checked.claims(&token, verify(&token), now, possession)?)
        };
        let check = move |token: &str, now: Timestamp, possession: &Possession| {
            Either::Left(check(token, now, possession))
        };
        Self::of_another_process(verification, Arc::new(check), Arc::new(move || Ok(clock())))
    }

    /// For a catalog in another process, with keys that are fetched when they are needed, as by `IssuerKeySets` of
    /// `tokenberg-jose`: from the address in the issuer's metadata. While they cannot be obtained, requests are answered with 503
    /// and `Retry-After`, never with 401. Revocations are not known here; ask the introspection endpoint for these, or let tokens
    /// live for a short time.
    #[must_use]
    pub fn verifying_with(verification: TokenVerification, keys: impl IssuerKeys + 'static) -> Self {
        let issuer = verification.issuer().clone();
        let issuer = TrustedIssuer { issuer, enabled: true, trust: Trust::new(KeySource::Discovery) };
        Self::verifying_with_keys_of(verification, issuer, keys)
    }

    /// The same, for keys at another address than that in the metadata, or in a file; [`Trust::keys`] states where. The algorithms
    /// of [`Trust::algorithms`] are accepted; of all else in `issuer` nothing is used.
    #[must_use]
    pub fn verifying_with_keys_of(
        verification: TokenVerification,
        issuer: TrustedIssuer,
        keys: impl IssuerKeys + 'static,
    ) -> Self {
        let shared = Arc::new((verification.clone(), issuer, keys));
        let check = move |token: &str, now: Timestamp, possession: &Possession| {
            let token = match shared.0.framed(token) {
                Ok(token) => token,
                Err(fault) => return Either::Left(Err(fault.into())),
            };
            let (shared, possession) = (Arc::clone(&shared), possession.clone());
            let fetched: BoxFuture<'static, Checked> = Box::pin(async move {
                let (verification, issuer, keys) = &*shared;
                let verified =
                    keys.verify(issuer, &token, now).await.map_err(BearerError::KeysUnavailable)?;
                Ok(verification.claims(&token, verified, now, &possession)?)
            });
            Either::Right(fetched)
        };
        Self::of_another_process(verification, Arc::new(check), Arc::new(system_clock))
    }

    fn of_another_process(verification: TokenVerification, check: Arc<Check>, clock: Arc<Clock>) -> Self {
        Self {
            verification,
            check,
            clock,
            verify_proof: None,
            base: None,
            single_use: None,
            expired_as_419: false,
            realm: Realm::default(),
        }
    }

    /// Reads another clock than that of the system, or of the service.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(move || Ok(clock())), ..self }
    }

    /// Accepts tokens that are bound to a key, with the scheme `DPoP`, for requests to addresses under this one: the scheme and
    /// host that clients use, and the path prefix that a proxy removes, as in `https://catalog.example`. No header of a request,
    /// such as Host, decides where it was sent to.
    #[must_use]
    pub fn at(self, base: &str) -> Self {
        Self { base: Some(base.trim_end_matches('/').into()), ..self }
    }

    /// How a catalog in another process verifies the signature of a DPoP proof, for example by
    /// [`Keys::verify_proof`](tokenberg_core::Keys::verify_proof). Without it, [`BearerConfig::at`] has no effect there.
    #[must_use]
    pub fn verify_proofs(
        self,
        verify_proof: impl Fn(&DpopProof) -> Result<Verified, SignatureFault> + Send + Sync + 'static,
    ) -> Self {
        Self { verify_proof: Some(Arc::new(verify_proof)), ..self }
    }

    /// Accepts each DPoP proof once (RFC 9449 §11.1). Without a memory, an attacker who sees a request with its proof can repeat
    /// the request within a minute.
    #[must_use]
    pub fn single_use(self, single_use: impl SingleUse + 'static) -> Self {
        Self { single_use: Some(Arc::new(single_use)), ..self }
    }

    /// Answers 419 to an expired token, for old PyIceberg; others recover on 401 only (conformance IC-06).
    #[must_use]
    pub fn expired_as_419(self) -> Self {
        Self { expired_as_419: true, ..self }
    }

    /// Sets the realm of challenges; that of the service's policy or, in another process, `tokenberg` by default.
    #[must_use]
    pub fn realm(self, realm: Realm) -> Self {
        Self { realm, ..self }
    }

    pub(crate) fn in_realm(&self) -> &Realm {
        &self.realm
    }

    /// Whether a token that this configuration has accepted for a request needs no second check by the other.
    pub(crate) fn accepts_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.check, &other.check) && self.base == other.base
    }

    /// Whether tokens are accepted with the scheme `DPoP`.
    pub(crate) fn takes_proofs(&self) -> bool {
        self.base.is_some() && self.verify_proof.is_some()
    }

    pub(crate) fn memory(&self) -> Option<&Arc<dyn SingleUse>> {
        self.single_use.as_ref()
    }

    /// Verifies a token that came in another way than in a header of a request. A token that is bound to a key or a certificate is
    /// refused, because its presenter has proven neither.
    ///
    /// # Errors
    /// Why the token is refused.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessTokenClaims>, BearerError> {
        match self.check(token, &Possession { key: None, certificate: None }) {
            Either::Left(checked) => checked,
            Either::Right(checking) => checking.await,
        }
    }

    /// Checks a token whose presenter has proven this possession.
    pub(crate) fn check(&self, token: &str, possession: &Possession) -> Checking {
        let expired_as_419 = self.expired_as_419;
        let reported = move |checked: Checked| match checked {
            Err(BearerError::InvalidToken(fault @ TokenFault::Expired { .. })) if expired_as_419 => {
                Err(BearerError::TimedOut(fault))
            }
            other => other,
        };
        let now = match (self.clock)() {
            Ok(now) => now,
            Err(error) => return Either::Left(Err(error)),
        };
        match (self.check)(token, now, possession) {
            Either::Left(checked) => Either::Left(reported(checked)),
            Either::Right(checking) => Either::Right(Box::pin(async move { reported(checking.await) })),
        }
    }

    /// Checks a proof for this token and a request with this method to this path.
    pub(crate) fn prove(
        &self,
        proof: &DpopProof,
        token: &str,
        method: &str,
        path: &str,
    ) -> Result<(Possession, SingleUseId), BearerError> {
        let (Some(base), Some(verify)) = (&self.base, &self.verify_proof) else {
            return Err(BearerError::NoCredentials);
        };
        let mut hash = [0; 32];
        let digest = digest(&SHA256, token.as_bytes());
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        let address = format!("{base}{path}");
        let now = (self.clock)()?;
        Ok(self.verification.proof(proof, verify(proof), (method, &address), hash, now)?)
    }
}

fn system_clock() -> Result<Timestamp, BearerError> {
    std::time::SystemTime::now().try_into().map_err(|_| BearerError::Unavailable)
}
