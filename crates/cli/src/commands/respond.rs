//! What would the token endpoint answer? `tokenberg respond`: one request from standard input, without HTTP; conformance OP-32.

use crate::arguments::Common;
use crate::blocking_answers::BlockingAnswers;
use crate::failure::AlreadySaid;
use crate::store_access::{StoreLocation, runtime};
use crate::{clock, input, output};
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tokenberg_core::{
    Answers, Entropy, ErrorCode, Granted, Issuer, NotGranted, OAuthError, Policy, Presented, Refusal,
    Timestamp, TokenEndpoint, drive,
};
use tokenberg_jose::Keyring;

/// `tokenberg respond`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  printf 'grant_type=client_credentials&client_id=spark&client_secret=%s' \"$SECRET\" \\
      | tokenberg respond

The token is real. Exit code 0: granted; 1: refused.")]
pub(crate) struct Respond {
    /// The value of the Authorization header is in this file
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,

    /// Whom the token is from; the default is that of a server with all defaults
    #[arg(long, value_name = "URL", env = "TOKENBERG_ISSUER", default_value = "http://127.0.0.1:8183")]
    issuer: Issuer,

    /// Answer with the six error codes of Iceberg's specification only, as `serve --strict-iceberg-errors`
    #[arg(long)]
    strict_iceberg_errors: bool,
}

/// Answers the request.
///
/// # Errors
/// If the store cannot be read, or the request is refused.
pub(crate) fn run(common: &Common, asked: &Respond) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let authorization = asked.authorization_file.as_deref().map(input::secret).transpose()?;
    let mut body = input::bytes(Path::new("-"))?;
    // What a shell or an editor puts at the end of a line is no part of a form.
    if body.last() == Some(&b'\n') {
        body.pop();
    }
    let mut policy = Policy::new(asked.issuer.clone());
    policy.strict_iceberg_errors = asked.strict_iceberg_errors;
    let now = clock::now()?;
    let runtime = runtime()?;
    let watched = runtime.block_on(async {
        let store = location.open_existing().await?;
        anyhow::Ok(store.watch(move |keys, _: Option<&Keyring>| Keyring::read(keys, now)).await?)
    })?;
    let moment = watched.now();
    let answers = BlockingAnswers::new(&*moment, &runtime, &watched, None);
    let header: Vec<&[u8]> = authorization.iter().map(|value| value.expose().as_bytes()).collect();
    let answer = answer(&header, &body, &TokenEndpoint::new(policy), &answers, now)?;
    let is_granted = answer.status == 200;
    let whole = json!({"status": answer.status, "headers": answer.headers, "body": answer.body});
    output::print(&format!("{}\n", output::escaped(&whole)))?;
    if is_granted { Ok(()) } else { Err(AlreadySaid.into()) }
}

struct Answer {
    status: u16,
    headers: Map<String, Value>,
    body: Value,
}

fn answer(
    authorization: &[&[u8]],
    body: &[u8],
    endpoint: &TokenEndpoint,
    answers: &impl Answers,
    now: Timestamp,
) -> anyhow::Result<Answer> {
    let mut bits = [0; 16];
    SystemRandom::new()
        .fill(&mut bits)
        .map_err(|_| anyhow::anyhow!("the operating system gave no random numbers"))?;
    let driven = Presented::read(authorization, None, body)
        .and_then(|presented| endpoint.start(presented, now, Entropy::from_bits(bits)))
        .map_err(NotGranted::Refused)
        .and_then(|step| drive(step, answers));
    match driven {
        Ok(Granted { response, .. }) => Ok(Answer {
            status: 200,
            headers: headers(None),
            body: serde_json::from_str(response.to_json().expose())?,
        }),
        Err(NotGranted::Refused(refusal)) => refused(&refusal, endpoint.policy()),
        Err(NotGranted::Unsigned(fault)) => {
            crate::failure::warn(&fault.to_string());
            written(&OAuthError::new(ErrorCode::ServerError, "the token could not be signed"))
        }
        Err(outage @ (NotGranted::Unwritten(_) | NotGranted::KeysUnavailable(_))) => {
            crate::failure::warn(&outage.to_string());
            written(&OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "it cannot be decided now; try again",
            ))
        }
    }
}

fn refused(refusal: &Refusal, policy: &Policy) -> anyhow::Result<Answer> {
    // For the operator, who may know; the client is told what stands in the body.
    crate::failure::note(&refusal.to_string());
    written(&policy.error_for(refusal))
}

fn written(error: &OAuthError) -> anyhow::Result<Answer> {
    Ok(Answer {
        status: error.status(),
        headers: headers(error.challenge.map(tokenberg_core::Challenge::as_header)),
        body: serde_json::from_str(&error.to_json())?,
    })
}

/// As the server sends them (RFC 6749 §5.1: "Cache-Control" with "no-store" and "Pragma" with "no-cache").
fn headers(challenge: Option<&str>) -> Map<String, Value> {
    let mut headers = Map::new();
    headers.insert("content-type".to_owned(), "application/json".into());
    headers.insert("cache-control".to_owned(), "no-store".into());
    headers.insert("pragma".to_owned(), "no-cache".into());
    if let Some(challenge) = challenge {
        headers.insert("www-authenticate".to_owned(), challenge.into());
    }
    headers
}
