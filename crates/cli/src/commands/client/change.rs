//! `tokenberg client change`: changes the rights of a client. What is named changes, everything else stays, above all secrets.

use super::show;
use super::terms::{Grant, audience, check, each_once, grants, note_several_audiences, warn_of_lifetimes};
use crate::duration;
use crate::failure::{warn, wrong_usage};
use crate::output::Output;
use crate::store_access::StoreLocation;
use clap::{Args, ValueEnum};
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
      these two, and none of those before
  tokenberg client change trino --clear may_act_for,serves

Secrets, keys, certificates and foreign identities stay as they are. Tokens that the client has
keep what they say until they expire; what they are renewed into or exchanged for is held to what
the client may do then. `tokenberg revoke --client ID` takes them back at once.

A running server follows within one second."
)]
pub(crate) struct Change {
    /// The client's identifier
    #[arg(value_name = "ID")]
    id: ClientId,

    #[command(flatten)]
    named: Named,
}

/// What is to change; at least one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
struct Named {
    /// The scopes that it may ask for, between spaces; `catalog` is always one
    #[arg(long, value_name = "'S1 S2 …'")]
    scope: Option<Scope>,

    /// Any scope at all, as the first client has it
    #[arg(long, conflicts_with = "scope")]
    every_scope: bool,

    /// What it gets when it asks for no scope; each has to be within its scope
    #[arg(long, value_name = "'S …'")]
    default_scope: Option<Scope>,

    /// The grants that it may use
    #[arg(long, value_name = "GRANT,…", value_delimiter = ',')]
    grant: Vec<Grant>,

    /// What it may ask tokens for; the first is its default `aud`. Repeat for several
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    audience: Vec<Box<str>>,

    /// How long its tokens live: 2s, 15m, 1h; 7d at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    token_lifetime: Option<Lifetime>,

    /// How long they can be renewed before the client has to prove its credential again: 12h, 7d; 30d at most. A session that
    /// has begun ends when it was to end
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    session_lifetime: Option<Lifetime>,

    /// Subjects for whom it may get tokens that name it as the actor, as a glob over ISSUER|SUBJECT. Repeat for several
    #[arg(long, value_name = "PATTERN")]
    may_act_for: Vec<SubjectPattern>,

    /// The same, for tokens that do not name it
    #[arg(long, value_name = "PATTERN")]
    may_impersonate: Vec<SubjectPattern>,

    /// Users whom it may name in a JWT without a signature, as a glob over the bare name. Repeat for several
    #[arg(long, value_name = "PATTERN")]
    may_assert_users: Vec<UserPattern>,

    /// What it is the resource server of. Repeat for several
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    serves: Vec<Box<str>>,

    /// For private_key_jwt: how far ahead `exp` of its assertions may be, and how old they may be: 5m, 1h; 1h at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    assertion_lifetime: Option<Lifetime>,

    /// Whether it gets tokens with a DPoP proof only
    #[arg(long, value_name = "true|false")]
    dpop_bound: Option<bool>,

    /// Lists of which it has nothing from now on. These five can be cleared; everything else can be replaced only, a narrow scope by
    /// --scope catalog
    #[arg(long, value_name = "LIST,…", value_delimiter = ',')]
    clear: Vec<List>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum List {
    /// Then it may ask for tokens for our issuer only
    Audience,
    /// Then it acts for no other subject by this right, and sessions that it has by it are not renewed
    MayActFor,
    /// Then it gets no token of another subject that does not name it as the actor
    MayImpersonate,
    /// Then it names no users in unsecured JWTs
    MayAssertUsers,
    /// Then it introspects and exchanges no tokens that were sent to it as a resource server
    Serves,
}

/// The number of attempts when another process changes the same client.
const ATTEMPTS: usize = 5;

/// Changes the client.
///
/// # Errors
/// If the new rights contradict each other, the client does not exist, or the store fails.
pub(super) async fn run(location: StoreLocation, asked: Change, output: Output) -> anyhow::Result<()> {
    let Change { id, named } = asked;
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
            "the client {id} is being changed by somebody else; nothing was changed here"
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
            "the client {id} had every scope; `tokenberg client change {id} --every-scope` gives it back"
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
                    "--assertion-lifetime is for clients that authenticate with private_key_jwt, and this one does with {method}"
                )));
            }
            rights.assertion_lifetime = lifetime;
        }
        if !self.grant.is_empty() {
            rights.grants = grants(&self.grant);
        }
        let clear = self.clear;
        let cleared = |list| clear.contains(&list);
        put(&mut rights.audiences, each_once(self.audience), cleared(List::Audience), "--audience")?;
        put(&mut rights.may_act_for, self.may_act_for, cleared(List::MayActFor), "--may-act-for")?;
        let impersonated = self.may_impersonate;
        put(&mut rights.may_impersonate, impersonated, cleared(List::MayImpersonate), "--may-impersonate")?;
        let asserted = self.may_assert_users;
        put(&mut rights.may_assert_users, asserted, cleared(List::MayAssertUsers), "--may-assert-users")?;
        put(&mut rights.serves, each_once(self.serves), cleared(List::Serves), "--serves")?;
        Ok(rights)
    }
}

fn replace<T>(there: &mut T, named: Option<T>) {
    if let Some(named) = named {
        *there = named;
    }
}

fn put<T>(there: &mut Vec<T>, named: Vec<T>, is_cleared: bool, flag: &str) -> anyhow::Result<()> {
    if is_cleared && !named.is_empty() {
        return Err(wrong_usage(format!("{flag} is given, and is to be cleared: leave one out")));
    }
    if is_cleared || !named.is_empty() {
        *there = named;
    }
    Ok(())
}
