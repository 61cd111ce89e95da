//! What are another issuer's tokens worth? `tokenberg issuer add`; RFC 8693 §3, RFC 7523 §3, conformance TX-30 to TX-39.

use super::foreign;
use crate::commands::jwks_file;
use crate::failure::{note, warn, wrong_usage};
use crate::output::Output;
use crate::store_access::StoreLocation;
use crate::{clock, duration, web};
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::{AcceptedAs, Algorithm, Issuer, KeySource, Lifetime, Scope, ScopeMapping, Trust};
use tokenberg_store::StoreError;
use url::Url;

/// A clock that is further off should be set, not tolerated.
const LONGEST_LEEWAY: Lifetime = Lifetime::from_seconds(5 * 60);
/// Nobody means that a token may be older.
const LONGEST_AGE: Lifetime = Lifetime::from_hours(366 * 24);

/// `tokenberg issuer add`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("keys").required(true), after_help = "\
Examples:
  tokenberg issuer add https://idp.example --discover --accept id_token
      users of the provider, by their id_token for the asking client; each may have `catalog`
  tokenberg issuer add https://login.example/tenant/v2.0 --discover --accept id_token,access_token \\
      --audience api://tokenberg --map 'groups=analysts:PRINCIPAL_ROLE:analyst'
  tokenberg issuer add https://kubernetes.default.svc.cluster.local --jwks cluster.jwks
      for workload identities only: `client federate` says which service account is which client
  tokenberg issuer add spiffe://td.example --jwks bundle.json

Then a client has to be allowed to act for the users:
  tokenberg client add trino --may-act-for 'https://idp.example|*'

The identifier is compared with `iss` byte for byte, a slash at its end included. Keys come only from where this command says,
never from what a token says. A running server follows within one second.")]
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

    /// Let a session outlive the token that began it, up to the client's session lifetime: Iceberg's Java clients up to 1.10
    /// need it for users' sessions
    #[arg(long)]
    outlives_subject: bool,

    /// Trust an http URL of another machine as the issuer or as the address of its keys, for trials in containers: whoever is on the
    /// way can replace the keys, and so be any of its users
    #[arg(long)]
    insecure_http: bool,

    /// Replace what was said about this issuer before, keys and all; disabled, it stays so
    #[arg(long)]
    replace: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Accept {
    /// Subject token of the type id_token: a user who logged in for the asking client
    IdToken,
    /// Subject token of the type jwt: any JWT for us
    Jwt,
    /// Subject token of the type access_token: an access token for us
    AccessToken,
    /// Assertion of the jwt-bearer grant (RFC 7523)
    JwtBearer,
}

impl Accept {
    fn is(self) -> AcceptedAs {
        match self {
            Self::IdToken => AcceptedAs::IdToken,
            Self::Jwt => AcceptedAs::Jwt,
            Self::AccessToken => AcceptedAs::AccessToken,
            Self::JwtBearer => AcceptedAs::JwtBearer,
        }
    }
}

