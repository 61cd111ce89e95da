//! The decisions of the operator: clients and their rights, issuers, subjects and revocations.

use super::Pattern;
use super::parties::{Principal, Realm};
use std::collections::{BTreeMap, BTreeSet};

/// A client as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// A disabled client is refused, and so is every token that depends on it.
    pub enabled: bool,
    /// How it authenticates by itself.
    pub credential: Credential,
    /// The foreign identities that stand for it: issuers, and their subjects.
    pub identities: Vec<(&'static str, &'static str)>,
    /// Whether it may use the grants `client_credentials`, `token_exchange` and `jwt_bearer`.
    pub grants: [bool; 3],
    /// Its scope, between spaces; `catalog` is always in it.
    pub scope: &'static str,
    /// Its audiences; the first is its default.
    pub audiences: Vec<&'static str>,
    /// The lifetime of its tokens, in seconds.
    pub token_lifetime: i64,
    /// The lifetime of its sessions, in seconds.
    pub session_lifetime: i64,
    /// The principals for whom it may act.
    pub may_act_for: Vec<Pattern>,
    /// The principals whom it may impersonate.
    pub may_impersonate: Vec<Pattern>,
    /// The users whom it may name in an unsecured JWT; `*` is every one.
    pub may_assert_users: Vec<&'static str>,
    /// The audiences whose resource server it is.
    pub serves: Vec<&'static str>,
    /// Whether it gets tokens with a DPoP proof only.
    pub dpop_bound: bool,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By a secret.
    Secret,
    /// By a certificate with this subject.
    Certificate(&'static str),
    /// By assertions that the key of the test signs.
    Key,
    /// By its foreign identities only.
    None,
    /// By the ID token that it exchanges, which was issued to it.
    Public,
}

/// The terms of a trusted issuer, as far as the histories change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A disabled issuer is refused, and so is every token that depends on it.
    pub enabled: bool,
    /// The prefix of `sub` in our tokens.
    pub prefix: Option<&'static str>,
    /// Whether the operator says that equal names are one principal.
    pub shared: bool,
    /// Whether a session may outlive the subject token that began it.
    pub outlives: bool,
    /// The scope of its subjects, between spaces.
    pub scope: &'static str,
    /// Whether its tokens are accepted as those of subjects, and not only as identities of clients.
    pub names_subjects: bool,
}

/// A change that the operator makes.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Change {
    /// Registers the client, or gives it other rights.
    Client {
        id: &'static str,
        registration: Box<Registration>,
    },
    EnableClient {
        id: &'static str,
        enabled: bool,
    },
    RemoveClient {
        id: &'static str,
    },
    /// Lets the foreign identity stand for the client, or no longer.
    Identity {
        client: &'static str,
        issuer: &'static str,
        subject: &'static str,
        stands: bool,
    },
    /// Trusts the issuer, or changes its terms.
    Issuer {
        issuer: &'static str,
        terms: Terms,
    },
    EnableIssuer {
        issuer: &'static str,
        enabled: bool,
    },
    RemoveIssuer {
        issuer: &'static str,
    },
    /// Disables or enables a user of an issuer, or an unsecured one: under this name, and under its other names.
    Subject {
        principal: Principal,
        others: Vec<String>,
        disabled: bool,
    },
    /// Revokes the whole session of the token.
    RevokeToken {
        token: usize,
    },
    /// Revokes the tokens that the client obtained until so many seconds ago.
    RevokeClient {
        id: &'static str,
        ago: i64,
    },
    /// Revokes the tokens for the subject until so many seconds ago, under this name and its other names; without a realm, of
    /// every issuer.
    RevokeSubject {
        realm: Option<Realm>,
        name: &'static str,
        others: Vec<(Realm, String)>,
        ago: i64,
    },
    /// Revokes what was obtained with tokens of the issuer until so many seconds ago.
    RevokeIssuer {
        issuer: &'static str,
        ago: i64,
    },
    /// Makes a new key that signs at once.
    RotateKey,
    /// Revokes the key that signed the token.
    RevokeKey {
        token: usize,
    },
}

