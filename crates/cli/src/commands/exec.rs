//! `tokenberg exec`: replaces itself by a command that has a token in its environment.

use crate::configuration::ACCESS_TOKEN;
use crate::duration;
use crate::failure::NotRun;
use crate::input::SecretVariable;
use crate::wallet::{TokenOptions, Wallet};
use anyhow::Context;
use clap::Args;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokenberg_core::Lifetime;

/// `tokenberg exec`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg exec --server https://tokens.example --secret-file etl.credential -- python job.py
      job.py reads the token from TOKENBERG_ACCESS_TOKEN
  tokenberg exec --server https://tokens.example --secret-file etl.credential \\
      --env PYICEBERG_CATALOG__LAKE__TOKEN -- pyiceberg --catalog lake list
      PyIceberg reads the token of its catalog `lake` from this variable
  tokenberg exec -- python job.py
      with the token of the session of `tokenberg login`

The command gets the token in TOKENBERG_ACCESS_TOKEN and in the variables of --env, and none of the secrets
that Tokenberg reads from variables. The token is not renewed while the command runs: --valid-for makes sure
that it lasts. Exit code: that of the command; 1 if there is no token; as in shells, 127 if there is no such
command, and 126 if it cannot be run.")]
pub(crate) struct Exec {
    #[command(flatten)]
    options: TokenOptions,

    /// Also pass the token in this variable; repeatable. PATH and other variables that decide how commands run are refused
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env: Vec<String>,

    /// Request a new token if the kept one is valid for less than this, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "no_cache")]
    valid_for: Option<Lifetime>,

    /// Request a new token, and keep none
    #[arg(long)]
    no_cache: bool,

    /// Command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Parses the name of a variable: letters, digits and `_`, the first one no digit (POSIX.1-2017 §8.1).
fn variable(text: &str) -> Result<String, String> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if text.is_empty() || !is_name || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("expected the name of a variable: letters, digits and _".to_owned());
    }
    if RESERVED.contains(&text) || ["LD_", "DYLD_"].iter().any(|start| text.starts_with(start)) {
        return Err("this variable decides how commands run; the token needs another one".to_owned());
    }
    Ok(text.to_owned())
}

/// Variables that the shell or the loader reads. A token in one of them would change which command runs, or break it.
const RESERVED: [&str; 9] = ["PATH", "HOME", "IFS", "PWD", "OLDPWD", "SHELL", "ENV", "BASH_ENV", "CDPATH"];

/// Gets a token and becomes the command.
///
/// # Errors
/// If there is no token, or the command cannot be run.
pub(crate) fn run(arguments: &Exec) -> anyhow::Result<()> {
    let wallet = Wallet::new(&arguments.options)?;
    let obtained = if arguments.no_cache {
        wallet.new_token()?
    } else {
        wallet.kept_token(arguments.valid_for.unwrap_or(Lifetime::ZERO))?
    };
    let (program, rest) = arguments.command.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(rest);
    for secret in SecretVariable::ALL {
        command.env_remove(secret.name());
    }
    // Places of the password of the store.
    for variable in ["TOKENBERG_STORE", "PGPASSWORD"] {
        command.env_remove(variable);
    }
    let names = arguments.env.iter().map(String::as_str);
    command.envs(names.chain([ACCESS_TOKEN]).map(|name| (name, obtained.token().expose())));
    let fault = command.exec();
    // As shells answer: POSIX.1-2017, XCU §2.8.2.
    let code = if fault.kind() == ErrorKind::NotFound { 127 } else { 126 };
    Err(NotRun { program: program.clone(), fault, code }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_portable_name() {
        assert!(["TOKEN", "_a1"].into_iter().all(|name| variable(name).is_ok()));
        assert!(
            ["", "1A", "A=B", "A B", "é", "PATH", "LD_PRELOAD"]
                .into_iter()
                .all(|name| variable(name).is_err())
        );
    }
}
