//! Converts the options of `client add` into the rights of a client, which do not contradict each other.

use crate::commands::{labels, scope_option};
use crate::duration;
use crate::failure::{note, warn, wrong_usage};
use clap::{Args, ValueEnum};
use tokenberg_core::policy::LONGEST_TOKEN_LIFETIME;
use tokenberg_core::registration::{AllowedScope, LONGEST_ASSERTION_LIFETIME, SubjectPattern, UserPattern};
use tokenberg_core::{AuthMethod, GrantType, Lifetime, Rights, Scope, Target};

/// The longest session; after it, the client has to authenticate again.
const LONGEST_SESSION: Lifetime = Lifetime::from_hours(30 * 24);
/// Clients renew a token after nine tenths of its lifetime: with less than this they do little else (conformance IC-03).
const SHORT_TOKEN_LIFETIME: Lifetime = Lifetime::from_seconds(60);

/// What the client may do.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// Scopes that the client may request, space-separated; `catalog` is always included. Iceberg's S3 remote signer requests
    /// `sign`. PRINCIPAL_ROLE:ALL is granted only if it is listed literally
    #[arg(long, value_name = "'S1 S2 …'", default_value = "catalog sign PRINCIPAL_ROLE:ALL")]
    scope: Scope,

    /// Scope of tokens if a request names none; must be within --scope [default: catalog, or --scope if that lacks catalog]
    #[arg(long, value_name = "'S …'")]
    default_scope: Option<Scope>,

    /// Grants that the client may use, comma-separated [default: client_credentials,token_exchange; without a credential:
    /// token_exchange]
    #[arg(long, value_name = "GRANT,…", value_delimiter = ',')]
    grant: Vec<Grant>,

    /// Audience that the client may request; repeatable. The first one is the default `aud` of its tokens, and the only one for
    /// the many Iceberg clients that cannot request an audience [default: the server's issuer]
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    audience: Vec<Box<str>>,

    /// Lifetime of the client's tokens, such as 15m or 1h; at most 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1h")]
    token_lifetime: Lifetime,

    /// Lifetime of sessions: how long tokens can be renewed before the client must authenticate with its credential again, such
    /// as 12h or 7d; at most 30d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "12h")]
    session_lifetime: Lifetime,

    /// Subjects that the client may act for; repeatable. Its tokens for them name it as the actor (`act`). A glob over
    /// ISSUER|SUBJECT: users of a trusted issuer ('https://idp.example|*', see `issuer add`), or clients of this server, with the
    /// server's issuer ('http://127.0.0.1:8183|alice')
    #[arg(long, value_name = "PATTERN")]
    may_act_for: Vec<SubjectPattern>,

    /// Subjects that the client may impersonate: as --may-act-for, but its tokens do not name it as the actor; repeatable
    #[arg(long, value_name = "PATTERN")]
    may_impersonate: Vec<SubjectPattern>,

    /// Users that the client may name in an unsecured JWT (RFC 7519 §6), as Trino's catalog sends it; a glob over the user name,
    /// such as 'team-*'; repeatable. No signature proves the user, so tokens mark the user as unsecured and name the client as
    /// the actor
    #[arg(long, value_name = "PATTERN")]
    may_assert_users: Vec<UserPattern>,

    /// Audience that the client is the resource server of; repeatable. It may exchange and introspect tokens that other clients
    /// send there. To request its own tokens for that audience, it also needs --audience
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    serves: Vec<Box<str>>,

    /// Note about the client, such as owner=data-platform or description='nightly loads'; repeatable. No request depends on it
    #[arg(long, value_name = "NAME=TEXT", value_parser = labels::parse)]
    label: Vec<labels::Label>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Grant {
    /// A token for the client itself (RFC 6749 §4.4)
    ClientCredentials,
    /// A token in exchange for another token (RFC 8693)
    TokenExchange,
    /// A token for a JWT of an issuer with `issuer add --accept jwt_bearer` (RFC 7523)
    JwtBearer,
}

pub(super) fn audience(text: &str) -> Result<Box<str>, String> {
    if text.is_empty() {
        return Err("an audience must not be empty".to_owned());
    }
    Target::audience(text).map(|target| target.as_str().into()).map_err(|fault| fault.to_string())
}

