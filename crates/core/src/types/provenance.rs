//! What a token depends on in addition to its session: the members of `tokenberg_session` that only delegated tokens have.

use super::client_id::ClientId;
use super::issuer::Issuer;
use super::subject::Subject;
use super::time::Timestamp;
use super::token_id::TokenId;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The dependencies of a token, other than the authentication that began its session.
///
/// The end of a session, a right or a revocation reaches a token long after it was issued, so the token itself carries the values that
/// are compared then: RFC 8693 leaves to the deployment how tokens that were obtained with each other are related (§2.2.1, §7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// `joined`: when the client obtained its first token of this session, if that is later than the session's start.
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
        /// When that client obtained its first token of the session.
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

impl Provenance {
    /// Everything that the token was obtained with.
    pub fn all_origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().chain(&self.renewed_with)
    }

    /// `None` if it is empty.
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
