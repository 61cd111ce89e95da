//! How does a command say that it did not work? One plain sentence on standard error, and an exit code.

use crate::output::without_controls;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// What was asked for contradicts itself or misses something; the exit code is 2, as for a flag that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// It was refused, and standard error or standard output says already why.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct AlreadySaid;

/// Shorthand for an error of wrong usage.
pub(crate) fn wrong_usage(sentence: impl Into<String>) -> anyhow::Error {
    WrongUsage(sentence.into()).into()
}

/// Tells the error, causes and all, and says how to exit.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<AlreadySaid>().is_some() || is_broken_pipe(error) {
        return ExitCode::FAILURE;
    }
    say(&format!("error: {error:#}"));
    if error.downcast_ref::<WrongUsage>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Tells what clap says: help and version go to standard output with 0, everything else to standard error with 2.
pub(crate) fn wrong_arguments(error: &clap::Error) -> ExitCode {
    // Whoever closed the stream does not want to know.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// A warning, which changes no exit code.
pub(crate) fn warn(sentence: &str) {
    say(&format!("warning: {sentence}"));
}

/// Something worth knowing that is no result.
pub(crate) fn note(sentence: &str) {
    say(&format!("note: {sentence}"));
}

fn say(line: &str) {
    // There is nowhere left to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", without_controls(line));
}

/// `tokenberg client list | head -1` is no failure that anybody wants to read about.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(of_io)
}
