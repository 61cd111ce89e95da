//! Introspection from the resource server's side: prints the request and reads the answer of any server, RFC 7662 §2.

use super::answer::{AnswerFault, failure};
use super::outgoing::{ClientAuthentication, Outgoing, to_form};
use crate::request::form::Parameter;
use crate::types::json::strict_object;
use crate::{Lifetime, Scope, Secret, Timestamp};
use serde_json::{Map, Value};

/// Prints the request that asks about this token, authenticated as the resource server (RFC 7662 §2.1).
///
/// ```
/// use tokenberg_core::client::{ClientAuthentication, introspect};
/// use tokenberg_core::Secret;
/// let authentication =
///     ClientAuthentication::Basic { client_id: "rs".into(), client_secret: Secret::new("s".to_owned()) };
/// let outgoing = introspect(&Secret::new("t".to_owned()), &authentication);
/// assert_eq!(outgoing.form.expose(), "token=t");
/// ```
#[must_use]
pub fn introspect(token: &Secret, authentication: &ClientAuthentication) -> Outgoing {
    to_form(vec![(Parameter::Token, token.expose())], authentication)
}

/// What a server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Introspected {
    /// The token is good now.
    Active(ActiveToken),
    /// It is not, for whatever reason.
    Inactive,
}

/// A token that is good now (RFC 7662 §2.2). Members that are absent or not of their type are `None`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActiveToken {
    /// `iss`: compare it, if one resource server asks several servers.
    pub issuer: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `client_id`.
    pub client_id: Option<Box<str>>,
    /// `scope`; empty if it is absent.
    pub scope: Scope,
    /// `aud`: a resource server accepts only tokens for itself. Empty if it is absent.
    pub audience: Vec<Box<str>>,
    /// `exp`.
    pub expires_at: Option<Timestamp>,
    /// All members, `act` and `cnf` among them. A token with `cnf` needs the proof of possession that it names.
    pub members: Map<String, Value>,
}

/// Reads the answer. Only 200 is one (RFC 7662 §2.2).
///
/// # Errors
/// [`AnswerFault`] if it is an error, or does not say whether the token is active. Treat that as an outage, never as `active`.
pub fn read_introspection(status: u16, body: &[u8]) -> Result<Introspected, AnswerFault> {
    if status != 200 {
        return Err(failure(status, body));
    }
    let members = strict_object(body).map_err(|_| AnswerFault::NoIntrospection)?;
    match members.get("active").and_then(Value::as_bool) {
        Some(true) => Ok(Introspected::Active(ActiveToken::of(members))),
        Some(false) => Ok(Introspected::Inactive),
        None => Err(AnswerFault::NoIntrospection),
    }
}

impl ActiveToken {
    fn of(members: Map<String, Value>) -> Self {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let audience = match members.get("aud") {
            Some(Value::String(one)) => vec![one.as_str().into()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(Into::into).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        };
        Self {
            issuer: text("iss").map(Into::into),
            subject: text("sub").map(Into::into),
            client_id: text("client_id").map(Into::into),
            scope: text("scope").and_then(|scope| scope.parse().ok()).unwrap_or_default(),
            audience,
            expires_at: members
                .get("exp")
                .and_then(Value::as_i64)
                .and_then(|exp| Timestamp::from_seconds(exp).ok()),
            members,
        }
    }

    /// Until when a resource server may use the answer that it received at `now` without asking again: `longest` at most, which
    /// is how late it may learn of a revocation, and never beyond `exp` (RFC 7662 §4). `None` if the token has expired, or has no
    /// `exp`.
    #[must_use]
    pub fn usable_until(&self, now: Timestamp, longest: Lifetime) -> Option<Timestamp> {
        self.expires_at.filter(|end| *end > now).map(|end| end.min(now.plus(longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    #[test]
    fn answers_are_read_and_kept_until_exp_at_most() {
        let body = br#"{"active":true,"sub":"alice","client_id":"trino","scope":"catalog sign","aud":["a","b"],"exp":100,"act":{}}"#;
        let Ok(Introspected::Active(token)) = read_introspection(200, body) else {
            unreachable!("it is active")
        };
        assert_eq!((token.subject.as_deref(), token.client_id.as_deref()), (Some("alice"), Some("trino")));
        assert!(
            token.scope.contains("sign") && token.audience.len() == 2 && token.members.contains_key("act")
        );
        let minute = Lifetime::from_seconds(60);
        assert_eq!(token.usable_until(at(10), minute), Some(at(70)));
        assert_eq!(token.usable_until(at(90), minute), Some(at(100)));
        assert_eq!(token.usable_until(at(100), minute), None);
        let Ok(Introspected::Active(endless)) = read_introspection(200, br#"{"active":true,"aud":"a"}"#)
        else {
            unreachable!("it is active")
        };
        assert_eq!(endless.usable_until(at(0), minute), None);
        assert_eq!(endless.audience, ["a".into()]);
        assert_eq!(read_introspection(200, br#"{"active":false}"#), Ok(Introspected::Inactive));
    }

    #[test]
    fn what_is_no_answer_is_never_active() {
        for body in [
            &b"{}"[..],
            b"",
            br#"{"active":"true"}"#,
            br#"{"active":1}"#,
            br#"{"active":false,"active":true}"#,
        ] {
            assert_eq!(read_introspection(200, body), Err(AnswerFault::NoIntrospection));
        }
        assert!(matches!(
            read_introspection(401, br#"{"error":"invalid_client"}"#),
            Err(AnswerFault::Refused { .. })
        ));
        assert_eq!(read_introspection(503, b"<html>"), Err(AnswerFault::NoError { status: 503 }));
        assert_eq!(read_introspection(201, br#"{"active":true}"#), Err(AnswerFault::NoError { status: 201 }));
    }
}
