//! Asks before a command ends something that cannot be restored: on a terminal it says what is affected and waits for `y`. Scripts
//! are not asked.

use crate::output::{Output, on_one_line};
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

/// Whether the command asks, and whether it changes anything.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Confirming {
    /// Do not ask for confirmation, which is asked for on a terminal only
    #[arg(long)]
    yes: bool,

    /// Print what the command would affect, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

impl Confirming {
    /// Whether the effects are shown, so that they are worth finding out.
    pub(super) fn shows_effects(self) -> bool {
        self.dry_run || self.asks()
    }

    /// Whether nothing is to be changed.
    pub(super) fn is_dry_run(self) -> bool {
        self.dry_run
    }

    fn asks(self) -> bool {
        !self.yes && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Shows the effects if they are requested, and asks if there is a terminal. Returns whether to continue: not with --dry-run.
    ///
    /// `action` is what the command does, as in `remove the client spark`.
    ///
    /// # Errors
    /// If the answer is not yes, or a stream is closed.
    pub(super) fn allows(self, action: &str, effects: &[String], output: Output) -> anyhow::Result<bool> {
        let listed = || {
            let mut text = String::new();
            for effect in effects {
                // Writing to a string does not fail.
                // Changes of a file begin with a marker of their own.
                let mark = if effect.starts_with(['+', '~', '-']) { "" } else { "- " };
                let _ = writeln!(text, "  {mark}{}", on_one_line(effect));
            }
            text
        };
        let action = on_one_line(action);
        if self.dry_run {
            output.show(
                || json!({"dry_run": true, "action": action, "effects": effects}),
                || format!("would {action}; nothing was changed\n{}", listed()),
            )?;
            return Ok(false);
        }
        if !self.asks() {
            return Ok(true);
        }
        let mut terminal = io::stderr().lock();
        write!(terminal, "This will {action}.\n{}Continue? [y/N] ", listed())?;
        terminal.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        anyhow::ensure!(is_yes, "not confirmed, so nothing was changed");
        Ok(true)
    }
}
