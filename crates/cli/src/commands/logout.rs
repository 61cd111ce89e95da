//! `tokenberg logout`: removes a session of `tokenberg login`, and revokes its token.

use crate::input;
use crate::output::Output;
use crate::wallet::{ServiceOptions, Session};
use clap::Args;

/// `tokenberg logout`
#[derive(Debug, Args)]
#[command(after_help = "\
Without options, it ends the only session. The identity provider still knows your browser:
sign out there as well, if others use the browser.")]
pub(crate) struct Logout {
    #[command(flatten)]
    service: ServiceOptions,

    /// Client ID of the session, if there is more than one
    #[arg(long, value_name = "ID", env = "TOKENBERG_CLIENT_ID", value_parser = input::line::<Box<str>>)]
    client_id: Option<Box<str>>,
}

/// Ends the session.
///
/// # Errors
/// If there is none, or its file cannot be removed.
pub(crate) fn run(arguments: &Logout, output: Output) -> anyhow::Result<()> {
    let found = Session::find(arguments.service.server.as_ref(), arguments.client_id.as_deref())?;
    let Some(session) = found else { anyhow::bail!("you are not signed in") };
    let ended = session.end(&arguments.service)?;
    output.show(|| ended.clone(), || format!("Signed out of {}.", session.sign_in().server))?;
    Ok(())
}
