//! The arguments of the command `tokenberg`, and what `--help` teaches about them.

use crate::commands::Command;
use crate::common::Common;
use crate::configuration::{Configuration, Environment};
use crate::help;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

/// The arguments.
#[derive(Debug, Parser)]
#[command(
    name = "tokenberg",
    version,
    long_version = LONG_VERSION,
    about = "The OAuth 2.0 token service for Apache Iceberg REST catalogs",
    max_term_width = 110,
    after_help = "\
Start here:
  tokenberg serve
      starts a server on 127.0.0.1:8183; on an empty store it creates the client `root` and prints its
      credential once
  tokenberg client add spark
      registers a client and prints its secret once
  tokenberg token --server http://127.0.0.1:8183 --client-id spark --secret-file spark.secret
      requests a token

Secrets are never arguments. They are read from files, standard input or environment variables.
Exit codes: 0 done; 1 refused or failed; 2 wrong usage. Errors are printed to standard error."
)]
pub(crate) struct Arguments {
    /// The options that several commands share.
    #[command(flatten)]
    pub(crate) common: Common,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The version, the commit, and the features of the build.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("BUILD_COMMIT"),
    "\nfeatures ",
    env!("BUILD_FEATURES")
);

/// The common options that a command has no use for. It hides and refuses them.
const UNUSED: [(&str, &[&str]); 11] = [
    ("completions", &["json", "store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("man", &["json", "store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("serve", &["json"]),
    ("ready", &["store", "store_password_file", "key_file", "next_key_file"]),
    ("token", &["store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("exec", &["json", "store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("login", &["store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("logout", &["store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("demo", &["json", "store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("inspect", &["store", "store_password_file", "key_file", "next_key_file", "config"]),
    ("verify", &["store", "store_password_file", "key_file", "next_key_file", "config"]),
];

/// The whole command line.
fn command() -> clap::Command {
    let mut command = help::reflowed(Arguments::command());
    for (name, unused) in UNUSED {
        for id in unused {
            let hidden = command.get_arguments().find(|argument| argument.get_id() == id).cloned();
            if let Some(hidden) = hidden {
                command = command.mut_subcommand(name, |below| below.arg(hidden.hide(true)));
            }
        }
    }
    command
}

/// Parses the arguments of this process, with its variables and the configuration file.
///
/// # Errors
/// A [`clap::Error`] about the arguments, or with the help or version that they request; or mistakes in the
/// configuration that leave a required option without a value.
pub(crate) fn parse() -> anyhow::Result<(Arguments, Configuration)> {
    let mut command = command();
    let environment = Environment::of_process(&command);
    let configuration = Configuration::read(command.clone(), std::env::args_os().collect(), environment)?;
    if let Some(sentence) = unused_option(configuration.matches()) {
        return Err(command.error(clap::error::ErrorKind::ArgumentConflict, sentence).into());
    }
    Ok((Arguments::from_arg_matches(configuration.matches())?, configuration))
}

/// A sentence about an option that would be ignored. Variables may be set for other commands.
fn unused_option(matches: &ArgMatches) -> Option<String> {
    let (name, below) = matches.subcommand()?;
    let (_, unused) = UNUSED.iter().find(|(command, _)| *command == name)?;
    let is_given = |id: &&&str| {
        [matches, below].iter().any(|level| level.value_source(id) == Some(ValueSource::CommandLine))
    };
    let id = unused.iter().find(is_given)?;
    Some(format!("`tokenberg {name}` does not use --{}", id.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_and_every_value_has_a_description() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let named = format!("{} {}", command.get_name(), argument.get_id());
                assert!(argument.get_help().is_some(), "{named}");
                // "true" and "false" need no explanation; every other value does.
                let values = argument.get_possible_values();
                let values = values.iter().filter(|value| !matches!(value.get_name(), "true" | "false"));
                let is_explained = |value: &clap::builder::PossibleValue| value.get_help().is_some();
                let unexplained: Vec<&str> =
                    values.filter(|value| !is_explained(value)).map(|value| value.get_name()).collect();
                assert_eq!(unexplained, [""; 0], "{named}");
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = command();
        command.build();
        walk(&command);
    }

    #[test]
    fn no_help_text_breaks_a_sentence_where_the_terminal_does_not() {
        fn walk(command: &clap::Command) {
            let help = command.clone().term_width(0).max_term_width(0).render_long_help().to_string();
            let lines: Vec<&str> = help.lines().collect();
            let indent = |line: &str| line.len() - line.trim_start().len();
            for part in lines.windows(3) {
                let [before, above, below] = [part[0], part[1], part[2]];
                // Two spaces are before a command or an option, which end no sentence and begin with small letters.
                let is_prose =
                    indent(below) != 2 && below.trim_start().starts_with(|c: char| c.is_lowercase());
                // A command that is continued is no sentence either.
                let is_command = before.ends_with(['\\', '|']);
                let goes_on =
                    indent(above) == indent(below) && !is_command && !above.ends_with(['.', ':', '\\', '|']);
                assert!(!(is_prose && goes_on), "{}: {above}\n{below}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = command();
        command.build();
        walk(&command);
    }
}
