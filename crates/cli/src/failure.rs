//! How a command fails: one plain sentence for each mistake on standard error, and an exit code.

use crate::output::without_controls;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The arguments contradict each other or are incomplete; the exit code is 2, as for a flag that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// All mistakes in the configuration, a sentence each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mistakes {
    sentences: Vec<String>,
    is_usage: bool,
}

impl Mistakes {
    /// Adds a mistake in a file, or a fault of the machine: exit code 1.
    pub(crate) fn add(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    /// Adds a mistake in flags or variables: exit code 2.
    pub(crate) fn add_usage(&mut self, sentence: impl Into<String>) {
        self.is_usage = true;
        self.add(sentence);
    }

    /// Whether there are no mistakes.
    pub(crate) fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }

    /// The sentences.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = &str> {
        self.sentences.iter().map(String::as_str)
    }

    /// An error, if there is a mistake.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentences.join("; "))
    }
}

impl Error for Mistakes {}

/// The request was refused, and the reason has already been printed to standard error or standard output.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct AlreadyReported;

/// Shorthand for an error of wrong usage.
pub(crate) fn wrong_usage(sentence: impl Into<String>) -> anyhow::Error {
    WrongUsage(sentence.into()).into()
}

/// Prints the error with its causes, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<AlreadyReported>().is_some() || is_broken_pipe(error) {
        return ExitCode::FAILURE;
    }
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        return wrong_arguments(error);
    }
    if let Some(mistakes) = error.downcast_ref::<Mistakes>() {
        mistakes.sentences().for_each(|sentence| print_error_line(&format!("error: {sentence}")));
        return if mistakes.is_usage { ExitCode::from(2) } else { ExitCode::FAILURE };
    }
    print_error_line(&format!("error: {error:#}"));
    if error.downcast_ref::<WrongUsage>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Prints the message of clap: help and version on standard output with 0, everything else on standard error with 2.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    // If the stream is closed, there is no reader.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Prints a warning, which changes no exit code.
pub(crate) fn warn(sentence: &str) {
    print_error_line(&format!("warning: {sentence}"));
}

/// Prints a note: useful information that is not a result.
pub(crate) fn note(sentence: &str) {
    print_error_line(&format!("note: {sentence}"));
}

fn print_error_line(line: &str) {
    // There is no place left to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", without_controls(line));
}

/// Whether the error is a broken pipe, as in `tokenberg client list | head -1`, which is not worth a message.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(of_io)
}
