//! Judges the tokens that a request presents as subject and actor.

use super::parties::{Bound, MayAct, Principal, Realm};
use super::register::Terms;
use super::request::{Asking, Foreign, Presented, Reason, tokens};
use super::tokens::{Origin, Token};
use super::{FOREIGN_LEEWAY, GRACE, LEEWAY, Model};
use std::collections::BTreeSet;

/// A verified subject.
pub(super) struct Subject {
    pub(super) principal: Principal,
    pub(super) sub: String,
    pub(super) chain: Vec<Principal>,
    /// `None` unless it is a token of ours.
    pub(super) client: Option<&'static str>,
    /// Its scope; `None` for a user who has the scope of the actor.
    pub(super) scope: Option<BTreeSet<String>>,
    /// Its audiences, if it is a token of ours.
    pub(super) audience: Option<BTreeSet<String>>,
    pub(super) session: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) joined: i64,
    pub(super) bound: Bound,
    pub(super) may_act: Option<MayAct>,
    pub(super) served: Option<&'static str>,
    pub(super) with: BTreeSet<Origin>,
    pub(super) renewed_with: BTreeSet<Origin>,
    pub(super) is_clients_own: bool,
    pub(super) has_expired: bool,
}

impl Subject {
    /// Whether a client that proves its credential begins a new session with its own token.
    pub(super) fn begins_anew(&self, asking: &Asking<'_>, actor: Option<&Actor>) -> bool {
        let end = self.end.min(self.start + asking.registration.session_lifetime);
        let is_over = actor.map_or(end, |actor| end.min(actor.end)) <= asking.now;
        let is_its_own = self.is_clients_own && self.client == Some(asking.client);
        let may = asking.request.by.is_credential() && asking.registration.grants[0];
        is_over && is_its_own && may
    }
}

/// A verified actor.
pub(super) struct Actor {
    pub(super) principal: Principal,
    pub(super) is_ours: bool,
    pub(super) scope: BTreeSet<String>,
    pub(super) audience: Option<BTreeSet<String>>,
    pub(super) end: i64,
    pub(super) bound: Bound,
    pub(super) origins: BTreeSet<Origin>,
}

impl Model {
    /// The subject, if no check were to refuse it.
    pub(super) fn unchecked_subject(&self, asking: &Asking<'_>, presented: &Presented) -> Subject {
        match presented {
            Presented::Own(index) => Subject::of(&self.tokens[*index], asking),
            Presented::Foreign(foreign) => Subject::begun(foreign.principal(), asking.now),
            Presented::Unsecured(name) => Subject::begun(Principal::new(Realm::Unsecured, name), asking.now),
        }
    }

    pub(super) fn subject(
        &self,
        asking: &Asking<'_>,
        presented: &Presented,
        actor: Option<&Actor>,
    ) -> Result<Subject, Reason> {
        match presented {
            Presented::Own(index) => self.own_subject(asking, &self.tokens[*index]),
            Presented::Foreign(foreign) => self.foreign_subject(asking, foreign),
            Presented::Unsecured(name) => self.unsecured_subject(asking, name, actor),
        }
    }

    fn own_subject(&self, asking: &Asking<'_>, token: &Token) -> Result<Subject, Reason> {
        let (now, client) = (asking.now, asking.client);
        if let Some(why) = self.ended(token) {
            return Err(why);
        }
        if token.issued.max(token.start) > now + LEEWAY {
            return Err("it is not valid yet");
        }
        if now >= token.expires {
            let acts = token.chain.first() == Some(&Principal::client(client));
            if !asking.request.by.is_credential() || token.client != client {
                return Err("10: expired, and not renewed by the credential of its client");
            }
            if now > token.expires + GRACE || !(acts || token.is_clients_own()) {
                return Err("10: expired, and its client is not its subject or actor, or it is too late");
            }
        }
        if !token.bound.is_fulfilled_by(asking.request.proven) {
            return Err("7: the subject token is bound");
        }
        Ok(Subject::of(token, asking))
    }

    fn foreign_subject(&self, asking: &Asking<'_>, foreign: &Foreign) -> Result<Subject, Reason> {
        let terms = self.check_foreign(asking, foreign)?;
        let principal = foreign.principal();
        Ok(Subject {
            sub: self.sub_of(&principal),
            scope: Some(tokens(terms.scope)),
            end: if terms.outlives { i64::MAX } else { foreign.expires },
            bound: foreign.bound,
            may_act: foreign.may_act,
            ..Subject::begun(principal, asking.now)
        })
    }

