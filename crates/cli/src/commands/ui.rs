//! `tokenberg ui`: prints a link that opens the page of a running server once.

use super::operations_address;
use crate::clock;
use crate::common::Common;
use crate::configuration::Configuration;
use crate::failure::{warn, wrong_usage};
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use crate::web::Web;
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// How long the server may take to answer whether it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer.
const LARGEST: u64 = 64 * 1024;

/// `tokenberg ui`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg ui
      for a server whose address for operations is in TOKENBERG_OPS_LISTEN or in the configuration
      file
  tokenberg ui --at http://127.0.0.1:8184
      the address in the line `operations on …` that a server prints when it starts
  ssh -L 8184:127.0.0.1:8184 HOST
      makes the page of a server on HOST available here

The link works once, within five minutes, on every server of this store, and opens a session of an
hour. The page shows what `client show`, `issuer show`, `key list`, `nodes` and `tokenberg audit` show. It does
not show disabled users (`subject list`), the settings of the server, or the findings of `check`. It
changes nothing. Servers record when it is opened. Without `serve --ops-listen` there is no page.")]
pub(crate) struct Ui {
    /// Address at which the browser reaches the server's listener for operations [default: that of --ops-listen]
    #[arg(long, value_name = "URL")]
    at: Option<String>,
}

/// Prints a link.
///
/// # Errors
/// If the address is not known, or the store cannot be opened.
pub(crate) fn run(
    common: &Common,
    arguments: &Ui,
    configuration: &Configuration,
    output: Output,
) -> anyhow::Result<()> {
    let address = match &arguments.at {
        Some(address) => checked(address)?,
        None => operations_address::configured(configuration, "give --at http://ADDR:PORT")?,
    };
    let now = clock::now()?;
    let location = StoreLocation::of(common)?;
    let code = wait_for(async {
        let store = location.open_to_read().await?;
        let code = store.page_code(now);
        store.close().await;
        Ok(code?)
    })?;
    let link = format!("{address}/ui/enter?code={}", code.expose());
    if let Some(fault) = not_found(&address) {
        warn(&format!(
            "{fault}; the link works if the browser reaches the listener for operations (--ops-listen) of a server of this store there"
        ));
    }
    output.show(|| json!({"link": link}), || link.clone())?;
    Ok(())
}

/// Why no page is found at the address from here. The browser may reach it all the same, as through a tunnel of its machine.
fn not_found(address: &str) -> Option<String> {
    let url = format!("{address}/healthz").parse().ok()?;
    // Nothing secret is sent.
    let answer = Web::new(None, true).and_then(|web| web.get_within(&url, LARGEST, PATIENCE));
    match answer {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!(
            "{address} answers, and is no listener for operations (status {} of {url})",
            answer.status
        )),
        Err(fault) => Some(format!("{fault:#}")),
    }
}

fn checked(address: &str) -> anyhow::Result<String> {
    operations_address::given(address)
        .ok_or_else(|| wrong_usage(operations_address::mistake("--at ", address)))
}
