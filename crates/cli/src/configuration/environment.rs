//! The variables `TOKENBERG_…` of the process. An empty one counts as absent; one that no command reads is warned of.

use super::setting::{Given, Origin, Setting, nearest};
use crate::failure::Mistakes;
use crate::input::{SecretVariable, without_line_end};
use clap::{Arg, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// The variable in which `tokenberg exec` passes the token.
pub(crate) const ACCESS_TOKEN: &str = "TOKENBERG_ACCESS_TOKEN";

/// The prefix of the names of all variables.
const PREFIX: &str = "TOKENBERG_";

/// Settings of the file that a secret variable takes precedence over.
const REPLACED: [(&str, SecretVariable); 1] = [("key-file", SecretVariable::Key)];

/// Settings with an additional variable of other programs, which the file takes precedence over.
pub(super) const FALLBACKS: [(&str, &str); 1] = [("log", "RUST_LOG")];

/// Variables that have a value. The values of secrets are not kept, only that they are set.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    values: BTreeMap<String, OsString>,
    others: BTreeSet<String>,
}

impl Environment {
    /// The variables of this process that options of the command may read.
    pub(crate) fn of_process(command: &Command) -> Self {
        Self::new(command, std::env::vars_os())
    }

    /// The variables that options of the command may read.
    pub(crate) fn new(command: &Command, variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut options = Vec::new();
        walk(command, &mut |option| options.extend(option.get_env().map(OsStr::to_owned)));
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(text) = name.to_str() else { continue };
            if value.to_str().is_some_and(|value| without_line_end(value).is_empty()) {
                continue;
            }
            if options.contains(&name) || FALLBACKS.iter().any(|(_, fallback)| *fallback == text) {
                environment.values.insert(text.to_owned(), value);
            } else if text.starts_with(PREFIX) && !is_service_link(text, &value) {
                environment.others.insert(text.to_owned());
            }
        }
        environment
    }

    /// The value of a variable of an option.
    pub(super) fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsString> {
        self.values.get(name.as_ref().to_str()?)
    }

    /// The secret variable that is set and takes precedence over this key of the file.
    pub(super) fn replaces(&self, name: &str) -> Option<SecretVariable> {
        let (_, by) = REPLACED.iter().find(|(replaced, _)| *replaced == name)?;
        self.others.contains(by.name()).then_some(*by)
    }

    /// Adds the value of the variable, if it is set.
    pub(super) fn add(
        &self,
        option: &Setting<'_>,
        variable: &str,
        given: &mut Given,
        mistakes: &mut Mistakes,
    ) {
        let Some(value) = self.get(variable) else { return };
        match option.check(value) {
            Ok(()) => {
                let origin = Origin::Variable(variable.to_owned());
                given.insert(option.name().to_owned(), (vec![value.clone()], origin));
            }
            Err(reason) => mistakes.add_usage(option.invalid(Some(value), variable, &reason)),
        }
    }

    /// A sentence about each variable that no command reads, with a suggestion of the intended one.
    pub(super) fn unknown(&self, command: &Command) -> Vec<String> {
        let mut known: BTreeSet<String> =
            SecretVariable::ALL.iter().map(|variable| variable.name().to_owned()).collect();
        // Set by `tokenberg exec`, for any command.
        known.insert(ACCESS_TOKEN.to_owned());
        walk(command, &mut |option| {
            known.extend(option.get_env().and_then(OsStr::to_str).map(str::to_owned));
        });
        let unknown = self.others.iter().filter(|name| !known.contains(*name));
        let sentence = |name: &String| {
            // Compared without the common prefix, which would make all names similar.
            let known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
            let meant = nearest(name.strip_prefix(PREFIX).unwrap_or(name), known);
            let meant = meant.map_or_else(String::new, |meant| format!(", did you mean {PREFIX}{meant}?"));
            format!("unknown variable {name}{meant}")
        };
        unknown.map(sentence).collect()
    }
}

/// Calls `with` for every option of the command and of its subcommands.
fn walk(command: &Command, with: &mut dyn FnMut(&Arg)) {
    command.get_arguments().for_each(&mut *with);
    command.get_subcommands().for_each(|below| walk(below, with));
}

/// Whether Kubernetes sets the variable, in every pod of a namespace that has a service called tokenberg.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_address = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|kind| value.starts_with(kind));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|kind| name.contains(&format!("{kind}_")))
        || value.to_str().is_some_and(is_address)
}
