//! `tokenberg issuer add`: registers a trusted issuer; RFC 8693 §3, RFC 7523 §3, conformance TX-30 to TX-39.

use super::naming::{self, Naming};
use super::terms::{self, Accept, accepted};
use super::trying::{self, Trying};
use crate::commands::foreign_issuer::foreign;
use crate::commands::{jwks_file, scope_option};
use crate::failure::wrong_usage;
use crate::issuer_keys::Trial;
use crate::output::Output;
use crate::store_access::StoreLocation;
use crate::{clock, duration};
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::explanation::quoted;
use tokenberg_core::issuer::ScopeMapping;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{Issuer, KeySource, Lifetime, Scope, Trust};
use tokenberg_store::StoreError;
use url::Url;

/// `tokenberg issuer add`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("keys").required(true), after_help = "\
Examples:
  tokenberg issuer add https://idp.example --discover --accept id_token --subject-prefix 'okta:' \\
      --outlives-subject
      accepts id_tokens that the requesting client obtained for its users. Their scope is `catalog`.
      In catalogs, alice is okta:alice. Trino and other Iceberg Java clients can renew a session
      after the id_token has expired
  tokenberg issuer add https://login.example/tenant/v2.0 --discover --accept id_token,access_token \\
      --subject-prefix 'entra:' --audience api://tokenberg \\
      --map 'groups=analysts:PRINCIPAL_ROLE:analyst'
  tokenberg issuer add https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
      for workload identities only: `client federate` maps service accounts to clients
  tokenberg issuer add spiffe://td.example --jwks bundle.json

A client needs permission to act for the users:
  tokenberg client add trino --may-act-for 'https://idp.example|*'

The issuer is compared with `iss` byte for byte, including a trailing slash. Keys come only from the
source given here, never from a URL in a token. Published keys are fetched once, and problems are
reported as warnings; the issuer is registered in any case. A running server applies the change
within one second.")]
pub(crate) struct Add {
    /// Issuer, exactly as in `iss` of its tokens: an https URL, or a SPIFFE trust domain (spiffe://td.example)
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    /// File with its public keys, a JWK Set or a SPIFFE bundle (`-`: standard input)
    #[arg(long, value_name = "FILE", group = "keys")]
    jwks: Option<PathBuf>,

    /// URL of its public keys: https, or http on this machine
    #[arg(long, value_name = "URL", group = "keys", value_parser = key_address)]
    jwks_uri: Option<Box<str>>,

    /// Find the URL of its keys in its metadata, below the issuer's URL
    #[arg(long, group = "keys")]
    discover: bool,

    /// What its tokens are accepted as, comma-separated. Workload identities (`client federate`) need none of these
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    accept: Vec<Accept>,

    /// Value of `aud` that is accepted from this issuer; repeatable. Always accepted are the server's issuer, the URL of its
    /// token endpoint and, for an id_token, the ID of the requesting client. For workload identities, see `client federate
    /// --audience`
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<Box<str>>,

    /// Algorithms that are accepted, comma-separated [default: those of its keys]
    #[arg(long, value_name = "ALG,…", value_delimiter = ',')]
    alg: Vec<Algorithm>,

    /// Claim that identifies a user. Its values must never be reassigned to another person, as e-mail addresses can be
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    subject_claim: Box<str>,

    #[command(flatten)]
    naming: Naming,

    /// Scope that each of its users may have, space-separated; limited to what the requesting client may have
    #[arg(long, value_name = "'S …'", default_value = "catalog")]
    scope: Scope,

    /// Additional scope for users whose claim has this value or contains it, such as 'groups=analysts:PRINCIPAL_ROLE:analyst';
    /// repeatable. A dot in CLAIM selects a member of an object (realm_access.roles), unless a claim has the whole name
    /// (https://idp.example/groups, resource_access.my.client.roles). Escapes: \. for a dot in a name and \= for an equals sign
    /// in CLAIM; \: for a colon in VALUE
    #[arg(long, value_name = "CLAIM=VALUE:SCOPE")]
    map: Vec<ScopeMapping>,

    /// Tolerated difference between its clock and that of the server; at most 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "30s")]
    leeway: Lifetime,

    /// Maximum age of its tokens (`iat`), and maximum time until they expire (`exp`); for the jwt-bearer grant, at most 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "24h")]
    max_age: Lifetime,

    /// Let a user's session continue after the user's token has expired, up to the client's session lifetime; revocation ends it
    /// earlier. Trino (iceberg.rest-catalog.session=USER) and other Iceberg Java clients need this: without it, every query of a
    /// session fails once the user's token has expired
    #[arg(long)]
    outlives_subject: bool,

