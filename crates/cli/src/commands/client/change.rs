//! `tokenberg client change`: changes the rights of a client. What is named changes, everything else stays, above all secrets.

use super::show;
use super::terms::{Grant, audience, check, each_once, grants, note_several_audiences, warn_of_lifetimes};
use crate::commands::replacing::{replace, replace_list};
use crate::commands::{labels, scope_option};
use crate::duration;
use crate::failure::{warn, wrong_usage};
use crate::output::Output;
use crate::store_access::StoreLocation;
use clap::{Args, ValueEnum};
use tokenberg_core::explanation::about;
use tokenberg_core::registration::{AllowedScope, LONGEST_ASSERTION_LIFETIME, SubjectPattern, UserPattern};
use tokenberg_core::{AuthMethod, ClientId, Lifetime, Rights, Scope};

/// `tokenberg client change`
#[derive(Debug, Args)]
#[command(
    override_usage = "tokenberg client change <ID> [OPTIONS]",
    after_help = "\
Examples:
  tokenberg client change etl --token-lifetime 15m
  tokenberg client change etl --scope 'catalog PRINCIPAL_ROLE:etl ns:write'
  tokenberg client change trino --may-act-for 'https://idp.example|team-*' \\
      --may-act-for 'https://idp.example|robot'
      replaces all previous patterns with these two
  tokenberg client change trino --clear may_act_for,serves

Properties without an option keep their values. So do secrets, keys, certificates and identities of
other issuers. Issued tokens keep their claims until they expire; renewals and exchanges of them are
limited to the rights that the client has then. `tokenberg revoke --client ID` revokes issued tokens
immediately.

A running server applies the change within one second."
)]
pub(crate) struct Change {
    /// Client ID
    #[arg(value_name = "ID")]
    id: ClientId,

    #[command(flatten)]
    named: Named,
}

/// What is to change; at least one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
struct Named {
    /// Scopes that the client may request, space-separated; `catalog` is always included
    #[arg(long, value_name = "'S1 S2 …'")]
    scope: Option<Scope>,

    /// Allow every scope, as for the first client of a store
    #[arg(long, conflicts_with = "scope")]
    every_scope: bool,

    /// Scope of tokens if a request names none; must be within the client's scope
    #[arg(long, value_name = "'S …'")]
    default_scope: Option<Scope>,

    /// Grants that the client may use, comma-separated
    #[arg(long, value_name = "GRANT,…", value_delimiter = ',')]
    grant: Vec<Grant>,

    /// Audience that the client may request; repeatable. The first one is the default `aud` of its tokens
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    audience: Vec<Box<str>>,

    /// Lifetime of the client's tokens, such as 15m or 1h; at most 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    token_lifetime: Option<Lifetime>,

    /// Lifetime of sessions: how long tokens can be renewed before the client must authenticate with its credential again, such
    /// as 12h or 7d; at most 30d. It can shorten existing sessions, but not extend them
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    session_lifetime: Option<Lifetime>,

    /// Subjects that the client may act for, named in tokens as the actor (`act`): a glob over ISSUER|SUBJECT; repeatable
    #[arg(long, value_name = "PATTERN")]
    may_act_for: Vec<SubjectPattern>,

    /// Subjects that the client may impersonate: as --may-act-for, but its tokens do not name it as the actor; repeatable
    #[arg(long, value_name = "PATTERN")]
    may_impersonate: Vec<SubjectPattern>,

    /// Users that the client may name in an unsecured JWT (RFC 7519 §6): a glob over the user name; repeatable
    #[arg(long, value_name = "PATTERN")]
    may_assert_users: Vec<UserPattern>,

    /// Audience that the client is the resource server of; repeatable
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    serves: Vec<Box<str>>,

    /// For private_key_jwt: maximum age of an assertion (`iat`), and maximum time until it expires (`exp`); at most 1h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    assertion_lifetime: Option<Lifetime>,

    /// Whether tokens are issued to this client only with a DPoP proof
    #[arg(long, value_name = "true|false")]
    dpop_bound: Option<bool>,

    /// Note about the client, such as owner=data-platform; repeatable. Other notes stay; NAME= removes one
    #[arg(long, value_name = "NAME=TEXT", value_parser = labels::parse)]
    label: Vec<labels::Label>,

