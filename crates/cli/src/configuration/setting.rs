//! One option that has a variable: its name, its type in TOML, and its parser.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
    List,
    /// Another type, which no setting has.
    Other(&'static str),
}

impl Kind {
    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a whole number",
            Self::Switch => "true or false",
            Self::List => "an array of strings",
            Self::Other(name) => name,
        }
    }
}

/// The source of the value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The command line.
    Flag,
    /// The variable of this name.
    Variable(String),
    /// This line of the configuration file.
    Line(usize),
    /// The declaration of the setting.
    Default,
}

/// The values that a variable or the file gives an option, by its name.
pub(super) type Given = BTreeMap<String, (Vec<OsString>, Origin)>;

/// An option of clap that has a long flag and a variable.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    option: &'a Arg,
    name: &'a str,
    variable: &'a str,
}

impl<'a> Setting<'a> {
    /// The option as a setting. `None` without a variable, and for a hidden option, which its command does not use.
    pub(super) fn of(option: &'a Arg) -> Option<Self> {
        let (name, variable) = (option.get_long()?, option.get_env()?.to_str()?);
        (!option.is_hide_set()).then_some(Self { option, name, variable })
    }

    /// The identifier of the option in clap.
    pub(super) fn id(&self) -> &'a str {
        self.option.get_id().as_str()
    }

    /// The name of the flag and of the key of the file.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The name of its variable.
    pub(super) fn variable(&self) -> &'a str {
        self.variable
    }

    /// The name of its value in help.
    pub(super) fn value_name(&self) -> &'a str {
        self.option.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str())
    }

    /// Its description in the help, and its possible values.
    pub(super) fn help(&self) -> String {
        let help = self.option.get_help().map_or_else(String::new, ToString::to_string);
        let words: Vec<_> =
            self.option.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        let is_word = self.kind() == Kind::Text && !words.is_empty();
        if is_word { format!("{help} [{}]", words.join(" or ")) } else { help }
    }

    /// The heading of its section in the help.
    pub(super) fn heading(&self) -> &'a str {
        self.option.get_help_heading().unwrap_or("Options")
    }

    /// Whether its value may hold a password, so that no message repeats it.
    pub(super) fn is_secret(&self) -> bool {
        self.option.is_hide_env_values_set()
    }

    /// The type of its value in TOML.
    pub(super) fn kind(&self) -> Kind {
        let type_id = self.option.get_value_parser().type_id();
        if matches!(self.option.get_action(), ArgAction::Append) {
            Kind::List
        } else if type_id == TypeId::of::<bool>() {
            Kind::Switch
        } else if type_id == TypeId::of::<u32>() {
            Kind::Number
        } else {
            Kind::Text
        }
    }

    /// Its default as an example, in the spelling of the type.
    pub(super) fn example(&self) -> Option<String> {
        let default = self.option.get_default_values().first()?.to_str().filter(|text| !text.is_empty())?;
        Some(if self.kind() == Kind::Text { format!("\"{default}\"") } else { default.to_owned() })
    }

    /// Whether the flag accepts the value; if not, why.
    pub(super) fn check(&self, value: &OsStr) -> Result<(), String> {
        let mut flag = Arg::new("value").long("value").value_parser(self.option.get_value_parser().clone());
        if let Some(delimiter) = self.option.get_value_delimiter() {
            flag = flag.value_delimiter(delimiter);
        }
        let mut argument = OsString::from("--value=");
        argument.push(value);
        match alone([flag]).try_get_matches_from([argument]) {
            Ok(_) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }

    /// A sentence about an invalid value in `place`, which is a variable, or a key and its line.
    pub(super) fn invalid(&self, value: Option<&OsStr>, place: &str, reason: &str) -> String {
        let value = value.filter(|_| !self.is_secret());
        let value = value.map_or_else(String::new, |value| format!(" {:?}", value.to_string_lossy()));
        format!("invalid value{value} for {place}: {reason}")
    }
}

/// The options with a variable of the command that the arguments name, and their values in the arguments.
pub(super) fn leaf<'a>(command: &'a Command, matches: &'a ArgMatches) -> (Vec<Setting<'a>>, &'a ArgMatches) {
    let (mut command, mut matches) = (command, matches);
    let mut options: Vec<&Arg> = command.get_arguments().collect();
    while let Some((name, below)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, below);
        let is_replaced = |option: &Arg| command.get_arguments().any(|own| own.get_id() == option.get_id());
        options.retain(|option| option.is_global_set() && !is_replaced(option));
        options.extend(command.get_arguments());
    }
    (options.into_iter().filter_map(Setting::of).collect(), matches)
}

/// The reason why clap refuses a value, without the value and the flag.
pub(super) fn reason(error: &clap::Error) -> String {
    if let (ErrorKind::ValueValidation, Some(source)) = (error.kind(), error.source()) {
        return source.to_string();
    }
    if error.kind() == ErrorKind::InvalidUtf8 {
        return "expected UTF-8 text".to_owned();
    }
    let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) else {
        return "expected a value".to_owned();
    };
    let suggested = match error.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(value)) => format!("; did you mean `{value}`?"),
        _ => String::new(),
    };
    let valid: Vec<_> = valid.iter().map(|value| format!("`{value}`")).collect();
    format!("expected {}{suggested}", valid.join(" or "))
}

/// The candidate that is most similar to a misspelled name, by the rule that clap has for flags.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let flags = candidates.map(|name| Arg::new(name.to_owned()).long(name.to_owned()));
    let error = alone(flags).try_get_matches_from([format!("--{name}")]).err()?;
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches("--").to_owned()),
        _ => None,
    }
}

/// A command with these flags and no others.
fn alone(flags: impl IntoIterator<Item = Arg>) -> Command {
    Command::new("").no_binary_name(true).disable_help_flag(true).disable_version_flag(true).args(flags)
}
