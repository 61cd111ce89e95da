//! The parties of an exchange, each verified: RFC 8693 §1.1.

use super::party::{ProvenActor, ProvenSubject};
use super::proof::Authenticated;
use crate::token::Confirmation;
use crate::types::confirmation::Possession;

/// The parties that were verified before the result is composed.
pub(crate) struct Parties<'a> {
    pub(crate) client: &'a Authenticated,
    pub(crate) subject: &'a ProvenSubject,
    pub(crate) actor: Option<&'a ProvenActor>,
    pub(crate) possession: &'a Possession,
}

impl<'a> Parties<'a> {
    /// The keys that the tokens of the request are bound to.
    pub(crate) fn confirmations(&self) -> impl Iterator<Item = &'a Confirmation> {
        let actors = self.actor.and_then(ProvenActor::confirmation);
        self.subject.confirmation().into_iter().chain(actors)
    }
}
