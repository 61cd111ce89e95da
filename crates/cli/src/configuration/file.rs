//! The configuration file: TOML in which every setting is a key. All mistakes of it are reported at once, each with its line.

use super::setting::{Given, Kind, Origin, Setting, nearest};
use crate::failure::Mistakes;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key with the tables that contain it, and its value in the form of a flag.
struct Entry {
    key: String,
    line: usize,
    kind: Kind,
    values: Vec<String>,
}

/// The values in the file, by the names of the settings. Paths in it are relative to the working directory, as in arguments.
pub(super) fn read(path: &Path, settings: &[Setting<'_>], mistakes: &mut Mistakes) -> Given {
    let mut given = Given::new();
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            mistakes.add(format!("cannot read the configuration file {shown}: {error}"));
            return given;
        }
    };
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let (table, errors) = DeTable::parse_recoverable(&text);
    // One mistake for each line, in the order of the lines.
    let mut found = BTreeMap::new();
    for error in errors {
        let line = line_of(error.span().map_or(0, |span| span.start));
        let message = syntax(text.lines().nth(line - 1).unwrap_or_default(), error.message());
        found.entry(line).or_insert_with(|| format!("syntax error at {shown}:{line}: {message}"));
    }
    let mut entries = Vec::new();
    flatten("", table.get_ref(), &line_of, &mut entries);
    // The parser guesses the entries of a line with a syntax error, so they are dropped.
    entries.retain(|entry| !found.contains_key(&entry.line));
    entries.sort_by_key(|entry| entry.line);
    for entry in entries {
        let line = entry.line;
        let checked = entry.checked(settings, &format!("{shown}:{line}"));
        match checked {
            Ok(name) if given.contains_key(name) => {
                found.insert(line, format!("duplicate key `{name}` at {shown}:{line}"));
            }
            Ok(name) => {
                let values = entry.values.into_iter().map(OsString::from).collect();
                given.insert(name.to_owned(), (values, Origin::Line(line)));
            }
            Err(sentence) => {
                found.insert(line, sentence);
            }
        }
    }
    found.into_values().for_each(|sentence| mistakes.add(sentence));
    given
}

/// A message about a syntax error. It does not repeat the line, which may hold a password.
fn syntax<'a>(line: &str, message: &'a str) -> &'a str {
    match line.split_once('=').map(|(_, value)| value.trim()) {
        Some(_) if message == "duplicate key" => message,
        Some(value) if value.starts_with(|c: char| c.is_alphanumeric() || "./_-".contains(c)) => {
            "the value is neither a number nor a string in quotes"
        }
        Some(_) | None => message,
    }
}

impl Entry {
    /// The name of the setting, if the entry is valid; otherwise a sentence about the mistake at `place`.
    fn checked<'a>(&self, settings: &[Setting<'a>], place: &str) -> Result<&'a str, String> {
        let key = &self.key;
        let Some(setting) = settings.iter().find(|setting| setting.name() == key.replace('_', "-")) else {
            let meant =
                self.meant(settings).map_or_else(String::new, |name| format!(", did you mean `{name}`?"));
            return Err(format!("unknown key `{key}` at {place}{meant}"));
        };
        let (found, expected) = (self.kind, setting.kind());
        if found != expected {
            let (found, expected) = (found.name(), expected.name());
            let example = setting.example().map_or_else(String::new, |example| format!(" such as {example}"));
            return Err(format!(
                "wrong type for `{key}` at {place}: expected {expected}{example}, found {found}"
            ));
        }
        for value in &self.values {
            let invalid = |reason: String| {
                setting.invalid(Some(value.as_ref()), &format!("`{key}` at {place}"), &reason)
            };
            setting.check(value.as_ref()).map_err(invalid)?;
        }
        Ok(setting.name())
    }

    /// The setting that an unknown key is probably meant to be: there are no tables, so the name of one may be the beginning of it.
    fn meant(&self, settings: &[Setting<'_>]) -> Option<String> {
        let key = self.key.to_lowercase().replace(['_', '.'], "-");
        let end = self.key.rsplit('.').next().unwrap_or_default();
        let exact = [key.as_str(), end].into_iter().find(|name| settings.iter().any(|s| s.name() == *name));
        exact.map(str::to_owned).or_else(|| nearest(&key, settings.iter().map(Setting::name)))
    }
}

/// Adds every key of the table, and those of nested tables with their full names.
fn flatten(before: &str, table: &DeTable<'_>, line_of: &dyn Fn(usize) -> usize, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        // Escaped, because messages show keys, and their characters must not control a terminal.
        let key = format!("{before}{}", name.get_ref().escape_debug());
        let line = line_of(name.span().start);
        if let Some(table) = value.get_ref().as_table().filter(|table| !table.is_empty()) {
            flatten(&format!("{key}."), table, line_of, entries);
        } else {
            let (kind, values) = typed(value.get_ref());
            entries.push(Entry { key, line, kind, values });
        }
    }
}

fn typed(value: &DeValue<'_>) -> (Kind, Vec<String>) {
    match value {
        DeValue::String(text) => (Kind::Text, vec![text.to_string()]),
        DeValue::Boolean(switch) => (Kind::Switch, vec![switch.to_string()]),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            (Kind::Number, vec![decimal.map_or_else(|_| number.to_string(), |number| number.to_string())])
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item: &Spanned<_>| item.get_ref().as_str().map(str::to_owned));
            match texts.collect() {
                Some(texts) => (Kind::List, texts),
                None => (Kind::Other("an array of other values"), Vec::new()),
            }
        }
        DeValue::Float(_) => (Kind::Other("a fraction"), Vec::new()),
        DeValue::Datetime(_) => (Kind::Other("a date or time"), Vec::new()),
        DeValue::Table(_) => (Kind::Other("a table"), Vec::new()),
    }
}