    fn unsecured_subject(
        &self,
        asking: &Asking<'_>,
        name: &str,
        actor: Option<&Actor>,
    ) -> Result<Subject, Reason> {
        let principal = Principal::new(Realm::Unsecured, name);
        if !actor.is_some_and(|actor| actor.is_ours) {
            return Err("TX-61: no own token of the client is the actor_token");
        }
        if !self.register.stands(&principal) {
            return Err("TX-37: the user is disabled");
        }
        if self.register.revoked_before(&principal).is_some_and(|before| asking.now < before) {
            return Err("8: it was revoked");
        }
        Ok(Subject { sub: name.to_owned(), ..Subject::begun(principal, asking.now) })
    }

    pub(super) fn actor(&self, asking: &Asking<'_>, presented: &Presented) -> Result<Actor, Reason> {
        match presented {
            Presented::Own(index) => {
                let token = &self.tokens[*index];
                if let Some(why) = self.unusable(token, asking.now) {
                    return Err(why);
                }
                if !token.is_clients_own() || token.client != asking.client {
                    return Err("TX-58, TX-61: the actor token is not the client's own");
                }
                if !token.bound.is_fulfilled_by(asking.request.proven) {
                    return Err("7: the actor token is bound");
                }
                Ok(Actor {
                    principal: token.principal.clone(),
                    is_ours: true,
                    scope: token.scope.clone(),
                    audience: Some(token.audience.clone()),
                    end: token.end,
                    bound: token.bound,
                    origins: token.origins(),
                })
            }
            Presented::Foreign(foreign) => {
                let terms = self.check_foreign(asking, foreign)?;
                let principal = foreign.principal();
                let rights = asking.registration;
                if !rights.may_act_for.iter().chain(&rights.may_impersonate).any(|p| p.covers(&principal)) {
                    return Err("6: the client may not act for the foreign actor");
                }
                Ok(Actor {
                    is_ours: false,
                    scope: tokens(terms.scope),
                    audience: None,
                    end: foreign.expires,
                    bound: foreign.bound,
                    origins: [Origin::Foreign(principal.clone(), asking.now)].into(),
                    principal,
                })
            }
            Presented::Unsecured(_) => Err("TX-62: an unsecured JWT is no actor"),
        }
    }

    fn check_foreign(&self, asking: &Asking<'_>, foreign: &Foreign) -> Result<Terms, Reason> {
        let (now, principal) = (asking.now, foreign.principal());
        let terms = self.register.issuer(foreign.issuer).ok_or("the issuer is not trusted")?;
        if !self.register.stands(&principal) {
            return Err("TX-37: the subject or its issuer is disabled");
        }
        if !terms.names_subjects {
            return Err("tokens of the issuer are accepted as identities of clients only");
        }
        if foreign.expires + FOREIGN_LEEWAY <= now || foreign.issued > now + FOREIGN_LEEWAY {
            return Err("the foreign token has expired, or is not valid yet");
        }
        if self.is_from_before_a_revocation(&principal, foreign.issued) {
            return Err("8: the foreign token was issued before a revocation");
        }
        if !foreign.bound.is_fulfilled_by(asking.request.proven) {
            return Err("7: the foreign token is bound");
        }
        Ok(*terms)
    }
}

impl Model {
    /// TX-38: whether a token that the issuer issued at this time is from before the subject or all of the issuer was revoked.
    pub(super) fn is_from_before_a_revocation(&self, principal: &Principal, issued: i64) -> bool {
        let as_seen = Principal { realm: principal.realm, name: self.sub_of(principal) };
        let of = |name: &Principal| self.register.revoked_before(name);
        of(principal).max(of(&as_seen)).is_some_and(|before| issued < before)
    }
}

impl Subject {
    /// The content of a token of ours.
    fn of(token: &Token, asking: &Asking<'_>) -> Self {
        Self {
            principal: token.principal.clone(),
            sub: token.sub.clone(),
            chain: token.chain.clone(),
            client: Some(token.client),
            scope: Some(token.scope.clone()),
            audience: Some(token.audience.clone()),
            session: Some(token.session.clone()),
            branch: token.branch.clone(),
            start: token.start,
            end: token.end,
            joined: token.joined,
            bound: token.bound,
            may_act: token.may_act,
            served: token.served,
            with: if token.client == asking.client { token.with.clone() } else { token.origins() },
            renewed_with: token.renewed_with.clone(),
            is_clients_own: token.is_clients_own(),
            has_expired: asking.now >= token.expires,
        }
    }

    /// One whose session begins now.
    fn begun(principal: Principal, now: i64) -> Self {
        Self {
            principal,
            sub: String::new(),
            chain: Vec::new(),
            client: None,
            scope: None,
            audience: None,
            session: None,
            branch: None,
            start: now,
            end: i64::MAX,
            joined: now,
            bound: Bound::default(),
            may_act: None,
            served: None,
            with: BTreeSet::new(),
            renewed_with: BTreeSet::new(),
            is_clients_own: false,
            has_expired: false,
        }
    }
}
