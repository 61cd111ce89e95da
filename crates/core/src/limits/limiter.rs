//! The failures of all clients and sources, in tables of fixed size.

use super::attempt::{Attempt, Counted, Guess, Judged};
use super::failures::{Allowance, FailureTable};
use crate::Lifetime;
use std::time::Duration;

/// Counts failures, and refuses sources that had too many.
///
/// It has no lock and no clock: `now` is the time since any fixed moment, such as the start of the process, by a clock that never goes
/// back. Its memory is allocated when it is made. No source is refused that did not fail itself, and every refusal ends within
/// two minutes of the last failure.
pub struct Limiter {
    by_client: FailureTable,
    by_source: FailureTable,
    /// Bad signatures that were costly to verify, by source.
    forgeries: FailureTable,
    /// Pairs of client and source that have authenticated.
    authenticated: Box<[u64]>,
}

/// A source had too many failures. [`Reply::too_many_failures`](crate::Reply::too_many_failures) is the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed authentications; refused for {retry_after}")]
pub struct TooManyFailures {
    /// Which limit it exceeded.
    pub by: LimitedBy,
    /// How long it is refused: whole seconds, at most two minutes.
    pub retry_after: Lifetime,
}

/// A limit of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// That of one client identifier at one source.
    Client,
    /// That of a source, for all identifiers together, or for forged signatures.
    Source,
}

impl Limiter {
    /// At most so many failures a minute from one source: for one client identifier, and for all together. `capacity` is the number of
    /// pairs of client and source, and of sources, whose failures are known at a time; about 40 bytes for each.
    #[must_use]
    pub fn new(for_one_client: u32, for_all: u32, capacity: usize) -> Self {
        Self {
            by_client: FailureTable::new(Allowance::per_minute(for_one_client), capacity),
            by_source: FailureTable::new(Allowance::per_minute(for_all), capacity),
            forgeries: FailureTable::new(Allowance::per_minute(for_all), capacity / 16),
            authenticated: vec![0; (capacity / 2).max(1)].into(),
        }
    }

    /// Checks whether the credential may be verified. Call it before anything costly is done.
    ///
    /// A secret that cannot be guessed is always verified. So are costly signatures, except from a source that forges them.
    ///
    /// # Errors
    /// [`TooManyFailures`] of this source, for this client or for all.
    pub fn check(&self, attempt: &Attempt, now: Duration) -> Result<(), TooManyFailures> {
        if let Some(source) = attempt.costly_signature() {
            return refused(&self.forgeries, source, LimitedBy::Source, now);
        }
        match attempt.guess() {
            Some(guess) if guess.may_be_guessed => self.check_guess(guess, now),
            Some(_) | None => Ok(()),
        }
    }

    fn check_guess(&self, guess: &Guess, now: Duration) -> Result<(), TooManyFailures> {
        for pair in &guess.pairs {
            refused(&self.by_client, *pair, LimitedBy::Client, now)?;
        }
        if guess.pairs.iter().any(|pair| self.authenticated[self.slot(*pair)] == *pair) {
            return Ok(());
        }
        refused(&self.by_source, guess.source, LimitedBy::Source, now)
    }

    /// Counts the outcome of an attempt.
    ///
    /// A generated secret has 256 random bits. The answer whether one is right is safe at any time, because no number of attempts
    /// finds one; so a client that shares the source and the identifier with an attacker continues to work. A wrong one is refused
    /// here, as [`Limiter::check`] refuses a secret that can be guessed.
    ///
    /// # Errors
    /// [`TooManyFailures`] instead of the refusal of a wrong secret.
    pub fn record(&mut self, outcome: Judged, now: Duration) -> Result<(), TooManyFailures> {
        match outcome.0 {
            Counted::Failure(guess) => {
                if !guess.may_be_guessed {
                    self.check_guess(&guess, now)?;
                }
                for (at, pair) in guess.pairs.iter().enumerate() {
                    if !guess.pairs[..at].contains(pair) {
                        self.by_client.record(*pair, now);
                    }
                }
                self.by_source.record(guess.source, now);
            }
            Counted::Success(guess) => {
                for pair in guess.pairs {
                    let slot = self.slot(pair);
                    self.authenticated[slot] = pair;
                }
            }
            Counted::Forgery(source) => self.forgeries.record(source, now),
        }
        Ok(())
    }

    fn slot(&self, pair: u64) -> usize {
        (pair % self.authenticated.len() as u64) as usize
    }
}

fn refused(table: &FailureTable, key: u64, by: LimitedBy, now: Duration) -> Result<(), TooManyFailures> {
    match table.refused_for(key, now) {
        Some(retry_after) => Err(TooManyFailures { by, retry_after }),
        None => Ok(()),
    }
}
