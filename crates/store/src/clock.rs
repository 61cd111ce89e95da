//! The clock of this machine, and how far it is from that of the database server.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the clock of this machine. A record holds when it was made, whichever time a request is judged
/// by.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How far the clock of this machine is ahead of that of the database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockOffset {
    /// Milliseconds; negative if this machine is behind.
    pub milliseconds: i64,
    /// Half of the round trip in milliseconds: how far the true offset may be from it.
    pub uncertainty: i64,
}

impl ClockOffset {
    /// From the time of the server, and the times of this machine before and after, in milliseconds since 1970.
    pub(crate) fn of(server: i64, sent: i64, took: Duration) -> Self {
        let uncertainty = i64::try_from(took.as_millis() / 2).unwrap_or(i64::MAX).saturating_add(1);
        Self { milliseconds: sent.saturating_add(uncertainty).saturating_sub(server), uncertainty }
    }

    /// Whether the clocks differ by more than this, beyond doubt.
    #[must_use]
    pub fn exceeds(&self, limit: Duration) -> bool {
        u128::from(self.certain().unsigned_abs()) > limit.as_millis()
    }

    /// The part of the offset that no delay of the network explains, in milliseconds.
    #[must_use]
    pub fn certain(&self) -> i64 {
        let certain = self.milliseconds.saturating_abs().saturating_sub(self.uncertainty).max(0);
        certain * self.milliseconds.signum()
    }
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.milliseconds.unsigned_abs();
        let direction = if self.milliseconds < 0 { "behind" } else { "ahead of" };
        write!(
            f,
            "the clock of this machine is {}.{} s {direction} that of the database",
            seconds / 1000,
            seconds % 1000 / 100
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_6_only_what_the_round_trip_does_not_explain_is_a_wrong_clock() {
        for (server, sent, took, certain) in [
            (10_000, 10_000, 0, 0),
            (10_000, 9_000, 2_000, 0),
            (10_000, 5_000, 2_000, -3_000),
            (10_000, 17_000, 0, 7_000),
            (10_000, 17_000, 4_000, 7_000),
        ] {
            let offset = ClockOffset::of(server, sent, Duration::from_millis(took));
            let found = offset.certain();
            assert!((found - certain).abs() <= 2, "{server} {sent} {took}: {offset:?} {found}");
        }
    }
}
