//! How far scope and audience reach, and what a request proves: laws 1, 2 and 7.

use super::parties::{Bound, Realm};
use super::presented::{Actor, Subject};
use super::register::{Credential, Registration};
use super::request::{Asking, By, Reason, tokens};
use std::collections::BTreeSet;

const CATALOG: &str = "catalog";

impl Registration {
    /// D10: `catalog` may always be granted.
    fn allows(&self, token: &str) -> bool {
        token == CATALOG || self.scope.split(' ').any(|known| known == token)
    }
}

impl Asking<'_> {
    /// The requested tokens, if they are within the limit; all of it if none are requested.
    fn within(&self, limit: BTreeSet<String>) -> Result<BTreeSet<String>, Reason> {
        let requested = tokens(self.request.scope);
        if limit.is_empty() || !requested.is_subset(&limit) {
            return Err("1: the scope exceeds a ceiling");
        }
        Ok(if requested.is_empty() { limit } else { requested })
    }

    /// The scope of a token of the client's own (CC-09).
    pub(super) fn own_scope(&self) -> Result<BTreeSet<String>, Reason> {
        let requested = tokens(if self.request.scope.is_empty() { CATALOG } else { self.request.scope });
        let all = requested.iter().all(|token| self.registration.allows(token));
        if all { Ok(requested) } else { Err("1: the scope exceeds a ceiling") }
    }

    /// Law 1.
    pub(super) fn scope(
        &self,
        model: &super::Model,
        subject: &Subject,
        actor: Option<&Actor>,
    ) -> Result<BTreeSet<String>, Reason> {
        let of_actor = actor.map(|actor| &actor.scope);
        // A user from an unsecured JWT has what the actor has.
        let Some(mut limit) = subject.scope.clone().or_else(|| of_actor.cloned()) else {
            return Err("1: no scope is allowed");
        };
        limit.retain(|token| {
            let of_principal = match subject.principal.realm {
                Realm::Ours => model.register.client(&subject.principal.name),
                Realm::Of(_) | Realm::Unsecured => None,
            };
            let of_issuer = match subject.principal.realm {
                Realm::Of(issuer) => model.register.issuer(issuer),
                Realm::Ours | Realm::Unsecured => None,
            };
            self.registration.allows(token)
                && of_issuer.is_none_or(|terms| tokens(terms.scope).contains(token))
                && of_actor.is_none_or(|actor| actor.contains(token))
                && of_principal.is_none_or(|principal| principal.allows(token))
        });
        self.within(limit)
    }

    /// The audience of a token of the client's own (RI-01, RI-02).
    pub(super) fn own_audience(&self) -> Result<BTreeSet<String>, Reason> {
        self.audience_within(&self.registration.audiences, |_| true, false)
    }

    /// Law 2.
    pub(super) fn audience(
        &self,
        subject: &Subject,
        actor: Option<&Actor>,
        is_served: bool,
    ) -> Result<BTreeSet<String>, Reason> {
        let of_actor = actor.and_then(|actor| actor.audience.as_ref());
        let mut registered = self.registration.audiences.clone();
        if is_served {
            registered.extend(&self.registration.serves);
        }
        let is_of_both = |audience: &str| {
            subject.audience.as_ref().is_none_or(|of| of.contains(audience))
                && of_actor.is_none_or(|of| of.contains(audience))
        };
        self.audience_within(&registered, is_of_both, subject.audience.is_some())
    }

    /// The requested audiences. Without a request: all that may be granted for a token of ours, or else the first.
    fn audience_within(
        &self,
        registered: &[&'static str],
        may_be: impl Fn(&str) -> bool,
        takes_all: bool,
    ) -> Result<BTreeSet<String>, Reason> {
        let limit: Vec<&str> = registered.iter().copied().filter(|audience| may_be(audience)).collect();
        let requested = &self.request.audience;
        if limit.is_empty() || !requested.iter().all(|audience| limit.contains(audience)) {
            return Err("2: the audience exceeds a ceiling");
        }
        let granted = match (requested.is_empty(), takes_all) {
            (false, _) => requested.clone(),
            (true, true) => limit,
            (true, false) => limit[..1].to_vec(),
        };
        Ok(granted.into_iter().map(str::to_owned).collect())
    }

    /// The proofs of the request bind the result. A certificate of a client that authenticates otherwise binds nothing (MT-07).
    pub(super) fn proves(&self) -> Bound {
        let is_credential = matches!(self.registration.credential, Credential::Certificate(_))
            && matches!(self.request.by, By::Credential(_));
        Bound {
            key: self.request.proven.key,
            certificate: self.request.proven.certificate.filter(|_| is_credential),
        }
    }
}
