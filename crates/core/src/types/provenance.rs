//! What a token depends on beside its session: the members of `tokenberg_session` that only delegated tokens have.

use super::actor::{Actor, foreign_issuer};
use super::claim_fault::{ClaimFault, Defect};
use super::claims::{AccessTokenClaims, TokenId, parsed, time, token_id};
use super::client_id::ClientId;
use super::issuer::Issuer;
use super::subject::Subject;
use super::time::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// What a token depends on, apart from the authentication that began its session.
///
/// The end of a session, a right or a revocation reaches a token long after it was issued, so the token itself carries what is
/// compared then: RFC 8693 leaves to the deployment how tokens that were obtained with each other are related (§2.2.1, §7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// `joined`: when the client got its first token of this session, if that is later than the session's start.
    pub joined: Option<Timestamp>,
    /// `branch`: the `jti` of that first token, if another client passed the session on. It names what the client has of the
    /// session, which goes with the branch alone when the client revokes it.
    pub branch: Option<TokenId>,
    /// `sub`: the subject as its issuer calls it, if `sub` of the token has the issuer's prefix before it.
    pub subject: Option<Subject>,
    /// `may_act`: the only party that may become the actor, as the issuer of the subject decided (RFC 8693 §4.4).
    pub may_act: Option<MayAct>,
    /// `served`: the audience as whose resource server the client obtained the token.
    pub served: Option<Box<str>>,
    /// `with`: what the token was obtained with; whatever ends one of these ends the token. At most [`MOST_ORIGINS`] together
    /// with `renewed_with`.
    pub origins: Vec<Origin>,
    /// `renewed_with`: the same for the actor of the last exchange that changed no actor. The next one takes its place.
    pub renewed_with: Vec<Origin>,
}

/// The most parties that a token may have been obtained with.
pub const MOST_ORIGINS: usize = 16;

/// A party with whose token another token was obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `id`, `client_id`, `since`: a token of ours.
    Session {
        /// The session of the token, or the branch of it that was passed on to the client.
        session: TokenId,
        /// The client to which it was issued.
        client: ClientId,
        /// When that client got its first token of the session.
        joined: Timestamp,
    },
    /// `iss`, `sub`, `since`: a token of another issuer.
    Foreign {
        /// The issuer.
        issuer: Issuer,
        /// Its subject, as the issuer calls it.
        subject: Subject,
        /// When the token was presented.
        since: Timestamp,
    },
    /// `iss`, `sub`, `client_id`, `since`: the identity at another issuer by which a client authenticated.
    Identity {
        /// The issuer.
        issuer: Issuer,
        /// Its subject.
        subject: Subject,
        /// The client that the identity stands for.
        client: ClientId,
        /// When the client presented the assertion.
        since: Timestamp,
    },
}

/// The party that may become the actor, as the issuer of a subject decided (RFC 8693 §4.4). It restricts, and grants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayAct {
    /// `iss`, if the claim has one.
    pub issuer: Option<Issuer>,
    /// `sub`.
    pub subject: Subject,
}

/// A party other than the subject on whose token or authority a token depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant<'a> {
    /// The issuer that names it; `None` for a client of ours.
    pub issuer: Option<&'a Issuer>,
    /// Its name: the identifier of a client, or the subject as its issuer calls it.
    pub subject: &'a str,
    /// Since when it takes part.
    pub since: Timestamp,
}

impl Origin {
    fn participant(&self) -> Participant<'_> {
        match self {
            Self::Session { client, joined, .. } => {
                Participant { issuer: None, subject: client.as_str(), since: *joined }
            }
            Self::Foreign { issuer, subject, since } | Self::Identity { issuer, subject, since, .. } => {
                Participant { issuer: Some(issuer), subject: subject.as_str(), since: *since }
            }
        }
    }
}

impl AccessTokenClaims {
    /// What the token was obtained with, apart from its session.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.session.provenance.iter().flat_map(|provenance| provenance.all_origins())
    }

    /// Every party but the subject on which the token depends: its client, those with whose tokens it was obtained, and those
    /// that act or acted.
    pub fn participants(&self) -> impl Iterator<Item = Participant<'_>> {
        let since = self.session.joined();
        let client = Participant { issuer: None, subject: self.client_id.as_str(), since };
        let actors = self.actor.iter().flat_map(Actor::chain).filter_map(move |actor| {
            let named = (actor.issuer.as_ref(), actor.subject.as_str());
            let is_named = |other: Participant<'_>| (other.issuer, other.subject) == named;
            if is_named(client) || self.origins().map(Origin::participant).any(is_named) {
                return None;
            }
            // Of another actor without a token of its own is known only that it acted by then.
            Some(Participant { issuer: named.0, subject: named.1, since: self.issued_at })
        });
        [client].into_iter().chain(self.origins().map(Origin::participant)).chain(actors)
    }
}

impl Provenance {
    /// Everything that the token was obtained with.
    pub fn all_origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().chain(&self.renewed_with)
    }

    /// `None` if nothing is in it.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    pub(super) fn serialize_members<M: SerializeMap>(&self, session: &mut M) -> Result<(), M::Error> {
        if let Some(joined) = self.joined {
            session.serialize_entry("joined", &joined.as_seconds())?;
        }
        if let Some(branch) = &self.branch {
            session.serialize_entry("branch", branch.as_str())?;
        }
        if let Some(subject) = &self.subject {
            session.serialize_entry("sub", subject.as_str())?;
        }
        if let Some(may_act) = &self.may_act {
            session.serialize_entry("may_act", may_act)?;
        }
        if let Some(served) = &self.served {
            session.serialize_entry("served", served)?;
        }
        if !self.origins.is_empty() {
            session.serialize_entry("with", &self.origins)?;
        }
        if !self.renewed_with.is_empty() {
            session.serialize_entry("renewed_with", &self.renewed_with)?;
        }
        Ok(())
    }
}

impl Serialize for MayAct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut may_act = serializer.serialize_map(None)?;
        if let Some(issuer) = &self.issuer {
            may_act.serialize_entry("iss", issuer.as_str())?;
        }
        may_act.serialize_entry("sub", self.subject.as_str())?;
        may_act.end()
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut origin = serializer.serialize_map(None)?;
        let since = match self {
            Self::Session { session, client, joined } => {
                origin.serialize_entry("id", session.as_str())?;
                origin.serialize_entry("client_id", client.as_str())?;
                joined
            }
            Self::Foreign { issuer, subject, since } => {
                origin.serialize_entry("iss", issuer.as_str())?;
                origin.serialize_entry("sub", subject.as_str())?;
                since
            }
            Self::Identity { issuer, subject, client, since } => {
                origin.serialize_entry("iss", issuer.as_str())?;
                origin.serialize_entry("sub", subject.as_str())?;
                origin.serialize_entry("client_id", client.as_str())?;
                since
            }
        };
        origin.serialize_entry("since", &since.as_seconds())?;
        origin.end()
    }
}

pub(super) fn read_provenance(session: &Map<String, Value>) -> Result<Option<Box<Provenance>>, ClaimFault> {
    let has = |name: &str| session.contains_key(name);
    // Most sessions have nothing else than `id`, `start` and `end`.
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
    fn a_provenance_that_was_written_reads_the_same() {
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
    fn a_member_that_is_not_known_is_named_by_its_path() {
        let payload = payload(&json!({"until": 1}));
        let fault = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap_err();
        assert_eq!(fault.to_string(), "the claim tokenberg_session.until is not allowed here");
    }

    #[test]
    fn a_malformed_provenance_is_no_provenance() {
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
