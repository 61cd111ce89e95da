//! `tokenberg man`: writes the man pages of all commands, from the same texts as `--help`.

use crate::output::print;
use anyhow::Context;
use clap::{Args, Command};
use std::path::PathBuf;

/// `tokenberg man`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tokenberg man ~/.local/share/man/man1 && man tokenberg-client-add")]
pub(crate) struct Man {
    /// Directory for the pages; it is created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// If the directory cannot be created, or a page cannot be written.
pub(crate) fn run(arguments: &Man, command: Command) -> anyhow::Result<()> {
    let shown = arguments.directory.display();
    std::fs::create_dir_all(&arguments.directory)
        .and_then(|()| clap_mangen::generate_to(command, &arguments.directory))
        .with_context(|| format!("cannot write man pages to {shown}"))?;
    Ok(print(&format!("man pages were written to {shown}\n"))?)
}
