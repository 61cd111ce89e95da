//! Commands that change what a client may do and keep its present rights: `tokenberg client change`.

use super::command::{option, options, quoted};
use super::facts::Registration;
use crate::registration::AllowedScope;
use crate::{ClientId, GrantType, Issuer, Lifetime, Rights, Scope};

/// The command without what is to change.
fn of(client: &ClientId) -> String {
    format!("tokenberg client change {}", quoted(client.as_str()))
}

/// It may use this grant, too.
pub(super) fn grant(client: &ClientId, registered: &[GrantType], more: GrantType) -> String {
    let all = registered.iter().chain([&more]).map(|grant| grant.as_str());
    format!("{} --grant {}", of(client), all.collect::<Vec<_>>().join(","))
}

/// It may have this scope, too.
pub(super) fn scope(known: &Registration, more: &Scope) -> String {
    let present = match &known.rights.scope {
        AllowedScope::Every => return format!("{} --every-scope", of(&known.id)),
        AllowedScope::Only(scope) => scope,
    };
    of(&known.id) + &option("--scope", present.union(more).as_str())
}

/// Also allows the client to request tokens for this audience; its default audience stays.
pub(super) fn audience(known: &Registration, ours: &Issuer, more: &str) -> String {
    let registered = known.rights.audiences.iter().map(AsRef::as_ref);
    let ourselves = known.rights.audiences.is_empty().then(|| ours.as_str());
    of(&known.id) + &options("--audience", ourselves.into_iter().chain(registered).chain([more]))
}

/// It may act for this subject, too.
pub(super) fn may_act_for(known: &Registration, pattern: &str) -> String {
    let registered = known.rights.may_act_for.iter().map(|pattern| pattern.as_str());
    of(&known.id) + &options("--may-act-for", registered.chain([pattern]))
}

/// It may assert this user, too. That is for token exchange only.
pub(super) fn may_assert(known: &Registration, user: &str) -> String {
    let Rights { may_assert_users, grants, .. } = &known.rights;
    let registered = may_assert_users.iter().map(|pattern| pattern.as_str());
    let command = of(&known.id) + &options("--may-assert-users", registered.chain([user]));
    if grants.contains(&GrantType::TokenExchange) {
        return command;
    }
    let all = grants.iter().chain([&GrantType::TokenExchange]).map(|grant| grant.as_str());
    format!("{command} --grant {}", all.collect::<Vec<_>>().join(","))
}

/// It gets tokens without a DPoP proof, too.
pub(super) fn not_dpop_bound(client: &ClientId) -> String {
    format!("{} --dpop-bound false", of(client))
}

/// Its assertions may live, and be, this old.
pub(super) fn assertion_lifetime(client: &ClientId, lifetime: Lifetime) -> String {
    format!("{} --assertion-lifetime {lifetime}", of(client))
}

/// Its sessions last this long.
pub(super) fn session_lifetime(client: &str, lifetime: Lifetime) -> String {
    format!("tokenberg client change {} --session-lifetime {lifetime}", quoted(client))
}
