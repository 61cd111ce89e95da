//! Points in time and durations, in seconds as JSON integers: NumericDate, RFC 7519 §2.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

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
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The point in time `seconds` after the epoch.
    ///
    /// # Errors
    /// If it lies outside of the years 1970 to 9999.
    pub fn from_seconds(seconds: i64) -> Result<Self, TimestampOutOfRange> {
        if (0..=LAST).contains(&seconds) { Ok(Self(seconds)) } else { Err(TimestampOutOfRange(seconds)) }
    }

    /// How far it is from `now`, for people: `in 59m58s`, `1d1h ago` or `now`. Where it has days, minutes and seconds are omitted.
    #[must_use]
    pub fn distance_from(self, now: Self) -> String {
        let rounded = |lifetime: Lifetime| {
            let seconds = lifetime.as_seconds();
            let grain = if seconds >= 86_400 { 3600 } else { 1 };
            Lifetime::from_seconds(seconds / grain * grain)
        };
        match self.cmp(&now) {
            Ordering::Greater => format!("in {}", rounded(self.since(now))),
            Ordering::Equal => "now".to_owned(),
            Ordering::Less => format!("{} ago", rounded(now.since(self))),
        }
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

/// The time of a system clock, in whole seconds; fractions are dropped. An error says how far before 1970 the clock is, as a negative
/// number.
impl TryFrom<SystemTime> for Timestamp {
    type Error = TimestampOutOfRange;
    fn try_from(time: SystemTime) -> Result<Self, Self::Error> {
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_seconds(whole(since.as_secs())),
            Err(before) => Err(TimestampOutOfRange(-whole(before.duration().as_secs().max(1)))),
        }
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

/// The time in UTC as RFC 3339 has it, to the second: `2026-11-21T21:58:00Z`.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of the proleptic Gregorian calendar, so many days after 1970-01-01; no day lies before that.
fn date(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, a leap day is the last day of its year, and an era of 400 years has 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    // The months from March on have 31, 30, 31, 30, 31 days, and again: 153 in five months.
    let months_after_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_after_march + 2) / 5 + 1;
    let (month, next) =
        if months_after_march < 10 { (months_after_march + 3, 0) } else { (months_after_march - 9, 1) };
    (400 * era + year + next, month, day)
}

/// A length of time in whole seconds, from 0 to about 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(u32);

impl Lifetime {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A duration of this many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A duration of this many hours; at most 136 years.
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

/// The units of a length of time, from large to small, with their seconds.
pub const UNITS_OF_TIME: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// The length with units, the largest first and none that is zero: `15m`, `1h30m`, `0s`.
impl std::fmt::Display for Lifetime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0;
        for (unit, seconds) in UNITS_OF_TIME {
            if left >= seconds {
                write!(f, "{}{unit}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
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
    fn a_distance_has_no_more_than_it_needs() {
        let now = Timestamp(1_795_298_280);
        for (at, text) in
            [(3598, "in 59m58s"), (0, "now"), (-1, "1s ago"), (-90_061, "1d1h ago"), (90_061, "in 1d1h")]
        {
            assert_eq!(Timestamp(now.0 + at).distance_from(now), text);
        }
    }

    #[test]
    fn op_03_a_system_clock_is_read_in_whole_seconds_from_1970_on() {
        let after = |milliseconds| UNIX_EPOCH + std::time::Duration::from_millis(milliseconds);
        assert_eq!(Timestamp::try_from(after(1_795_298_280_999)).unwrap(), Timestamp(1_795_298_280));
        assert_eq!(Timestamp::try_from(UNIX_EPOCH).unwrap(), Timestamp(0));
        let before = UNIX_EPOCH - std::time::Duration::from_millis(1500);
        assert_eq!(Timestamp::try_from(before), Err(TimestampOutOfRange(-1)));
        assert!(Timestamp::try_from(after(1000 * (LAST as u64 + 1))).is_err());
    }

    #[test]
    fn a_time_is_written_as_rfc_3339_and_a_length_of_time_with_units() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_298_280, "2026-11-21T21:58:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), written);
        }
        for (seconds, written) in [
            (0, "0s"),
            (1, "1s"),
            (90, "1m30s"),
            (900, "15m"),
            (5400, "1h30m"),
            (86_400, "1d"),
            (93_784, "1d2h3m4s"),
        ] {
            assert_eq!(Lifetime(seconds).to_string(), written);
        }
        assert_eq!(Lifetime(u32::MAX).to_string(), "49710d6h28m15s");
    }

    #[test]
    fn since_is_never_negative() {
        let (early, late) = (Timestamp(10), Timestamp(25));
        assert_eq!(late.since(early), Lifetime(15));
        assert_eq!(early.since(late), Lifetime::ZERO);
    }
}
