//! Converts the options of `client add` into the rights of a client, which do not contradict each other.

use crate::duration;
use crate::failure::{note, warn, wrong_usage};
use clap::{Args, ValueEnum};
use tokenberg_core::policy::LONGEST_TOKEN_LIFETIME;
use tokenberg_core::registration::{AllowedScope, SubjectPattern, UserPattern};
use tokenberg_core::{GrantType, Lifetime, Rights, Scope, Target};

/// The longest session; after it, the client has to authenticate again.
const LONGEST_SESSION: Lifetime = Lifetime::from_hours(30 * 24);
/// Clients renew a token after nine tenths of its lifetime: with less than this they do little else (conformance IC-03).
const SHORT_TOKEN_LIFETIME: Lifetime = Lifetime::from_seconds(60);

/// What it may do.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// The scopes that it may ask for, between spaces; `catalog` is always one. `sign` is what Iceberg's S3 remote signer asks for.
    /// PRINCIPAL_ROLE:ALL is granted only where it stands here literally
    #[arg(long, value_name = "'S1 S2 …'", default_value = "catalog sign PRINCIPAL_ROLE:ALL")]
    scope: Scope,

    /// The scope of its tokens when it asks for none; each has to be within --scope [default: catalog, or --scope where that
    /// lacks catalog]
    #[arg(long, value_name = "'S …'")]
    default_scope: Option<Scope>,

    /// The grants that it may use
    #[arg(long, value_name = "GRANT,…", value_delimiter = ',', default_values = ["client_credentials", "token_exchange"])]
    grant: Vec<Grant>,

    /// What it may ask tokens for; the first is its default `aud`, and without any that is our issuer. Repeat for several; many
    /// Iceberg clients cannot name an audience and always get the first
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    audience: Vec<Box<str>>,

    /// How long its tokens live: 2s, 15m, 1h; 7d at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1h")]
    token_lifetime: Lifetime,

    /// How long they can be renewed before the client has to prove its credential again: 12h, 7d; 30d at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "12h")]
    session_lifetime: Lifetime,

    /// Subjects for whom it may get tokens that name it as the actor, as a glob over ISSUER|SUBJECT: users of an issuer that is
    /// trusted ('https://idp.example|*'; see `issuer add`), or our own clients, whose issuer is ours
    /// ('http://127.0.0.1:8183|alice'). Repeat for several
    #[arg(long, value_name = "PATTERN")]
    may_act_for: Vec<SubjectPattern>,

    /// The same, for tokens that do not name it
    #[arg(long, value_name = "PATTERN")]
    may_impersonate: Vec<SubjectPattern>,

    /// Users whom it may name in a JWT without a signature, as Trino's catalog sends it, as a glob over the bare name: 'team-*'.
    /// Nothing but the client's own word says who they are; its tokens name it as the actor and say so. Repeat for several
    #[arg(long, value_name = "PATTERN")]
    may_assert_users: Vec<UserPattern>,

    /// What it is the resource server of: it may exchange and introspect tokens that other clients send there. Its own tokens for that
    /// audience need --audience. Repeat for several
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    serves: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Grant {
    /// RFC 6749, section 4.4: a token for the client itself
    ClientCredentials,
    /// RFC 8693: a token for a token
    TokenExchange,
    /// RFC 7523: a token for a JWT of an issuer that is accepted for this
    JwtBearer,
}

pub(super) fn audience(text: &str) -> Result<Box<str>, String> {
    if text.is_empty() {
        return Err("an audience is not empty".to_owned());
    }
    Target::audience(text).map(|target| target.as_str().into()).map_err(|fault| fault.to_string())
}

impl Terms {
    /// The rights; warns of what is allowed but rarely intended.
    ///
    /// # Errors
    /// If the terms contradict each other.
    pub(super) fn into_rights(self) -> anyhow::Result<Rights> {
        let mut rights = Rights::new(AllowedScope::Only(self.scope));
        rights.grants = grants(&self.grant);
        if let Some(default_scope) = self.default_scope {
            rights.default_scope = default_scope;
        }
        rights.audiences = each_once(self.audience);
        rights.token_lifetime = self.token_lifetime;
        rights.session_lifetime = self.session_lifetime;
        rights.may_act_for = self.may_act_for;
        rights.may_impersonate = self.may_impersonate;
        rights.serves = each_once(self.serves);
        rights.may_assert_users = self.may_assert_users;
        check(&rights, "leave --may-assert-users out")?;
        warn_of_lifetimes(&rights);
        Ok(rights)
    }
}

/// Checks that the rights do not contradict each other; `without_users` describes how to remove the unsecured users.
///
/// # Errors
/// If they do.
pub(super) fn check(rights: &Rights, without_users: &str) -> anyhow::Result<()> {
    let excess = rights.default_scope.retain(|token| !rights.scope.allows(token));
    if !excess.is_empty() {
        return Err(wrong_usage(format!(
            "the default scope has {excess}, which the scope lacks: give --default-scope, or {excess} in --scope as well"
        )));
    }
    if rights.default_scope.is_empty() {
        return Err(wrong_usage("--default-scope is empty; a client that asks for no scope has to get some"));
    }
    if !rights.may_assert_users.is_empty() && !rights.grants.contains(&GrantType::TokenExchange) {
        return Err(wrong_usage(format!(
            "users whom it may assert are for token exchanges, and its grants leave token_exchange out: add that to --grant, or {without_users}"
        )));
    }
    duration::within("--token-lifetime", rights.token_lifetime, LONGEST_TOKEN_LIFETIME)?;
    duration::within("--session-lifetime", rights.session_lifetime, LONGEST_SESSION)
}

/// Warns of lifetimes that are allowed but rarely intended.
pub(super) fn warn_of_lifetimes(rights: &Rights) {
    if rights.token_lifetime < SHORT_TOKEN_LIFETIME {
        warn(&format!(
            "tokens that live only {} make Iceberg's clients ask for new ones all the time; 60s and more is better",
            duration::written(rights.token_lifetime)
        ));
    }
    if rights.session_lifetime < rights.token_lifetime {
        warn(
            "the session is shorter than the lifetime of a token, so tokens live only as long as the session",
        );
    }
}

/// Prints which client programs cannot choose between several audiences. Their catalog refuses the token with a bare 401.
pub(super) fn note_several_audiences(rights: &Rights) {
    if let [first, _, ..] = rights.audiences.as_slice() {
        note(&format!(
            "tokens have `aud` {first} unless a request names another audience, and DuckDB, ClickHouse, Trino and PyIceberg's \
             oauth2 manager cannot name one: for these, register one client per catalog"
        ));
    }
}

/// The grants without duplicates, in the order in which they were given.
pub(super) fn grants(given: &[Grant]) -> Vec<GrantType> {
    let mut grants = Vec::new();
    for grant in given {
        let grant = match grant {
            Grant::ClientCredentials => GrantType::ClientCredentials,
            Grant::TokenExchange => GrantType::TokenExchange,
            Grant::JwtBearer => GrantType::JwtBearer,
        };
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    grants
}

pub(super) fn each_once(many: Vec<Box<str>>) -> Vec<Box<str>> {
    let mut once: Vec<Box<str>> = Vec::with_capacity(many.len());
    for one in many {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}
