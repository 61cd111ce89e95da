//! `tokenberg issuer change`: changes how far another issuer is trusted. What is named changes, everything else stays.

use super::add::key_address;
use super::naming::{self, prefix};
use super::show;
use super::terms::{self, Accept, accepted};
use super::trying::{self, Trying};
use crate::commands::foreign_issuer::foreign;
use crate::commands::jwks_file;
use crate::duration;
use crate::failure::wrong_usage;
use crate::issuer_keys::Trial;
use crate::output::Output;
use crate::store_access::StoreLocation;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tokenberg_core::issuer::{ScopeMapping, SubjectNames};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{Issuer, KeySource, Lifetime, Scope, Trust};

/// `tokenberg issuer change`
#[derive(Debug, Args)]
#[command(
    override_usage = "tokenberg issuer change <URL> [OPTIONS]",
    after_help = "\
Examples:
  tokenberg issuer change https://idp.example --outlives-subject true
  tokenberg issuer change https://idp.example --accept id_token,access_token --audience api://tokenberg
      these two kinds and this audience, and none of those before
  tokenberg issuer change https://idp.example --subject-prefix 'okta:'
      alice of this issuer is okta:alice for catalogs from now on, and grants there have to name her so; sessions with
      another prefix end
  tokenberg issuer change https://idp.example --separate-names
      names stay as they are, and a user with the name of a registered client gets no token
  tokenberg issuer change https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
  tokenberg issuer change https://idp.example --clear map,alg

Keys that are published are fetched once if the change concerns them, and what does not work is reported.
A disabled issuer stays disabled. Tokens that were issued keep what they say until they expire. What they are renewed into or
exchanged for is within --scope and all of --map as registered then, whatever the claims of the user's own token were; a session
keeps its end. Fewer kinds in --accept end no session, none (--clear accept) ends the renewals of all users; `tokenberg revoke
--issuer` ends all sessions at once. A running server follows within one second."
)]
pub(crate) struct Change {
    /// The issuer, exactly as its tokens name it
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    #[command(flatten)]
    named: Named,

    #[command(flatten)]
    pub(super) trying: Trying,
}

/// What is to change; at least one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
struct Named {
    /// Its public keys: a JWK Set or a SPIFFE bundle, in this file or on standard input for `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "discover"])]
    jwks: Option<PathBuf>,

    /// Where its public keys are published: https, or http on this machine
    #[arg(long, value_name = "URL", value_parser = key_address, conflicts_with = "discover")]
    jwks_uri: Option<Box<str>>,

    /// Find the address of its keys in its metadata, below the issuer's own URL
    #[arg(long)]
    discover: bool,

    /// What its tokens are accepted as, between commas
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    accept: Vec<Accept>,

    /// A value of `aud` that is accepted, beside our own issuer URL and, for an id_token, the id of the asking client. Repeat for
    /// several
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<Box<str>>,

    /// The algorithms that are accepted, between commas
    #[arg(long, value_name = "ALG,…", value_delimiter = ',')]
    alg: Vec<Algorithm>,

    /// The claim whose value is the subject. Rights, disabled users and revocations go by the value, so they have to be given anew. Sessions
    /// keep the subjects of the claim so far until `tokenberg revoke --issuer` ends them
    #[arg(long, value_name = "CLAIM")]
    subject_claim: Option<Box<str>>,

    /// What stands before a user's name in `sub`, which is all that catalogs see; it takes the place of --shared-names. Sessions with
    /// the prefix so far end
    #[arg(long, value_name = "PREFIX", value_parser = prefix, conflicts_with = "shared_names")]
    subject_prefix: Option<Box<str>>,

    /// State that a user and a client, or two issuers' users, of the same name are one principal for every catalog
    #[arg(long, conflicts_with = "separate_names")]
    shared_names: bool,

    /// State that they are not: a user with the name of a registered client gets no token
    #[arg(long)]
    separate_names: bool,

    /// What each of its subjects may have, between spaces, as far as the asking client may have it, too
    #[arg(long, value_name = "'S …'")]
    scope: Option<Scope>,

    /// What subjects may have besides, by a claim that is this value or contains it: 'groups=analysts:PRINCIPAL_ROLE:analyst'. Repeat
    /// for several
    #[arg(long, value_name = "CLAIM=VALUE:SCOPE")]
    map: Vec<ScopeMapping>,

    /// How far its clock may be from ours; 5m at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    leeway: Option<Lifetime>,

    /// How long before its end a token may be presented, and how old it may be
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_age: Option<Lifetime>,

    /// Whether a user's session may outlive the token that began it, up to the client's session lifetime
    #[arg(long, value_name = "true|false")]
    outlives_subject: Option<bool>,

    /// Whether the issuer or the address of its keys may be an http URL of another machine, for trials in containers
    #[arg(long, value_name = "true|false")]
    insecure_http: Option<bool>,

