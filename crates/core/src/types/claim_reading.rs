//! Reads the values of single claims of our own tokens.

use super::claim_fault::{ClaimFault, Defect};
use super::issuer::Issuer;
use super::time::Timestamp;
use super::token_id::TokenId;
use serde_json::{Map, Value};

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<T, ClaimFault> {
    let value = members.get(name);
    match value.and_then(Value::as_str).map(str::parse) {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(rule)) => Err(ClaimFault::new(name, Defect::of_text(value, rule.to_string()))),
        None => Err(ClaimFault::new(name, Defect::of_text(value, ""))),
    }
}

/// NumericDate, as whole seconds only: we write no fractions, so a token of ours has none (RFC 7519 §2).
pub(crate) fn time(members: &Map<String, Value>, name: &'static str) -> Result<Timestamp, ClaimFault> {
    let value = members.get(name);
    let time = value.and_then(Value::as_i64).and_then(|seconds| Timestamp::from_seconds(seconds).ok());
    time.ok_or_else(|| {
        let rule = "a whole number of seconds from 1970 to 9999";
        ClaimFault::new(name, Defect::of(value, Value::is_number, rule))
    })
}

pub(super) fn token_id(members: &Map<String, Value>, name: &'static str) -> Result<TokenId, ClaimFault> {
    let value = members.get(name);
    value.and_then(Value::as_str).and_then(TokenId::parse).ok_or_else(|| {
        ClaimFault::new(
            name,
            Defect::of_text(value, "an identifier of ours is 1 to 64 characters of base64url"),
        )
    })
}

/// Another issuer, as it calls itself, in this member.
pub(super) fn foreign_issuer(value: &Value, name: &'static str) -> Result<Issuer, ClaimFault> {
    match value.as_str().map(Issuer::foreign) {
        Some(Ok(issuer)) => Ok(issuer),
        Some(Err(rule)) => Err(ClaimFault::new(name, Defect::of_text(Some(value), rule.to_string()))),
        None => Err(ClaimFault::new(name, Defect::of_text(Some(value), ""))),
    }
}
