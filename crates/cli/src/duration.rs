//! Durations as operators write them: `2s`, `15m`, `1h`, `7d`, and combined `1h30m`.

use crate::failure::wrong_usage;
use serde::{Serialize, Serializer};
use tokenberg_core::Lifetime;
use tokenberg_core::time::UNITS_OF_TIME;

/// Parses a duration.
///
/// # Errors
/// A sentence that shows the expected form.
pub(crate) fn parse(text: &str) -> Result<Lifetime, String> {
    let wrong = || "expected a duration, such as 2s, 15m, 1h, 7d or 1h30m".to_owned();
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    let mut smallest = u32::MAX;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let next = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(digit.into()));
            number = Some(next.ok_or_else(wrong)?);
            continue;
        }
        let (_, seconds) = UNITS_OF_TIME.into_iter().find(|(unit, _)| *unit == c).ok_or_else(wrong)?;
        // Units have to be in descending order without repetition, so that the typo `1m1h` is refused.
        if seconds >= smallest {
            return Err(wrong());
        }
        smallest = seconds;
        let part = number.take().and_then(|n| n.checked_mul(seconds.into())).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    if number.is_some() || smallest == u32::MAX {
        return Err(wrong());
    }
    u32::try_from(total).map(Lifetime::from_seconds).map_err(|_| wrong())
}

/// Parses a duration of at least so many seconds.
pub(crate) fn at_least(
    seconds: u32,
) -> impl Fn(&str) -> Result<Lifetime, String> + Clone + Send + Sync + 'static {
    let shortest = Lifetime::from_seconds(seconds);
    move |text| {
        let long_enough = Some(parse(text)?).filter(|lifetime| *lifetime >= shortest);
        long_enough.ok_or_else(|| format!("expected a duration of at least {shortest}"))
    }
}

/// Serializes a duration in the form in which it is parsed.
pub(crate) fn serialize<'a, L, S: Serializer>(lifetime: &'a L, serializer: S) -> Result<S::Ok, S::Error>
where
    &'a L: Into<Option<&'a Lifetime>>,
{
    let lifetime: Option<&Lifetime> = lifetime.into();
    lifetime.map(Lifetime::to_string).serialize(serializer)
}

/// Refuses a duration that is zero or too long.
///
/// # Errors
/// Wrong usage of the flag.
pub(crate) fn within(flag: &str, lifetime: Lifetime, longest: Lifetime) -> anyhow::Result<()> {
    if lifetime == Lifetime::ZERO || lifetime > longest {
        return Err(wrong_usage(format!("{flag} must be at least 1s and at most {longest}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_units() {
        for (text, seconds) in
            [("2s", 2), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("1h30m", 5400), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(parse(text), Ok(Lifetime::from_seconds(seconds)), "{text}");
            assert_eq!(Lifetime::from_seconds(seconds).to_string(), text);
        }
        assert_eq!(parse("90s"), parse("1m30s"));
        assert_eq!(parse("0s"), Ok(Lifetime::ZERO));
        for wrong in
            ["", "1", "h", "1w", "1h1h", "1m1h", "-1h", "1.5h", " 1h", "1 h", "99999999999d", "5000000000s"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
