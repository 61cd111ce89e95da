//! The required outcome of a request: the claims of the result, or the reason for which it is refused.

use super::parties::{Pattern, Principal, Realm, is};
use super::presented::Subject;
use super::register::Credential;
use super::request::{Asking, Asks, By, Presented, Reason, Request};
use super::tokens::{Expected, Origin};
use super::{FOREIGN_LEEWAY, MOST_ACTORS, MOST_ORIGINS, Model};
use std::collections::{BTreeMap, BTreeSet};

/// The right by which a client gets a token for a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// It is the principal.
    Itself,
    Impersonating,
    Acting,
    /// It may name the user in an unsecured JWT.
    Naming,
    /// It is the resource server of this audience, to which the token was sent.
    Serving,
}

impl Model {
    /// Computes the required outcome of the request at the time `now`.
    ///
    /// # Errors
    /// The reason for which it has to be refused.
    pub fn judge(&self, request: &Request, now: i64) -> Result<Expected, Reason> {
        let client = self.authenticated(request, now)?;
        let registration = self.register.client(client).ok_or("there is no such client")?;
        let asking = Asking { client, registration, request, now };
        let grant = match &request.asks {
            Asks::Itself => 0,
            Asks::Exchange { .. } => 1,
            Asks::Grant(_) => 2,
        };
        if !registration.grants[grant] {
            return Err("TX-25: the client may not use the grant");
        }
        if registration.dpop_bound && request.proven.key.is_none() {
            return Err("DP-13: the client has to send a DPoP proof");
        }
        let expected = match &request.asks {
            Asks::Itself => self.begun(&asking),
            Asks::Exchange { subject, actor } => self.exchanged(&asking, subject, actor.as_ref()),
            Asks::Grant(assertion) if assertion.expires > now + 300 + FOREIGN_LEEWAY => {
                Err("GB-06: the assertion lives too long")
            }
            Asks::Grant(assertion) => self.exchanged(&asking, &Presented::Foreign(*assertion), None),
        };
        self.by_hook(expected?)
    }

