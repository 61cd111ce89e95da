//! The authentication that a token goes back to: the private claim `tokenberg_session`.

use super::claim_fault::{ClaimFault, Defect};
use super::claim_reading::{foreign_issuer, time, token_id};
use super::issuer::Issuer;
use super::provenance::Provenance;
use super::provenance_reading::read_provenance;
use super::subject::Subject;
use super::time::Timestamp;
use super::token_id::TokenId;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// The value in `amr` of a token whose subject is an unsecured user: asserted by its actor and not authenticated (conformance TX-69).
pub const UNSECURED: &str = "unsecured";

/// The authentication that a token goes back to. Renewal and exchange hand it on unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `id`: the `jti` of the session's first token, which names the family of all tokens that came from it.
    pub id: TokenId,
    /// `start`: when the client last authenticated with a credential.
    pub start: Timestamp,
    /// `end`: no token of the session lives longer.
    pub end: Timestamp,
    /// `sub_iss`: the issuer that named the subject, if it is not ours. So no user of another issuer passes for a client of
    /// the same name.
    pub subject_issuer: Option<Issuer>,
    /// `sub_auth` is `unsecured`: the subject is from an unsecured JWT (RFC 7519 §6) and was authenticated by no issuer.
    pub unsecured: bool,
    /// The other dependencies of the token; `None` for a token that a client obtained for itself.
    pub provenance: Option<Box<Provenance>>,
}

impl Session {
    /// The session of a client that authenticates for itself.
    #[must_use]
    pub fn own(id: TokenId, start: Timestamp, end: Timestamp) -> Self {
        Self { id, start, end, subject_issuer: None, unsecured: false, provenance: None }
    }

    /// When the client of the token obtained its first token of this session. A client to which another one passed a token joins
    /// later than the session starts.
    #[must_use]
    pub fn joined(&self) -> Timestamp {
        self.provenance.as_ref().and_then(|provenance| provenance.joined).unwrap_or(self.start)
    }

    /// What the client has of the session: the branch that was passed on to it, or the session itself.
    #[must_use]
    pub fn family(&self) -> &TokenId {
        self.branch().unwrap_or(&self.id)
    }

    /// The branch of the session that was passed on to the client, if it did not begin the session.
    #[must_use]
    pub fn branch(&self) -> Option<&TokenId> {
        self.provenance.as_ref()?.branch.as_ref()
    }

    /// The audience as whose resource server the client obtained the token.
    #[must_use]
    pub fn served(&self) -> Option<&str> {
        self.provenance.as_ref()?.served.as_deref()
    }

    /// The subject as its issuer calls it, where `sub` of the token has the issuer's prefix before it.
    #[must_use]
    pub fn issuer_subject(&self) -> Option<&Subject> {
        self.provenance.as_ref()?.subject.as_ref()
    }
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
        if self.unsecured {
            session.serialize_entry("sub_auth", UNSECURED)?;
        }
        if let Some(provenance) = &self.provenance {
            provenance.serialize_members(&mut session)?;
        }
        session.end()
    }
}

pub(super) fn read_session(payload: &Map<String, Value>) -> Result<Session, ClaimFault> {
    const NAME: &str = "tokenberg_session";
    let session = payload.get(NAME);
    let members = session
        .and_then(Value::as_object)
        .ok_or_else(|| ClaimFault::new(NAME, Defect::of(session, Value::is_object, "an object")))?;
    read_members(members).map_err(|fault| fault.within(NAME))
}

fn read_members(members: &Map<String, Value>) -> Result<Session, ClaimFault> {
    let session = Session {
        id: token_id(members, "id")?,
        start: time(members, "start")?,
        end: time(members, "end")?,
        unsecured: match members.get("sub_auth") {
            None => false,
            Some(how) if how.as_str() == Some(UNSECURED) && members.get("sub_iss").is_none() => true,
            how @ Some(_) => {
                let rule = "it is unsecured, and only in a session without sub_iss";
                return Err(ClaimFault::new("sub_auth", Defect::of_text(how, rule)));
            }
        },
        subject_issuer: members.get("sub_iss").map(|iss| foreign_issuer(iss, "sub_iss")).transpose()?,
        provenance: read_provenance(members)?,
    };
    // Only another issuer's users have a name that differs from `sub`.
    if session.issuer_subject().is_some() && session.subject_issuer.is_none() {
        return Err(ClaimFault::missing("sub_iss"));
    }
    Ok(session)
}
