//! What makes a token good for a catalog? RFC 9068 §4, in the process of the token service or in another.

use crate::bearer_error::BearerError;
use crate::service::TokenService;
use std::sync::Arc;
use tokenberg_core::{
    AccessTokenClaims, CompactJws, Possession, Recollection, SignatureFault, Timestamp, TokenFault,
    TokenVerification, Verified,
};

type Check = dyn Fn(&str) -> Result<AccessTokenClaims, BearerError> + Send + Sync;

/// How [`Bearer`](crate::Bearer) checks tokens; to be put into the app with
/// [`App::app_data`](actix_web::App::app_data).
#[derive(Clone)]
pub struct BearerConfig {
    check: Arc<Check>,
    expired_as_419: bool,
}

impl BearerConfig {
    /// For a catalog in the same process: what was revoked or disabled counts from the next request on.
    #[must_use]
    pub fn of(service: &TokenService) -> Self {
        let (service, verification) = (service.clone(), service.verification());
        Self::checking(move |token| {
            let now = service.time().map_err(|_| BearerError::Unavailable)?;
            let moment = service.moment();
            let token = verification.framed(token)?;
            let claims = verification.claims(
                &token,
                moment.keys().verify(&token, now),
                now,
                &Possession::default(),
            )?;
            let recollection = Recollection::of(&*moment, &claims);
            Ok(verification.recalled(claims, recollection)?)
        })
    }

    /// For a catalog in another process, which has the published keys and a clock, and cannot know what was revoked.
    #[must_use]
    pub fn verifying(
        verification: TokenVerification,
        verify: impl Fn(&CompactJws) -> Result<Verified, SignatureFault> + Send + Sync + 'static,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self::checking(move |token| {
            let token = verification.framed(token)?;
            Ok(verification.claims(&token, verify(&token), clock(), &Possession::default())?)
        })
    }

    /// Answers 419 to an expired token, for old PyIceberg; others recover on 401 only (conformance IC-06).
    #[must_use]
    pub fn expired_as_419(self) -> Self {
        Self { expired_as_419: true, ..self }
    }

    fn checking(
        check: impl Fn(&str) -> Result<AccessTokenClaims, BearerError> + Send + Sync + 'static,
    ) -> Self {
        Self { check: Arc::new(check), expired_as_419: false }
    }

    pub(crate) fn check(&self, token: &str) -> Result<AccessTokenClaims, BearerError> {
        match (self.check)(token) {
            Err(BearerError::InvalidToken(fault @ TokenFault::Expired { .. })) if self.expired_as_419 => {
                Err(BearerError::TimedOut(fault))
            }
            other => other,
        }
    }
}
