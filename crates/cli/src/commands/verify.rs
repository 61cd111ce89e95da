//! `tokenberg verify`: verifies a token with the published keys of the issuer, RFC 8414 §3 and RFC 9068 §4.

use crate::failure::{note, warn};
use crate::output::{Output, facts};
use crate::web::Web;
use crate::{clock, input, moment_text};
use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokenberg_core::token::{Confirmation, Possession};
use tokenberg_core::{AccessTokenClaims, CompactJws, Issuer, TokenFault, TokenVerification};
use tokenberg_jose::{LARGEST_JWKS, LARGEST_METADATA, PublicKeys};
use url::Url;

/// `tokenberg verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg verify access.token --issuer https://tokens.example --audience https://lake.example
  tokenberg verify access.token --issuer http://127.0.0.1:8183

Only the issuer knows whether a token was revoked. Exit code 0: valid; 1: not valid.")]
pub(crate) struct Verify {
    /// File with the token; standard input if omitted or `-`
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,

    /// Required issuer of the token, exactly as in `iss`
    #[arg(long, value_name = "URL")]
    issuer: Issuer,

    /// Required audience of the token; if omitted, the audience is not checked
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<Box<str>>,

    /// CA certificates (PEM) to trust, instead of the public roots
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Verifies the token.
///
/// # Errors
/// If the keys of the issuer cannot be obtained, or the token is invalid.
pub(crate) fn run(arguments: &Verify, output: Output) -> anyhow::Result<()> {
    let token = input::token(&arguments.file)?;
    let outcome = verified(arguments, token.expose())?;
    let now = clock::now()?;
    match outcome {
        Ok(claims) => {
            let audience = claims.audience.join(", ");
            if arguments.audience.is_none() {
                note(&format!("the audience was not checked; the token is for {audience}"));
            }
            output.show(
                || {
                    json!({
                        "valid": true,
                        "audience_checked": arguments.audience.is_some(),
                        "claims": Value::Object(claims.to_json()),
                    })
                },
                || {
                    let known = facts(&[
                        ("subject", claims.subject.to_string()),
                        ("client", claims.client_id.to_string()),
                        ("audience", audience.clone()),
                        ("scope", claims.scope.to_string()),
                        ("actors", actors(&claims)),
                        ("issued", moment_text::with_distance(claims.issued_at, now)),
                        ("expires", moment_text::with_distance(claims.expires_at, now)),
                    ]);
                    format!("valid\n\n{known}")
                },
            )?;
            Ok(())
        }
        Err(fault) => {
            let reason = fault.to_string();
            if output.json {
                output.show(|| json!({"valid": false, "reason": reason}), String::new)?;
            }
            anyhow::bail!("not valid: {reason}");
        }
    }
}

fn actors(claims: &AccessTokenClaims) -> String {
    let chain = claims.actor.iter().flat_map(|actor| actor.chain());
    chain.map(|actor| actor.subject.to_string()).collect::<Vec<_>>().join(", before that ")
}

/// Verifies the token. The outer error means that verification was not possible, the inner one that the token is invalid.
fn verified(arguments: &Verify, token: &str) -> anyhow::Result<Result<Arc<AccessTokenClaims>, TokenFault>> {
    let audience = match &arguments.audience {
        Some(audience) => vec![audience.clone()],
        None => audiences_of(token),
    };
    let verification = TokenVerification::new(arguments.issuer.clone(), audience);
    // Checked before anything is fetched: a token of another issuer is no reason to send a request to this one.
    let framed = match verification.framed(token) {
        Ok(framed) => framed,
        Err(fault) => return Ok(Err(fault)),
    };
    let web = Web::new(arguments.ca_file.as_deref(), false)?;
    let keys = keys(&web, &arguments.issuer)?;
    let possession = possession_of(&framed);
    let claims = verification.claims(&framed, keys.verify(&framed), clock::now()?, &possession);
    if claims.as_ref().is_ok_and(|claims| claims.confirmation.is_some()) {
        note(
            "the token is bound to a key, and is accepted only with a proof of that key; this command cannot verify the proof",
        );
    }
    Ok(claims)
}

/// The possession that a presenter would have to prove. The command does not present the token, so it assumes and reports the proof.
fn possession_of(token: &CompactJws) -> Possession {
    let confirmation = token.unverified_payload().get("cnf").and_then(|cnf| Confirmation::read(cnf).ok());
    confirmation
        .map_or_else(Possession::default, |it| Possession { key: it.key, certificate: it.certificate })
}

/// Every audience that the token itself names.
fn audiences_of(token: &str) -> Vec<Box<str>> {
    let Ok(framed) = CompactJws::parse(token) else { return Vec::new() };
    match framed.unverified_payload().get("aud") {
        Some(Value::String(one)) => vec![one.as_str().into()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

fn keys(web: &Web, issuer: &Issuer) -> anyhow::Result<PublicKeys> {
    let metadata = metadata(web, issuer)?;
    // RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the authorization server's issuer identifier".
    let named = metadata.get("issuer").and_then(Value::as_str).unwrap_or_default();
    anyhow::ensure!(
        named == issuer.as_str(),
        "the metadata of {issuer} has another issuer: {named:?}; issuers are compared exactly"
    );
    let uri = metadata.get("jwks_uri").and_then(Value::as_str).context("the metadata has no jwks_uri")?;
    let uri: Url = uri.parse().context("the jwks_uri of the metadata is not a URL")?;
    let answer = web.get(&uri, LARGEST_JWKS as u64)?;
    anyhow::ensure!(answer.status == 200, "{uri} answered {}", answer.status);
    let keys = PublicKeys::from_bytes(&answer.body).with_context(|| uri.to_string())?;
    for ignored in keys.ignored() {
        warn(&ignored.to_string());
    }
    Ok(keys)
}

/// RFC 8414 §3.1 puts the well-known part before the path of the issuer; OpenID Connect, and many servers, after it.
fn metadata(web: &Web, issuer: &Issuer) -> anyhow::Result<Map<String, Value>> {
    let path = issuer.path();
    let origin = issuer.as_str().strip_suffix(path).unwrap_or_default();
    let mut places = vec![format!("{origin}/.well-known/oauth-authorization-server{path}")];
    if !path.is_empty() {
        places.push(format!("{issuer}/.well-known/oauth-authorization-server"));
    }
    places.push(format!("{issuer}/.well-known/openid-configuration"));
    for place in &places {
        let answer = web.get(&place.parse().context("the issuer is not a URL")?, LARGEST_METADATA as u64)?;
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body)
                .with_context(|| format!("{place} is not a JSON object"));
        }
        anyhow::ensure!((400..500).contains(&answer.status), "{place} answered {}", answer.status);
    }
    anyhow::bail!("{issuer} publishes no metadata at {}", places.join(" and "))
}