impl Terms {
    /// The rights, with `default_grants` if the options name none; warns of what is allowed but rarely intended.
    ///
    /// # Errors
    /// If the terms contradict each other.
    pub(super) fn into_rights(self, default_grants: &[GrantType]) -> anyhow::Result<Rights> {
        scope_option::warn_of_commas(Some(&self.scope));
        scope_option::warn_of_commas(self.default_scope.as_ref());
        let mut rights = Rights::new(AllowedScope::Only(self.scope));
        rights.grants = if self.grant.is_empty() { default_grants.to_vec() } else { grants(&self.grant) };
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
        labels::apply(&mut rights.labels, self.label);
        check(&rights, "omit --may-assert-users")?;
        warn_of_lifetimes(&rights);
        Ok(rights)
    }
}

/// Checks that the rights do not contradict each other; `without_users` describes how to remove the unsecured users.
///
/// # Errors
/// If they do.
pub(in crate::commands) fn check(rights: &Rights, without_users: &str) -> anyhow::Result<()> {
    let excess = rights.default_scope.retain(|token| !rights.scope.allows(token));
    if !excess.is_empty() {
        return Err(wrong_usage(format!(
            "the default scope contains {excess}, but the scope does not: give another --default-scope, or add {excess} to --scope"
        )));
    }
    if rights.default_scope.is_empty() {
        return Err(wrong_usage("--default-scope must not be empty: tokens have at least one scope"));
    }
    if !rights.may_assert_users.is_empty() && !rights.grants.contains(&GrantType::TokenExchange) {
        return Err(wrong_usage(format!(
            "--may-assert-users needs the grant token_exchange, which the client does not have: add it to --grant, or {without_users}"
        )));
    }
    check_public(rights)?;
    duration::within("--assertion-lifetime", rights.assertion_lifetime, LONGEST_ASSERTION_LIFETIME)?;
    duration::within("--token-lifetime", rights.token_lifetime, LONGEST_TOKEN_LIFETIME)?;
    duration::within("--session-lifetime", rights.session_lifetime, LONGEST_SESSION)
}

/// Checks that a client without a credential has no right that needs one.
///
/// # Errors
/// If it has.
pub(super) fn check_public(rights: &Rights) -> anyhow::Result<()> {
    if rights.auth_method != AuthMethod::Public {
        return Ok(());
    }
    let excess = [
        ("--may-act-for", rights.may_act_for.is_empty()),
        ("--may-assert-users", rights.may_assert_users.is_empty()),
        ("--serves", rights.serves.is_empty()),
        ("an identity of another issuer", rights.federations.is_empty()),
        ("a --grant other than token_exchange", rights.grants == [GrantType::TokenExchange]),
    ];
    match excess.into_iter().find(|(_, is_free)| !is_free) {
        None => Ok(()),
        Some((option, _)) => Err(wrong_usage(format!(
            "{option} is for clients that authenticate, but this client has no credential (--auth-method none): it may only \
             exchange ID tokens of the users that --may-impersonate names"
        ))),
    }
}

/// Warns of lifetimes that are allowed but rarely intended.
pub(super) fn warn_of_lifetimes(rights: &Rights) {
    if rights.token_lifetime < SHORT_TOKEN_LIFETIME {
        warn(&format!(
            "with a token lifetime of {}, Iceberg clients request new tokens almost constantly; use at least 60s",
            rights.token_lifetime
        ));
    }
    if rights.session_lifetime < rights.token_lifetime {
        warn(
            "the session lifetime is shorter than the token lifetime, so tokens expire when the session ends",
        );
    }
}

/// Prints which client programs cannot choose between several audiences. Their catalog refuses the token with a bare 401.
pub(super) fn note_several_audiences(rights: &Rights) {
    if let [first, _, ..] = rights.audiences.as_slice() {
        note(&format!(
            "tokens have `aud` {first} unless a request names another audience, and DuckDB, ClickHouse, Trino and PyIceberg's \
             oauth2 manager cannot name one; for these, register one client per catalog"
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
