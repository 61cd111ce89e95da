//! `tokenberg man`: writes the man pages of all commands, from the same texts as `--help`.

use crate::output::print;
use anyhow::Context;
use clap::{Args, Command};
use std::path::{Path, PathBuf};
use std::{fs, io};

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
    let mut command = command.disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(&arguments.directory)
        .and_then(|()| write_pages(&command, &arguments.directory))
        .with_context(|| format!("cannot write man pages to {shown}"))?;
    Ok(print(&format!("man pages were written to {shown}\n"))?)
}

/// Writes the page of the command, and those of the commands below it.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, directory)?;
    }
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    fs::write(directory.join(page.get_filename()), improved(command, &text))
}

/// The page with the values of options in the synopsis, and the usual name of its last section.
fn improved(command: &Command, page: &str) -> String {
    let mut is_synopsis = false;
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        let mut line = if line == ".SH EXTRA" { ".SH NOTES".to_owned() } else { line.to_owned() };
        if is_synopsis {
            for option in command.get_arguments().filter(|option| option.get_action().takes_values()) {
                let (Some(long), Some(names)) = (option.get_long(), option.get_value_names()) else {
                    continue;
                };
                let option = format!(r"\fB\-\-{}\fR", long.replace('-', r"\-"));
                line = line
                    .replace(&option, &format!(r"{option} \fI{}\fR", names.join(" ").replace('-', r"\-")));
            }
        }
        is_synopsis = line == ".SH SYNOPSIS";
        text.push_str(&line);
        text.push('\n');
    }
    text
}
