//! What can be asked of the command? The arguments, with what `--help` teaches about them.

use crate::{commands, input};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

/// Everything that was asked for.
#[derive(Debug, Parser)]
#[command(
    name = "tokenberg",
    version,
    about = "The OAuth 2.0 token service for Apache Iceberg REST catalogs",
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "\
Begin with:
  tokenberg serve                serves on 127.0.0.1:8183; on an empty store it makes the client
                                 `root` and prints its credential, once
  tokenberg client add spark     registers a client and prints its secret, once
  tokenberg token --server http://127.0.0.1:8183 --client-id spark --secret-file spark.secret

Secrets never stand in arguments: they come from files, standard input or the environment.
Exit codes: 0 done; 1 refused, with the reason on standard error; 2 wrong usage."
)]
pub(crate) struct Arguments {
    /// What applies to several commands.
    #[command(flatten)]
    pub(crate) common: Common,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What applies to several commands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON value on standard output and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The store: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE [default: sqlite:tokenberg.db]
    #[arg(long, global = true, value_name = "URL", env = "TOKENBERG_STORE", hide_env_values = true, help_heading = STORE,
          value_parser = input::line::<String>)]
    pub(crate) store: Option<String>,

    /// The file of the key that the store is sealed with; the variable TOKENBERG_KEY may hold the key itself instead
    /// [default: the path of the store and `.key`, if it is a file]
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_KEY_FILE", help_heading = STORE)]
    pub(crate) key_file: Option<PathBuf>,

    /// A TOML file with `store`, `key-file` and, for serve and check, all its other flags as keys
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_CONFIG", help_heading = STORE)]
    pub(crate) config: Option<PathBuf>,
}

const STORE: &str = "Options of commands that use the store";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve tokens over HTTP
    Serve(Box<commands::serve::Serve>),
    /// Register clients and say what they may do
    #[command(subcommand)]
    Client(commands::client::Client),
    /// Say whose tokens are taken besides our own, and what they are worth
    #[command(subcommand)]
    Issuer(commands::issuer::Issuers),
    /// Shut users of other issuers out, and let them in again
    #[command(subcommand)]
    Subject(commands::subject::Subjects),
    /// List, rotate, revoke and import the keys that tokens are signed with
    #[command(subcommand)]
    Key(commands::key::Key),
    /// Change the key that the store is sealed with
    #[command(subcommand)]
    KeyEncryptionKey(commands::key_encryption_key::KeyEncryptionKey),
    /// Take back a token and its family, or all that a client or a subject has
    Revoke(commands::revoke::Revoke),
    /// Be a client: get a token from a server and print it
    Token(Box<commands::token::Token>),
    /// Look inside a token, without verifying anything
    Inspect(commands::inspect::Inspect),
    /// Verify a token against the published keys of its issuer
    Verify(commands::verify::Verify),
    /// Answer one token request from standard input, without HTTP
    Respond(Box<commands::respond::Respond>),
    /// Tell why one token request from standard input is granted or refused, and mint nothing
    Explain(Box<commands::explain::Explain>),
    /// Print what was decided and changed, and verify that nobody has tampered with that
    Audit(commands::audit::Audit),
    /// Copy the store to a new file, while it is in use
    Backup(commands::backup::Backup),
    /// Check configuration, store, keys and clock: what would not work, and why
    Check(Box<commands::serve::Serve>),
}

/// Which of the common options a command has no use for. It does not show them, and refuses them.
const USELESS: [(&str, &[&str]); 4] = [
    ("serve", &["json"]),
    ("token", &["store", "key_file", "config"]),
    ("inspect", &["store", "key_file", "config"]),
    ("verify", &["store", "key_file", "config"]),
];

/// The whole command line.
fn command() -> clap::Command {
    let mut command = Arguments::command();
    for (name, useless) in USELESS {
        for id in useless {
            let hidden = command.get_arguments().find(|argument| argument.get_id() == id).cloned();
            if let Some(hidden) = hidden {
                command = command.mut_subcommand(name, |below| below.arg(hidden.hide(true)));
            }
        }
    }
    command
}

/// Reads the arguments of this process.
///
/// # Errors
/// What clap says: an error, or the help or version that was asked for.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    if let Some(sentence) = useless_option(&matches) {
        return Err(command.error(clap::error::ErrorKind::ArgumentConflict, sentence));
    }
    Arguments::from_arg_matches(&matches)
}

/// No option is taken and then ignored. Variables are another matter: they may be set for other commands.
fn useless_option(matches: &ArgMatches) -> Option<String> {
    let (name, below) = matches.subcommand()?;
    let (_, useless) = USELESS.iter().find(|(command, _)| *command == name)?;
    let is_given = |id: &&&str| {
        [matches, below].iter().any(|level| level.value_source(id) == Some(ValueSource::CommandLine))
    };
    let id = useless.iter().find(is_given)?;
    Some(format!("`tokenberg {name}` has no use for --{}", id.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_says_what_it_is_for() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = command();
        command.build();
        walk(&command);
    }
}
