//! One name is one principal (CC-17): catalogs decide by `sub` alone.

use super::Model;
use super::parties::{Principal, Realm};
use std::cmp::Reverse;

impl Model {
    /// `sub` of a token for a principal that is named for the first time.
    pub(super) fn sub_of(&self, principal: &Principal) -> String {
        let prefix = match principal.realm {
            Realm::Of(issuer) => self.register.issuer(issuer).and_then(|terms| terms.prefix).unwrap_or(""),
            Realm::Ours | Realm::Unsecured => "",
        };
        format!("{prefix}{}", principal.name)
    }

    /// Whether a catalog would take the principal, who is called `sub`, for another one.
    pub(super) fn is_name_of_another(&self, principal: &Principal, sub: &str) -> bool {
        let terms = match principal.realm {
            Realm::Ours => return false,
            Realm::Of(issuer) => self.register.issuer(issuer),
            Realm::Unsecured => None,
        };
        let may_share = terms.is_some_and(|terms| terms.shared);
        if self.register.client(sub).is_some() && !may_share {
            return true;
        }
        // A prefix belongs to its issuer: the longest that fits, and of equals the one that was registered first.
        let prefix = |terms: &super::Terms| terms.prefix.filter(|prefix| sub.starts_with(prefix));
        let owners = self.register.issuers().filter(|(_, terms)| prefix(terms).is_some());
        let owner = owners.min_by_key(|(_, terms)| Reverse(prefix(terms).map(str::len)));
        // Names are one if all say so that name subjects; a client that names a user says nothing of it.
        let may_be_one = may_share || principal.realm == Realm::Unsecured;
        owner.is_some_and(|(owner, of_owner)| {
            principal.realm != Realm::Of(owner) && !(may_be_one && of_owner.shared)
        })
    }
}
