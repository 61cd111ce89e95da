//! The texts after the options of `--help`: their paragraphs are written in short lines here, and wrapped to the width of the terminal
//! when they are shown.

use clap::Command;

/// The command, in which no text of it or below it has a line end inside of a paragraph.
pub(crate) fn reflowed(command: Command) -> Command {
    let text = command.get_after_help().map(ToString::to_string);
    let command = match text {
        Some(text) => command.after_help(paragraphs(&text)),
        None => command,
    };
    command.mut_subcommands(reflowed)
}

/// The text with each paragraph on one line. Lines with two spaces before them are commands; lines with more explain the one above, or
/// continue it after `\\` or `|`.
fn paragraphs(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let continues = |line: &str| line.ends_with('\\') || line.ends_with('|');
    let mut whole: Vec<String> = Vec::new();
    let mut is_command = false;
    for line in text.lines() {
        let continued = whole.last().is_some_and(|last| continues(last));
        match whole.last_mut() {
            Some(last)
                if !is_command
                    && !continued
                    && !last.is_empty()
                    && !line.is_empty()
                    && indent(line) != COMMAND
                    && indent(last) == indent(line) =>
            {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            Some(_) | None => whole.push(line.to_owned()),
        }
        is_command = continued;
    }
    whole.join("\n")
}

/// The spaces before a command.
const COMMAND: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_one_line_and_commands_stay_apart() {
        let written = "Examples:\n  tokenberg a\n      explains\n      a\n  tokenberg b \\\n      --option\n      explains b\n\nSome\nprose.";
        let shown = "Examples:\n  tokenberg a\n      explains a\n  tokenberg b \\\n      --option\n      explains b\n\nSome prose.";
        assert_eq!(paragraphs(written), shown);
    }
}
