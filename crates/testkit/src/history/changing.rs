//! Reads a decision of the operator as a change.

use super::cast::{CLIENTS, ISSUERS, NAMESAKE, Q, USERS, registration, terms};
use super::decision::{Decision, Right};
use super::player::Player;
use super::site::Site;
use crate::laws::{Change, Credential, Principal, Realm, Registration, Terms};

impl<S: Site> Player<S> {
    /// The change that the decision stands for now. A change without effect is inverted, so that a long history does not end with
    /// nothing left.
    pub(super) fn change_of(&self, decision: Decision) -> Option<Change> {
        let register = &self.model.register;
        match decision {
            Decision::RevokeToken { token } => {
                let token = self.token_to_revoke(token).filter(|token| self.is_known(*token))?;
                Some(Change::RevokeToken { token })
            }
            Decision::RevokeKey { token } => {
                self.token(token).filter(|t| self.is_known(*t)).map(|token| Change::RevokeKey { token })
            }
            Decision::RevokeClient { client, ago } => {
                let id = self.client_to_change(client);
                register.client(id)?;
                Some(Change::RevokeClient { id, ago: ago.into() })
            }
            Decision::RevokeSubject { user, whose, ago } => {
                let named = user % (USERS.len() + CLIENTS.len());
                let name = USERS.get(named).copied().unwrap_or_else(|| CLIENTS[named - USERS.len()]);
                let (realm, name) = match self.subject_to_change(user) {
                    Some((Realm::Unsecured | Realm::Ours, name)) => (Some(Realm::Ours), name),
                    Some((realm, name)) => (Some(realm), name),
                    None => (realm(whose).filter(|realm| *realm != Realm::Unsecured), name),
                };
                let is_meant = |issuer: &&'static str| realm.is_none_or(|realm| realm == Realm::Of(issuer));
                let own = |issuer: &'static str| Some((Realm::Of(issuer), register.own_name(issuer, name)?));
                let others = ISSUERS.into_iter().filter(|issuer| is_meant(issuer)).filter_map(own).collect();
                Some(Change::RevokeSubject { realm, name, others, ago: ago.into() })
            }
            Decision::RevokeIssuer { issuer, ago } => {
                let issuer = ISSUERS[issuer];
                register.issuer(issuer)?;
                Some(Change::RevokeIssuer { issuer, ago: ago.into() })
            }
            Decision::EnableClient { client, enabled } => {
                let id = self.client_to_change(client);
                let known = register.client(id)?;
                Some(Change::EnableClient { id, enabled: enabled != (known.enabled == enabled) })
            }
            Decision::RemoveClient { client } => self.register_or_remove(self.client_to_change(client)),
            Decision::Namesake => self.register_or_remove(NAMESAKE),
            Decision::Right { client, right: Right::Identity, .. } => {
                let (id, issuer, subject) = self.identity_to_change(client);
                let stands = !register.client(id)?.identities.contains(&(issuer, subject));
                self.identity(id, issuer, subject, stands)
            }
            Decision::Right { client, right, is_given } => {
                let id = self.client_of_right(client);
                let initial = registration(id, self.tempo);
                let changed = |is_given| self.changed(id, |now| change_right(now, &initial, right, is_given));
                changed(is_given).or_else(|| changed(!is_given))
            }
            Decision::Lifetime { client, of_token, eighths } => {
                let initial = registration(CLIENTS[client], self.tempo);
                let of = |lifetime: i64| (lifetime * eighths / 8).max(1);
                self.changed(CLIENTS[client], |now| {
                    if of_token {
                        now.token_lifetime = of(initial.token_lifetime);
                    } else {
                        now.session_lifetime = of(initial.session_lifetime);
                    }
                })
            }
            Decision::EnableIssuer { issuer, enabled } => {
                let issuer = ISSUERS[issuer];
                let known = register.issuer(issuer)?;
                Some(Change::EnableIssuer { issuer, enabled: enabled != (known.enabled == enabled) })
            }
            Decision::RemoveIssuer { issuer } => {
                let issuer = ISSUERS[issuer];
                Some(match register.issuer(issuer) {
                    Some(_) => Change::RemoveIssuer { issuer },
                    None => {
                        let prefix = terms(issuer).prefix.filter(|prefix| self.is_free(prefix, issuer));
                        Change::Issuer { issuer, terms: Terms { prefix, ..terms(issuer) } }
                    }
                })
            }
            Decision::Issuer {
                issuer,
                has_prefix,
                of_other,
                shared,
                outlives,
                is_narrow,
                names_subjects,
            } => {
                let issuer = ISSUERS[issuer];
                let prefix = if (issuer == Q) != of_other { "q:" } else { "p:" };
                let initial = register.issuer(issuer).copied().unwrap_or_else(|| terms(issuer));
                // The command line refuses a prefix that another issuer has.
                let prefix = has_prefix.then_some(prefix).filter(|prefix| self.is_free(prefix, issuer));
                // The command line wants one or the other.
                let shared = shared && prefix.is_none();
                let scope = if is_narrow { "catalog" } else { terms(issuer).scope };
                let terms = Terms { prefix, shared, outlives, scope, names_subjects, ..initial };
                Some(Change::Issuer { issuer, terms })
            }
            Decision::Subject { user, whose, disabled } => {
                let name = USERS.get(user % (USERS.len() + 1)).copied().unwrap_or("robot");
                let of_numbers =
                    realm(whose).filter(|realm| *realm != Realm::Ours).map(|realm| (realm, name));
                let (realm, name) = self.subject_to_change(user).or(of_numbers)?;
                if let Realm::Of(issuer) = realm {
                    register.issuer(issuer)?;
                }
                let principal = Principal::new(realm, name);
                let (_, all) = self.names(&principal);
                let named = |name: &String| register.is_disabled(&Principal::new(realm, name));
                let is = register.is_disabled(&principal) || all.iter().any(named);
                Some(self.subject(principal, disabled != (is == disabled)))
            }
            Decision::RotateKey => Some(Change::RotateKey),
        }
    }

