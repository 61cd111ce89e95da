//! The settings by flag, variable and file. The tables are derived from the declarations, so that a new setting is in them.

use super::*;
use crate::configuration::{Configuration, Environment};
use clap::{Arg, Command};
use std::io::Write;
use std::path::Path;

/// What a command reads.
struct Read {
    common: Common,
    settings: Settings,
    configuration: Configuration,
}

impl Read {
    fn value(&self, name: &str) -> Value {
        self.values()[name].clone()
    }

    fn values(&self) -> Map<String, Value> {
        values(&self.common, &self.settings).unwrap()
    }

    fn needing_restart(&self, running: &Self) -> Vec<String> {
        needing_restart((&self.common, &self.settings), (&running.common, &running.settings)).unwrap()
    }

    fn printed(&self) -> String {
        self.configuration.printed(&self.values()).unwrap()
    }
}

fn command() -> Command {
    Common::augment_args(Command::new("tokenberg")).subcommand(Settings::augment_args(Command::new("serve")))
}

/// The options that are settings: those of the server, and those of its store.
fn options() -> Vec<Arg> {
    let command = command();
    let server = command.find_subcommand("serve").unwrap().get_arguments();
    let options = command.get_arguments().filter(|option| option.get_env().is_some()).chain(server);
    options.filter(|option| option.get_id() != "config").cloned().collect()
}

/// Reads flags, variables and a file, and does not check whether they fit together.
fn read(flags: &[&str], variables: &[(&str, &str)], file: &str) -> anyhow::Result<Read> {
    let mut config = tempfile::Builder::new().suffix(".toml").tempfile()?;
    config.write_all(file.as_bytes())?;
    let path = config.path().display().to_string();
    let arguments = ["tokenberg", "serve", "--config", &path].into_iter().chain(flags.iter().copied());
    let environment =
        Environment::new(&command(), variables.iter().map(|(name, value)| (name.into(), value.into())));
    let configuration = Configuration::read(command(), arguments.map(Into::into).collect(), environment)?;
    configuration.mistakes().clone().into_result()?;
    Ok(Read { common: configuration.options()?, settings: configuration.options()?, configuration })
}

/// The settings of a server that flags and a file give.
pub(in crate::server) fn settings(flags: &[&str], file: &str) -> anyhow::Result<Settings> {
    let Read { common, settings, .. } = read(flags, &[], file)?;
    settings.check(&common.store)?;
    Ok(settings)
}

/// Values of all types that settings have.
const VALUES: [&str; 26] = [
    "1",
    "2",
    "3",
    "true",
    "false",
    "1d",
    "2d",
    "3d",
    "127.0.0.1:1",
    "[::1]:2",
    "https://a.example",
    "https://b.example",
    "/a",
    "/b",
    "10.0.0.0/8",
    "192.0.2.0/24",
    "ES384",
    "EdDSA",
    "PS256",
    "text",
    "json",
    "drop",
    "refuse",
    "sqlite:a.db",
    "sqlite:b.db",
    "postgres://u@h/d",
];

/// A setting with three values that it accepts: the first is not the default, and no two neighbors are the same.
struct Tried {
    name: String,
    variable: String,
    texts: [&'static str; 3],
    values: [Value; 3],
}

impl Tried {
    fn all() -> Vec<Self> {
        let standard = read(&[], &[], "").unwrap();
        options().iter().map(|option| Self::of(option, &standard)).collect()
    }

    fn of(option: &Arg, standard: &Read) -> Self {
        let name = option.get_long().unwrap().to_owned();
        let variable = option.get_env().expect("each setting has a variable").to_str().unwrap().to_owned();
        let value = |text| Some((text, read(&[&flag(&name, text)], &[], "").ok()?.value(&name)));
        let accepted: Vec<_> = VALUES.into_iter().filter_map(value).collect();
        let other = |than: &Value| accepted.iter().find(|(_, value)| value != than).cloned();
        let tried = || {
            let first = other(&standard.value(&name))?;
            let second = other(&first.1)?;
            Some([first, second.clone(), other(&second.1)?])
        };
        let [a, b, c] = tried().unwrap_or_else(|| panic!("--{name} needs two of its values among VALUES"));
        Self { name, variable, texts: [a.0, b.0, c.0], values: [a.1, b.1, c.1] }
    }

    fn flag(&self, index: usize) -> String {
        flag(&self.name, self.texts[index])
    }

