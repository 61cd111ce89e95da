//! When, and for how long? Seconds as JSON integers: NumericDate, RFC 7519 §2.

use serde::{Deserialize, Serialize};

/// The last second of the year 9999: a later time is a mistake or an attack.
const LAST: i64 = 253_402_300_799;

/// A point in time, in whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2, NumericDate without a fraction).
///
/// Always within the years 1970 to 9999, so that no sum with a [`Lifetime`] overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// A number that is no point in time that we handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a time in seconds between the years 1970 and 9999")]
pub struct TimestampOutOfRange(pub i64);

impl Timestamp {
    /// The point in time `seconds` after the epoch.
    ///
    /// # Errors
    /// If it lies outside of the years 1970 to 9999.
    pub fn from_seconds(seconds: i64) -> Result<Self, TimestampOutOfRange> {
        if (0..=LAST).contains(&seconds) { Ok(Self(seconds)) } else { Err(TimestampOutOfRange(seconds)) }
    }

    /// Seconds since the epoch, from 0 to 253402300799.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0
    }

    /// This time and `lifetime` more; the end of the year 9999 at most.
    #[must_use]
    pub fn plus(self, lifetime: Lifetime) -> Self {
        Self((self.0 + i64::from(lifetime.0)).min(LAST))
    }

    /// How long from `earlier` until this time; zero if `earlier` is in fact later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Lifetime {
        Lifetime(u32::try_from((self.0 - earlier.0).max(0)).unwrap_or(u32::MAX))
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = TimestampOutOfRange;
    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        Self::from_seconds(seconds)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A length of time in whole seconds, from 0 to about 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(u32);

impl Lifetime {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// So many hours; 136 years at most.
    #[must_use]
    pub const fn from_hours(hours: u32) -> Self {
        Self(hours.saturating_mul(3600))
    }

    /// The length in seconds.
    #[must_use]
    pub const fn as_seconds(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Lifetime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_03_times_beyond_2038_are_kept_and_nothing_overflows() {
        let in_2038 = Timestamp::from_seconds(2_147_558_400).unwrap();
        assert_eq!(in_2038.plus(Lifetime::from_hours(1)).as_seconds(), 2_147_562_000);
        let last = Timestamp::from_seconds(LAST).unwrap();
        assert_eq!(last.plus(Lifetime::from_seconds(u32::MAX)), last);
        assert!(Timestamp::from_seconds(LAST + 1).is_err());
        assert!(Timestamp::from_seconds(-1).is_err());
    }

    #[test]
    fn since_is_never_negative() {
        let (early, late) = (Timestamp(10), Timestamp(25));
        assert_eq!(late.since(early), Lifetime(15));
        assert_eq!(early.since(late), Lifetime::ZERO);
    }
}
