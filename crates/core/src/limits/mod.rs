//! Limits failed authentications by client and source, in bounded memory: RFC 6749 §10.10, conformance AB-01 to AB-04, D26.
//!
//! As everywhere in this crate, time and randomness are arguments. An adapter keeps one [`Limiter`] behind a lock, and does three
//! things for each request:
//!
//! ```
//! use std::hash::RandomState;
//! use std::sync::Mutex;
//! use std::time::Instant;
//! use tokenberg_core::limits::{Attempt, Limiter};
//! use tokenberg_core::{Answers, Presented, Reply, drive};
//! # use tokenberg_core::{Entropy, Policy, Timestamp, TokenEndpoint};
//! # let world = tokenberg_testkit::World::new();
//! # let endpoint = TokenEndpoint::new(Policy::new("https://as.test".parse()?));
//! # let (time, source) = (Timestamp::from_seconds(tokenberg_testkit::NOW)?, "192.0.2.1".parse().ok());
//!
//! // For the life of the process: two failures a minute of a source for one client, and 300 for all of them.
//! let (keys, begun, limiter) = (RandomState::new(), Instant::now(), Mutex::new(Limiter::new(2, 300, 32 * 1024)));
//! # let mut answer = |bits| -> Result<Reply, Box<dyn std::error::Error>> {
//! # let entropy = Entropy::from_bits([bits; 16]);
//!
//! let presented = Presented::read(&[], None, b"grant_type=client_credentials&client_id=c1&client_secret=wrong")?;
//! let attempt = Attempt::of(presented.authentication(), source, &keys, |secret| world.may_be_guessed(secret));
//! // Before anything that is costly.
//! if let Err(limited) = limiter.lock().unwrap().check(&attempt, begun.elapsed()) {
//!     return Ok(Reply::too_many_failures(&limited));
//! }
//! let outcome = drive(endpoint.start(presented, time, entropy)?, &world, &world);
//! // After it.
//! if let Some(judged) = attempt.judged(outcome.as_ref().err()) {
//!     if let Err(limited) = limiter.lock().unwrap().record(judged, begun.elapsed()) {
//!         return Ok(Reply::too_many_failures(&limited));
//!     }
//! }
//! # Ok(Reply::not_granted(endpoint.policy(), &outcome.unwrap_err(), None)) };
//! # assert_eq!([answer(1)?.status, answer(2)?.status, answer(3)?.status], [401, 401, 429]);
//! # assert_eq!(answer(4)?.header("retry-after"), Some("30"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attempt;
mod failures;
mod limiter;
mod source;

pub use attempt::{Attempt, Judged, PresentedCredential};
pub use failures::{Allowance, FailureTable};
pub use limiter::{LimitedBy, Limiter, TooManyFailures};
pub use source::source_of;