    /// A change that restores something to its initial state.
    pub(super) fn healing(&self) -> Option<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for id in CLIENTS {
            let initial = registration(id, self.tempo);
            match self.model.register.client(id) {
                None => changes.extend(self.register_or_remove(id)),
                Some(known) if !known.enabled => changes.push(Change::EnableClient { id, enabled: true }),
                Some(known) => {
                    let lacks =
                        |identity: &&(&'static str, &'static str)| !known.identities.contains(identity);
                    let lacking = initial.identities.iter().filter(lacks);
                    changes.extend(
                        lacking.filter_map(|(issuer, subject)| self.identity(id, issuer, subject, true)),
                    );
                    let registration = Registration { identities: known.identities.clone(), ..initial };
                    if *known != registration {
                        changes.push(Change::Client { id, registration: Box::new(registration) });
                    }
                }
            }
        }
        for issuer in ISSUERS {
            match self.model.register.issuer(issuer) {
                Some(known) if !known.enabled => changes.push(Change::EnableIssuer { issuer, enabled: true }),
                Some(known) if *known == terms(issuer) => {}
                None | Some(_) => {
                    let prefix = terms(issuer).prefix.filter(|prefix| self.is_free(prefix, issuer));
                    changes.push(Change::Issuer { issuer, terms: Terms { prefix, ..terms(issuer) } });
                }
            }
        }
        changes.extend(self.model.register.client(NAMESAKE).map(|_| Change::RemoveClient { id: NAMESAKE }));
        for principal in self.model.register.disabled() {
            // The command line knows no subject of an issuer that was removed.
            let is_known = match principal.realm {
                Realm::Of(issuer) => self.model.register.issuer(issuer).is_some(),
                Realm::Ours | Realm::Unsecured => true,
            };
            if is_known {
                changes.push(self.subject(principal.clone(), false));
            }
        }
        let wanted = self.made as usize % changes.len().max(1);
        changes.into_iter().nth(wanted)
    }

    /// Whether no other issuer has the prefix.
    fn is_free(&self, prefix: &str, issuer: &str) -> bool {
        let others = ISSUERS.into_iter().filter(|other| *other != issuer);
        let mut prefixes = others.filter_map(|other| self.model.register.issuer(other)?.prefix);
        prefixes.all(|other| other != prefix)
    }

    fn subject(&self, principal: Principal, disabled: bool) -> Change {
        let (meant, all) = self.names(&principal);
        Change::Subject { principal, others: if disabled { meant } else { all }, disabled }
    }

    /// Other names of the subject: its issuer's name for it, if this is the one that catalogs see; and all of them.
    fn names(&self, principal: &Principal) -> (Vec<String>, Vec<String>) {
        let Realm::Of(issuer) = principal.realm else { return (Vec::new(), Vec::new()) };
        let prefix = self.model.register.issuer(issuer).and_then(|terms| terms.prefix);
        let own: Vec<String> = self.model.register.own_name(issuer, &principal.name).into_iter().collect();
        let as_seen = prefix.map(|prefix| format!("{prefix}{}", principal.name));
        (own.clone(), own.into_iter().chain(as_seen).collect())
    }

    /// Whether one of our keys signed the token and was not revoked: the command line does not know others.
    fn is_known(&self, index: usize) -> bool {
        !self.model.register.is_key_revoked(&self.model.tokens[index].key)
    }

    fn register_or_remove(&self, id: &'static str) -> Option<Change> {
        let register = &self.model.register;
        if register.client(id).is_some() {
            return Some(Change::RemoveClient { id });
        }
        let registration = registration(id, self.tempo);
        // An identity of an issuer that is not on the list authenticates no client.
        let can_be = registration.identities.iter().all(|(issuer, _)| register.issuer(issuer).is_some());
        can_be.then(|| Change::Client { id, registration: Box::new(registration) })
    }

    /// The change that lets the identity stand for the client, which needs its issuer on the list, or no longer.
    fn identity(
        &self,
        client: &'static str,
        issuer: &'static str,
        subject: &'static str,
        stands: bool,
    ) -> Option<Change> {
        let can_be = !stands || self.model.register.issuer(issuer).is_some();
        can_be.then_some(Change::Identity { client, issuer, subject, stands })
    }

    fn changed(&self, id: &'static str, change: impl FnOnce(&mut Registration)) -> Option<Change> {
        let before = self.model.register.client(id)?;
        let mut registration = before.clone();
        change(&mut registration);
        (registration != *before).then(|| Change::Client { id, registration: Box::new(registration) })
    }
}

