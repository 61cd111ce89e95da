//! What an issuer publishes: its metadata (RFC 8414 §3, OpenID Connect Discovery 1.0 §4) and its keys.

use crate::web::Web;
use anyhow::Context;
use serde_json::{Map, Value};
use tokenberg_core::Issuer;
use tokenberg_jose::{LARGEST_JWKS, LARGEST_METADATA, PublicKeys};
use url::Url;

/// The metadata of an authorization server or OpenID provider.
///
/// # Errors
/// If it publishes none, or those of another issuer.
pub(crate) fn metadata(web: &Web, issuer: &Issuer) -> anyhow::Result<Map<String, Value>> {
    // RFC 8414 §3.1 puts the well-known part before the path of the issuer; OpenID Connect, and many servers, after it.
    let (origin, path) = (issuer.origin(), issuer.path());
    let mut places = vec![format!("{origin}/.well-known/oauth-authorization-server{path}")];
    if !path.is_empty() {
        places.push(format!("{issuer}/.well-known/oauth-authorization-server"));
    }
    places.push(openid_place(issuer));
    fetched(web, issuer, &places)
}

/// The configuration of an OpenID provider.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn openid_configuration(web: &Web, issuer: &Issuer) -> anyhow::Result<Map<String, Value>> {
    fetched(web, issuer, &[openid_place(issuer)])
}

/// The keys that the metadata refer to.
///
/// # Errors
/// If they cannot be fetched or read.
pub(crate) fn keys(web: &Web, metadata: &Map<String, Value>) -> anyhow::Result<PublicKeys> {
    let uri = metadata.get("jwks_uri").and_then(Value::as_str).context("the metadata has no jwks_uri")?;
    let uri: Url = uri.parse().context("the jwks_uri of the metadata is not a URL")?;
    let answer = web.get(&uri, LARGEST_JWKS as u64)?;
    anyhow::ensure!(answer.status == 200, "{uri} answered {}", answer.status);
    PublicKeys::from_bytes(&answer.body).with_context(|| uri.to_string())
}

fn openid_place(issuer: &Issuer) -> String {
    // OpenID Connect Discovery 1.0 §4: "any terminating / MUST be removed before appending /.well-known/openid-configuration".
    format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'))
}

fn fetched(web: &Web, issuer: &Issuer, places: &[String]) -> anyhow::Result<Map<String, Value>> {
    for place in places {
        let answer = web.get(&place.parse().context("the issuer is not a URL")?, LARGEST_METADATA as u64)?;
        if answer.status == 200 {
            let metadata: Map<String, Value> = serde_json::from_slice(&answer.body)
                .with_context(|| format!("{place} is not a JSON object"))?;
            // RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the authorization server's issuer identifier".
            let named = metadata.get("issuer").and_then(Value::as_str).unwrap_or_default();
            anyhow::ensure!(
                named == issuer.as_str(),
                "the metadata of {issuer} has another issuer: {named:?}; issuers are compared exactly"
            );
            return Ok(metadata);
        }
        anyhow::ensure!((400..500).contains(&answer.status), "{place} answered {}", answer.status);
    }
    anyhow::bail!("{issuer} publishes no metadata at {}", places.join(" and "))
}
