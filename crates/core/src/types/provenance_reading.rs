//! Reads the dependencies of a token from its claim `tokenberg_session`.

use super::claim_fault::{ClaimFault, Defect};
use super::claim_reading::{foreign_issuer, parsed, time, token_id};
use super::provenance::{MOST_ORIGINS, MayAct, Origin, Provenance};
use super::subject::Subject;
use serde_json::{Map, Value};

pub(super) fn read_provenance(session: &Map<String, Value>) -> Result<Option<Box<Provenance>>, ClaimFault> {
    let has = |name: &str| session.contains_key(name);
    // Most sessions have only `id`, `start` and `end`.
    if session.len() == 3 {
        return Ok(None);
    }
    // A newer version may restrict a session by a member that this one does not know, and must not drop.
    if let Some(unknown) = session.keys().find(|name| !is_known(name)) {
        return Err(ClaimFault::not_allowed(unknown));
    }
    let provenance = Provenance {
        joined: has("joined").then(|| time(session, "joined")).transpose()?,
        branch: has("branch").then(|| token_id(session, "branch")).transpose()?,
        subject: has("sub").then(|| parsed(session, "sub")).transpose()?,
        may_act: session.get("may_act").map(read_own_may_act).transpose()?,
        served: session.get("served").map(read_served).transpose()?,
        origins: session.get("with").map(read_origins).transpose()?.unwrap_or_default(),
        renewed_with: session.get("renewed_with").map(read_origins).transpose()?.unwrap_or_default(),
    };
    if provenance.all_origins().count() > MOST_ORIGINS {
        let rule = "it has 16 members at most, together with renewed_with";
        return Err(ClaimFault::new("with", Defect::of(session.get("with"), Value::is_array, rule)));
    }
    Ok(provenance.boxed())
}

fn is_known(member: &str) -> bool {
    matches!(
        member,
        "id" | "start"
            | "end"
            | "sub_iss"
            | "sub_auth"
            | "joined"
            | "branch"
            | "sub"
            | "may_act"
            | "served"
            | "with"
            | "renewed_with"
    )
}

/// Members of `may_act` that do not narrow down which party it names: RFC 8693 §4.4 calls `email` "additional useful information about
/// that party", and `exp`, `nbf` and `aud` "not meaningful when used within a "may_act" claim".
const INFORMATION: [&str; 4] = ["email", "exp", "nbf", "aud"];

/// RFC 8693 §4.4: "a JSON object", whose members "identify the party that is asserted as being eligible to act". Anything else
/// is malformed, and not "no restriction" (conformance TX-55). That includes members that are not known here: with one such as
/// `client_id`, the issuer names fewer parties than `iss` and `sub` do.
pub(crate) fn read_may_act(value: &Value) -> Result<MayAct, ClaimFault> {
    let members = value
        .as_object()
        .ok_or_else(|| ClaimFault::new("may_act", Defect::of(Some(value), Value::is_object, "an object")))?;
    let is_known = |member: &str| matches!(member, "iss" | "sub") || INFORMATION.contains(&member);
    if let Some(unknown) = members.keys().find(|member| !is_known(member)) {
        return Err(ClaimFault::unknown_member("may_act", unknown));
    }
    let read = || {
        Ok(MayAct {
            issuer: members.get("iss").map(|iss| foreign_issuer(iss, "iss")).transpose()?,
            subject: parsed(members, "sub")?,
        })
    };
    read().map_err(|fault: ClaimFault| fault.within("may_act"))
}

/// As it is written here. Another issuer's claim may have `email` and the like.
fn read_own_may_act(value: &Value) -> Result<MayAct, ClaimFault> {
    let may_act = read_may_act(value)?;
    let members = 1 + usize::from(may_act.issuer.is_some());
    if value.as_object().is_some_and(|object| object.len() == members) {
        Ok(may_act)
    } else {
        let rule = "it has the members iss and sub only";
        Err(ClaimFault::new("may_act", Defect::of(Some(value), Value::is_object, rule)))
    }
}

fn read_served(value: &Value) -> Result<Box<str>, ClaimFault> {
    let served = value.as_str().filter(|text| !text.is_empty()).map(Into::into);
    served.ok_or_else(|| ClaimFault::new("served", Defect::of_text(Some(value), "it is not empty")))
}

fn read_origins(value: &Value) -> Result<Vec<Origin>, ClaimFault> {
    let many = value.as_array().filter(|many| !many.is_empty()).ok_or_else(|| {
        ClaimFault::new("with", Defect::of(Some(value), Value::is_array, "an array that is not empty"))
    })?;
    many.iter().map(read_origin).collect()
}

fn identity(members: &Map<String, Value>) -> Result<Subject, ClaimFault> {
    let value = members.get("sub");
    let subject = value.and_then(Value::as_str).map(Subject::of_client).and_then(Result::ok);
    subject.ok_or_else(|| {
        ClaimFault::new("sub", Defect::of_text(value, "it is the name of a client at another issuer"))
    })
}

