//! The parties on which a token depends, other than its subject.

use super::actor::Actor;
use super::claims::AccessTokenClaims;
use super::issuer::Issuer;
use super::provenance::Origin;
use super::time::Timestamp;

/// A party other than the subject on whose token or authority a token depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant<'a> {
    /// The issuer that names it; `None` for a client of ours.
    pub issuer: Option<&'a Issuer>,
    /// Its name: the identifier of a client, or the subject as its issuer calls it.
    pub subject: &'a str,
    /// When its participation began.
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
        [client].into_iter().chain(self.other_participants())
    }

    /// The same without its client, unless that is among those with whose tokens it was obtained.
    pub(crate) fn other_participants(&self) -> impl Iterator<Item = Participant<'_>> {
        let actors = self.actor.iter().flat_map(Actor::chain).filter_map(move |actor| {
            let named = (actor.issuer.as_ref(), actor.subject.as_str());
            let is_client = actor.issuer.is_none() && self.client_id == *actor.subject.as_str();
            let is_named = |other: Participant<'_>| (other.issuer, other.subject) == named;
            if is_client || self.origins().map(Origin::participant).any(is_named) {
                return None;
            }
            // A prior actor without its own token is only known to have acted by then.
            Some(Participant { issuer: named.0, subject: named.1, since: self.issued_at })
        });
        self.origins().map(Origin::participant).chain(actors)
    }
}
