//! `tokenberg respond`: answers one request from standard input as the token endpoint would, without HTTP; conformance OP-32.

use crate::common::Common;
use crate::failure::AlreadyReported;
use crate::one_request::{self, OneRequest, Sent};
use crate::{clock, output};
use clap::Args;
use serde_json::{Map, Value, json};
use tokenberg_core::{
    Answers, Blocking, ErrorCode, Granted, NotGranted, OAuthError, Policy, Presented, Refusal, Timestamp,
    TokenEndpoint, drive,
};

/// `tokenberg respond`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  printf 'grant_type=client_credentials&client_id=spark&client_secret=%s' \"$SECRET\" \\
      | tokenberg respond

The command issues a valid token. Exit code 0: granted; 1: refused.")]
pub(crate) struct Respond {
    #[command(flatten)]
    request: OneRequest,
}

/// Answers the request.
///
/// # Errors
/// If the store cannot be read, or the request is refused.
pub(crate) fn run(common: &Common, arguments: &Respond) -> anyhow::Result<()> {
    let sent = arguments.request.read()?;
    let now = clock::now()?;
    let endpoint = arguments.request.endpoint();
    let answer = arguments.request.answered(common, now, true, |answers, blocking| {
        answer(&sent, &endpoint, (answers, blocking), now)
    })?;
    let is_granted = answer.status == 200;
    let whole = json!({"status": answer.status, "headers": answer.headers, "body": answer.body});
    output::print(&format!("{}\n", output::escaped(&whole)))?;
    if is_granted { Ok(()) } else { Err(AlreadyReported.into()) }
}

struct Answer {
    status: u16,
    headers: Map<String, Value>,
    body: Value,
}

fn answer(
    sent: &Sent,
    endpoint: &TokenEndpoint,
    (answers, blocking): (&dyn Answers, &dyn Blocking),
    now: Timestamp,
) -> anyhow::Result<Answer> {
    let entropy = one_request::entropy()?;
    let driven = sent
        .as_request(Presented::of)
        .and_then(|presented| endpoint.start(presented, now, entropy))
        .map_err(NotGranted::Refused)
        .and_then(|step| drive(step, answers, blocking));
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
            let seconds = match &outage {
                NotGranted::KeysUnavailable(fault) => fault.retry_after.as_seconds(),
                NotGranted::Refused(_) | NotGranted::Unsigned(_) | NotGranted::Unwritten(_) => 1,
            };
            let error = "the request cannot be decided now; retry after the time in Retry-After";
            let mut answer = written(&OAuthError::new(ErrorCode::TemporarilyUnavailable, error))?;
            answer.headers.insert("retry-after".to_owned(), seconds.to_string().into());
            Ok(answer)
        }
    }
}

fn refused(refusal: &Refusal, policy: &Policy) -> anyhow::Result<Answer> {
    // The details are for the operator; the client receives only the body.
    crate::failure::note(&refusal.to_string());
    written(&policy.error_for(refusal))
}

fn written(error: &OAuthError) -> anyhow::Result<Answer> {
    Ok(Answer {
        status: error.status(),
        headers: headers(error.challenge.map(tokenberg_core::error::Challenge::as_header)),
        body: serde_json::from_str(&error.to_json())?,
    })
}

/// The headers as the server sends them (RFC 6749 §5.1: "Cache-Control" with "no-store" and "Pragma" with "no-cache").
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
