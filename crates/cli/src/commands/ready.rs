//! `tokenberg ready`: asks a running server whether it is ready, for health checks of images without a shell; conformance OP-13.

use super::operations_address;
use crate::configuration::Configuration;
use crate::failure::{AlreadyReported, wrong_usage};
use crate::output::{Output, on_one_line};
use crate::web::Web;
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// How long the server may take; less than the usual limit of a health check.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer.
const LARGEST: u64 = 64 * 1024;

/// `tokenberg ready`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg ready
      for a server whose address for operations is in TOKENBERG_OPS_LISTEN or in the configuration
      file
  tokenberg ready http://127.0.0.1:9183
      the address in the line `operations on …` that a server prints when it starts
  HEALTHCHECK CMD [\"/tokenberg\", \"ready\"]
      in a Dockerfile: the image needs no shell and no curl

Exit code 0: the server is ready; 1: it is not, or does not answer within 5s. The command does not
open the store.")]
pub(crate) struct Ready {
    /// Ask only whether the process answers (/healthz), for a check that restarts it
    #[arg(long)]
    live: bool,

    /// Address of the server's listener for operations [default: that of --ops-listen]
    #[arg(value_name = "URL")]
    url: Option<String>,
}

/// Asks the server.
///
/// # Errors
/// If the address is not known, the server does not answer, or it is not ready.
pub(crate) fn run(arguments: &Ready, configuration: &Configuration, output: Output) -> anyhow::Result<()> {
    let address = match &arguments.url {
        Some(url) => {
            operations_address::given(url).ok_or_else(|| wrong_usage(operations_address::mistake("", url)))?
        }
        None => operations_address::configured(configuration, "give http://ADDR:PORT")?,
    };
    let path = if arguments.live { "/healthz" } else { "/readyz" };
    let url = format!("{address}{path}").parse()?;
    // The listener for operations has no TLS, and nothing secret is sent.
    let answer = Web::new(None, true)?.get_within(&url, LARGEST, PATIENCE)?;
    let text = on_one_line(String::from_utf8_lossy(&answer.body).trim());
    let is_ready = answer.status == 200;
    if is_ready || output.json {
        output.show(|| json!({"ready": is_ready, "status": answer.status, "text": text}), || text.clone())?;
        return if is_ready { Ok(()) } else { Err(AlreadyReported.into()) };
    }
    anyhow::bail!("not ready: {text} (status {} of {url})", answer.status);
}
