//! Times in text for people: RFC 3339 in UTC, and the distance from now.

use crate::duration;
use tokenberg_core::{Lifetime, Timestamp};

/// The time as `2026-11-21T21:58:00Z`.
pub(crate) fn written(time: Timestamp) -> String {
    time.to_string()
}

/// The date in UTC, as `2026-11-21`.
pub(crate) fn date(time: Timestamp) -> String {
    written(time).chars().take_while(|c| *c != 'T').collect()
}

/// The time and its distance: `2026-11-21T21:58:00Z (in 59m58s)`.
pub(crate) fn with_distance(time: Timestamp, now: Timestamp) -> String {
    format!("{time} ({})", time.distance_from(now))
}

/// The time a duration before now.
pub(crate) fn ago(length: Lifetime, now: Timestamp) -> Timestamp {
    let seconds = now.as_seconds().saturating_sub(i64::from(length.as_seconds()));
    // Before the year 1 there is no time; none of ours is so early.
    Timestamp::from_seconds(seconds).unwrap_or(now)
}

/// The fewest digits of seconds since 1970, so that a date without hyphens, such as 20261121, is a date.
const FEWEST_DIGITS: usize = 9;

/// Parses a time: RFC 3339 (`2026-11-21T21:58:00Z`), a date (its beginning in UTC), seconds since 1970, `now`, or a duration from
/// now on: `1h ago` and `-1h` before, `+15m` after.
///
/// # Errors
/// A sentence that shows the expected form.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || {
        let meant = duration::parse(text)
            .map_or_else(|_| String::new(), |_| format!("; write `{text} ago` or `+{text}`"));
        format!(
            "{text:?} is not a time; expected 2026-11-21T21:58:00Z, 2026-11-21, 1h ago, +15m, now or seconds since 1970{meant}"
        )
    };
    if text == "now" {
        return Ok(now);
    }
    if let Some(length) = text.strip_prefix('+') {
        return duration::parse(length).map(|length| now.plus(length)).map_err(|_| wrong());
    }
    let before = text.strip_suffix("ago").map(str::trim_end).or_else(|| text.strip_prefix('-'));
    if let Some(length) = before {
        return duration::parse(length).map(|length| ago(length, now)).map_err(|_| wrong());
    }
    if text.len() >= FEWEST_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().map_err(|_| wrong())?;
        return Timestamp::from_seconds(seconds).map_err(|_| wrong());
    }
    let time: Result<jiff::Timestamp, _> = text.parse();
    let time = time.or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|_: jiff::Error| wrong())?;
    Timestamp::from_seconds(time.as_second()).map_err(|_| wrong())
}

/// Parses a time, where a duration alone (`1h`) is one before now.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    duration::parse(text).map(|length| ago(length, now)).or_else(|_| parse(text, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let now = at(1_795_298_280);
        assert_eq!(with_distance(at(1_795_298_280 + 3598), now), "2026-11-21T22:57:58Z (in 59m58s)");
        assert_eq!(with_distance(at(1_795_298_280 - 90_061), now), "2026-11-20T20:56:59Z (1d1h ago)");
        for (text, time) in [
            ("2026-11-21T21:58:00Z", now),
            ("2026-11-21T22:58:00+01:00", now),
            ("1795298280", now),
            ("now", now),
            ("+1h", at(1_795_301_880)),
            ("1h ago", at(1_795_294_680)),
            ("1h30m ago", at(1_795_292_880)),
            ("-1h", at(1_795_294_680)),
            ("2026-11-21", at(1_795_219_200)),
            ("20261121", at(1_795_219_200)),
        ] {
            assert_eq!(parse(text, now), Ok(time), "{text}");
            assert_eq!(parse_past(text, now), Ok(time), "{text}");
        }
        assert_eq!(parse_past("1h", now), Ok(at(1_795_294_680)));
        let sentence = parse("1h", now).unwrap_err();
        assert!(sentence.ends_with("write `1h ago` or `+1h`"), "{sentence}");
        for wrong in ["", "later", "2026-11-32", "21:58", "+", "+1", "-", "ago", "-1", "1 h ago", "5"] {
            assert!(parse(wrong, now).is_err() && parse_past(wrong, now).is_err(), "{wrong}");
        }
    }
}