/// An address of keys; kept as it was written. Whether it may be plain http is decided when all is known.
fn key_address(text: &str) -> Result<Box<str>, String> {
    let url: Url = text.parse().map_err(|_| HTTPS_ONLY.to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(HTTPS_ONLY.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("the address of keys has no user name, password or # in it".to_owned());
    }
    Ok(text.into())
}

const HTTPS_ONLY: &str = "keys are fetched from an https address; plain http is for 127.0.0.1, [::1] and localhost only, and for trials \
                          with --insecure-http";

/// Refuses plain http to other machines, unless it was asked for.
fn check_transport(asked: &Add) -> anyhow::Result<()> {
    if asked.insecure_http {
        return Ok(());
    }
    if asked.issuer.is_plain_http() {
        return Err(wrong_usage(
            "an issuer is an https URL; plain http is for 127.0.0.1, [::1] and localhost only, and for trials with --insecure-http",
        ));
    }
    let is_local = |text: &str| text.parse().is_ok_and(|url: Url| web::is_local(&url));
    match asked.jwks_uri.as_deref() {
        Some(text) if text.starts_with("http:") && !is_local(text) => Err(wrong_usage(HTTPS_ONLY)),
        Some(_) | None => Ok(()),
    }
}

/// Trusts the issuer.
///
/// # Errors
/// If what was said contradicts itself, the file of keys is not what it should be, the issuer is there already, or the store
/// fails.
pub(super) async fn run(location: StoreLocation, asked: Add, output: Output) -> anyhow::Result<()> {
    let (issuer, replace) = (asked.issuer.clone(), asked.replace);
    check_transport(&asked)?;
    let trust = trust(asked)?;
    let now = clock::now()?;
    let store = location.open_or_make().await?;
    let mut replaced = false;
    match store.add_issuer(now, &issuer, &trust).await {
        Err(StoreError::IssuerExists { .. }) if replace => {
            store.set_trust(&issuer, &trust).await?;
            replaced = true;
        }
        Err(error @ StoreError::IssuerExists { .. }) => {
            return Err(anyhow::Error::new(error).context("nothing was changed; --replace says it anew"));
        }
        done => done?,
    }
    let enabled = store.issuer(&issuer).await?.trusted.enabled;
    store.close().await;
    if trust.accept.is_empty() {
        note(
            "its tokens are accepted as nothing but workload identities: `tokenberg client federate` says which, --accept what else",
        );
    }
    if issuer.is_spiffe() && !trust.accept.is_empty() {
        note(
            "of a trust domain, --accept is for tokens that name it in `iss`; SVIDs of workloads are for `tokenberg client federate`",
        );
    }
    if trust.insecure_http {
        warn(
            "plain http is for trials: whoever is on the way to the issuer can replace its keys, and so be any of its users",
        );
    }
    if &*trust.subject_claim == "email" {
        note(
            "an address may be given to somebody else, and the issuer has to have verified it: tokens whose email_verified is there \
             and not true are refused. Prefer a claim that stays the same, as sub",
        );
    }
    if !enabled {
        note(&format!("it is disabled still; `tokenberg issuer enable {issuer}` changes that"));
    }
    output.show(
        || json!({"issuer": issuer, "enabled": enabled, "replaced": replaced, "trust": trust}),
        || format!("issuer {issuer} is {}", if replaced { "trusted in another way now" } else { "trusted" }),
    )?;
    Ok(())
}

fn trust(asked: Add) -> anyhow::Result<Trust> {
    if asked.issuer.is_spiffe() && asked.discover {
        return Err(wrong_usage(
            "a SPIFFE trust domain has no metadata to discover: give its bundle with --jwks, or the address of it with \
             --jwks-uri",
        ));
    }
    if asked.subject_claim.is_empty() {
        return Err(wrong_usage("--subject-claim is empty; the claim that every token has is sub"));
    }
    if asked.audience.iter().any(|audience| audience.is_empty()) {
        return Err(wrong_usage("an audience is not empty"));
    }
    if asked.leeway > LONGEST_LEEWAY {
        return Err(wrong_usage("--leeway is 5m at most; a clock that is further off should be set"));
    }
    duration::within("--max-age", asked.max_age, LONGEST_AGE)?;
    let keys = match (asked.jwks, asked.jwks_uri) {
        (Some(file), _) => KeySource::Jwks(jwks_file::read(&file)?),
        (None, Some(address)) => KeySource::JwksUri(address),
        (None, None) => KeySource::Discovery,
    };
    let mut trust = Trust::new(keys);
    for kind in asked.accept {
        if !trust.accept.contains(&kind.is()) {
            trust.accept.push(kind.is());
        }
    }
    trust.audiences = asked.audience;
    trust.algorithms = asked.alg;
    trust.subject_claim = asked.subject_claim;
    trust.scope = asked.scope;
    trust.map = asked.map;
    trust.leeway = asked.leeway;
    trust.max_age = asked.max_age;
    trust.outlives_subject = asked.outlives_subject;
    trust.insecure_http = asked.insecure_http;
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
