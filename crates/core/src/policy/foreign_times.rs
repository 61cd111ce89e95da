//! Checks the times of a JWT that another issuer made: RFC 7519 §4.1.4 to §4.1.6, RFC 7523 §3.

use crate::refusal::{AgeLimit, TokenFault};
use crate::token::{ClaimFault, Defect};
use crate::{Lifetime, Timestamp};
use serde_json::{Map, Value};

/// Within which bounds the times have to be.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The maximum difference between the issuer's clock and ours; applied to each of `exp`, `nbf` and `iat` (conformance OP-01).
    pub(crate) leeway: Lifetime,
    /// How far `exp` may be ahead, and `iat` behind.
    pub(crate) max_age: Lifetime,
    /// The setting that imposes the limit.
    pub(crate) limit: AgeLimit,
    /// Whether there has to be an `iat`.
    pub(crate) needs_issued_at: bool,
}

/// The times of a token that holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) expires_at: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
}

/// Reads and checks `exp`, `nbf` and `iat`. `exp` is required: a token that never expires is always refused (conformance JW-33).
pub(crate) fn check(
    payload: &Map<String, Value>,
    now: Timestamp,
    bounds: Bounds,
) -> Result<Times, TokenFault> {
    let Bounds { leeway, max_age: most, limit, .. } = bounds;
    let expires_at = numeric_date(payload, "exp")?.ok_or_else(|| ClaimFault::missing("exp"))?;
    let not_before = numeric_date(payload, "nbf")?;
    let issued_at = numeric_date(payload, "iat")?;
    // RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now >= expires_at.plus(leeway) {
        return Err(TokenFault::Expired { expired: expires_at, now, leeway });
    }
    if expires_at > now.plus(most).plus(leeway) {
        return Err(TokenFault::TooLongLived { expires: expires_at, now, most, limit });
    }
    for (claim, from) in [("iat", issued_at), ("nbf", not_before)] {
        let Some(from) = from else { continue };
        if from > now.plus(leeway) {
            return Err(TokenFault::NotYetValid { claim, from, now, leeway });
        }
        if from > expires_at {
            return Err(TokenFault::Backwards { claim, from, expires: expires_at });
        }
    }
    match issued_at {
        Some(issued) if now > issued.plus(most).plus(leeway) => {
            Err(TokenFault::TooOld { issued, now, most, limit })
        }
        None if bounds.needs_issued_at => Err(ClaimFault::missing("iat").into()),
        Some(_) | None => Ok(Times { expires_at, issued_at }),
    }
}

/// NumericDate (RFC 7519 §2): a number, perhaps with a fraction, which is cut off.
pub(crate) fn numeric_date(
    payload: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Timestamp>, ClaimFault> {
    let fault = || {
        let rule = "a number of seconds from 1970 to 9999";
        ClaimFault::new(name, Defect::of(payload.get(name), Value::is_number, rule))
    };
    let Some(value) = payload.get(name) else { return Ok(None) };
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole,
        // Up to 2^53 a whole number survives, and the cast saturates; the last second that is a time is far below.
        (None, Some(fraction)) => fraction.floor() as i64,
        (None, _) => return Err(fault()),
    };
    Timestamp::from_seconds(seconds).map(Some).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    fn checked(payload: &Value, leeway: u32, needs_issued_at: bool) -> Result<Times, TokenFault> {
        let (leeway, max_age) = (Lifetime::from_seconds(leeway), Lifetime::from_seconds(300));
        let bounds = Bounds { leeway, max_age, limit: AgeLimit::Issuer, needs_issued_at };
        check(payload.as_object().unwrap(), at(1000), bounds)
    }

    #[test]
    fn jw_30_jw_32_jw_34_op_01_boundaries_are_exact_to_the_second() {
        for (payload, leeway, good) in [
            (json!({"exp": 1000}), 0, false),
            (json!({"exp": 1001}), 0, true),
            (json!({"exp": 970}), 30, false),
            (json!({"exp": 971}), 30, true),
            (json!({"exp": 1300}), 0, true),
            (json!({"exp": 1301}), 0, false),
            (json!({"exp": 1331}), 30, false),
            (json!({"exp": 1100, "iat": 1000}), 0, true),
            (json!({"exp": 1100, "iat": 1001}), 0, false),
            (json!({"exp": 1100, "iat": 1030}), 30, true),
            (json!({"exp": 1100, "iat": 1031}), 30, false),
            (json!({"exp": 1100, "iat": 700}), 0, true),
            (json!({"exp": 1100, "iat": 699}), 0, false),
            (json!({"exp": 1100, "nbf": 1000}), 0, true),
            (json!({"exp": 1100, "nbf": 1031}), 30, false),
            (json!({"exp": 1001, "nbf": 1002}), 30, false),
        ] {
            assert_eq!(checked(&payload, leeway, false).is_ok(), good, "{payload} leeway {leeway}");
        }
        assert!(checked(&json!({"exp": 1100}), 0, true).is_err());
    }

    #[test]
    fn jw_31_jw_33_a_date_is_a_number_of_seconds_from_1970_to_9999() {
        for bad in [
            json!("1100"),
            json!(true),
            json!(null),
            json!({}),
            json!([1100]),
            json!(-5),
            json!(-0.5),
            json!(1e300),
            json!(i64::MAX),
            json!(u64::MAX),
        ] {
            for name in ["exp", "nbf", "iat"] {
                let mut payload = json!({"exp": 1100});
                payload[name] = bad.clone();
                assert!(checked(&payload, 0, false).is_err(), "{name} {bad}");
            }
        }
        assert!(checked(&json!({}), 0, false).is_err());
        // A fraction is cut off, so a token is never good for longer than it says.
        let times = checked(&json!({"exp": 1100.9, "iat": 1e3}), 0, true).unwrap();
        assert_eq!(times, Times { expires_at: at(1100), issued_at: Some(at(1000)) });
        assert!(checked(&json!({"exp": 1000.9}), 0, false).is_err());
    }
}
