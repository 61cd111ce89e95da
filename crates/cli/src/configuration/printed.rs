//! The settings as a configuration file: every key with its value and where the value comes from, for `serve --print-config`.

use super::setting::{Kind, Origin, Setting, leaf};
use super::{Configuration, settings};
use crate::output::on_one_line;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The greatest width of a comment.
const WIDTH: usize = 110;

const HEADER: &str = "\
Settings of `tokenberg serve`, as `tokenberg serve --print-config` prints them: every key, its value, and the origin of the value. \
Each key is also a flag (listen: --listen) and a variable (TOKENBERG_LISTEN). A flag takes precedence over its variable, and a \
variable over this file. Paths are relative to the working directory. A password in `store` is not shown.";

impl Configuration {
    /// A configuration file with these values, by key. A key without a value is a comment.
    ///
    /// # Errors
    /// If a path is not UTF-8, as TOML is.
    pub(crate) fn printed(&self, values: &Map<String, Value>) -> anyhow::Result<String> {
        let (_, matches) = leaf(&self.command, &self.matches);
        let mut text = String::new();
        comment(&mut text, HEADER);
        let mut heading = "";
        for setting in settings(&self.command) {
            if setting.heading() != heading {
                heading = setting.heading();
                text.push_str(&format!("\n## {heading}\n"));
            }
            text.push('\n');
            comment(&mut text, &setting.help());
            let is_text =
                matches.get_raw(setting.id()).is_none_or(|mut raw| raw.all(|raw| raw.to_str().is_some()));
            anyhow::ensure!(is_text, "--{} is not UTF-8, which a TOML file cannot contain", setting.name());
            let value = values.get(setting.name()).and_then(written);
            let origin = match (&value, self.environment.replaces(setting.name())) {
                (Some(_), _) => self.shown(&setting),
                (None, Some(variable)) => format!("replaced by {}", variable.name()),
                (None, None) => "not set".to_owned(),
            };
            // Writing to a string does not fail.
            let _ = match value {
                Some(value) => writeln!(text, "{} = {value} # {origin}", setting.name()),
                None => writeln!(text, "#{} = {} # {origin}", setting.name(), placeholder(&setting)),
            };
        }
        Ok(text)
    }

    fn shown(&self, setting: &Setting<'_>) -> String {
        match self.origin(setting) {
            Origin::Flag => format!("from --{}", setting.name()),
            Origin::Variable(name) => format!("from {name}"),
            Origin::Line(line) => {
                let file = self.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
                format!("from {}:{line}", on_one_line(&file))
            }
            Origin::Default => "default".to_owned(),
        }
    }
}

/// The value in TOML; `None` if there is no value.
fn written(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}

fn placeholder(setting: &Setting<'_>) -> String {
    let name = setting.value_name();
    match setting.kind() {
        Kind::Number | Kind::Switch => name.to_owned(),
        Kind::Text | Kind::Other(_) => format!("\"{name}\""),
        Kind::List => format!("[\"{name}\"]"),
    }
}

/// Adds lines of a comment.
fn comment(text: &mut String, sentence: &str) {
    let mut line = "#".to_owned();
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
