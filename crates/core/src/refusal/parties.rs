//! The facts that decided about a token: the parties it depends on, and their rights.

use crate::issuer::AcceptedAs;
use crate::token::{Confirmation, MayAct, Thumbprint};
use crate::types::confirmation::Possession;
use crate::{ClientId, Excerpt, Issuer, Subject};
use std::fmt::{Display, Formatter, Result};

/// A principal on which a token depends, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Involved {
    /// How the token depends on it.
    pub role: Involvement,
    /// Which principal it is.
    pub principal: Principal,
}

/// How a token depends on a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Involvement {
    /// It is the issuer of the token itself.
    Issuer,
    /// The token was issued to it.
    Holder,
    /// The token is about it, or the issuer names the subject.
    Subject,
    /// The token was obtained with one of its tokens, or it is the present or a prior actor.
    Participant,
}

/// A client, a user or an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A client, by its identifier.
    Client(Box<str>),
    /// A subject of another issuer or, without one, a user from an unsecured JWT; as the issuer calls it.
    User(Option<Issuer>, Box<str>),
    /// An issuer.
    Issuer(Issuer),
}

impl Involved {
    /// A principal in this role, as a fault has it.
    pub(crate) fn boxed(role: Involvement, principal: Principal) -> Box<Self> {
        Box::new(Self { role, principal })
    }

    /// Whether it is the issuer of the token itself.
    pub(super) fn is_issuer_of_token(&self) -> bool {
        self.role == Involvement::Issuer
    }
}

impl Display for Principal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Client(id) => write!(f, "the client {id}"),
            Self::User(Some(issuer), subject) => write!(f, "{} of {issuer}", Excerpt::of_claim(subject)),
            Self::User(None, subject) => {
                write!(f, "the unsecured user {}", Excerpt::of_claim(subject))
            }
            Self::Issuer(issuer) => write!(f, "the issuer {issuer}"),
        }
    }
}

impl Display for Involved {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.role, &self.principal) {
            (Involvement::Issuer, issuer) => write!(f, "its issuer, {issuer},"),
            (Involvement::Holder, principal) => write!(f, "{principal}, to which it was issued,"),
            (Involvement::Subject, Principal::Issuer(issuer)) => {
                write!(f, "the issuer of its subject, {issuer},")
            }
            (Involvement::Subject, principal) => write!(f, "its subject, {principal},"),
            (Involvement::Participant, Principal::Issuer(issuer)) => {
                write!(f, "the issuer {issuer} of a party on which it depends")
            }
            (Involvement::Participant, principal) => write!(f, "{principal}, on which it depends,"),
        }
    }
}

/// An issuer whose tokens are not accepted as what they were presented as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    /// The issuer.
    pub issuer: Issuer,
    /// What its token was presented as.
    pub used_as: AcceptedAs,
    /// What its tokens are accepted as.
    pub accepted: Box<[AcceptedAs]>,
}

impl Display for NotAccepted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { issuer, used_as, accepted } = self;
        let accepted: Vec<&str> = accepted.iter().map(|used_as| used_as.as_str()).collect();
        match accepted.as_slice() {
            [] => write!(
                f,
                "tokens of {issuer} are accepted as identities of clients only, and not as {used_as}"
            ),
            accepted => {
                write!(f, "tokens of {issuer} are accepted as {}, and not as {used_as}", accepted.join(", "))
            }
        }
    }
}

/// A `may_act` that names another party than the actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayNotAct {
    /// The party that it names.
    pub may_act: MayAct,
    /// The issuer of the actor; `None` for a client of ours.
    pub actor_issuer: Option<Issuer>,
    /// The actor.
    pub actor: Subject,
}

impl Display for MayNotAct {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let named = |subject: &Subject| Excerpt::of_claim(subject.as_str()).to_string();
        let of = |issuer: &Option<Issuer>| {
            issuer.as_ref().map_or_else(String::new, |issuer| format!(" of {issuer}"))
        };
        let (may, may_of) = (named(&self.may_act.subject), of(&self.may_act.issuer));
        let actor = match &self.actor_issuer {
            None => format!("the client {}", named(&self.actor)),
            issuer @ Some(_) => format!("{}{}", named(&self.actor), of(issuer)),
        };
        write!(f, "its may_act names {may}{may_of}, but the actor is {actor}")
    }
}

/// A client, and a subject for which it may not act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutRight {
    /// The client that made the request.
    pub client: ClientId,
    /// The issuer that names the subject; `None` for an unsecured user.
    pub issuer: Option<Issuer>,
    /// The subject.
    pub subject: Box<str>,
}

impl WithoutRight {
    pub(crate) fn boxed(client: &ClientId, issuer: Option<Issuer>, subject: &str) -> Box<Self> {
        Box::new(Self { client: client.clone(), issuer, subject: subject.into() })
    }

    /// The issuer of the subject as text, empty for an unsecured user.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_ref().map_or("", Issuer::as_str)
    }
}

impl Display for WithoutRight {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let subject = Excerpt::of_claim(&self.subject);
        write!(f, "the client {} may not act for {subject}", self.client)?;
        self.issuer.iter().try_for_each(|issuer| write!(f, " of {issuer}"))
    }
}

/// A foreign identity that stands for no client, or not for the one that the request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFederated {
    /// The issuer of the identity.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Excerpt,
    /// The client that the request names, if it names one.
    pub client: Option<ClientId>,
    /// Whether that client is registered.
    pub is_client_known: bool,
    /// Whether the signature was verified.
    pub is_verified: bool,
}

impl Display for NotFederated {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { issuer, subject, client, .. } = self;
        match client {
            None => write!(
                f,
                "its sub is {subject}; this subject of {issuer} is mapped to no client, and the request has no client_id"
            ),
            Some(client) if self.is_client_known => {
                write!(
                    f,
                    "its sub is {subject}; this subject of {issuer} does not stand for the client {client}"
                )
            }
            Some(_) => write!(
                f,
                "its sub is {subject} of {issuer}, but no client is registered under the client_id of the request"
            ),
        }
    }
}

/// A token that is bound to a key of which the request has no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPossessed {
    /// The keys that the token is bound to.
    pub bound: Confirmation,
    /// The keys whose possession the request proves.
    pub proven: Possession,
}

impl NotPossessed {
    pub(crate) fn boxed(bound: &Confirmation, proven: &Possession) -> Box<Self> {
        Box::new(Self { bound: bound.clone(), proven: proven.clone() })
    }
}

impl Display for NotPossessed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let named = |key: &Option<Thumbprint>, certificate: &Option<Thumbprint>| {
            let key = key.as_ref().map(|key| format!("the DPoP key {}", key.as_str()));
            let certificate =
                certificate.as_ref().map(|thumbprint| format!("the certificate {}", thumbprint.as_str()));
            key.into_iter().chain(certificate).collect::<Vec<_>>().join(" and ")
        };
        let proven = named(&self.proven.key, &self.proven.certificate);
        let proven = if proven.is_empty() { "no key" } else { &proven };
        write!(
            f,
            "it is bound to {}, but the request proves possession of {proven}",
            named(&self.bound.key, &self.bound.certificate)
        )
    }
}
