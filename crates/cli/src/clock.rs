//! The clock of this machine: the one place where the command reads the time; everything else receives it as an argument.

use anyhow::Context;
use std::time::{Duration, SystemTime};
use tokenberg_core::{Lifetime, Timestamp};

/// Before this, tokens made by this program cannot have existed: 2026-01-01T00:00:00Z (conformance OP-12).
const EARLIEST: i64 = 1_767_225_600;

/// The present, by the clock of this machine.
///
/// # Errors
/// If the clock is so wrong that tokens signed by it would be useless.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    let now = Timestamp::try_from(SystemTime::now()).context("the clock of this machine is wrong")?;
    anyhow::ensure!(
        now.as_seconds() >= EARLIEST,
        "the clock of this machine is wrong: its time is {}, which is before this program was built",
        crate::moment_text::written(now)
    );
    Ok(now)
}

/// The time that was given, or the next second, as [`next_second`] waits for it.
///
/// # Errors
/// As [`now`].
pub(crate) async fn or_next_second(time: Option<Timestamp>) -> anyhow::Result<Timestamp> {
    match time {
        Some(time) => Ok(time),
        None => next_second().await,
    }
}

/// Waits for the next second and returns it. Tokens carry whole seconds, so every token that was issued before the call is older
/// than the result, and no token that is issued after it is.
///
/// # Errors
/// As [`now`].
pub(crate) async fn next_second() -> anyhow::Result<Timestamp> {
    let next = now()?.plus(Lifetime::from_seconds(1));
    while now()? < next {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(next)
}
