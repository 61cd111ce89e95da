//! How a command fails: one plain sentence for each mistake on standard error, and an exit code.

use crate::output::{on_one_line, without_controls};
use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use tokenberg_store::StoreError;

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

/// A command that cannot be run in the place of this one.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {}: {fault}", program.display())]
pub(crate) struct NotRun {
    /// The command.
    pub(crate) program: OsString,
    /// Why.
    pub(crate) fault: io::Error,
    /// The exit code.
    pub(crate) code: u8,
}

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
        mistakes.sentences().for_each(|sentence| print_sentence("error", sentence));
        return if mistakes.is_usage { ExitCode::from(2) } else { ExitCode::FAILURE };
    }
    let text = format!("{error:#}");
    if error.chain().any(|cause| cause.is::<toml::de::Error>()) {
        // It shows the line of the file below the sentence.
        print_error_line(&format!("error: {}", text.trim_end().replace('\n', "\n  ")));
    } else {
        print_sentence("error", &text);
    }
    if let Some(NotRun { code, .. }) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let is_usage = error.downcast_ref::<WrongUsage>().is_some()
        || matches!(error.downcast_ref(), Some(StoreError::Unregistrable(_)));
    if is_usage { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Prints the message of clap: help and version on standard output with 0, everything else on standard error with 2.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let clean = without_controls(&without_tokens(&text));
    // If the stream is closed, there is no reader.
    if clean == text {
        drop(error.print());
    } else {
        drop(io::stderr().write_all(clean.as_bytes()));
    }
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Prints a warning, which changes no exit code.
pub(crate) fn warn(sentence: &str) {
    print_sentence("warning", sentence);
}

/// Prints a note: useful information that is not a result.
pub(crate) fn note(sentence: &str) {
    print_sentence("note", sentence);
}

/// Prints what a person has to do now. It is no result, so standard output stays free for one.
pub(crate) fn prompt(text: &str) {
    print_error_line(text);
}

/// Prints one line, so that nothing within the sentence looks like another one.
fn print_sentence(kind: &str, sentence: &str) {
    print_error_line(&format!("{kind}: {}", on_one_line(sentence)));
}

fn print_error_line(line: &str) {
    // There is no place left to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", without_controls(&without_tokens(line)));
}

/// The text with every JWT in it cut off: an argument that was meant to be a file or another option may be one.
fn without_tokens(text: &str) -> Cow<'_, str> {
    const START: &str = "eyJ";
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, from) = rest.split_at(at);
        let (token, after) = from.split_at(from.find(|c| !is_of_token(c)).unwrap_or(from.len()));
        clean.push_str(before);
        clean.push_str(if token.contains('.') { "eyJ…" } else { token });
        rest = after;
    }
    clean.push_str(rest);
    if clean == text { Cow::Borrowed(text) } else { Cow::Owned(clean) }
}

/// Whether the error is a broken pipe, as in `tokenberg client list | head -1`, which is not worth a message.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(of_io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_01_a_message_repeats_no_token() {
        assert_eq!(
            without_tokens("unexpected argument 'eyJh.eyJz.c2ln' and x=eyJh.eyJz.c2l_"),
            "unexpected argument 'eyJ…' and x=eyJ…"
        );
        assert_eq!(without_tokens("eyJh is no token"), "eyJh is no token");
    }
}
