//! The present and the prior actors of a subject: `act`, RFC 8693 §4.1.

use super::claim_fault::{ClaimFault, Defect};
use super::claim_reading::{foreign_issuer, parsed};
use super::issuer::Issuer;
use super::subject::Subject;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// One actor of the chain and, nested, the prior one (RFC 8693 §4.1). It identifies, and grants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `iss`, where the subject is not one of ours.
    pub issuer: Option<Issuer>,
    /// `sub`.
    pub subject: Subject,
    /// `act`: the prior actor.
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
    let members = act.as_object().filter(|_| depth <= DEEPEST_CHAIN).ok_or_else(|| {
        ClaimFault::new("act", Defect::of(Some(act), Value::is_object, "an object, with 16 actors at most"))
    })?;
    // RFC 8693 §4.1: claims within act "pertain only to the identity of the actor"; others "are not meaningful".
    if let Some(other) = members.keys().find(|name| !matches!(name.as_str(), "iss" | "sub" | "act")) {
        return Err(ClaimFault::unknown_member("act", other));
    }
    let read = || {
        Ok(Actor {
            issuer: members.get("iss").map(|iss| foreign_issuer(iss, "iss")).transpose()?,
            subject: parsed(members, "sub")?,
            prior: None,
        })
    };
    let actor = read().map_err(|fault: ClaimFault| fault.within("act"))?;
    let prior = members.get("act").map(|prior| read_actor(prior, depth + 1).map(Box::new)).transpose()?;
    Ok(Actor { prior, ..actor })
}
