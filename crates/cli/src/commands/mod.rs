//! What is done? One file for each command.

pub(crate) mod audit;
mod audit_text;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod issuer;
mod jwks_file;
pub(crate) mod key;
pub(crate) mod key_encryption_key;
mod key_show;
pub(crate) mod respond;
pub(crate) mod revoke;
pub(crate) mod serve;
pub(crate) mod subject;
mod subject_names;
pub(crate) mod token;
pub(crate) mod verify;

use crate::arguments::{Arguments, Command};
use crate::logging;
use crate::output::Output;

/// Does what was asked for.
///
/// # Errors
/// Why it could not be done, as a sentence.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { common, command } = arguments;
    let output = Output { json: common.json };
    let needs_own_log = matches!(&command, Command::Serve(_));
    if !needs_own_log {
        logging::start_for_command()?;
    }
    match command {
        Command::Serve(asked) => serve::run(&common, *asked),
        Command::Client(asked) => client::run(&common, asked, output),
        Command::Issuer(asked) => issuer::run(&common, asked, output),
        Command::Subject(asked) => subject::run(&common, asked, output),
        Command::Key(asked) => key::run(&common, asked, output),
        Command::KeyEncryptionKey(asked) => key_encryption_key::run(&common, asked, output),
        Command::Revoke(asked) => revoke::run(&common, asked, output),
        Command::Token(asked) => token::run(&asked, output),
        Command::Inspect(asked) => inspect::run(&asked, output),
        Command::Verify(asked) => verify::run(&asked, output),
        Command::Respond(asked) => respond::run(&common, &asked),
        Command::Explain(asked) => explain::run(&common, &asked, output),
        Command::Audit(asked) => audit::run(&common, asked, output),
        Command::Backup(asked) => backup::run(&common, &asked, output),
        Command::Check(asked) => check::run(&common, *asked, output),
    }
}
