//! `tokenberg issuer change`: changes how far another issuer is trusted. What is named changes, everything else stays.

use super::add::key_address;
use super::naming::{self, prefix};
use super::show;
use super::terms::{self, Accept, accepted};
use super::trying::{self, Trying};
use crate::commands::foreign_issuer::foreign;
use crate::commands::replacing::{given_and_cleared, replace, replace_list};
use crate::commands::{jwks_file, scope_option};
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
  tokenberg issuer change https://idp.example --accept id_token,access_token \\
      --audience api://tokenberg
      replaces the previous token types and audiences with these
  tokenberg issuer change https://idp.example --subject-prefix 'okta:'
      from now on, alice of this issuer is okta:alice in catalogs, and grants there must use that
      name; sessions with another prefix end
  tokenberg issuer change https://idp.example --separate-names
      names stay the same; a user with the name of a registered client receives no token
  tokenberg issuer change https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
  tokenberg issuer change https://idp.example --clear map,alg

If the change concerns published keys, they are fetched once, and problems are reported as warnings.
A disabled issuer stays disabled.

Issued tokens keep their claims until they expire, and sessions keep their end. The scope of
renewals and exchanges is limited to --scope and all of --map as registered then, whatever claims
the user's own token had. Removing one of several types from --accept ends no session. --clear
accept ends the renewal of all users' tokens. `tokenberg revoke --issuer` ends all sessions
immediately.

A running server applies the change within one second."
)]
pub(crate) struct Change {
    /// Issuer, exactly as in `iss` of its tokens
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
    /// File with its public keys, a JWK Set or a SPIFFE bundle (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "discover"])]
    jwks: Option<PathBuf>,

    /// URL of its public keys: https, or http on this machine
    #[arg(long, value_name = "URL", value_parser = key_address, conflicts_with = "discover")]
    jwks_uri: Option<Box<str>>,

    /// Find the URL of its keys in its metadata, below the issuer's URL
    #[arg(long)]
    discover: bool,

    /// What its tokens are accepted as, comma-separated
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    accept: Vec<Accept>,

    /// Value of `aud` that is accepted from this issuer; repeatable. Always accepted are the server's issuer, the URL of its
    /// token endpoint and, for an id_token, the ID of the requesting client
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<Box<str>>,

    /// Algorithms that are accepted, comma-separated
    #[arg(long, value_name = "ALG,…", value_delimiter = ',')]
    alg: Vec<Algorithm>,

    /// Claim that identifies a user. Rights, disabled users and revocations refer to its values, so register them again for the
    /// new claim. Existing sessions keep the subjects of the previous claim until `tokenberg revoke --issuer` ends them
    #[arg(long, value_name = "CLAIM")]
    subject_claim: Option<Box<str>>,

    /// Prefix of its users' names in `sub`, by which catalogs authorize. It replaces --shared-names. Sessions with the previous
    /// prefix end
    #[arg(long, value_name = "PREFIX", value_parser = prefix, conflicts_with = "shared_names")]
    subject_prefix: Option<Box<str>>,

    /// State that a user and a client, or users of two issuers, with the same name are one principal in every catalog
    #[arg(long, conflicts_with = "separate_names")]
    shared_names: bool,

    /// State that they are different principals: a user with the name of a registered client receives no token
    #[arg(long)]
    separate_names: bool,

    /// Scope that each of its users may have, space-separated; limited to what the requesting client may have
    #[arg(long, value_name = "'S …'")]
    scope: Option<Scope>,

    /// Additional scope for users whose claim has this value or contains it, such as 'groups=analysts:PRINCIPAL_ROLE:analyst';
    /// repeatable
    #[arg(long, value_name = "CLAIM=VALUE:SCOPE")]
    map: Vec<ScopeMapping>,

    /// Tolerated difference between its clock and that of the server; at most 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    leeway: Option<Lifetime>,

    /// Maximum age of its tokens (`iat`), and maximum time until they expire (`exp`); for the jwt-bearer grant, at most 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_age: Option<Lifetime>,

    /// Whether a user's session continues after the user's token has expired, up to the client's session lifetime
    #[arg(long, value_name = "true|false")]
    outlives_subject: Option<bool>,

    /// Whether the issuer or the URL of its keys may be an http URL of another machine, for trials in containers
    #[arg(long, value_name = "true|false")]
    insecure_http: Option<bool>,

    /// Properties to reset, comma-separated. Other properties can only be replaced
    #[arg(long, value_name = "TERM,…", value_delimiter = ',')]
    clear: Vec<List>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum List {
    /// Its tokens are accepted as workload identities only
    Accept,
    /// Only the server's issuer and token endpoint and, for an id_token, the requesting client are accepted as audience
    Audience,
    /// The algorithms of its keys are accepted
    Alg,
    /// All its users may have the same scope
    Map,
    /// Its users have the issuer's names in catalogs; sessions with the prefix end
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
    arguments: Change,
    trial: Option<&Trial>,
    output: Output,
) -> anyhow::Result<()> {
    let Change { issuer, named, trying: _ } = arguments;
    // Outside of the loop, since standard input can be read only once.
    let keys = named.keys()?;
    scope_option::warn_of_commas(named.scope.as_ref());
    let store = location.clone().open_existing().await?;
    let mut attempts = 0;
    let (before, after) = loop {
        let before = store.issuer(&issuer).await?.trusted.trust;
        let after = named.clone().applied(before.clone(), keys.clone())?;
        terms::check(&issuer, &after)?;
        match store.replace_trust(&issuer, &before, &after).await {
            Ok(true) => break (before, after),
            Ok(false) => {}
            Err(error) => return Err(naming::with_solutions(&store, &issuer, error).await),
        }
        attempts += 1;
        anyhow::ensure!(
            attempts < ATTEMPTS,
            "another process keeps changing the issuer {issuer}; nothing was changed, so repeat the command"
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
        replace_list(&mut trust.accept, accepted(&self.accept), cleared(List::Accept), "--accept")?;
        replace_list(&mut trust.audiences, self.audience, cleared(List::Audience), "--audience")?;
        replace_list(&mut trust.algorithms, self.alg, cleared(List::Alg), "--alg")?;
        replace_list(&mut trust.map, self.map, cleared(List::Map), "--map")?;
        if cleared(List::SubjectPrefix) {
            if self.subject_prefix.is_some() {
                return Err(given_and_cleared("--subject-prefix"));
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
                    "--shared-names contradicts the prefix {prefix:?} of its users; add --clear subject_prefix to remove the prefix"
                )));
            }
            trust.subject_names = SubjectNames::Shared;
        }
        Ok(trust)
    }
}