    pub(crate) fn authenticated(&self, request: &Request, now: i64) -> Result<&'static str, Reason> {
        match request.by {
            By::Identity { client, issuer } => self.vouched_for(client, issuer, now),
            By::Credential(client) => {
                let presented = request.proven.certificate;
                let is_right = match self.register.client(client).map(|client| client.credential) {
                    None => false,
                    Some(Credential::Certificate(subject)) => {
                        presented.is_some_and(|presented| crate::history::CERTIFICATES[presented] == subject)
                    }
                    Some(Credential::None) => false,
                    Some(Credential::Public) => {
                        let is_id_token = |foreign: &super::request::Foreign| foreign.issued % 2 == 0;
                        matches!(&request.asks, Asks::Exchange { subject: Presented::Foreign(subject), actor: None }
                            if is_id_token(subject))
                    }
                    Some(Credential::Secret | Credential::Key) => true,
                };
                let stands = self.register.stands(&Principal::client(client));
                if is_right && stands { Ok(client) } else { Err("the client is not authenticated") }
            }
            By::Bearer(index) => {
                let names = |presented: &Presented| matches!(presented, Presented::Own(i) if *i == index);
                let is_presented = match &request.asks {
                    Asks::Itself | Asks::Grant(_) => false,
                    Asks::Exchange { subject, actor } => names(subject) || actor.as_ref().is_some_and(names),
                };
                let token = &self.tokens[index];
                match self.unusable(token, now) {
                    _ if !is_presented => Err("D3: the Bearer is neither subject nor actor"),
                    Some(why) => Err(why),
                    None if !token.bound.is_fulfilled_by(request.proven) => Err("7: the Bearer is bound"),
                    None => Ok(token.client),
                }
            }
        }
    }

    /// TX-37, TX-38: the identity counts as long as the operator has nothing against it, and an assertion from before a revocation
    /// does not.
    fn vouched_for(&self, client: &'static str, issuer: &str, now: i64) -> Result<&'static str, Reason> {
        let register = &self.register;
        let Some(identity) = register.identity(client, issuer).filter(|_| register.trusts(issuer)) else {
            return Err("the client is not authenticated");
        };
        if !register.stands(&Principal::client(client)) {
            return Err("the client is not authenticated");
        }
        if !register.stands(&identity) {
            return Err("TX-37: the identity of the client is disabled");
        }
        if self.is_from_before_a_revocation(&identity, now) {
            return Err("8: the assertion was issued before a revocation");
        }
        Ok(client)
    }

    /// A token of a client for itself.
    fn begun(&self, asking: &Asking<'_>) -> Result<Expected, Reason> {
        let end = asking.now + asking.registration.session_lifetime;
        Ok(Expected {
            principal: Principal::client(asking.client),
            sub: asking.client.to_owned(),
            client: asking.client,
            chain: Vec::new(),
            session: None,
            branch: None,
            is_passed_on: false,
            start: asking.now,
            end,
            joined: asking.now,
            scope: asking.own_scope()?,
            audience: asking.own_audience()?,
            expires: end.min(asking.now + asking.registration.token_lifetime),
            bound: asking.proves(),
            may_act: None,
            served: None,
            with: self.identity(asking).into_iter().collect(),
            renewed_with: BTreeSet::new(),
            extra: BTreeMap::new(),
        })
    }

    /// The identity by which the client asks: what it begins or joins depends on it.
    fn identity(&self, asking: &Asking<'_>) -> Option<Origin> {
        match asking.request.by {
            By::Identity { client, issuer } => {
                self.register.identity(client, issuer).map(|is| Origin::Identity(is, client, asking.now))
            }
            By::Credential(_) | By::Bearer(_) => None,
        }
    }

    fn exchanged(
        &self,
        asking: &Asking<'_>,
        presented: &Presented,
        acting: Option<&Presented>,
    ) -> Result<Expected, Reason> {
        let now = asking.now;
        let actor = acting.map(|actor| self.actor(asking, actor)).transpose()?;
        let subject = self.subject(asking, presented, actor.as_ref())?;
        let (client, lifetime) = (asking.client, asking.registration.session_lifetime);
        let basis = self.basis(asking, &subject).ok_or("9: the client has no right to it")?;
        if subject.client.is_some() && !self.names_subjects(subject.principal.realm) {
            return Err("9: subjects of its issuer are no longer accepted");
        }
        if self.is_name_of_another(&subject.principal, &subject.sub) {
            return Err("CC-17: it is the name of another principal");
        }

        let itself = Principal::client(client);
        let party = match (&actor, basis) {
            (Some(actor), _) => Some(actor.principal.clone()),
            (None, Basis::Itself | Basis::Impersonating) => None,
            (None, Basis::Acting | Basis::Naming | Basis::Serving) => Some(itself.clone()),
        };
        let mut chain = subject.chain.clone();
        if let Some(party) = party.clone().filter(|party| *party != subject.principal)
            && chain.first() != Some(&party)
        {
            chain.insert(0, party);
        }
        if let Some(may_act) = subject.may_act
            && !may_act.allows(party.as_ref().unwrap_or(&itself), subject.principal.realm)
        {
            return Err(match subject.client {
                None => "6: another party may act",
                Some(_) => "6: another party may act in a later exchange, too",
            });
        }
        if chain.len() > MOST_ACTORS {
            return Err("5: too many actors");
        }

        if subject.has_expired && chain != subject.chain {
            return Err("10: an expired token cannot be renewed with another actor");
        }

        let is_anew = subject.begins_anew(asking, actor.as_ref());
        let start = if is_anew { now } else { subject.start };
        let is_excepted = subject.principal.realm == Realm::Unsecured;
        let ends = [
            Some(start + lifetime),
            Some(subject.end).filter(|_| !is_anew),
            self.lifetime_of(&subject.principal).map(|lifetime| start + lifetime),
            actor.as_ref().filter(|actor| !(actor.is_ours && is_excepted)).map(|actor| actor.end),
        ];
        let end = ends.into_iter().flatten().min().unwrap_or(now);
        if end <= now {
            return Err("3: the session has ended");
        }

        let is_same_client = subject.client == Some(client);
        let is_renewal = is_same_client && chain == subject.chain;
        let (mut with, mut renewed_with) = (subject.with.clone(), subject.renewed_with.clone());
        if !is_same_client {
            with.append(&mut renewed_with);
        }
        if is_anew {
            // It begins with the credential, and depends on nothing before.
            (with, renewed_with) = Default::default();
        }
        match actor.as_ref().map(|actor| actor.origins.clone()) {
            Some(origins) if is_renewal && !is_anew => renewed_with = origins,
            Some(origins) => with.extend(origins),
            None => {}
        }
        if let Some(identity) =
            self.identity(asking).filter(|_| is_anew || !is_same_client || subject.has_expired)
            && !with.iter().any(|known| known.is_same_identity(&identity))
        {
            with.insert(identity);
        }
        let session = subject.session.clone().filter(|_| !is_anew);
        // A clock that was set back does not let a client join before the session began.
        let joined = if is_same_client && !is_anew { subject.joined } else { now.max(start) };
        if with.union(&renewed_with).count() > MOST_ORIGINS {
            return Err("8: it was obtained with too many tokens");
        }
        let bound = subject.bound.or(actor.as_ref().map(|actor| actor.bound).unwrap_or_default());
        let served = self.served(asking, &subject).filter(|_| !is_anew);
        Ok(Expected {
            scope: asking.scope(self, &subject, actor.as_ref())?,
            audience: asking.audience(&subject, actor.as_ref(), served.is_some())?,
            principal: subject.principal,
            sub: subject.sub,
            client,
            chain,
            session,
            branch: subject.branch.filter(|_| is_same_client && !is_anew),
            is_passed_on: subject.client.is_some() && !is_same_client,
            start,
            end,
            joined,
            expires: end.min(now + asking.registration.token_lifetime),
            bound: bound.or(asking.proves()),
            may_act: subject.may_act,
            served,
            with,
            renewed_with,
            extra: match presented {
                Presented::Own(index) => self.tokens[*index].extra.clone(),
                Presented::Foreign(_) | Presented::Unsecured(_) => BTreeMap::new(),
            },
        })
    }

    /// The right by which the client could obtain the token, whatever else is wrong with the request.
    #[must_use]
    pub fn right(&self, request: &Request, now: i64) -> &'static str {
        let client = match request.by {
            By::Credential(client) | By::Identity { client, .. } => client,
            By::Bearer(index) => self.tokens[index].client,
        };
        let Some(registration) = self.register.client(client) else { return "none" };
        let asking = Asking { client, registration, request, now };
        let subject = match &request.asks {
            Asks::Itself => return "itself",
            Asks::Exchange { subject, .. } => self.unchecked_subject(&asking, subject),
            Asks::Grant(foreign) => self.unchecked_subject(&asking, &Presented::Foreign(*foreign)),
        };
        match self.basis(&asking, &subject) {
            Some(Basis::Itself) => "itself",
            Some(Basis::Impersonating) => "impersonating",
            Some(Basis::Acting) => "acting",
            Some(Basis::Naming) => "naming",
            Some(Basis::Serving) => "serving",
            None => "none",
        }
    }

    /// The right by which the client obtains a token for the subject now.
    fn basis(&self, asking: &Asking<'_>, subject: &Subject) -> Option<Basis> {
        let rights = asking.registration;
        let covers = |patterns: &[Pattern]| patterns.iter().any(|p| p.covers(&subject.principal));
        let may_name = rights.may_assert_users.iter().any(|users| is(users, &subject.principal.name));
        if subject.is_clients_own && subject.client == Some(asking.client) {
            Some(Basis::Itself)
        } else if covers(&rights.may_impersonate) {
            Some(Basis::Impersonating)
        } else if covers(&rights.may_act_for) {
            Some(Basis::Acting)
        } else if subject.principal.realm == Realm::Unsecured && may_name {
            Some(Basis::Naming)
        } else {
            self.served(asking, subject).map(|_| Basis::Serving)
        }
    }

    /// The audience as whose resource server the client obtains the token: one that the token was sent to, or, for a token that
    /// it obtained itself, that as whose resource server it did.
    fn served(&self, asking: &Asking<'_>, subject: &Subject) -> Option<&'static str> {
        let is = |audience: &&&'static str| match subject.client {
            None => false,
            Some(client) if client == asking.client => subject.served == Some(**audience),
            Some(_) => subject.audience.as_ref().is_some_and(|of| of.contains(**audience)),
        };
        asking.registration.serves.iter().find(is).copied()
    }

    /// Whether tokens of the issuer may still be those of subjects.
    fn names_subjects(&self, realm: Realm) -> bool {
        match realm {
            Realm::Of(issuer) => self.register.issuer(issuer).is_some_and(|terms| terms.names_subjects),
            Realm::Ours | Realm::Unsecured => true,
        }
    }

    fn lifetime_of(&self, principal: &Principal) -> Option<i64> {
        let client = (principal.realm == Realm::Ours).then(|| self.register.client(&principal.name));
        client.flatten().map(|client| client.session_lifetime)
    }
}