fn realm(whose: usize) -> Option<Realm> {
    match whose {
        0 => None,
        1 => Some(Realm::Ours),
        2 => Some(Realm::Unsecured),
        _ => Some(Realm::Of(ISSUERS[whose % ISSUERS.len()])),
    }
}

fn change_right(now: &mut Registration, initial: &Registration, right: Right, is_given: bool) {
    match right {
        // The command line refuses to change these for a client without a credential.
        Right::Serves | Right::ClientCredentials | Right::TokenExchange
            if initial.credential == Credential::Public => {}
        Right::MayActFor if is_given => now.may_act_for.clone_from(&initial.may_act_for),
        Right::MayActFor => now.may_act_for.clear(),
        Right::MayImpersonate if is_given => now.may_impersonate.clone_from(&initial.may_impersonate),
        Right::MayImpersonate => now.may_impersonate.clear(),
        // The command line refuses users whom a client may name in token exchanges without that grant.
        Right::MayAssertUsers if is_given && now.grants[1] => {
            now.may_assert_users.clone_from(&initial.may_assert_users);
        }
        Right::MayAssertUsers => now.may_assert_users.clear(),
        Right::Serves if is_given => now.serves = vec![initial.audiences[0]],
        Right::Serves => now.serves.clear(),
        Right::Scope => now.scope = if is_given { initial.scope } else { "catalog" },
        Right::OtherAudiences | Right::FirstAudience if is_given => {
            now.audiences.clone_from(&initial.audiences);
        }
        Right::OtherAudiences => now.audiences.truncate(1),
        Right::FirstAudience => now.audiences = initial.audiences[1..].to_vec(),
        // It is a change of its own.
        Right::Identity => {}
        Right::ClientCredentials => now.grants[0] = is_given,
        Right::TokenExchange => now.grants[1] = is_given || !now.may_assert_users.is_empty(),
        Right::AnyKey => now.dpop_bound = !is_given,
    }
}
