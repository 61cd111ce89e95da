//! The parties of delegation: principals, patterns over them, and the keys that tokens are bound to.

use crate::ISSUER;

/// Who names a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Realm {
    /// We: the principal is a client.
    Ours,
    /// This trusted issuer.
    Of(&'static str),
    /// A client, in an unsecured JWT.
    Unsecured,
}

/// An issuer *and* a subject: equal names of two issuers are two principals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// Who names it.
    pub realm: Realm,
    /// Its name, as its issuer calls it.
    pub name: String,
}

impl Principal {
    /// The principal of this name.
    #[must_use]
    pub fn new(realm: Realm, name: &str) -> Self {
        Self { realm, name: name.to_owned() }
    }

    /// A client of ours.
    #[must_use]
    pub fn client(id: &str) -> Self {
        Self::new(Realm::Ours, id)
    }
}

/// A set of principals: those of an issuer, or of every one, and one name, or every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The issuer, or `*`.
    pub issuer: &'static str,
    /// The name, or `*`.
    pub name: &'static str,
}

impl Pattern {
    /// Whether it stands for this principal. A user from an unsecured JWT has no issuer that a pattern could name.
    #[must_use]
    pub fn covers(&self, principal: &Principal) -> bool {
        let issuer = match principal.realm {
            Realm::Ours => ISSUER,
            Realm::Of(issuer) => issuer,
            Realm::Unsecured => return false,
        };
        is(self.issuer, issuer) && is(self.name, &principal.name)
    }
}

/// Whether the pattern is `*` or exactly the text.
pub(super) fn is(pattern: &str, text: &str) -> bool {
    pattern == "*" || pattern == text
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}|{}", self.issuer, self.name)
    }
}

/// The party that an issuer names as the only actor for its subject (RFC 8693 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayAct {
    /// `iss`, if there is one.
    pub issuer: Option<&'static str>,
    /// `sub`.
    pub name: &'static str,
}

impl MayAct {
    /// Whether the party is the one that is named for a subject of this realm.
    ///
    /// Without `iss` the name is that of one of our clients or of the issuer that wrote it, and not that of a third issuer.
    #[must_use]
    pub fn allows(&self, party: &Principal, written_by: Realm) -> bool {
        let is_its_realm = match (self.issuer, party.realm) {
            (None, realm) => realm == Realm::Ours || realm == written_by,
            (Some(named), Realm::Ours) => named == ISSUER,
            (Some(named), Realm::Of(issuer)) => named == issuer,
            (Some(_), Realm::Unsecured) => false,
        };
        is_its_realm && self.name == party.name
    }
}

/// The key of DPoP proofs and the certificate that a token is bound to or that a request proves, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The key.
    pub key: Option<usize>,
    /// The certificate.
    pub certificate: Option<usize>,
}

impl Bound {
    /// Whether a request with the proofs `proven` may use a token that is bound so.
    #[must_use]
    pub fn is_fulfilled_by(&self, proven: Self) -> bool {
        let has = |needed: Option<usize>, proven: Option<usize>| needed.is_none() || needed == proven;
        has(self.key, proven.key) && has(self.certificate, proven.certificate)
    }

    /// Bound to what either is bound to.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { key: self.key.or(other.key), certificate: self.certificate.or(other.certificate) }
    }
}
