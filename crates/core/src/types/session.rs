//! Which authentication does a token go back to? The private claim `tokenberg_session`.

use super::actor::foreign_issuer;
use super::claims::{ClaimFault, TokenId, time, token_id};
use super::issuer::Issuer;
use super::time::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
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

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut session = serializer.serialize_map(None)?;
        session.serialize_entry("id", self.id.as_str())?;
        session.serialize_entry("start", &self.start.as_seconds())?;
        session.serialize_entry("end", &self.end.as_seconds())?;
        if let Some(issuer) = &self.subject_issuer {
            session.serialize_entry("sub_iss", issuer.as_str())?;
        }
        if self.asserted {
            session.serialize_entry("sub_auth", super::claims::UNSECURED)?;
        }
        session.end()
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
