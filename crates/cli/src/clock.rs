//! The clock of this machine: the one place where the command reads the time; everything else receives it as an argument.

use anyhow::Context;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::Store;

/// The present, by the clock of this machine.
///
/// # Errors
/// If the clock is so wrong that tokens signed by it would be useless.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    Ok(tokenberg_service::now()?)
}

/// The time that was given, or the next second by the clock of the database, which does not depend on that of this machine. Every
/// token that was issued before the call is older than the result, as with [`next_second`], if the clocks of the servers agree with
/// that of the database.
///
/// # Errors
/// As [`now`], or if the time that was given is in the future for the database.
pub(crate) async fn or_next_second(store: &Store, time: Option<Timestamp>) -> anyhow::Result<Timestamp> {
    let Some(offset) = store.clock_offset() else {
        return match time {
            Some(time) => Ok(time),
            None => next_second().await,
        };
    };
    let milliseconds = || -> anyhow::Result<i64> {
        let here =
            SystemTime::now().duration_since(UNIX_EPOCH).context("the clock of this machine is wrong")?;
        Ok(i64::try_from(here.as_millis())? - offset.milliseconds)
    };
    let latest = milliseconds()?.saturating_add(offset.uncertainty);
    if let Some(time) = time {
        anyhow::ensure!(
            time.as_seconds() <= latest.div_euclid(1000),
            "the time is in the future by the clock of the database; {offset}"
        );
        return Ok(time);
    }
    let next = latest.div_euclid(1000) + 1;
    while milliseconds()?.saturating_sub(offset.uncertainty) < next * 1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Timestamp::from_seconds(next)?)
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
