//! For tests of programs that use the extractor: a token made by hand, and a clock that stands still.
//!
//! Only with the feature `testing`, which belongs into `[dev-dependencies]`: a [`Bearer`] that is made here was never verified.

use crate::bearer::Bearer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_core::token::Session;
use tokenberg_core::{AccessTokenClaims, ClientId, Issuer, Lifetime, Scope, Timestamp, TokenId};

/// A token with these claims, as a handler receives it. Nothing about it is checked.
#[must_use]
pub fn bearer(claims: AccessTokenClaims) -> Bearer {
    Bearer::new(Arc::new(claims))
}

/// The claims of a token that the client has for itself: issued now, for an hour, for the issuer as the audience. Change what the
/// test needs otherwise.
#[must_use]
pub fn claims(issuer: &Issuer, client: &ClientId, scope: &Scope, now: Timestamp) -> AccessTokenClaims {
    let id = TokenId::from_bits([7; 16]);
    AccessTokenClaims {
        issuer: issuer.clone(),
        audience: vec![issuer.as_str().into()],
        subject: client.into(),
        client_id: client.clone(),
        issued_at: now,
        expires_at: now.plus(Lifetime::from_hours(1)),
        token_id: id.clone(),
        scope: scope.clone(),
        actor: None,
        confirmation: None,
        session: Session::own(id, now, now.plus(Lifetime::from_hours(12))),
        extra: Default::default(),
    }
}

/// A clock that stands still until the test moves it. A clone is the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Timestamp>>);

impl Clock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    /// The time that it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.time()
    }

    /// Lets time pass.
    pub fn pass(&self, time: Lifetime) {
        let mut now = self.time();
        *now = now.plus(time);
    }

    /// The clock as a function, for [`TokenServiceBuilder::clock`](crate::TokenServiceBuilder::clock) and
    /// [`BearerConfig::clock`](crate::BearerConfig::clock).
    pub fn reader(&self) -> impl Fn() -> Timestamp + Clone + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }

    fn time(&self) -> MutexGuard<'_, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
