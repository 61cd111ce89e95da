//! The claims of our access tokens: RFC 9068 §2.2, with `act` of RFC 8693 §4.1.

use super::actor::{Actor, read_actor};
use super::claim_fault::{ClaimFault, Defect};
use super::claim_reading::{parsed, time, token_id};
use super::client_id::ClientId;
use super::confirmation::Confirmation;
use super::extra_claims::{EXTRA_CLAIMS, ExtraClaims};
use super::issuer::Issuer;
use super::scope::Scope;
use super::session::{Session, UNSECURED, read_session};
use super::subject::Subject;
use super::time::{Lifetime, Timestamp};
use super::token_id::TokenId;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// The `typ` of our access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The claims of an access token of ours. Each is what its RFC says; `session` is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenClaims {
    /// `iss`: our issuer identifier.
    pub issuer: Issuer,
    /// `aud`: where the token may be used; at least one, written as a string when it is one.
    pub audience: Vec<Box<str>>,
    /// `sub`: on whose behalf. A client's own token has the client's identifier here.
    pub subject: Subject,
    /// `client_id`: the client to which the token was issued (RFC 8693 §4.3).
    pub client_id: ClientId,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`: from this second on the token is dead.
    pub expires_at: Timestamp,
    /// `jti`: 128 random bits.
    pub token_id: TokenId,
    /// `scope` (RFC 9068 §2.2.3); never empty, as the grammar of RFC 6749 §3.3 has it.
    pub scope: Scope,
    /// `act`: who acts for the subject; the outermost is the present actor (RFC 8693 §4.1).
    pub actor: Option<Actor>,
    /// `cnf`, if the token is bound to a key (RFC 7800 §3.1).
    pub confirmation: Option<Confirmation>,
    /// `tokenberg_session`: which authentication the token goes back to.
    pub session: Session,
    /// `tokenberg_claims`: what a [`GrantHook`](crate::flow::GrantHook) added.
    pub extra: ExtraClaims,
}

impl AccessTokenClaims {
    /// Reads the claims of a payload. Checks neither the signature nor whether the claims are valid now.
    ///
    /// # Errors
    /// The first claim that is missing or malformed.
    pub fn read(payload: &Map<String, Value>) -> Result<Self, ClaimFault> {
        Ok::<_, ClaimFault>(Self {
            issuer: parsed(payload, "iss")?,
            audience: audience(payload)?,
            subject: parsed(payload, "sub")?,
            client_id: parsed(payload, "client_id")?,
            issued_at: time(payload, "iat")?,
            expires_at: time(payload, "exp")?,
            token_id: token_id(payload, "jti")?,
            scope: scope(payload)?,
            actor: payload.get("act").map(|act| read_actor(act, 1)).transpose()?,
            confirmation: payload.get("cnf").map(Confirmation::read).transpose()?,
            session: read_session(payload)?,
            extra: ExtraClaims::read(payload)?,
        })
        .and_then(|claims| check_marker(&claims, payload).map(|()| claims))
    }

    /// The payload to be signed.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        // Members of texts and numbers are always an object.
        match serde_json::to_value(self) {
            Ok(Value::Object(payload)) => payload,
            Ok(_) | Err(_) => Map::new(),
        }
    }

    /// For how long the token lives from `now` on.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Lifetime {
        self.expires_at.since(now)
    }

    /// Whether this is the token of a client for itself: it has no actor.
    #[must_use]
    pub fn is_clients_own(&self) -> bool {
        self.actor.is_none() && self.is_of_clients_session()
    }

    /// Whether the token belongs to a session of its client for itself, whichever actor the token names.
    #[must_use]
    pub fn is_of_clients_session(&self) -> bool {
        self.session.subject_issuer.is_none()
            && !self.session.unsecured
            && self.client_id == *self.subject.as_str()
    }

    /// The issuer that named the subject: ours, unless the session says that it was another one.
    #[must_use]
    pub fn subject_issuer(&self) -> &Issuer {
        self.session.subject_issuer.as_ref().unwrap_or(&self.issuer)
    }

    /// The subject as its issuer calls it. `sub` has a prefix before it if the issuer is registered with one.
    #[must_use]
    pub fn issuer_subject(&self) -> &Subject {
        self.session.issuer_subject().unwrap_or(&self.subject)
    }
}

impl Serialize for AccessTokenClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut payload = serializer.serialize_map(None)?;
        payload.serialize_entry("iss", self.issuer.as_str())?;
        match self.audience.as_slice() {
            [one] => payload.serialize_entry("aud", one)?,
            many => payload.serialize_entry("aud", many)?,
        }
        payload.serialize_entry("sub", self.subject.as_str())?;
        payload.serialize_entry("client_id", self.client_id.as_str())?;
        payload.serialize_entry("iat", &self.issued_at.as_seconds())?;
        payload.serialize_entry("exp", &self.expires_at.as_seconds())?;
        payload.serialize_entry("jti", self.token_id.as_str())?;
        payload.serialize_entry("scope", self.scope.as_str())?;
        if let Some(actor) = &self.actor {
            payload.serialize_entry("act", actor)?;
        }
        if let Some(cnf) = &self.confirmation {
            payload.serialize_entry("cnf", cnf)?;
        }
        if self.session.unsecured {
            // RFC 9068 §2.2.1 has `amr` for how the subject was authenticated; this subject was not authenticated (conformance TX-69).
            payload.serialize_entry("amr", &[UNSECURED])?;
        }
        payload.serialize_entry("tokenberg_session", &self.session)?;
        if let Some(extra) = self.extra.as_map() {
            payload.serialize_entry(EXTRA_CLAIMS, extra)?;
        }
        payload.end()
    }
}

/// The marker stands exactly where the session says that the subject is unsecured.
fn check_marker(claims: &AccessTokenClaims, payload: &Map<String, Value>) -> Result<(), ClaimFault> {
    let amr = payload.get("amr");
    match (claims.session.unsecured, amr.map(|amr| *amr == serde_json::json!([UNSECURED]))) {
        (true, Some(true)) | (false, None) => Ok(()),
        (true, None | Some(false)) => {
            let rule = "[\"unsecured\"], because the sub_auth of its session is unsecured";
            Err(ClaimFault::new("amr", Defect::of(amr, Value::is_array, rule)))
        }
        (false, Some(_)) => Err(ClaimFault::new("amr", Defect::NotAllowed)),
    }
}

fn scope(payload: &Map<String, Value>) -> Result<Scope, ClaimFault> {
    let scope: Scope = parsed(payload, "scope")?;
    if scope.is_empty() {
        return Err(ClaimFault::new("scope", Defect::of_text(payload.get("scope"), "it has no scope-token")));
    }
    Ok(scope)
}

/// RFC 7519 §4.1.3: an array of StringOrURI values or a single one; required by RFC 9068 §2.2.
fn audience(payload: &Map<String, Value>) -> Result<Vec<Box<str>>, ClaimFault> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Box::from);
    let audience = match payload.get("aud") {
        Some(one @ Value::String(_)) => text(one).map(|one| vec![one]),
        Some(Value::Array(many)) if !many.is_empty() => many.iter().map(text).collect(),
        Some(_) | None => None,
    };
    audience.ok_or_else(|| audience_fault(payload))
}

/// What is wrong with an `aud` that is neither a text nor an array of texts, or has an empty one.
pub(crate) fn audience_fault(payload: &Map<String, Value>) -> ClaimFault {
    let is_of_type = |value: &Value| value.is_string() || value.is_array();
    ClaimFault::new(
        "aud",
        Defect::of(payload.get("aud"), is_of_type, "a text or an array of texts, none empty"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payload() -> Value {
        json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,"jti":"x",
            "scope":"catalog","act":{"sub":"b","act":{"iss":"https://idp.test","sub":"a"}},
            "tokenberg_session":{"id":"x","start":1,"end":9}})
    }

    /// The claim that is refused.
    fn faulty(payload: &Value) -> String {
        let fault = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap_err();
        fault.claim().split('.').next().unwrap().to_owned()
    }

    #[test]
    fn each_fault_of_a_claim_states_the_value_and_what_is_expected() {
        for (name, value, says) in [
            (
                "exp",
                json!("2"),
                r#"the claim exp is "2", and has to be a whole number of seconds from 1970 to 9999"#,
            ),
            ("exp", json!(-1), "the claim exp is -1: a whole number of seconds from 1970 to 9999"),
            (
                "aud",
                json!(["x", ""]),
                "the claim aud is [\"x\", \"\"]: a text or an array of texts, none empty",
            ),
            ("aud", json!(1), "the claim aud is 1, and has to be a text or an array of texts, none empty"),
            (
                "sub",
                json!("a\u{202e}b"),
                r#"the claim sub is "a\u{202e}b": a subject is 1 to 255 bytes long"#,
            ),
            ("sub", json!(null), "the claim sub is null, and has to be a text"),
            ("amr", json!(["unsecured"]), "the claim amr is not allowed here"),
            ("act", json!({"sub": "a", "exp": 1}), "the claim act.exp is not allowed here"),
            ("act", json!({"sub": ""}), "the claim act.sub is \"\": a subject is"),
            ("cnf", json!({"kid": "k"}), "the claim cnf.kid is not allowed here"),
            ("cnf", json!({}), "the claim cnf is an object: it has jkt, x5t#S256 or both"),
            (
                "tokenberg_session",
                json!({"id": "x", "start": 1, "end": "9"}),
                r#"the claim tokenberg_session.end is "9""#,
            ),
        ] {
            let mut payload = payload();
            payload[name] = value;
            let fault = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault}");
        }
    }

    #[test]
    fn written_claims_read_the_same() {
        let read = AccessTokenClaims::read(payload().as_object().unwrap()).unwrap();
        assert_eq!(Value::Object(read.to_json()), payload());
        assert_eq!(
            read.actor.unwrap().chain().map(|a| a.subject.to_string()).collect::<Vec<_>>(),
            ["b", "a"]
        );
    }

    #[test]
    fn jw_31_jw_35_jw_36_jw_37_at_02_each_claim_has_its_type() {
        for (name, bad) in [
            (
                "exp",
                vec![
                    json!("2"),
                    json!(true),
                    json!(null),
                    json!({}),
                    json!([]),
                    json!(-1),
                    json!(1e300),
                    json!(2.5),
                    json!(u64::MAX),
                    json!(i64::MAX),
                ],
            ),
            ("iat", vec![json!("1"), json!(-1), json!(1.0)]),
            (
                "aud",
                vec![
                    json!(null),
                    json!(42),
                    json!({}),
                    json!([]),
                    json!(["x", 1]),
                    json!([["https://cat.test"]]),
                    json!(""),
                ],
            ),
            ("iss", vec![json!(42), json!(["https://as.test"]), json!("as.test")]),
            ("sub", vec![json!(""), json!(1), json!("a\u{0}b"), json!("x".repeat(10_000))]),
            ("client_id", vec![json!(""), json!(1)]),
            ("jti", vec![json!(""), json!(1), json!("a b"), json!("x".repeat(65))]),
            ("scope", vec![json!(""), json!(["catalog"]), json!("a\"b")]),
            (
                "act",
                vec![
                    json!("admin"),
                    json!([]),
                    json!({}),
                    json!({"sub":1}),
                    json!({"sub":"a","exp":1}),
                    json!({"sub":"a","act":"b"}),
                ],
            ),
            (
                "cnf",
                vec![json!("x"), json!({}), json!({"jkt": 1}), json!({"jkt": "short"}), json!({"kid": "k"})],
            ),
            ("tokenberg_session", vec![json!(1), json!({}), json!({"id":"x","start":"1","end":9})]),
        ] {
            for value in bad {
                let mut payload = payload();
                payload[name] = value.clone();
                assert_eq!(faulty(&payload), name, "{value}");
            }
            if !matches!(name, "act" | "cnf") {
                let mut payload = payload();
                payload.as_object_mut().unwrap().remove(name);
                let fault = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap_err();
                assert_eq!(fault, ClaimFault::missing(name));
            }
        }
    }

    #[test]
    fn tx_54_a_chain_of_too_many_actors_is_malformed() {
        let mut act = json!({"sub":"x"});
        for _ in 0..100 {
            act = json!({"sub":"x","act":act});
        }
        let mut payload = payload();
        payload["act"] = act;
        assert_eq!(faulty(&payload), "act");
    }
}
