//! The clock of this machine: the one place where the command reads the time; everything else receives it as an argument.

use std::time::Duration;
use tokenberg_core::{Lifetime, Timestamp};

/// The present, by the clock of this machine.
///
/// # Errors
/// If the clock is so wrong that tokens signed by it would be useless.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    Ok(tokenberg_service::now()?)
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