    /// Lists to empty, comma-separated. Other properties can only be replaced; the smallest scope is --scope catalog
    #[arg(long, value_name = "LIST,…", value_delimiter = ',')]
    clear: Vec<List>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum List {
    /// The client may request tokens for the server's issuer only
    Audience,
    /// The client has no right to act for subjects; sessions that it has by this right are not renewed
    MayActFor,
    /// The client has no right to impersonate subjects
    MayImpersonate,
    /// The client may not name users in unsecured JWTs
    MayAssertUsers,
    /// The client is no resource server: it may not introspect or exchange tokens that were sent to it
    Serves,
}

/// The number of attempts when another process changes the same client.
const ATTEMPTS: usize = 5;

/// Changes the client.
///
/// # Errors
/// If the new rights contradict each other, the client does not exist, or the store fails.
pub(super) async fn run(location: StoreLocation, arguments: Change, output: Output) -> anyhow::Result<()> {
    let Change { id, named } = arguments;
    scope_option::warn_of_commas(named.scope.as_ref());
    scope_option::warn_of_commas(named.default_scope.as_ref());
    let store = location.clone().open_existing().await?;
    let mut attempts = 0;
    let (before, after) = loop {
        let before = store.client(&id).await?.rights;
        let after = named.clone().applied(before.clone())?;
        check(&after, "add --clear may_assert_users")?;
        if store.replace_rights(&id, &before, &after).await? {
            break (before, after);
        }
        attempts += 1;
        anyhow::ensure!(
            attempts < ATTEMPTS,
            "another process keeps changing the client {id}; nothing was changed, so repeat the command"
        );
    };
    store.close().await;
    if (before.token_lifetime, before.session_lifetime) != (after.token_lifetime, after.session_lifetime) {
        warn_of_lifetimes(&after);
    }
    if before.audiences != after.audiences {
        note_several_audiences(&after);
    }
    if before.scope == AllowedScope::Every && after.scope != AllowedScope::Every {
        warn(&format!(
            "the client {id} no longer has every scope; `{}` restores that",
            about("tokenberg client change", id.as_str(), " --every-scope")
        ));
    }
    show::one(location, &id, output).await
}

impl Named {
    fn applied(self, mut rights: Rights) -> anyhow::Result<Rights> {
        if let Some(scope) = self.scope {
            rights.scope = AllowedScope::Only(scope);
        } else if self.every_scope {
            rights.scope = AllowedScope::Every;
        }
        replace(&mut rights.default_scope, self.default_scope);
        replace(&mut rights.token_lifetime, self.token_lifetime);
        replace(&mut rights.session_lifetime, self.session_lifetime);
        replace(&mut rights.dpop_bound, self.dpop_bound);
        if let Some(lifetime) = self.assertion_lifetime {
            duration::within("--assertion-lifetime", lifetime, LONGEST_ASSERTION_LIFETIME)?;
            if rights.auth_method != AuthMethod::PrivateKeyJwt {
                let method = rights.auth_method.as_str();
                return Err(wrong_usage(format!(
                    "--assertion-lifetime is for clients that authenticate with private_key_jwt, but this client uses {method}"
                )));
            }
            rights.assertion_lifetime = lifetime;
        }
        if !self.grant.is_empty() {
            rights.grants = grants(&self.grant);
        }
        let clear = self.clear;
        let cleared = |list| clear.contains(&list);
        replace_list(&mut rights.audiences, each_once(self.audience), cleared(List::Audience), "--audience")?;
        replace_list(&mut rights.may_act_for, self.may_act_for, cleared(List::MayActFor), "--may-act-for")?;
        let impersonated = self.may_impersonate;
        replace_list(
            &mut rights.may_impersonate,
            impersonated,
            cleared(List::MayImpersonate),
            "--may-impersonate",
        )?;
        let asserted = self.may_assert_users;
        replace_list(
            &mut rights.may_assert_users,
            asserted,
            cleared(List::MayAssertUsers),
            "--may-assert-users",
        )?;
        labels::apply(&mut rights.labels, self.label);
        replace_list(&mut rights.serves, each_once(self.serves), cleared(List::Serves), "--serves")?;
        Ok(rights)
    }
}
