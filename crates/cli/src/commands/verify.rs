//! `tokenberg verify`: verifies a token with the published keys of the issuer: RFC 8414 §3, RFC 9068 §4, OpenID Connect Core 1.0
//! §3.1.3.7.

use crate::failure::{note, warn};
use crate::output::{Output, facts, on_one_line};
use crate::web::Web;
use crate::{clock, moment_text, pasted, published};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tokenberg_core::token::{Confirmation, Possession};
use tokenberg_core::{
    AccessTokenClaims, CompactJws, IdTokenVerification, Issuer, Timestamp, TokenFault, TokenVerification,
};
use tokenberg_jose::PublicKeys;

/// `tokenberg verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg verify access.token --issuer https://tokens.example --audience https://lake.example
  tokenberg verify access.token --issuer http://127.0.0.1:8183
  tokenberg verify id.token --id-token --issuer https://idp.example --audience CLIENT_ID

Only the issuer knows whether a token was revoked. Exit code 0: valid; 1: not valid.")]
pub(crate) struct Verify {
    /// File with the token, bare, after `Bearer`, or in the JSON response of a token service; standard input if omitted or `-`
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,

    /// Required issuer of the token, exactly as in `iss`
    #[arg(long, value_name = "URL")]
    issuer: Issuer,

    /// Required audience of the token; if omitted, the audience is not checked
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<Box<str>>,

    /// Verify an ID token of the issuer, such as an identity provider, instead of an access token; its audience is the ID of the
    /// client that it was issued to
    #[arg(long)]
    id_token: bool,

    /// CA certificates (PEM) to trust, instead of the public roots
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A valid token: its claims, and the rows about it for people.
struct Valid {
    claims: Map<String, Value>,
    audience: String,
    rows: Vec<(&'static str, String)>,
}

/// Verifies the token.
///
/// # Errors
/// If the keys of the issuer cannot be obtained, or the token is invalid.
pub(crate) fn run(arguments: &Verify, output: Output) -> anyhow::Result<()> {
    let token = pasted::token(&arguments.file)?;
    let outcome = if arguments.id_token {
        verified_id_token(arguments, token.expose())?
    } else {
        verified(arguments, token.expose())?
    };
    match outcome {
        Ok(Valid { claims, audience, rows }) => {
            if arguments.audience.is_none() {
                note(&format!("the audience was not checked; the token is for {audience}"));
            }
            output.show(
                || {
                    json!({
                        "valid": true,
                        "audience_checked": arguments.audience.is_some(),
                        "claims": Value::Object(claims),
                    })
                },
                || format!("valid\n\n{}", facts(&rows)),
            )?;
            Ok(())
        }
        Err(fault) => {
            let reason = fault.to_string();
            if output.json {
                output.show(|| json!({"valid": false, "reason": reason}), String::new)?;
            }
            let is_other = matches!(fault, TokenFault::Type(_));
            let next = if is_other { "; --id-token verifies an ID token" } else { "" };
            anyhow::bail!("not valid: {reason}{next}");
        }
    }
}

fn actors(claims: &AccessTokenClaims) -> String {
    let chain = claims.actor.iter().flat_map(|actor| actor.chain());
    chain.map(|actor| actor.subject.to_string()).collect::<Vec<_>>().join(", before that ")
}

/// The audience that was given, or every one that the token itself names.
fn audiences(arguments: &Verify, token: &str, claims: &[&str]) -> Vec<Box<str>> {
    match &arguments.audience {
        Some(audience) => vec![audience.clone()],
        None => claims.iter().flat_map(|claim| names_in(token, claim)).collect(),
    }
}

/// Verifies an access token. The outer error means that verification was not possible, the inner one that the token is invalid.
fn verified(arguments: &Verify, token: &str) -> anyhow::Result<Result<Valid, TokenFault>> {
    let audiences = audiences(arguments, token, &["aud"]);
    let verification = TokenVerification::new(arguments.issuer.clone(), audiences);
    // Checked before anything is fetched: a token of another issuer is no reason to send a request to this one.
    let framed = match verification.framed(token) {
        Ok(framed) => framed,
        Err(fault) => return Ok(Err(fault)),
    };
    let (keys, now) = (keys(arguments)?, clock::now()?);
    let possession = possession_of(&framed);
    let claims = match verification.claims(&framed, keys.verify(&framed), now, &possession) {
        Ok(claims) => claims,
        Err(fault) => return Ok(Err(fault)),
    };
    if claims.confirmation.is_some() {
        note(
            "the token is bound to a key, and is accepted only with a proof of that key; this command cannot verify the proof",
        );
    }
    let audience = claims.audience.join(", ");
    let rows = vec![
        ("subject", claims.subject.to_string()),
        ("client", claims.client_id.to_string()),
        ("audience", audience.clone()),
        ("scope", claims.scope.to_string()),
        ("actors", actors(&claims)),
        ("issued", moment_text::with_distance(claims.issued_at, now)),
        ("expires", moment_text::with_distance(claims.expires_at, now)),
    ];
    Ok(Ok(Valid { claims: claims.to_json(), audience, rows }))
}

/// The same for an ID token of the issuer.
fn verified_id_token(arguments: &Verify, token: &str) -> anyhow::Result<Result<Valid, TokenFault>> {
    let audiences = audiences(arguments, token, &["aud", "azp"]);
    let verification = IdTokenVerification::new(arguments.issuer.clone(), audiences);
    let framed = match verification.framed(token) {
        Ok(framed) => framed,
        Err(fault) => return Ok(Err(fault)),
    };
    let (keys, now) = (keys(arguments)?, clock::now()?);
    let claims = match verification.claims(&framed, keys.verify(&framed), now) {
        Ok(claims) => claims.clone(),
        Err(fault) => return Ok(Err(fault)),
    };
    let audience = names_in(token, "aud").join(", ");
    let time = |name: &str| {
        let seconds = claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
        let time = seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok());
        time.map_or_else(String::new, |time| moment_text::with_distance(time, now))
    };
    let text = |name: &str| on_one_line(claims.get(name).and_then(Value::as_str).unwrap_or_default());
    let rows = vec![
        ("subject", text("sub")),
        ("email", text("email")),
        ("audience", on_one_line(&audience)),
        ("issued", time("iat")),
        ("expires", time("exp")),
    ];
    Ok(Ok(Valid { claims, audience, rows }))
}

/// The possession that a presenter would have to prove. The command does not present the token, so it assumes and reports the proof.
fn possession_of(token: &CompactJws) -> Possession {
    let confirmation = token.unverified_payload().get("cnf").and_then(|cnf| Confirmation::read(cnf).ok());
    confirmation
        .map_or_else(Possession::default, |it| Possession { key: it.key, certificate: it.certificate })
}

/// The texts in a claim that is a text or a list of texts.
fn names_in(token: &str, claim: &str) -> Vec<Box<str>> {
    let Ok(framed) = CompactJws::parse(token) else { return Vec::new() };
    match framed.unverified_payload().get(claim) {
        Some(Value::String(one)) => vec![one.as_str().into()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// The published keys of the issuer.
fn keys(arguments: &Verify) -> anyhow::Result<PublicKeys> {
    let (web, issuer) = (Web::new(arguments.ca_file.as_deref(), false)?, &arguments.issuer);
    let keys = published::keys(&web, &published::metadata(&web, issuer)?)?;
    for ignored in keys.ignored() {
        warn(&ignored.to_string());
    }
    Ok(keys)
}