    /// Allow an http URL of another machine as the issuer or as the URL of its keys, for trials in containers. An attacker on the
    /// network path can replace the keys and so impersonate any of its users
    #[arg(long)]
    insecure_http: bool,

    /// Replace the whole registration of this issuer, including its keys; a disabled issuer stays disabled
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    pub(super) trying: Trying,
}

/// Parses an address of keys; kept as written. Whether it may be plain http is decided when all options are known.
pub(in crate::commands) fn key_address(text: &str) -> Result<Box<str>, String> {
    let url: Url = text.parse().map_err(|_| terms::HTTPS_ONLY.to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(terms::HTTPS_ONLY.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("the URL of keys must not contain a user name, a password or a fragment (#)".to_owned());
    }
    Ok(text.into())
}

/// Trusts the issuer.
///
/// # Errors
/// If the options contradict each other, the file of keys is invalid, the issuer exists already, or the store
/// fails.
pub(super) async fn run(
    location: StoreLocation,
    arguments: Add,
    trial: Option<&Trial>,
    output: Output,
) -> anyhow::Result<()> {
    let (issuer, replace) = (arguments.issuer.clone(), arguments.replace);
    let trust = trust(arguments)?;
    let now = clock::now()?;
    let store = location.open_or_create().await?;
    let mut before = None;
    match store.add_issuer(now, &issuer, &trust).await {
        Err(StoreError::IssuerExists { .. }) if replace => {
            before = Some(store.issuer(&issuer).await?.trusted.trust);
            if let Err(error) = store.set_trust(&issuer, &trust).await {
                return Err(naming::with_solutions(&store, &issuer, error).await);
            }
        }
        Err(error @ StoreError::IssuerExists { .. }) => {
            return Err(anyhow::Error::new(error).context(format!(
                "nothing was changed; use `tokenberg issuer change {}` to change some properties, or --replace to replace all",
                quoted(issuer.as_str())
            )));
        }
        Err(error) => return Err(naming::with_solutions(&store, &issuer, error).await),
        Ok(()) => {}
    }
    let enabled = store.issuer(&issuer).await?.trusted.enabled;
    terms::print_notes(&issuer, None, &trust);
    naming::print_notes(&store, &issuer, before.as_ref()).await;
    store.close().await;
    terms::note_disabled(&issuer, enabled);
    let found = trying::report(trial, &issuer, &trust);
    let replaced = before.is_some();
    output.show(
        || {
            json!({"issuer": issuer, "enabled": enabled, "replaced": replaced, "trust": trust,
                "usable_keys": found.usable(), "unused_keys": found.unused()})
        },
        || {
            let how = if replaced { "was replaced" } else { "is trusted" };
            format!("issuer {issuer} {how}{}", found.sentence())
        },
    )?;
    Ok(())
}

fn trust(arguments: Add) -> anyhow::Result<Trust> {
    let keys = match (arguments.jwks, arguments.jwks_uri) {
        (Some(file), _) => KeySource::Jwks(jwks_file::read(&file)?),
        (None, Some(address)) => KeySource::JwksUri(address),
        (None, None) => KeySource::Discovery,
    };
    let mut trust = Trust::new(keys);
    trust.accept = accepted(&arguments.accept);
    trust.audiences = arguments.audience;
    trust.algorithms = arguments.alg;
    trust.subject_claim = arguments.subject_claim;
    trust.scope = arguments.scope;
    trust.map = arguments.map;
    trust.leeway = arguments.leeway;
    trust.max_age = arguments.max_age;
    trust.outlives_subject = arguments.outlives_subject;
    trust.insecure_http = arguments.insecure_http;
    arguments.naming.apply(&mut trust);
    terms::check(&arguments.issuer, &trust)?;
    trust.check().map_err(|fault| wrong_usage(fault.to_string()))?;
    scope_option::warn_of_commas(Some(&trust.scope));
    Ok(trust)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_06_keys_are_fetched_over_tls_or_from_this_machine() {
        for good in [
            "https://idp.example/keys",
            "https://idp.example/keys?p=policy",
            "http://127.0.0.1:3000/jwks",
            "http://[::1]/jwks",
            "http://localhost:1/jwks",
        ] {
            assert_eq!(key_address(good).as_deref(), Ok(good));
        }
        for bad in [
            "ftp://idp.example/keys",
            "file:///etc/keys",
            "https://u:p@idp.example/keys",
            "https://idp.example/keys#x",
            "keys.json",
            "",
        ] {
            assert!(key_address(bad).is_err(), "{bad}");
        }
    }
}
