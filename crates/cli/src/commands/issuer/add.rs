//! `tokenberg issuer add`: registers a trusted issuer; RFC 8693 §3, RFC 7523 §3, conformance TX-30 to TX-39.

use super::naming::{self, Naming};
use super::terms::{self, Accept, accepted};
use super::trying::{self, Trying};
use crate::commands::foreign_issuer::foreign;
use crate::commands::jwks_file;
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
  tokenberg issuer add https://idp.example --discover --accept id_token --subject-prefix 'okta:' --outlives-subject
      users of the provider, by their id_token for the asking client; alice is okta:alice for catalogs, each may
      have `catalog`, and sessions that Trino and other Iceberg Java clients renew past the end of the id_token
  tokenberg issuer add https://login.example/tenant/v2.0 --discover --accept id_token,access_token \\
      --subject-prefix 'entra:' --audience api://tokenberg --map 'groups=analysts:PRINCIPAL_ROLE:analyst'
  tokenberg issuer add https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
      for workload identities only: `client federate` says which service account is which client
  tokenberg issuer add spiffe://td.example --jwks bundle.json

Then a client has to be allowed to act for the users:
  tokenberg client add trino --may-act-for 'https://idp.example|*'

The identifier is compared with `iss` byte for byte, a slash at its end included. Keys come only from where this command says,
never from what a token says. Keys that are published are fetched once, and what does not work is reported; the issuer is added
in any case. A running server follows within one second.")]
pub(crate) struct Add {
    /// The issuer, exactly as its tokens name it in `iss`: an https URL, or a SPIFFE trust domain (spiffe://td.example)
    #[arg(value_name = "URL", value_parser = foreign)]
    issuer: Issuer,

    /// Its public keys: a JWK Set or a SPIFFE bundle, in this file or on standard input for `-`
    #[arg(long, value_name = "FILE", group = "keys")]
    jwks: Option<PathBuf>,

    /// Where its public keys are published: https, or http on this machine
    #[arg(long, value_name = "URL", group = "keys", value_parser = key_address)]
    jwks_uri: Option<Box<str>>,

    /// Find the address of its keys in its metadata, below the issuer's own URL
    #[arg(long, group = "keys")]
    discover: bool,

    /// What its tokens are accepted as, between commas; without, as nothing: for workload identities none is needed
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    accept: Vec<Accept>,

    /// A value of `aud` that is accepted, beside our own issuer URL and, for an id_token, the id of the asking client; for
    /// workload identities `client federate` says it. Repeat for several
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<Box<str>>,

    /// The algorithms that are accepted, between commas; without, those of its keys
    #[arg(long, value_name = "ALG,…", value_delimiter = ',')]
    alg: Vec<Algorithm>,

    /// The claim whose value is the subject. It has to name the same person for ever: an e-mail address may be given to
    /// somebody else
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    subject_claim: Box<str>,

    #[command(flatten)]
    naming: Naming,

    /// What each of its subjects may have, between spaces, as far as the asking client may have it, too
    #[arg(long, value_name = "'S …'", default_value = "catalog")]
    scope: Scope,

    /// What subjects may have besides, by a claim that is this value or contains it: 'groups=analysts:PRINCIPAL_ROLE:analyst'.
    /// A dot goes into an object (realm_access.roles), unless a claim is called so (https://idp.example/groups,
    /// resource_access.my.client.roles); in the claim, \. is a dot of a name for certain and \= an equals sign, and in the value \: is a
    /// colon. Repeat for several
    #[arg(long, value_name = "CLAIM=VALUE:SCOPE")]
    map: Vec<ScopeMapping>,

    /// How far its clock may be from ours; 5m at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "30s")]
    leeway: Lifetime,

    /// How long before its end a token may be presented, and how old it may be
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "24h")]
    max_age: Lifetime,

    /// Let a user's session outlive the token that began it, up to the client's session lifetime; revocation ends it earlier. Trino
    /// (iceberg.rest-catalog.session=USER) and other Iceberg Java clients need it: without, every query of a session fails once
    /// the user's token has expired
    #[arg(long)]
    outlives_subject: bool,

    /// Trust an http URL of another machine as the issuer or as the address of its keys, for trials in containers: whoever is on the
    /// way can replace the keys, and so be any of its users
    #[arg(long)]
    insecure_http: bool,

    /// Replace what was said about this issuer before, keys and all; disabled, it stays so
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    pub(super) trying: Trying,
}

/// Parses an address of keys; kept as written. Whether it may be plain http is decided when all options are known.
pub(super) fn key_address(text: &str) -> Result<Box<str>, String> {
    let url: Url = text.parse().map_err(|_| terms::HTTPS_ONLY.to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(terms::HTTPS_ONLY.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("the address of keys has no user name, password or # in it".to_owned());
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
    asked: Add,
    trial: Option<&Trial>,
    output: Output,
) -> anyhow::Result<()> {
    let (issuer, replace) = (asked.issuer.clone(), asked.replace);
    let trust = trust(asked)?;
    let now = clock::now()?;
    let store = location.open_or_make().await?;
    let mut before = None;
    match store.add_issuer(now, &issuer, &trust).await {
        Err(StoreError::IssuerExists { .. }) if replace => {
            before = Some(store.issuer(&issuer).await?.trusted.trust);
            if let Err(error) = store.set_trust(&issuer, &trust).await {
                return Err(naming::with_ways_out(&store, &issuer, error).await);
            }
        }
        Err(error @ StoreError::IssuerExists { .. }) => {
            return Err(anyhow::Error::new(error).context(format!(
                "nothing was changed; `tokenberg issuer change {}` changes what is named, --replace all",
                quoted(issuer.as_str())
            )));
        }
        Err(error) => return Err(naming::with_ways_out(&store, &issuer, error).await),
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
            let how = if replaced { "trusted in another way now" } else { "trusted" };
            format!("issuer {issuer} is {how}{}", found.sentence())
        },
    )?;
    Ok(())
}

fn trust(asked: Add) -> anyhow::Result<Trust> {
    let keys = match (asked.jwks, asked.jwks_uri) {
        (Some(file), _) => KeySource::Jwks(jwks_file::read(&file)?),
        (None, Some(address)) => KeySource::JwksUri(address),
        (None, None) => KeySource::Discovery,
    };
    let mut trust = Trust::new(keys);
    trust.accept = accepted(&asked.accept);
    trust.audiences = asked.audience;
    trust.algorithms = asked.alg;
    trust.subject_claim = asked.subject_claim;
    trust.scope = asked.scope;
    trust.map = asked.map;
    trust.leeway = asked.leeway;
    trust.max_age = asked.max_age;
    trust.outlives_subject = asked.outlives_subject;
    trust.insecure_http = asked.insecure_http;
    asked.naming.apply(&mut trust);
    terms::check(&asked.issuer, &trust)?;
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
