//! Reads the settings: a flag takes precedence over its variable, and a variable over the configuration file; conformance OP-12.
//!
//! A setting is declared once, as an option of clap with a variable. The value of its variable or of the file becomes the default of the
//! option before the arguments are parsed, so that one parser reads all three.

mod environment;
mod file;
mod printed;
mod setting;
pub(crate) mod values;

pub(crate) use environment::{ACCESS_TOKEN, Environment};
pub(crate) use setting::nearest;

use crate::failure::Mistakes;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use environment::FALLBACKS;
use setting::{Given, Origin, Setting, leaf};
use std::ffi::OsString;
use std::path::PathBuf;

/// The command whose options with a variable are the keys of the file, together with the common ones.
const SERVER: &str = "serve";

/// The option that names the file.
const FILE: &str = "config";

/// The command line with the values of variables and the configuration file.
pub(crate) struct Configuration {
    command: Command,
    arguments: Vec<OsString>,
    environment: Environment,
    file: Option<PathBuf>,
    given: Given,
    matches: ArgMatches,
    mistakes: Mistakes,
}

impl Configuration {
    /// Parses the arguments, with variables and the configuration file. Values with mistakes are left out.
    ///
    /// # Errors
    /// A [`clap::Error`] about the arguments, or with the help or version that they request; [`Mistakes`] if a required option is
    /// among the values that are left out.
    pub(crate) fn read(
        command: Command,
        arguments: Vec<OsString>,
        environment: Environment,
    ) -> anyhow::Result<Self> {
        let flags = map_options(command.clone(), &|option| {
            let is_set = option.get_env().is_some_and(|name| environment.get(name).is_some());
            let option = without_variable(option);
            if is_set { option.required(false) } else { option }
        });
        let flags = flags
            .try_get_matches_from(&arguments)
            .map_err(|error| presentable(error, &command, &arguments))?;
        let (options, flags) = leaf(&command, &flags);
        let is_flag =
            |option: &Setting<'_>| flags.value_source(option.id()) == Some(ValueSource::CommandLine);
        let open: Vec<_> = options.iter().filter(|option| !is_flag(option)).copied().collect();
        let (mut given, mut mistakes) = (Given::new(), Mistakes::default());
        for option in &open {
            environment.add(option, option.variable(), &mut given, &mut mistakes);
        }
        let file = options.iter().find(|option| option.name() == FILE).and_then(|option| {
            let of_variable = given.get(FILE).and_then(|(values, _)| values.first()).map(PathBuf::from);
            if is_flag(option) { flags.get_one(option.id()).cloned() } else { of_variable }
        });
        if let Some(path) = &file {
            let is_open = |name: &str| {
                let is_unset = |option: &Setting<'_>| environment.get(option.variable()).is_none();
                open.iter().any(|option| option.name() == name && is_unset(option))
                    && environment.replaces(name).is_none()
            };
            let entries = file::read(path, &settings(&command), &mut mistakes);
            given.extend(entries.into_iter().filter(|(name, _)| is_open(name)));
        }
        for (name, variable) in FALLBACKS {
            let option = open.iter().find(|option| option.name() == name && !given.contains_key(name));
            if let Some(option) = option {
                environment.add(option, variable, &mut given, &mut mistakes);
            }
        }
        let all = map_options(command.clone(), &|option| {
            let values =
                Setting::of(&option).and_then(|option| given.get(option.name())).map(|(values, _)| values);
            let option = without_variable(option);
            match values {
                Some(values) => option.required(false).default_values(values),
                None => option,
            }
        });
        let matches = match all.try_get_matches_from(&arguments) {
            Err(_) if !mistakes.is_empty() => return Err(mistakes.into()),
            matches => matches?,
        };
        Ok(Self { command, arguments, environment, file, given, matches, mistakes })
    }

    /// Reads the configuration file again.
    ///
    /// # Errors
    /// All [`Mistakes`] in it.
    pub(crate) fn again(&self) -> anyhow::Result<Self> {
        let fresh = Self::read(self.command.clone(), self.arguments.clone(), self.environment.clone())?;
        fresh.mistakes.clone().into_result()?;
        Ok(fresh)
    }

    /// The whole command line, as it is documented.
    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Whether there is a configuration file.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The parsed arguments.
    pub(crate) fn matches(&self) -> &ArgMatches {
        &self.matches
    }

    /// The options of the command.
    ///
    /// # Errors
    /// If that command does not have these options.
    pub(crate) fn options<T: FromArgMatches>(&self) -> Result<T, clap::Error> {
        T::from_arg_matches(leaf(&self.command, &self.matches).1)
    }

    /// The mistakes in variables and the configuration file.
    pub(crate) fn mistakes(&self) -> &Mistakes {
        &self.mistakes
    }

    /// Sentences about variables that no command reads.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.environment.unknown(&self.command)
    }

    /// The value of a server setting from its variable or the file, in a command that does not have the option.
    pub(crate) fn of_server(&self, name: &str) -> Option<String> {
        let settings = settings(&self.command);
        let variable = settings.iter().find(|setting| setting.name() == name)?.variable();
        let of_variable = self.environment.get(variable).map(|value| value.to_string_lossy().into_owned());
        of_variable.or_else(|| {
            let (values, _) =
                file::read(self.file.as_ref()?, &settings, &mut Mistakes::default()).remove(name)?;
            Some(values.first()?.to_string_lossy().into_owned())
        })
    }

    /// Whether a flag, a variable or the file gives the setting.
    pub(crate) fn gives(&self, name: &str) -> bool {
        let mut settings = settings(&self.command).into_iter();
        settings.any(|setting| setting.name() == name && self.origin(&setting) != Origin::Default)
    }

    fn origin(&self, option: &Setting<'_>) -> Origin {
        match leaf(&self.command, &self.matches).1.value_source(option.id()) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            _ => self.given.get(option.name()).map_or(Origin::Default, |(_, origin)| origin.clone()),
        }
    }
}

/// The options that are keys of the file.
fn settings(command: &Command) -> Vec<Setting<'_>> {
    let of_server = command.find_subcommand(SERVER).into_iter().flat_map(Command::get_arguments);
    let options = command.get_arguments().chain(of_server).filter_map(Setting::of);
    options.filter(|option| option.name() != FILE).collect()
}

/// The command, with every option changed by `change`.
fn map_options(command: Command, change: &dyn Fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|below| map_options(below, change))
}

/// An option that clap does not read from a variable.
fn without_variable(option: Arg) -> Arg {
    option.env(clap::builder::Resettable::Reset)
}

/// The error in a form that a terminal may show: help names all variables, and no message repeats a value that may hold a password.
fn presentable(error: clap::Error, command: &Command, arguments: &[OsString]) -> clap::Error {
    if !error.use_stderr() {
        let help = map_options(command.clone(), &|option| option.hide_env_values(true));
        return help.try_get_matches_from(arguments).err().unwrap_or(error);
    }
    let Some(shown) = error.get(ContextKind::InvalidArg).map(ToString::to_string) else { return error };
    let is_shown = |option: &Setting<'_>| {
        shown
            .strip_prefix("--")
            .and_then(|shown| shown.strip_prefix(option.name()))
            .is_some_and(|rest| rest.starts_with(' '))
    };
    match settings(command).into_iter().find(|option| option.is_secret() && is_shown(option)) {
        Some(option) => {
            let sentence = option.invalid(None, &format!("'{shown}'"), &setting::reason(&error));
            clap::Error::raw(ErrorKind::ValueValidation, format!("{sentence}\n"))
        }
        None => error,
    }
}