impl Change {
    /// The number of the token that it names.
    #[must_use]
    pub fn token(&self) -> Option<usize> {
        match self {
            Self::RevokeToken { token } | Self::RevokeKey { token } => Some(*token),
            Self::Client { .. }
            | Self::EnableClient { .. }
            | Self::RemoveClient { .. }
            | Self::Issuer { .. }
            | Self::EnableIssuer { .. }
            | Self::RemoveIssuer { .. }
            | Self::Subject { .. }
            | Self::RevokeClient { .. }
            | Self::RevokeSubject { .. }
            | Self::RevokeIssuer { .. }
            | Self::Identity { .. }
            | Self::RotateKey => None,
        }
    }
}

/// The decisions of the operator.
#[derive(Default)]
pub struct Register {
    clients: BTreeMap<&'static str, Registration>,
    /// In the order in which they were registered.
    issuers: Vec<(&'static str, Terms)>,
    disabled: BTreeSet<Principal>,
    pub(super) sessions: BTreeSet<String>,
    pub(super) delegations: BTreeSet<(String, &'static str)>,
    pub(super) keys: BTreeSet<String>,
    clients_before: BTreeMap<&'static str, i64>,
    subjects_before: BTreeMap<(Option<Realm>, String), i64>,
    issuers_before: BTreeMap<&'static str, i64>,
    /// Of removed clients as subjects; a user who is called like one is not that client.
    removed_before: BTreeMap<&'static str, i64>,
}

impl Register {
    /// The client, if it is registered.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<&Registration> {
        self.clients.get(id)
    }

    /// The issuer, if it is trusted.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Option<&Terms> {
        self.issuers.iter().find(|(known, _)| *known == issuer).map(|(_, terms)| terms)
    }

    pub(super) fn issuers(&self) -> impl Iterator<Item = &(&'static str, Terms)> {
        self.issuers.iter()
    }

    /// Whether the principal may take part now.
    #[must_use]
    pub fn stands(&self, principal: &Principal) -> bool {
        match principal.realm {
            Realm::Ours => self.client_stands(&principal.name),
            Realm::Of(issuer) => self.trusts(issuer) && !self.is_shut_out(principal, issuer),
            Realm::Unsecured => !self.disabled.contains(principal),
        }
    }

    /// The same for the subject of a token, which the operator names as the issuer does or as the token does: a prefix that the
    /// issuer has received since then does not count.
    #[must_use]
    pub fn subject_stands(&self, principal: &Principal, sub: &str) -> bool {
        let as_named = Principal::new(principal.realm, sub);
        match principal.realm {
            Realm::Of(issuer) => {
                self.trusts(issuer) && !self.is_disabled(principal) && !self.is_disabled(&as_named)
            }
            Realm::Ours | Realm::Unsecured => self.stands(principal),
        }
    }

    fn is_shut_out(&self, principal: &Principal, issuer: &str) -> bool {
        self.disabled.contains(principal) || self.disabled.contains(&self.as_seen(principal, issuer))
    }

    /// The operator may name the subject as catalogs see it, with the prefix of its issuer.
    fn as_seen(&self, principal: &Principal, issuer: &str) -> Principal {
        let prefix = self.issuer(issuer).and_then(|terms| terms.prefix).unwrap_or("");
        Principal { realm: principal.realm, name: format!("{prefix}{}", principal.name) }
    }

    /// Whether the issuer is trusted and enabled.
    #[must_use]
    pub fn trusts(&self, issuer: &str) -> bool {
        self.issuer(issuer).is_some_and(|terms| terms.enabled)
    }

    /// The issuer's own name of the user whom catalogs know by this name.
    #[must_use]
    pub fn own_name(&self, issuer: &str, name: &str) -> Option<String> {
        let own = name.strip_prefix(self.issuer(issuer)?.prefix?)?;
        (!own.is_empty()).then(|| own.to_owned())
    }

    /// The subjects that are disabled.
    pub fn disabled(&self) -> impl Iterator<Item = &Principal> {
        self.disabled.iter()
    }

    /// Whether the operator disabled this subject.
    #[must_use]
    pub fn is_disabled(&self, principal: &Principal) -> bool {
        self.disabled.contains(principal)
    }

