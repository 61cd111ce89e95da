//! The commands, a file for each.

mod abbreviated;
pub(crate) mod apply;
pub(crate) mod audit;
mod audit_filter;
mod audit_ocsf;
mod audit_prune;
mod audit_record;
mod audit_table;
mod audit_text;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod completions;
mod confirming;
mod declaration;
pub(crate) mod demo;
pub(crate) mod exec;
pub(crate) mod explain;
mod explain_recorded;
mod explanation_text;
mod findings;
mod followers;
mod foreign_issuer;
pub(crate) mod init;
pub(crate) mod inspect;
mod issued;
pub(crate) mod issuer;
mod jwks_file;
pub(crate) mod key;
pub(crate) mod key_encryption_key;
mod key_show;
mod labels;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod nodes;
mod operations_address;
mod pem_keys;
mod plan;
pub(crate) mod ready;
mod replacing;
mod replay;
pub(crate) mod respond;
pub(crate) mod restore;
pub(crate) mod restored;
pub(crate) mod revoke;
mod revoke_subject;
mod scope_option;
mod secret_age;
pub(crate) mod serve;
mod store_state;
pub(crate) mod subject;
mod subject_names;
mod suggesting;
pub(crate) mod token;
mod toml_text;
pub(crate) mod ui;
pub(crate) mod verify;

use crate::common::Common;
use crate::configuration::Configuration;
use crate::failure::warn;
use crate::logging;
use crate::output::Output;
use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve tokens over HTTP
    Serve(Box<serve::Serve>),
    /// Serve tokens and a toy catalog on this machine, for a first try
    Demo(demo::Demo),
    /// Manage clients
    #[command(subcommand)]
    Client(client::Client),
    /// Manage trusted issuers
    #[command(subcommand)]
    Issuer(issuer::Issuers),
    /// Disable or enable users of other issuers
    #[command(subcommand)]
    Subject(subject::Subjects),
    /// Manage signing keys
    #[command(subcommand)]
    Key(key::Key),
    /// Change the key-encryption key of the store
    #[command(subcommand)]
    KeyEncryptionKey(key_encryption_key::KeyEncryptionKey),
    /// Revoke a token and its session, or all tokens of a client, a subject or an issuer
    Revoke(revoke::Revoke),
    /// Request a token from a server, as a client
    Token(Box<token::Token>),
    /// Run a command with a token in its environment, as a client
    Exec(Box<exec::Exec>),
    /// Sign in at an identity provider, for tokens of a server
    Login(Box<login::Login>),
    /// End a session of `tokenberg login`
    Logout(logout::Logout),
    /// Decode a token without verifying it
    Inspect(inspect::Inspect),
    /// Verify a token with the keys that its issuer publishes
    Verify(verify::Verify),
    /// Answer a token request from standard input, without HTTP
    Respond(Box<respond::Respond>),
    /// Explain why a token request from standard input is granted or refused, without issuing a token
    Explain(Box<explain::Explain>),
    /// Print, verify or remove the audit records of decisions and changes
    Audit(audit::Audit),
    /// List the running servers of the store: version, clock, and how far each has followed
    Nodes(nodes::Nodes),
    /// Ask a running server whether it is ready, as a health check
    Ready(ready::Ready),
    /// Print a link that opens the page of a running server: health, decisions, clients, issuers, keys
    Ui(ui::Ui),
    /// Copy an SQLite store to a new file while it is in use
    Backup(backup::Backup),
    /// Put a backup in the place of an SQLite store that is not in use, and make everything from before invalid
    Restore(restore::Restore),
    /// Make everything from before invalid after a database was restored, and acknowledge the restore in the audit
    Restored(restored::Restored),
    /// Make a store: its tables, the first signing key and the first client
    Init(init::Init),
    /// Bring the schema of the store to that of this version
    Migrate(migrate::Migrate),
    /// Check configuration, store, keys and clock, and report problems
    Check(Box<check::Check>),
    /// Print all clients and issuers as TOML, without secrets
    Export(apply::Export),
    /// Print how the clients and issuers of a file differ from those of the store
    Diff(apply::Diff),
    /// Make the clients and issuers of the store those of a file, in one transaction
    Apply(apply::Apply),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Write man pages, one for each command
    Man(man::Man),
}

/// Runs the command.
///
/// # Errors
/// The reason why the command failed, as a sentence, or all mistakes in the configuration.
pub(crate) fn run(common: &Common, command: Command, configuration: Configuration) -> anyhow::Result<()> {
    let output = Output { json: common.json };
    let (is_server, is_check) = (matches!(command, Command::Serve(_)), matches!(command, Command::Check(_)));
    // `check` has both among its findings, and a server logs warnings.
    if !is_check {
        configuration.mistakes().clone().into_result()?;
    }
    if !is_check && !is_server {
        configuration.warnings().iter().for_each(|sentence| warn(sentence));
    }
    if !is_server {
        logging::start_for_command()?;
    }
    let done = match command {
        Command::Serve(arguments) => serve::run(common, *arguments, configuration),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Client(arguments) => client::run(common, arguments, output),
        Command::Issuer(arguments) => issuer::run(common, arguments, output),
        Command::Subject(arguments) => subject::run(common, arguments, output),
        Command::Key(arguments) => key::run(common, arguments, output),
        Command::KeyEncryptionKey(arguments) => key_encryption_key::run(common, arguments, output),
        Command::Revoke(arguments) => revoke::run(common, arguments, &configuration, output),
        Command::Token(arguments) => token::run(&arguments, output),
        Command::Exec(arguments) => exec::run(&arguments),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::Logout(arguments) => logout::run(&arguments, output),
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Respond(arguments) => respond::run(common, &arguments),
        Command::Explain(arguments) => explain::run(common, &arguments, output),
        Command::Audit(arguments) => audit::run(common, arguments, output),
        Command::Nodes(nodes::Nodes {}) => nodes::run(common, output),
        Command::Ready(arguments) => ready::run(&arguments, &configuration, output),
        Command::Ui(arguments) => ui::run(common, &arguments, &configuration, output),
        Command::Backup(arguments) => backup::run(common, &arguments, output),
        Command::Restore(arguments) => restore::run(common, &arguments, output),
        Command::Restored(arguments) => restored::run(common, &arguments, output),
        Command::Init(arguments) => init::run(common, &arguments, output),
        Command::Migrate(arguments) => migrate::run(common, &arguments, output),
        Command::Check(arguments) => check::run(common, &arguments, &configuration, output),
        Command::Export(arguments) => apply::export(common, &arguments, output),
        Command::Diff(arguments) => apply::diff(common, &arguments, output),
        Command::Apply(arguments) => apply::apply(common, &arguments, output),
        Command::Completions(arguments) => completions::run(&arguments, configuration.command().clone()),
        Command::Man(arguments) => man::run(&arguments, configuration.command().clone()),
    };
    done.map_err(|error| suggesting::with_suggestion(common, error))
}
