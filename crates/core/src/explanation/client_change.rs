//! Commands that change what a client may do and keep its present rights: `tokenberg client change`.

use super::command::{about, option, options};
use super::facts::Registration;
use crate::registration::AllowedScope;
use crate::{ClientId, GrantType, Issuer, Lifetime, Rights, Scope};

/// The command with these options.
fn of(client: &ClientId, options: &str) -> String {
    about("tokenberg client change", client.as_str(), options)
}

/// It may use this grant, too.
pub(super) fn grant(client: &ClientId, registered: &[GrantType], more: GrantType) -> String {
    let all = registered.iter().chain([&more]).map(|grant| grant.as_str());
    of(client, &format!(" --grant {}", all.collect::<Vec<_>>().join(",")))
}

/// It may have this scope, too.
pub(super) fn scope(known: &Registration, more: &Scope) -> String {
    let present = match &known.rights.scope {
        AllowedScope::Every => return of(&known.id, " --every-scope"),
        AllowedScope::Only(scope) => scope,
    };
    of(&known.id, &option("--scope", present.union(more).as_str()))
}

/// Also allows the client to request tokens for this audience; its default audience stays.
pub(super) fn audience(known: &Registration, ours: &Issuer, more: &str) -> String {
    let registered = known.rights.audiences.iter().map(AsRef::as_ref);
    let ourselves = known.rights.audiences.is_empty().then(|| ours.as_str());
    of(&known.id, &options("--audience", ourselves.into_iter().chain(registered).chain([more])))
}

/// It may act for this subject, too.
pub(super) fn may_act_for(known: &Registration, pattern: &str) -> String {
    let registered = known.rights.may_act_for.iter().map(|pattern| pattern.as_str());
    of(&known.id, &options("--may-act-for", registered.chain([pattern])))
}

/// It may assert this user, too. That is for token exchange only.
pub(super) fn may_assert(known: &Registration, user: &str) -> String {
    let Rights { may_assert_users, grants, .. } = &known.rights;
    let registered = may_assert_users.iter().map(|pattern| pattern.as_str());
    let users = options("--may-assert-users", registered.chain([user]));
    if grants.contains(&GrantType::TokenExchange) {
        return of(&known.id, &users);
    }
    let all = grants.iter().chain([&GrantType::TokenExchange]).map(|grant| grant.as_str());
    of(&known.id, &format!("{users} --grant {}", all.collect::<Vec<_>>().join(",")))
}

/// It gets tokens without a DPoP proof, too.
pub(super) fn not_dpop_bound(client: &ClientId) -> String {
    of(client, " --dpop-bound false")
}

/// Its assertions may live, and be, this old.
pub(super) fn assertion_lifetime(client: &ClientId, lifetime: Lifetime) -> String {
    of(client, &format!(" --assertion-lifetime {lifetime}"))
}

/// Its sessions last this long.
pub(super) fn session_lifetime(client: &str, lifetime: Lifetime) -> String {
    about("tokenberg client change", client, &format!(" --session-lifetime {lifetime}"))
}
