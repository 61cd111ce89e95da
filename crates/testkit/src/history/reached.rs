//! Counts what a history reached: a law that was never tried proves nothing.

use super::player::Player;
use super::site::Site;
use crate::laws::{Change, Origin, Principal, Realm, Token};
use std::collections::BTreeMap;

impl<S: Site> Player<S> {
    /// How often the history reached what the laws are about: kinds of tokens, reasons to refuse, changes, and the parties by
    /// which a change ended a token.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<String, usize> {
        let mut reached = self.noted.clone();
        let mut add = |what: String, times: usize| *reached.entry(what).or_default() += times;
        add("granted".to_owned(), self.tally.granted);
        add("refused".to_owned(), self.tally.refused);
        add("looks".to_owned(), self.tally.looks);
        self.reasons.iter().for_each(|((why, _), times)| add(format!("refused: {why}"), *times));
        for token in &self.model.tokens {
            facts(token).for_each(|what| add(format!("granted: {what}"), 1));
        }
        reached
    }

    pub(super) fn note(&mut self, what: String) {
        *self.noted.entry(what).or_default() += 1;
    }

    /// Records by which party the change ended a token that was active before. A token that depends on the change by two parties
    /// proves neither.
    pub(super) fn note_ended(&mut self, change: &Change, named: Option<&Token>, index: usize) {
        let token = &self.model.tokens[index];
        let parties = parties(token);
        let mut reached: Vec<&str> = match named {
            Some(named) if matches!(change, Change::RevokeToken { .. }) => sessions(token, named),
            Some(_) | None => {
                parties.iter().filter(|(party, _)| concerns(change, party)).map(|(_, role)| *role).collect()
            }
        };
        reached.sort_unstable();
        reached.dedup();
        if let [role] = reached[..] {
            self.note(format!("{} ended a token by its {role}", kind(change)));
        }
    }
}

fn is_identity(origin: &Origin) -> bool {
    matches!(origin, Origin::Identity(..))
}

/// The notable properties of a token.
fn facts(token: &Token) -> impl Iterator<Item = &'static str> {
    let is = |realm: Realm| token.principal.realm == realm;
    let facts = [
        ("a user from an unsecured JWT", is(Realm::Unsecured)),
        ("a user of an issuer", !is(Realm::Unsecured) && !is(Realm::Ours)),
        ("a user whose issuer has a prefix", token.sub != token.principal.name),
        ("a client that is acted for", is(Realm::Ours) && !token.chain.is_empty()),
        ("an impersonated principal", token.chain.is_empty() && !token.is_clients_own()),
        ("two actors", token.chain.len() == 2),
        ("three actors", token.chain.len() >= 3),
        ("a foreign actor", token.chain.iter().any(|actor| actor.realm != Realm::Ours)),
        ("may_act", token.may_act.is_some()),
        ("bound to a key", token.bound.key.is_some()),
        ("bound to a certificate", token.bound.certificate.is_some()),
        ("bound to both", token.bound.key.is_some() && token.bound.certificate.is_some()),
        ("obtained by a resource server", token.served.is_some()),
        ("passed on", token.branch.is_some()),
        ("renewed with an actor", !token.renewed_with.is_empty()),
        ("obtained as a foreign identity", token.with.iter().any(is_identity)),
        ("obtained with three", token.with.len() >= 3),
    ];
    facts.into_iter().filter(|(_, is)| *is).map(|(what, _)| what)
}

/// The parties of a token, each in the first of its roles.
pub(super) fn parties(token: &Token) -> Vec<(Principal, &'static str)> {
    let mut parties = vec![(Principal::client(token.client), "client"), (token.principal.clone(), "subject")];
    let actors = token.chain.iter().map(|actor| match actor.realm {
        Realm::Ours => (actor.clone(), "actor"),
        Realm::Of(_) | Realm::Unsecured => (actor.clone(), "foreign actor"),
    });
    let origins = token.with.iter().chain(&token.renewed_with).map(|origin| match origin {
        Origin::Identity(identity, ..) => (identity.clone(), "identity"),
        Origin::Session(..) | Origin::Foreign(..) => (origin.party().0, "origin"),
    });
    for (party, role) in actors.chain(origins) {
        if !parties.iter().any(|(known, _)| *known == party) {
            parties.push((party, role));
        }
    }
    parties
}

/// How the token depends on a revoked session: it is its own, or one that it was obtained with.
fn sessions(token: &Token, named: &Token) -> Vec<&'static str> {
    let is_own = [&*token.session, token.family()].contains(&named.family());
    let mut origins = token.with.iter().chain(&token.renewed_with);
    let is_origin = origins.any(|origin| origin.family().is_some_and(|family| family == named.family()));
    [("session", is_own), ("origin", is_origin)]
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(what, _)| what)
        .collect()
}

/// Whether the change is about the party.
fn concerns(change: &Change, party: &Principal) -> bool {
    match change {
        Change::EnableClient { id, .. } | Change::RemoveClient { id } | Change::RevokeClient { id, .. } => {
            *party == Principal::client(id)
        }
        Change::EnableIssuer { issuer, .. }
        | Change::RemoveIssuer { issuer }
        | Change::RevokeIssuer { issuer, .. } => party.realm == Realm::Of(issuer),
        Change::Identity { issuer, subject, .. } => *party == Principal::new(Realm::Of(issuer), subject),
        Change::Subject { principal, others, .. } => {
            party.realm == principal.realm && (party.name == principal.name || others.contains(&party.name))
        }
        Change::RevokeSubject { realm, name, others, .. } => {
            // Our own issuer also means unsecured users.
            let as_named = if party.realm == Realm::Unsecured { Realm::Ours } else { party.realm };
            let is_named = party.name == *name && realm.is_none_or(|realm| realm == as_named);
            is_named || others.contains(&(party.realm, party.name.clone()))
        }
        Change::Client { .. }
        | Change::Issuer { .. }
        | Change::RevokeToken { .. }
        | Change::RotateKey
        | Change::RevokeKey { .. } => false,
    }
}

/// The name of the change among the counters.
pub(super) fn kind(change: &Change) -> &'static str {
    match change {
        Change::Client { .. } => "client change",
        Change::EnableClient { enabled: false, .. } => "client disable",
        Change::EnableClient { enabled: true, .. } => "client enable",
        Change::RemoveClient { .. } => "client remove",
        Change::Issuer { .. } => "issuer add",
        Change::EnableIssuer { enabled: false, .. } => "issuer disable",
        Change::EnableIssuer { enabled: true, .. } => "issuer enable",
        Change::RemoveIssuer { .. } => "issuer remove",
        Change::Subject { disabled: true, .. } => "subject disable",
        Change::Subject { disabled: false, .. } => "subject enable",
        Change::RevokeToken { .. } => "revoke --token-file",
        Change::RevokeClient { .. } => "revoke --client",
        Change::RevokeSubject { .. } => "revoke --subject",
        Change::RevokeIssuer { .. } => "revoke --issuer",
        Change::Identity { stands: false, .. } => "client federate --remove",
        Change::Identity { stands: true, .. } => "client federate",
        Change::RotateKey => "key rotate",
        Change::RevokeKey { .. } => "key revoke",
    }
}
