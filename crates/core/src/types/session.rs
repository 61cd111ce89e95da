//! Which authentication does a token go back to? The private claim `tokenberg_session`.

use super::actor::foreign_issuer;
use super::claims::{ClaimFault, TokenId, time, token_id};
use super::issuer::Issuer;
use super::time::Timestamp;
use serde_json::{Map, Value};

/// The authentication that a token goes back to. Renewal and exchange hand it on unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `id`: the `jti` of the session's first token, which names the family of all tokens that came from it.
    pub id: TokenId,
    /// `start`: when a credential was last proven.
    pub start: Timestamp,
    /// `end`: no token of the session lives longer.
    pub end: Timestamp,
    /// `sub_iss`: whose name `sub` is, if it is not ours. So no user of another issuer passes for a client of the same name.
    pub subject_issuer: Option<Issuer>,
    /// `sub_auth` is `unsecured`: the subject was asserted by its first actor, and authenticated by nobody.
    pub asserted: bool,
}

impl Session {
    pub(super) fn to_json(&self) -> Value {
        let mut session = Map::new();
        session.insert("id".to_owned(), self.id.as_str().into());
        session.insert("start".to_owned(), self.start.as_seconds().into());
        session.insert("end".to_owned(), self.end.as_seconds().into());
        if let Some(issuer) = &self.subject_issuer {
            session.insert("sub_iss".to_owned(), issuer.as_str().into());
        }
        if self.asserted {
            session.insert("sub_auth".to_owned(), super::claims::UNSECURED.into());
        }
        Value::Object(session)
    }
}

pub(super) fn read_session(payload: &Map<String, Value>) -> Result<Session, ClaimFault> {
    const NAME: &str = "tokenberg_session";
    let members = payload.get(NAME).and_then(Value::as_object).ok_or(ClaimFault(NAME))?;
    let issuer = members.get("sub_iss").map(foreign_issuer).transpose();
    Ok(Session {
        id: token_id(members, "id", NAME)?,
        start: time(members, "start").map_err(|_| ClaimFault(NAME))?,
        end: time(members, "end").map_err(|_| ClaimFault(NAME))?,
        asserted: match members.get("sub_auth") {
            None => false,
            Some(how)
                if how.as_str() == Some(super::claims::UNSECURED) && members.get("sub_iss").is_none() =>
            {
                true
            }
            Some(_) => return Err(ClaimFault(NAME)),
        },
        subject_issuer: issuer.map_err(|_| ClaimFault(NAME))?,
    })
}
