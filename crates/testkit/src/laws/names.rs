//! One name is one principal (CC-17): catalogs decide by `sub` alone.

use super::Model;
use super::parties::{Principal, Realm};
use super::tokens::Token;

impl Model {
    /// `sub` of a token for a principal that is named for the first time.
    pub(super) fn sub_of(&self, principal: &Principal) -> String {
        let prefix = match principal.realm {
            Realm::Of(issuer) => self.register.issuer(issuer).and_then(|terms| terms.prefix).unwrap_or(""),
            Realm::Ours | Realm::Unsecured => "",
        };
        format!("{prefix}{}", principal.name)
    }

    /// Whether a catalog would confuse the principal named `sub` with another one.
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
        // A prefix is its issuer's alone.
        let has_prefix = |terms: &super::Terms| terms.prefix.is_some_and(|prefix| sub.starts_with(prefix));
        self.register
            .issuers()
            .any(|(issuer, terms)| principal.realm != Realm::Of(issuer) && has_prefix(terms))
    }

    /// Whether the token has a name with a prefix that its issuer does not have now, or that is another user's of its issuer now.
    pub(super) fn is_renamed(&self, token: &Token) -> bool {
        let Realm::Of(issuer) = token.principal.realm else { return false };
        let prefix = self.register.issuer(issuer).and_then(|terms| terms.prefix);
        let has_prefix = prefix.is_some_and(|prefix| token.sub.starts_with(prefix));
        (token.sub != token.principal.name || has_prefix) && token.sub != self.sub_of(&token.principal)
    }

    /// Two active tokens with one `sub` that are about two principals, although one has the name by a prefix, or is a client whose
    /// name the operator has not said to be shared.
    #[must_use]
    pub fn confused(&self, now: i64) -> Option<(&Token, &Token)> {
        let active: Vec<&Token> = self.tokens.iter().filter(|token| self.is_active(token, now)).collect();
        let is_exclusive = |token: &Token, other: &Token| {
            let shares = |issuer| self.register.issuer(issuer).is_some_and(|terms| terms.shared);
            match (token.principal.realm, other.principal.realm) {
                (Realm::Ours, Realm::Of(issuer)) => !shares(issuer),
                (Realm::Ours, Realm::Ours | Realm::Unsecured) => true,
                (Realm::Of(_) | Realm::Unsecured, _) => token.sub != token.principal.name,
            }
        };
        active.iter().enumerate().find_map(|(at, token)| {
            let is_confused = |other: &&&Token| {
                token.sub == other.sub
                    && token.principal != other.principal
                    && (is_exclusive(token, other) || is_exclusive(other, token))
            };
            active[at + 1..].iter().find(is_confused).map(|other| (*token, *other))
        })
    }
}
