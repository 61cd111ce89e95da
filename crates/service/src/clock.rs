//! The clock of this machine: the one place where the service reads the time.

use crate::error::ClockError;
use std::time::{Duration, SystemTime};
use tokenberg_core::Timestamp;

/// Before this, tokens made by this program cannot have existed: 2026-01-01T00:00:00Z (conformance OP-12).
const EARLIEST: i64 = 1_767_225_600;

/// How far the clocks of two machines may differ before tokens of the one are refused by the other: the leeway of
/// [`Policy`](tokenberg_core::Policy).
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(5);

/// The present, by the clock of this machine.
///
/// # Errors
/// If the clock is so wrong that tokens signed by it would be useless.
pub fn now() -> Result<Timestamp, ClockError> {
    let now = Timestamp::try_from(SystemTime::now()).map_err(|_| ClockError::OutOfRange)?;
    if now.as_seconds() < EARLIEST { Err(ClockError::BeforeThisProgram { now }) } else { Ok(now) }
}
