//! Aims changes at the parties of recent tokens: a change that affects no token tests no law.

use super::around::COMPARED;
use super::cast::{CLIENTS, ROBOTS, USERS, WORKLOADS, registration};
use super::player::Player;
use super::reached::parties;
use super::site::Site;
use crate::laws::{Asks, Origin, Presented, Principal, Realm, Request, Token};
use std::cmp::Reverse;

/// The roles of parties, the rarest first.
const ROLES: [&str; 6] = ["origin", "actor", "foreign actor", "identity", "subject", "client"];

impl<S: Site> Player<S> {
    fn latest_tokens(&self) -> impl Iterator<Item = &Token> {
        self.model.tokens.iter().rev().take(COMPARED)
    }

    /// A request that passes a recent token on to another client: of those that should be granted, one with many parties.
    pub(super) fn passing_on(&self, number: usize, scope: &'static str) -> Option<Request> {
        let (now, tokens) = (self.site.now(), &self.model.tokens);
        let mut good: Vec<(usize, Request)> = Vec::new();
        for index in (tokens.len().saturating_sub(COMPARED)..tokens.len()).rev() {
            for client in CLIENTS.into_iter().filter(|client| *client != tokens[index].client) {
                for actor in [None, self.model.latest_own(client).map(Presented::Own)] {
                    let asks = Asks::Exchange { subject: Presented::Own(index), actor };
                    let request = self.request(self.way(client), asks, scope, None, true);
                    let expected = self.model.judge(&request, now);
                    good.extend(
                        expected.map(|expected| (expected.chain.len() + expected.with.len(), request)),
                    );
                }
            }
        }
        good.sort_by_key(|(parties, _)| Reverse(*parties));
        let most = good.len().min(8);
        (most > 0).then(|| good.swap_remove(number % most).1)
    }

    /// The number of a token to revoke: with an odd number one that another was obtained with, and with each second of those
    /// one that was passed on.
    pub(super) fn token_to_revoke(&self, number: usize) -> Option<usize> {
        let tokens = &self.model.tokens;
        let family = |family: &str| tokens.iter().position(|token| token.family() == family);
        let origins = || self.latest_tokens().flat_map(|token| token.with.iter().chain(&token.renewed_with));
        let mut of_origins = origins().filter_map(Origin::family).filter_map(family);
        let mut branches = origins()
            .filter_map(Origin::family)
            .filter_map(family)
            .filter(|index| tokens[*index].branch.is_some());
        let chosen = match number % 4 {
            1 => of_origins.nth(number / 4 % 4),
            3 => branches.next().or_else(|| of_origins.next()),
            _ => None,
        };
        chosen.or_else(|| self.token(number / 2))
    }

    /// The client whose rights change: with an odd number that of the latest token that is about another principal.
    pub(super) fn client_of_right(&self, number: usize) -> &'static str {
        let of_latest = || self.model.tokens.iter().rev().find(|token| !token.is_clients_own());
        let chosen = if number % 2 == 1 { of_latest() } else { None };
        chosen.map_or(CLIENTS[number / 2 % CLIENTS.len()], |token| token.client)
    }

    /// The foreign identity to take from its client or to give back: client, issuer and subject. With an odd number it is one by which a
    /// recent token was obtained.
    pub(super) fn identity_to_change(&self, number: usize) -> (&'static str, &'static str, &'static str) {
        let all = CLIENTS.into_iter().flat_map(|client| {
            let identities = registration(client, self.tempo).identities;
            identities.into_iter().map(move |(issuer, subject)| (client, issuer, subject))
        });
        let all: Vec<_> = all.collect();
        let is_of = |origin: &Origin| match origin {
            Origin::Identity(identity, of, _) => {
                let is_it = |known: &&(&'static str, &'static str, &'static str)| {
                    (known.0, Realm::Of(known.1), known.2) == (of, identity.realm, &*identity.name)
                };
                all.iter().find(is_it).copied()
            }
            Origin::Session(..) | Origin::Foreign(..) => None,
        };
        let of_latest = || self.latest_tokens().flat_map(|token| &token.with).find_map(is_of);
        let chosen = if number % 2 == 1 { of_latest() } else { None };
        chosen.unwrap_or(all[number / 2 % all.len()])
    }

    /// The client to revoke, disable or remove: with an odd number a party of a recent token.
    pub(super) fn client_to_change(&self, number: usize) -> &'static str {
        let known = |id: &str| CLIENTS.into_iter().find(|client| *client == id);
        let chosen = self.party(number, |party| party.realm == Realm::Ours && known(&party.name).is_some());
        chosen.and_then(|party| known(&party.name)).unwrap_or(CLIENTS[number / 2 % CLIENTS.len()])
    }

    /// The subject to revoke or disable, if the number is odd: a party of a recent token.
    pub(super) fn subject_to_change(&self, number: usize) -> Option<(Realm, &'static str)> {
        let party = self.party(number, |party| party.realm != Realm::Ours)?;
        let name = USERS.into_iter().chain(ROBOTS).chain(WORKLOADS).find(|name| *name == party.name)?;
        Some((party.realm, name))
    }

    /// A party of an active token in the role that the number means, if the number is odd.
    fn party(&self, number: usize, is_wanted: impl Fn(&Principal) -> bool) -> Option<Principal> {
        if number.is_multiple_of(2) {
            return None;
        }
        let now = self.site.now();
        let parties: Vec<(Principal, &str)> =
            self.latest_tokens().filter(|token| self.model.is_active(token, now)).flat_map(parties).collect();
        // Half of the numbers take the rarest role that exists.
        let first = (number / 2 % (2 * ROLES.len())).saturating_sub(ROLES.len());
        let roles = ROLES.iter().cycle().skip(first).take(ROLES.len());
        let of_role = |role: &&str| parties.iter().find(|(party, is)| is == role && is_wanted(party));
        roles.filter_map(of_role).next().map(|(party, _)| party.clone())
    }
}