    /// The line of a file in the first type that is right.
    fn line(&self, index: usize) -> String {
        let (name, text) = (&self.name, self.texts[index]);
        let lines =
            [format!("{name} = \"{text}\""), format!("{name} = {text}"), format!("{name} = [\"{text}\"]")];
        lines.into_iter().find(|line| read(&[], &[], line).is_ok()).expect("a type of TOML")
    }
}

fn flag(name: &str, text: &str) -> String {
    format!("--{name}={text}")
}

#[test]
fn op_12_a_flag_takes_precedence_over_its_variable_and_a_variable_over_the_file() {
    for setting in Tried::all() {
        let Tried { name, variable, texts, values } = &setting;
        for (flags, in_variable, line, expected) in [
            (&[setting.flag(0).as_str()][..], None, String::new(), 0),
            (&[], Some(texts[0]), String::new(), 0),
            (&[], None, setting.line(0), 0),
            (&[], None, setting.line(0).replace('-', "_"), 0),
            (&[], Some(texts[1]), setting.line(0), 1),
            (&[], Some(""), setting.line(0), 0),
            (&[], Some("\n"), setting.line(0), 0),
            (&[&setting.flag(2)], Some(texts[1]), String::new(), 2),
            (&[&setting.flag(1)], None, setting.line(0), 1),
            (&[&setting.flag(2)], Some(texts[1]), setting.line(0), 2),
        ] {
            let variables: Vec<_> = in_variable.iter().map(|text| (variable.as_str(), *text)).collect();
            let read = read(flags, &variables, &line)
                .unwrap_or_else(|error| panic!("{name} {flags:?} {variables:?} {line}: {error}"));
            assert_eq!(read.value(name), values[expected], "{name} {flags:?} {variables:?} {line}");
        }
    }
}

#[test]
fn op_12_every_setting_is_used() {
    /// The source of this crate without tests.
    fn source(folder: &Path) -> String {
        let mut text = String::new();
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                text.push_str(&source(&path));
            } else if !path.ends_with("tests.rs") {
                let file = std::fs::read_to_string(&path).unwrap();
                text.push_str(file.split("#[cfg(test)]\nmod tests {").next().unwrap());
            }
        }
        text
    }
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for option in options() {
        let field = option.get_id().as_str();
        let uses = source.match_indices(field).filter(|(at, _)| {
            let (before, after) = (&source[..*at], &source[at + field.len()..]);
            let owner = before.strip_suffix('.').map(|before| before.rsplit(|c| !is_name(c)).next().unwrap());
            let is_owned = owner.is_some_and(|owner| {
                ["common", "settings", "self", "listening", "audit", "reloaded", "access"].contains(&owner)
            });
            let is_end = !after.starts_with(is_name);
            // The reloaded settings are destructured, so that none is omitted.
            is_end && (is_owned || before.ends_with("rotation.set("))
        });
        assert!(uses.count() > 0, "{field} is parsed, but used nowhere");
    }
}

#[test]
fn op_13_every_setting_is_reloaded_or_needs_a_restart() {
    let standard = read(&[], &[], "").unwrap();
    let settings = Tried::all();
    for setting in &settings {
        let changed = read(&[&setting.flag(0)], &[], "").unwrap();
        let is_reloaded = ["log", "rotate-keys-every"].contains(&setting.name.as_str());
        let expected = if is_reloaded { &[][..] } else { std::slice::from_ref(&setting.name) };
        assert_eq!(changed.needing_restart(&standard), expected);
        assert_eq!(standard.needing_restart(&changed), expected);
    }
    // Each option is among the values that are compared.
    assert_eq!(standard.values().len(), settings.len());
    for (flags, expected) in [
        (&[][..], &[][..]),
        (&["--max-staleness", "300s", "--failures-per-source=600", "--base-path", "/"], &[]),
        (&["--drain-delay", "1m", "--log", "debug", "--audit-queue", "7"], &["audit-queue", "drain-delay"]),
    ] {
        assert_eq!(read(flags, &[], "").unwrap().needing_restart(&standard), expected, "{flags:?}");
    }
    let store = |url: &str| read(&[], &[("TOKENBERG_STORE", url)], "").unwrap();
    let (old, new) = (store("postgres://u:old@h/d"), store("postgres://u:new@h/d"));
    assert_eq!(new.needing_restart(&old), ["store"], "a password is part of the address");
    assert!(old.needing_restart(&store("postgres://u:old@h/d")).is_empty());
}

#[test]
fn op_12_printed_settings_are_a_file_with_the_same_settings() {
    let lines: Vec<_> = Tried::all().iter().map(|setting| setting.line(0)).collect();
    for (flags, file) in [
        (&[][..], String::new()),
        (&[], lines.join("\n")),
        (
            &[
                "--tls-cert",
                "a\"b\\c\n#\u{e9}\u{1b}",
                "--trusted-proxy=10.0.0.0/8,::1",
                "--log",
                "a[{b=\"c\"}]",
            ],
            String::new(),
        ),
    ] {
        let printed = read(flags, &[], &file).unwrap();
        let again = read(&[], &[], &printed.printed()).unwrap();
        assert_eq!(again.values(), printed.values(), "{}", printed.printed());
        for option in options() {
            let key = option.get_long().unwrap();
            let has_key = |line: &str| line.trim_start_matches('#').starts_with(&format!("{key} = "));
            assert_eq!(printed.printed().lines().filter(|line| has_key(line)).count(), 1, "{key}");
        }
    }
}

