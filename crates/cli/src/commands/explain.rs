//! `tokenberg explain`: explains the whole decision about one request from standard input; nothing is minted.

use super::explain_recorded;
use super::explanation_text::{text, value};
use crate::common::Common;
use crate::failure::AlreadyReported;
use crate::one_request::{self, OneRequest};
use crate::output::Output;
use crate::{clock, input, moment_text};
use clap::Args;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tokenberg_core::explanation::{SupposedUser, Verdict, WhatIf, explain, explain_what_if};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::refusal::Redacted;
use tokenberg_core::{ClientId, Issuer, Timestamp};

/// `tokenberg explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tokenberg explain --authorization-file header.txt < form.txt
      prints each rule that was applied, in order; then the decision, the response to the client,
      and the change that would allow the request
  tokenberg explain --request 0f02ab13
      what the audit recorded about this request, in order, and what would allow such a request now
  tokenberg explain --client etl --scope 'catalog ns:read'
      the same for a request that was not made, without any secret
  tokenberg explain --client gateway --subject-issuer https://idp.example --subject alice
      the same for a token that acts for a user; --claims FILE has more claims of the user's token

No token is issued, nothing is written, and single-use identifiers stay unused. Registrations are
those of now, also with --at. Exit code 0: the request would be granted; 1: it would be refused, or
the keys of an issuer cannot be obtained.")]
pub(crate) struct Explain {
    /// Decide as of this time, for a request that was recorded then: 2026-11-21T21:58:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Explain the recorded decision about this request: its ID in the audit, the log and the response, or the beginning of it
    #[arg(long = "request", value_name = "ID", conflicts_with_all = ["authorization_file", "dpop_file", "client"],
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    #[command(flatten)]
    what_if: Supposed,

    #[command(flatten)]
    request: OneRequest,
}

/// A request that was not made.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instead of a request from standard input")]
struct Supposed {
    /// Client that requests a token; it is supposed to authenticate successfully
    #[arg(long, value_name = "ID", conflicts_with_all = ["authorization_file", "dpop_file"])]
    client: Option<ClientId>,

    /// Scope that it requests
    #[arg(long, value_name = "SCOPE", requires = "client")]
    scope: Option<Box<str>>,

    /// Audience that it requests
    #[arg(long, value_name = "AUDIENCE", requires = "client")]
    audience: Option<Box<str>>,

    /// Issuer of the user for whom it requests a token; the user's token is supposed to be genuine
    #[arg(long, value_name = "URL", requires_all = ["client", "subject"])]
    subject_issuer: Option<Issuer>,

    /// The user, as the issuer names it
    #[arg(long, value_name = "SUB", requires = "subject_issuer")]
    subject: Option<Box<str>>,

    /// As what the user's token is presented: id_token, jwt, access_token, or jwt_bearer for that grant
    #[arg(long, value_name = "KIND", requires = "subject", default_value = "id_token", value_parser = accepted_as)]
    presented_as: AcceptedAs,

    /// File with a JSON object: more claims of the user's token, such as groups
    #[arg(long, value_name = "FILE", requires = "subject")]
    claims: Option<PathBuf>,
}

fn accepted_as(text: &str) -> Result<AcceptedAs, String> {
    AcceptedAs::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let kinds = AcceptedAs::ALL.map(AcceptedAs::as_str).join(", ");
        format!("expected one of {kinds}")
    })
}

impl Supposed {
    /// The request that is supposed; `None` if one is to be read.
    fn what_if(&self) -> anyhow::Result<Option<WhatIf>> {
        let Some(client) = self.client.clone() else { return Ok(None) };
        let user = match (self.subject_issuer.clone(), self.subject.clone()) {
            (Some(issuer), Some(subject)) => {
                let claims = self.claims.as_deref().map(claims).transpose()?.unwrap_or_default();
                Some(SupposedUser { issuer, subject, presented_as: self.presented_as, claims })
            }
            (Some(_) | None, _) => None,
        };
        Ok(Some(WhatIf { client, scope: self.scope.clone(), audience: self.audience.clone(), user }))
    }
}

fn claims(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = input::bytes(file)?;
    serde_json::from_slice(&text)
        .map_err(|error| anyhow::anyhow!("{} is no JSON object: {error}", file.display()))
}

/// Prints the decision.
///
/// # Errors
/// If the store cannot be read, or the request is refused.
pub(crate) fn run(common: &Common, arguments: &Explain, output: Output) -> anyhow::Result<()> {
    let present = clock::now()?;
    let at = arguments.at.as_deref().map(|text| moment_text::parse(text, present)).transpose();
    let now = at.map_err(crate::failure::wrong_usage)?.unwrap_or(present);
    let written = |time: Timestamp| moment_text::with_distance(time, now);
    if let Some(id) = &arguments.request_id {
        return explain_recorded::run(common, &arguments.request, id, now, &written, output);
    }
    let endpoint = arguments.request.endpoint();
    let explanation = if let Some(what_if) = arguments.what_if.what_if()? {
        arguments.request.answered(common, now, false, |answers, blocking| {
            Ok(explain_what_if(&endpoint, &what_if, now, answers, blocking))
        })?
    } else {
        let (sent, entropy) = (arguments.request.read()?, one_request::entropy()?);
        arguments.request.answered(common, now, false, |answers, blocking| {
            Ok(sent.as_request(|request| explain(&endpoint, request, now, entropy, answers, blocking)))
        })?
    };
    // The operator has given the name, so it is no secret that a client sent in its place.
    let whole = |text: String| match &arguments.what_if.client {
        Some(client) => text.replace(&Redacted::of(client.as_str()).to_string(), client.as_str()),
        None => text,
    };
    output.show(|| value(&explanation, &written), || whole(text(&explanation, &written)))?;
    match explanation.verdict {
        Verdict::Granted(_) => Ok(()),
        Verdict::Refused(_) | Verdict::Undecided(_) => Err(AlreadyReported.into()),
    }
}
