//! Times in text for people: RFC 3339 in UTC, and the distance from now.

use crate::duration;
use tokenberg_core::{Lifetime, Timestamp};

/// The time as `2026-11-21T21:58:00Z`.
pub(crate) fn written(time: Timestamp) -> String {
    time.to_string()
}

/// The time and its distance: `2026-11-21T21:58:00Z (in 59m58s)`.
pub(crate) fn with_distance(time: Timestamp, now: Timestamp) -> String {
    format!("{time} ({})", distance(time, now))
}

fn distance(time: Timestamp, now: Timestamp) -> String {
    let rounded = |lifetime: Lifetime| {
        // Seconds are omitted where the text has days.
        let seconds = lifetime.as_seconds();
        let grain = if seconds >= 86_400 { 3600 } else { 1 };
        Lifetime::from_seconds(seconds / grain * grain)
    };
    match time.cmp(&now) {
        std::cmp::Ordering::Greater => format!("in {}", rounded(time.since(now))),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Less => format!("{} ago", rounded(now.since(time))),
    }
}

/// Parses a time: RFC 3339 (`2026-11-21T21:58:00Z`), `now`, or a duration from now on (`+15m`).
///
/// # Errors
/// A sentence that shows the expected form.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is not a time; expected 2026-11-21T21:58:00Z, now, or +15m");
    if text == "now" {
        return Ok(now);
    }
    if let Some(length) = text.strip_prefix('+') {
        return duration::parse(length).map(|lifetime| now.plus(lifetime)).map_err(|_| wrong());
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    Timestamp::from_seconds(time.as_second()).map_err(|_| wrong())
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
        assert_eq!(parse("2026-11-21T21:58:00Z", at(0)), Ok(now));
        assert_eq!(parse("2026-11-21T22:58:00+01:00", at(0)), Ok(now));
        assert_eq!(parse("+1h", at(5)), Ok(at(3605)));
        assert_eq!(parse("now", at(5)), Ok(at(5)));
        for wrong in ["", "later", "2026-11-21", "21:58", "+", "+1", "1h"] {
            assert!(parse(wrong, now).is_err(), "{wrong}");
        }
    }
}
