//! `tokenberg completions`: prints a script by which a shell completes commands, options and their values.

use crate::output::print;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell as Generator;

/// `tokenberg completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg completions bash > ~/.local/share/bash-completion/completions/tokenberg
  tokenberg completions zsh > ~/.zfunc/_tokenberg
      for a directory in fpath
  tokenberg completions fish > ~/.config/fish/completions/tokenberg.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "lower")]
enum Shell {
    /// GNU Bash
    Bash,
    /// Zsh
    Zsh,
    /// fish
    Fish,
    /// Elvish
    Elvish,
    /// PowerShell
    #[value(name = "powershell")]
    Pwsh,
}

/// Prints the script.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn run(arguments: &Completions, mut command: Command) -> anyhow::Result<()> {
    let shell = match arguments.shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
        Shell::Elvish => Generator::Elvish,
        Shell::Pwsh => Generator::PowerShell,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    Ok(print(&String::from_utf8(script)?)?)
}
