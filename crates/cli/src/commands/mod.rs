//! What is done? One file for each command.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod explain;
mod foreign_issuer;
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

use crate::common::Common;
use crate::logging;
use crate::output::Output;
use clap::Subcommand;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve tokens over HTTP
    Serve(Box<serve::Serve>),
    /// Register clients and say what they may do
    #[command(subcommand)]
    Client(client::Client),
    /// Say whose tokens are taken besides our own, and what they are worth
    #[command(subcommand)]
    Issuer(issuer::Issuers),
    /// Shut users of other issuers out, and let them in again
    #[command(subcommand)]
    Subject(subject::Subjects),
    /// List, rotate, revoke and import the keys that tokens are signed with
    #[command(subcommand)]
    Key(key::Key),
    /// Change the key that the store is sealed with
    #[command(subcommand)]
    KeyEncryptionKey(key_encryption_key::KeyEncryptionKey),
    /// Take back a token and its family, or all that a client or a subject has
    Revoke(revoke::Revoke),
    /// Be a client: get a token from a server and print it
    Token(Box<token::Token>),
    /// Look inside a token, without verifying anything
    Inspect(inspect::Inspect),
    /// Verify a token against the published keys of its issuer
    Verify(verify::Verify),
    /// Answer one token request from standard input, without HTTP
    Respond(Box<respond::Respond>),
    /// Tell why one token request from standard input is granted or refused, and mint nothing
    Explain(Box<explain::Explain>),
    /// Print what was decided and changed, and verify that nobody has tampered with that
    Audit(audit::Audit),
    /// Copy the store to a new file, while it is in use
    Backup(backup::Backup),
    /// Check configuration, store, keys and clock: what would not work, and why
    Check(Box<serve::Serve>),
}

/// Does what was asked for.
///
/// # Errors
/// Why it could not be done, as a sentence.
pub(crate) fn run(common: &Common, command: Command) -> anyhow::Result<()> {
    let output = Output { json: common.json };
    let needs_own_log = matches!(&command, Command::Serve(_));
    if !needs_own_log {
        logging::start_for_command()?;
    }
    match command {
        Command::Serve(asked) => serve::run(common, *asked),
        Command::Client(asked) => client::run(common, asked, output),
        Command::Issuer(asked) => issuer::run(common, asked, output),
        Command::Subject(asked) => subject::run(common, asked, output),
        Command::Key(asked) => key::run(common, asked, output),
        Command::KeyEncryptionKey(asked) => key_encryption_key::run(common, asked, output),
        Command::Revoke(asked) => revoke::run(common, asked, output),
        Command::Token(asked) => token::run(&asked, output),
        Command::Inspect(asked) => inspect::run(&asked, output),
        Command::Verify(asked) => verify::run(&asked, output),
        Command::Respond(asked) => respond::run(common, &asked),
        Command::Explain(asked) => explain::run(common, &asked, output),
        Command::Audit(asked) => audit::run(common, asked, output),
        Command::Backup(asked) => backup::run(common, &asked, output),
        Command::Check(asked) => check::run(common, *asked, output),
    }
}