#[test]
fn op_12_printed_settings_name_their_origin_and_contain_no_password() {
    let variables = [
        ("TOKENBERG_STORE", "postgres://u:hush@h/d?password=hush"),
        ("TOKENBERG_KEY", "hush"),
        ("RUST_LOG", "debug"),
    ];
    let file = "key-file = \"k\"\n\nworkers = 3 # of the machine\nlisten = \"127.0.0.1:5\"";
    let printed = read(&["--listen", "127.0.0.1:6"], &variables, file).unwrap().printed();
    for (line, origin) in [
        ("listen = \"127.0.0.1:6\" # from --listen", ""),
        ("store = \"postgres://u@h/d\" # from TOKENBERG_STORE", ""),
        ("#key-file = \"FILE\" # replaced by TOKENBERG_KEY", ""),
        ("log = \"debug\" # from RUST_LOG", ""),
        ("workers = 3 # from ", ".toml:3"),
        ("drain-delay = \"5s\" # default", ""),
        ("#issuer = \"URL\" # not set", ""),
    ] {
        let is_it = |found: &str| found.starts_with(line) && found.ends_with(origin);
        assert!(printed.lines().any(is_it), "{line}: {printed}");
    }
    assert!(!printed.contains("hush"), "{printed}");
}

#[test]
fn op_12_rust_log_is_used_if_no_other_filter_is_set() {
    for (flags, variables, file, expected) in [
        (&[][..], &[][..], "", "info,actix_server=warn"),
        (&[], &[("RUST_LOG", "debug")], "", "debug"),
        (&[], &[("RUST_LOG", "")], "", "info,actix_server=warn"),
        (&[], &[("RUST_LOG", "debug")], "log = \"warn\"", "warn"),
        (&[], &[("RUST_LOG", "debug"), ("TOKENBERG_LOG", "trace")], "log = \"warn\"", "trace"),
        (&["--log", "error"], &[("RUST_LOG", "debug"), ("TOKENBERG_LOG", "trace")], "", "error"),
    ] {
        let read = read(flags, variables, file).unwrap();
        assert_eq!(read.settings.reloaded.log, expected, "{flags:?} {variables:?} {file}");
    }
}

#[test]
fn op_33_a_snapshot_of_a_store_on_sqlite_is_refused() {
    let refused = settings(&["--snapshot", "node.snapshot"], "").unwrap_err().to_string();
    assert!(refused.contains("--snapshot is for a store on PostgreSQL"), "{refused}");
    let on_postgres = ["--store", "postgres://u@db.test/d", "--snapshot", "node.snapshot"];
    let settings = settings(&on_postgres, "").unwrap();
    assert_eq!(settings.snapshot_max_age, Lifetime::from_hours(1));
}

#[test]
fn ks_06_keys_of_issuers_are_fetched_from_public_addresses_once_a_minute_by_default() {
    let read = |flags: &[&str], file: &str| {
        let settings = settings(flags, file).unwrap();
        let IssuerAccess { issuer_ca, allow_private_issuers } = settings.issuer_access.clone();
        (issuer_ca, allow_private_issuers, settings.fetch_limits())
    };
    let after =
        |seconds| FetchLimits { refetch_after: Lifetime::from_seconds(seconds), ..FetchLimits::default() };
    let file = "issuer-ca = \"ca.pem\"\nallow-private-issuers = true\njwks-refetch-after = \"2m\"";
    let flags = ["--issuer-ca", "b.pem", "--allow-private-issuers=false", "--jwks-refetch-after", "5s"];
    assert_eq!(read(&[], ""), (None, false, FetchLimits::default()));
    assert_eq!(read(&[], file), (Some("ca.pem".into()), true, after(120)));
    assert_eq!(read(&flags, file), (Some("b.pem".into()), false, after(5)));
    assert!(settings(&["--jwks-refetch-after", "0s"], "").is_err());
}

#[test]
fn at_01_only_algorithms_for_signing_are_accepted_for_own_keys() {
    let read = |alg: &str| settings(&[], &format!("alg = \"{alg}\""));
    assert_eq!(read("PS256").unwrap().alg, Algorithm::PS256);
    for alg in ["RS384", "RS512", "PS384", "PS512", "HS256"] {
        let error = read(alg).unwrap_err().to_string();
        assert!(error.contains("`alg`") && error.contains(".toml:1: our keys sign with"), "{error}");
    }
}
