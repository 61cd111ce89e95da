//! Who acts for the subject, and who did before? `act`, RFC 8693 §4.1.

use super::claims::{ClaimFault, parsed};
use super::issuer::Issuer;
use super::subject::Subject;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// One actor of the chain and, inside, who acted before (RFC 8693 §4.1). It identifies, and grants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `iss`, where the subject is not one of ours.
    pub issuer: Option<Issuer>,
    /// `sub`.
    pub subject: Subject,
    /// `act`: the actor before this one, who is history.
    pub prior: Option<Box<Actor>>,
}

impl Actor {
    /// This actor and those before, the present one first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |a| a.prior.as_deref())
    }
}

/// The deepest chain of actors that is read from a token.
const DEEPEST_CHAIN: usize = 16;

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut act = serializer.serialize_map(None)?;
        if let Some(issuer) = &self.issuer {
            act.serialize_entry("iss", issuer.as_str())?;
        }
        act.serialize_entry("sub", self.subject.as_str())?;
        if let Some(prior) = &self.prior {
            act.serialize_entry("act", prior)?;
        }
        act.end()
    }
}

pub(super) fn read_actor(act: &Value, depth: usize) -> Result<Actor, ClaimFault> {
    let members = act.as_object().filter(|_| depth <= DEEPEST_CHAIN).ok_or(ClaimFault("act"))?;
    // RFC 8693 §4.1: claims within act "pertain only to the identity of the actor"; others "are not meaningful".
    if members.keys().any(|name| !matches!(name.as_str(), "iss" | "sub" | "act")) {
        return Err(ClaimFault("act"));
    }
    Ok(Actor {
        issuer: members.get("iss").map(foreign_issuer).transpose()?,
        subject: parsed(members, "sub").map_err(|_| ClaimFault("act"))?,
        prior: members.get("act").map(|prior| read_actor(prior, depth + 1).map(Box::new)).transpose()?,
    })
}

/// Another issuer, as it calls itself.
pub(super) fn foreign_issuer(value: &Value) -> Result<Issuer, ClaimFault> {
    value.as_str().and_then(|text| Issuer::foreign(text).ok()).ok_or(ClaimFault("act"))
}