fn read_origin(value: &Value) -> Result<Origin, ClaimFault> {
    let members = value.as_object().filter(|members| matches!(members.len(), 3 | 4)).ok_or_else(|| {
        let rule = "an object of three or four members";
        ClaimFault::new("with", Defect::of(Some(value), Value::is_object, rule))
    })?;
    let since = time(members, "since")?;
    match (members.get("iss"), members.len()) {
        (Some(issuer), 3) => {
            let issuer = foreign_issuer(issuer, "iss")?;
            Ok(Origin::Foreign { issuer, subject: parsed(members, "sub")?, since })
        }
        (Some(issuer), _) => Ok(Origin::Identity {
            issuer: foreign_issuer(issuer, "iss")?,
            subject: identity(members)?,
            client: parsed(members, "client_id")?,
            since,
        }),
        // With four members, one of them is not known.
        (None, 4) => Err(ClaimFault::missing("iss")),
        (None, _) => Ok(Origin::Session {
            session: token_id(members, "id")?,
            client: parsed(members, "client_id")?,
            joined: since,
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::AccessTokenClaims;
    use serde_json::{Value, json};

    fn payload(members: &Value) -> Value {
        let mut session = json!({"id":"x","start":1,"end":9,"sub_iss":"https://idp.test"});
        let members = members.as_object().unwrap().clone();
        session.as_object_mut().unwrap().extend(members);
        json!({"iss":"https://as.test","aud":"a","sub":"p:alice","client_id":"c1","iat":1,"exp":2,"jti":"x",
            "scope":"catalog","tokenberg_session":session})
    }

    #[test]
    fn a_written_provenance_reads_the_same() {
        for members in [
            json!({}),
            json!({"joined":2,"branch":"y"}),
            json!({"sub":"alice"}),
            json!({"may_act":{"iss":"https://idp.test","sub":"x"},"served":"https://cat.test"}),
            json!({"with":[{"id":"s","client_id":"c2","since":1},{"iss":"https://q.test","sub":"m","since":2}]}),
            json!({"renewed_with":[{"id":"s","client_id":"c2","since":1}]}),
            json!({"with":[{"iss":"https://q.test","sub":"w","client_id":"job","since":2}]}),
        ] {
            let payload = payload(&members);
            let read = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
            assert_eq!(Value::Object(read.to_json()), payload, "{members}");
        }
    }

    #[test]
    fn an_unknown_member_is_named_by_its_path() {
        let payload = payload(&json!({"until": 1}));
        let fault = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap_err();
        assert_eq!(fault.to_string(), "the claim tokenberg_session.until is not allowed here");
    }

    #[test]
    fn a_malformed_provenance_is_refused() {
        let many: Vec<Value> =
            (0..17).map(|n| json!({"id":"s","client_id":format!("c{n}"),"since":1})).collect();
        for members in [
            json!({"joined":"2"}),
            json!({"joined":null}),
            json!({"sub":""}),
            json!({"sub_iss":null,"sub":"alice"}),
            json!({"may_act":"x"}),
            json!({"may_act":{}}),
            json!({"may_act":{"sub":1}}),
            json!({"may_act":{"iss":1,"sub":"x"}}),
            json!({"served":""}),
            json!({"served":["x"]}),
            json!({"with":[]}),
            json!({"with":{}}),
            json!({"with":["s"]}),
            json!({"with":[{"id":"s","client_id":"c2"}]}),
            json!({"with":[{"id":"s","since":1}]}),
            json!({"with":[{"client_id":"c2","since":1}]}),
            json!({"with":[{"iss":"q","sub":"m","since":1}]}),
            json!({"with":[{"iss":"https://q.test","since":1}]}),
            json!({"with":many}),
            json!({"renewed_with":null}),
            // What a newer version may restrict a session by.
            json!({"until":1}),
            json!({"must_not":null,"joined":2}),
            json!({"may_act":{"sub":"x","scope":"y"}}),
            json!({"may_act":{"iss":"https://idp.test","sub":"x","scope":"y"}}),
            json!({"with":[{"id":"s","client_id":"c2","since":1,"until":2}]}),
            json!({"with":[{"iss":"https://q.test","sub":"m","since":2,"id":"s"}]}),
            json!({"with":[{"iss":"https://q.test","sub":"m","client_id":"","since":2}]}),
            json!({"with":[{"iss":"https://q.test","sub":"m","client_id":"c2","since":2,"until":3}]}),
        ] {
            let payload = payload(&members);
            let read = AccessTokenClaims::read(payload.as_object().unwrap());
            assert!(read.unwrap_err().claim().starts_with("tokenberg_session"), "{members}");
        }
    }
}