    /// Terms of which it has none from now on. These can be cleared; everything else can be replaced only
    #[arg(long, value_name = "TERM,…", value_delimiter = ',')]
    clear: Vec<List>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum List {
    /// Then its tokens are accepted as workload identities only
    Accept,
    /// Then our issuer and, for an id_token, the asking client are its audiences
    Audience,
    /// Then the algorithms of its keys are accepted
    Alg,
    /// Then all its subjects may have the same scope
    Map,
    /// Then catalogs know its users by the names that the issuer gives them, and sessions with the prefix end
    SubjectPrefix,
}

/// The number of attempts when another operator changes the same issuer.
const ATTEMPTS: usize = 5;

/// Changes the issuer.
///
/// # Errors
/// If the new terms contradict each other, the file of keys is unusable, the issuer is not trusted, or the store fails.
pub(super) async fn run(
    location: StoreLocation,
    asked: Change,
    trial: Option<&Trial>,
    output: Output,
) -> anyhow::Result<()> {
    let Change { issuer, named, trying: _ } = asked;
    // Outside of the loop, since standard input can be read only once.
    let keys = named.keys()?;
    let store = location.clone().open_existing().await?;
    let mut attempts = 0;
    let (before, after) = loop {
        let before = store.issuer(&issuer).await?.trusted.trust;
        let after = named.clone().applied(before.clone(), keys.clone())?;
        terms::check(&issuer, &after)?;
        match store.replace_trust(&issuer, &before, &after).await {
            Ok(true) => break (before, after),
            Ok(false) => {}
            Err(error) => return Err(naming::with_ways_out(&store, &issuer, error).await),
        }
        attempts += 1;
        anyhow::ensure!(
            attempts < ATTEMPTS,
            "another operator keeps changing the issuer {issuer}; nothing was changed here, so repeat the command"
        );
    };
    terms::print_notes(&issuer, Some(&before), &after);
    if naming::differs(&before, &after) {
        naming::print_notes(&store, &issuer, Some(&before)).await;
    }
    let enabled = store.issuer(&issuer).await?.trusted.enabled;
    store.close().await;
    terms::note_disabled(&issuer, enabled);
    if named.concerns_keys() {
        trying::report(trial, &issuer, &after);
    }
    show::one(location, &issuer, output).await
}

impl Named {
    /// Whether the change affects the keys, the algorithms, or the source of the keys.
    fn concerns_keys(&self) -> bool {
        let is_from_elsewhere = self.jwks_uri.is_some() || self.discover || self.insecure_http.is_some();
        is_from_elsewhere || !self.alg.is_empty() || self.clear.contains(&List::Alg)
    }

    fn keys(&self) -> anyhow::Result<Option<KeySource>> {
        Ok(match (&self.jwks, &self.jwks_uri) {
            (Some(file), _) => Some(KeySource::Jwks(jwks_file::read(file)?)),
            (None, Some(address)) => Some(KeySource::JwksUri(address.clone())),
            (None, None) => self.discover.then_some(KeySource::Discovery),
        })
    }

    fn applied(self, mut trust: Trust, keys: Option<KeySource>) -> anyhow::Result<Trust> {
        replace(&mut trust.keys, keys);
        replace(&mut trust.subject_claim, self.subject_claim);
        replace(&mut trust.scope, self.scope);
        replace(&mut trust.leeway, self.leeway);
        replace(&mut trust.max_age, self.max_age);
        replace(&mut trust.outlives_subject, self.outlives_subject);
        replace(&mut trust.insecure_http, self.insecure_http);
        let cleared = |list| self.clear.contains(&list);
        put(&mut trust.accept, accepted(&self.accept), cleared(List::Accept), "--accept")?;
        put(&mut trust.audiences, self.audience, cleared(List::Audience), "--audience")?;
        put(&mut trust.algorithms, self.alg, cleared(List::Alg), "--alg")?;
        put(&mut trust.map, self.map, cleared(List::Map), "--map")?;
        if cleared(List::SubjectPrefix) {
            if self.subject_prefix.is_some() {
                return Err(twice("--subject-prefix"));
            }
            trust.subject_prefix = None;
        }
        if self.subject_prefix.is_some() {
            trust.subject_prefix = self.subject_prefix;
            trust.subject_names = SubjectNames::Separate;
        }
        if self.separate_names {
            trust.subject_names = SubjectNames::Separate;
        }
        if self.shared_names {
            if let Some(prefix) = &trust.subject_prefix {
                return Err(wrong_usage(format!(
                    "with the prefix {prefix:?} its users have names of their own; --clear subject_prefix with --shared-names takes it away"
                )));
            }
            trust.subject_names = SubjectNames::Shared;
        }
        Ok(trust)
    }
}

fn replace<T>(there: &mut T, named: Option<T>) {
    if let Some(named) = named {
        *there = named;
    }
}

fn put<T>(there: &mut Vec<T>, named: Vec<T>, is_cleared: bool, flag: &str) -> anyhow::Result<()> {
    if is_cleared && !named.is_empty() {
        return Err(twice(flag));
    }
    if is_cleared || !named.is_empty() {
        *there = named;
    }
    Ok(())
}

fn twice(flag: &str) -> anyhow::Error {
    wrong_usage(format!("{flag} is given, and is to be cleared: leave one out"))
}
