//! Limits guesses at secrets: the core counts them, this program brings the lock, the clock and the random keys of its tables.

use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokenberg_core::limits::{Attempt, Limiter, PresentedCredential, TooManyFailures};
use tokenberg_core::{NotGranted, Secret};

pub struct Guesses {
    limiter: Mutex<Limiter>,
    keys: RandomState,
    begun: Instant,
}

impl Default for Guesses {
    /// 30 wrong secrets a minute of one client at one address, and 300 of all clients there.
    fn default() -> Self {
        let limiter = Mutex::new(Limiter::new(30, 300, 32 * 1024));
        Self { limiter, keys: RandomState::new(), begun: Instant::now() }
    }
}

impl Guesses {
    /// Before the credential is verified.
    pub fn begin<'a>(
        &self,
        credential: impl Into<PresentedCredential<'a>>,
        address: IpAddr,
        may_be_guessed: impl Fn(&Secret) -> bool,
    ) -> Result<Attempt, TooManyFailures> {
        let attempt = Attempt::of(credential, Some(address), &self.keys, may_be_guessed);
        if attempt.may_be_refused() {
            self.limiter().check(&attempt, self.begun.elapsed())?;
        }
        Ok(attempt)
    }

    /// With the outcome: why the client got nothing, if so.
    pub fn end(&self, attempt: Attempt, reason: Option<&NotGranted>) -> Result<(), TooManyFailures> {
        let Some(judged) = attempt.judged(reason) else { return Ok(()) };
        self.limiter().record(judged, self.begun.elapsed())
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
