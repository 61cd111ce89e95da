//! `tokenberg inspect`: prints the header and claims of a token without verifying it.

use crate::failure::note;
use crate::output::{self, Output};
use crate::{clock, moment_text, pasted};
use anyhow::Context;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tokenberg_core::{CompactJws, Timestamp};

/// `tokenberg inspect`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg inspect access.token
  tokenberg token --server http://127.0.0.1:8183 | tokenberg inspect")]
pub(crate) struct Inspect {
    /// File with the token, bare, after `Bearer`, or in the JSON response of a token service; standard input if omitted or `-`
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
}

/// A lenient decoder, because the output is only displayed and never trusted.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Shows the token.
///
/// # Errors
/// If the token has no readable content.
pub(crate) fn run(arguments: &Inspect, output: Output) -> anyhow::Result<()> {
    let token = pasted::token(&arguments.file)?;
    let now = clock::now()?;
    let (header, claims) = parts(token.expose())?;
    let times = times(&claims, now);
    let unread = CompactJws::parse(token.expose()).err().map(|fault| fault.to_string());
    if output.json {
        note("the token was not verified; `tokenberg verify` verifies it");
    }
    output.show(
        || {
            let times: Map<String, Value> =
                times.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into())).collect();
            json!({"verified": false, "header": header, "claims": claims, "times": times, "refused_because": unread})
        },
        || {
            let mut text =
                "NOT VERIFIED: the token may be forged; `tokenberg verify` verifies it.\n\n".to_owned();
            text.push_str(&format!("header {}\n\nclaims {}\n", output::escaped(&header), output::escaped(&claims)));
            if !times.is_empty() {
                text.push('\n');
                let rows: Vec<(&str, String)> = times.clone();
                text.push_str(&output::facts(&rows));
            }
            if let Some(why) = &unread {
                text.push_str(&format!("\nTokenberg would refuse this token: {why}.\n"));
            }
            text
        },
    )?;
    Ok(())
}

fn parts(token: &str) -> anyhow::Result<(Value, Value)> {
    let segments: Vec<&str> = token.split('.').collect();
    let read = |segment: &str, name: &str| -> anyhow::Result<Value> {
        let bytes = LENIENT.decode(segment).ok().with_context(|| format!("the {name} is not base64url"))?;
        serde_json::from_slice(&bytes).ok().with_context(|| format!("the {name} is not JSON"))
    };
    match segments.as_slice() {
        [header, claims, _] => Ok((read(header, "header")?, read(claims, "second segment")?)),
        [_, _, _, _, _] => {
            anyhow::bail!("this token has five segments: it is encrypted, and only its recipient can read it")
        }
        _ => anyhow::bail!("this is not a JWT: it does not consist of three segments separated by dots"),
    }
}

fn times(claims: &Value, now: Timestamp) -> Vec<(&'static str, String)> {
    let time = |value: Option<&Value>| {
        let seconds = value.and_then(|v| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)))?;
        Some(moment_text::with_distance(Timestamp::from_seconds(seconds).ok()?, now))
    };
    let session = claims.get("tokenberg_session");
    [
        ("iat", claims.get("iat")),
        ("nbf", claims.get("nbf")),
        ("exp", claims.get("exp")),
        ("auth_time", claims.get("auth_time")),
        ("session start", session.and_then(|s| s.get("start"))),
        ("session end", session.and_then(|s| s.get("end"))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, time(value)?)))
    .collect()
}