    /// Whether the key of this name was revoked.
    #[must_use]
    pub fn is_key_revoked(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    fn client_stands(&self, id: &str) -> bool {
        self.client(id).is_some_and(|client| client.enabled)
    }

    /// The subject of the issuer that stands for the client.
    #[must_use]
    pub fn identity(&self, client: &str, issuer: &str) -> Option<Principal> {
        let (issuer, subject) = self.client(client)?.identities.iter().find(|known| known.0 == issuer)?;
        Some(Principal::new(Realm::Of(issuer), subject))
    }

    /// The time before which tokens that depend on the principal were revoked.
    #[must_use]
    pub fn revoked_before(&self, principal: &Principal) -> Option<i64> {
        let of_removal = match principal.realm {
            Realm::Of(issuer) => self.issuers_before.get(issuer).copied(),
            Realm::Ours => self.removed_before.get(&*principal.name).copied(),
            Realm::Unsecured => None,
        };
        self.subject_revoked_before(principal).max(of_removal)
    }

    fn subject_revoked_before(&self, principal: &Principal) -> Option<i64> {
        // `revoke --issuer OURS` names an unsecured user, too: no other issuer names it.
        let realm = if principal.realm == Realm::Unsecured { Realm::Ours } else { principal.realm };
        let of = |realm: Option<Realm>| self.subjects_before.get(&(realm, principal.name.clone())).copied();
        of(None).max(of(Some(realm)))
    }

    /// The time before which the client's tokens were revoked.
    #[must_use]
    pub fn client_revoked_before(&self, id: &str) -> Option<i64> {
        self.clients_before.get(id).copied()
    }

    /// Records a change; tokens issued from `before` on are not revoked by it.
    pub fn apply(&mut self, change: &Change, before: i64) {
        match change {
            Change::Client { id, registration } => {
                self.clients.insert(id, (**registration).clone());
            }
            Change::EnableClient { id, enabled } => {
                if let Some(client) = self.clients.get_mut(id) {
                    client.enabled = *enabled;
                }
            }
            Change::RemoveClient { id } => {
                self.clients.remove(id);
                later(&mut self.clients_before, id, before);
                later(&mut self.removed_before, id, before);
            }
            Change::Identity { client, issuer, subject, stands } => {
                if let Some(client) = self.clients.get_mut(client) {
                    client.identities.retain(|known| *known != (*issuer, *subject));
                    client.identities.extend(stands.then_some((*issuer, *subject)));
                }
            }
            Change::Issuer { issuer, terms } => {
                match self.issuers.iter_mut().find(|(known, _)| known == issuer) {
                    Some((_, known)) => *known = *terms,
                    None => self.issuers.push((issuer, *terms)),
                }
            }
            Change::EnableIssuer { issuer, enabled } => {
                if let Some((_, terms)) = self.issuers.iter_mut().find(|(known, _)| known == issuer) {
                    terms.enabled = *enabled;
                }
            }
            Change::RemoveIssuer { issuer } => {
                self.issuers.retain(|(known, _)| known != issuer);
                later(&mut self.issuers_before, issuer, before);
            }
            Change::Subject { principal, others, disabled } => {
                let others = others.iter().map(|name| Principal::new(principal.realm, name));
                for named in std::iter::once(principal.clone()).chain(others) {
                    if *disabled {
                        self.disabled.insert(named);
                    } else {
                        self.disabled.remove(&named);
                    }
                }
            }
            Change::RevokeClient { id, .. } => later(&mut self.clients_before, id, before),
            Change::RevokeSubject { realm, name, others, .. } => {
                let others = others.iter().map(|(realm, name)| (Some(*realm), name.clone()));
                for named in std::iter::once((*realm, (*name).to_owned())).chain(others) {
                    later(&mut self.subjects_before, named, before);
                }
            }
            Change::RevokeIssuer { issuer, .. } => later(&mut self.issuers_before, issuer, before),
            // These need the token, which the model has.
            Change::RevokeToken { .. } | Change::RevokeKey { .. } | Change::RotateKey => {}
        }
    }
}

/// TX-38: the later time wins, in any order.
fn later<K: Ord>(times: &mut BTreeMap<K, i64>, key: K, before: i64) {
    let known = times.entry(key).or_insert(before);
    *known = before.max(*known);
}
