//! Clients and issuers as a document: the entry of each has what differs from the defaults, and no secret.

use super::foreign_issuer::foreign;
use super::{client, issuer, jwks_file, labels};
use crate::configuration::nearest;
use crate::failure::{Mistakes, wrong_usage};
use crate::{duration, input};
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{AuthMethod, ClientId, Issuer, KeySource, Lifetime, Rights, Scope, Trust};
use tokenberg_store::{ClientRecord, IssuerRecord};
use toml::de::DeTable;

/// What a document says.
#[derive(Debug, Default)]
pub(super) struct Declaration {
    /// The clients, each with whether it is enabled.
    pub(super) clients: BTreeMap<ClientId, (bool, Rights)>,
    /// The issuers, each with whether it is enabled.
    pub(super) issuers: BTreeMap<Box<str>, (Issuer, bool, Trust)>,
}

/// An entry: names and values as in the document.
pub(super) type Entry = Map<String, Value>;

/// The tables of a document.
const TABLES: [&str; 2] = ["clients", "issuers"];

/// Members that are durations, written as `1h`.
const DURATIONS: [&str; 5] =
    ["token_lifetime", "session_lifetime", "assertion_lifetime", "leeway", "max_age"];

/// The document of what is registered.
///
/// # Errors
/// If a value cannot be written.
pub(super) fn document(clients: &[ClientRecord], issuers: &[IssuerRecord]) -> anyhow::Result<Value> {
    let mut document = json!({"clients": {}, "issuers": {}});
    for client in clients {
        document["clients"][client.id.as_str()] = client_entry(client.enabled, &client.rights)?.into();
    }
    for record in issuers {
        let entry = issuer_entry(record.trusted.enabled, &record.trusted.trust)?;
        document["issuers"][record.trusted.issuer.as_str()] = entry.into();
    }
    Ok(document)
}

/// The entry of a client.
///
/// # Errors
/// If a value cannot be written.
pub(super) fn client_entry(enabled: bool, rights: &Rights) -> anyhow::Result<Entry> {
    let defaults = Rights::new(rights.scope.clone());
    let mut entry = differing(serde_json::to_value(rights)?, &serde_json::to_value(defaults)?, enabled);
    match &rights.scope {
        AllowedScope::Every => entry.insert("every_scope".to_owned(), true.into()),
        AllowedScope::Only(scope) => entry.insert("scope".to_owned(), scope.as_str().into()),
    };
    Ok(entry)
}

/// The entry of an issuer.
///
/// # Errors
/// If a value cannot be written.
pub(super) fn issuer_entry(enabled: bool, trust: &Trust) -> anyhow::Result<Entry> {
    let defaults = Trust::new(KeySource::Discovery);
    let mut entry = differing(serde_json::to_value(trust)?, &serde_json::to_value(defaults)?, enabled);
    entry.insert("keys".to_owned(), serde_json::to_value(&trust.keys)?);
    Ok(entry)
}

fn differing(value: Value, defaults: &Value, enabled: bool) -> Entry {
    let mut entry = Entry::new();
    if !enabled {
        entry.insert("enabled".to_owned(), false.into());
    }
    let Value::Object(members) = value else { return entry };
    for (name, value) in members {
        if value.is_null() || defaults.get(&name) == Some(&value) {
            continue;
        }
        let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let value = match seconds.filter(|_| DURATIONS.contains(&name.as_str())) {
            Some(seconds) => Lifetime::from_seconds(seconds).to_string().into(),
            None => value,
        };
        entry.insert(name, value);
    }
    entry
}

/// Reads and checks a document, TOML. All mistakes are reported at once, each with its line.
///
/// # Errors
/// If it is not TOML, has an unknown or invalid member, or an entry contradicts itself.
pub(super) fn read(text: &str, file: &Path) -> anyhow::Result<Declaration> {
    let file = &input::name(file);
    let places = Places::of(text, file)?;
    let table: toml::Table = toml::from_str(text).with_context(|| file.clone())?;
    let (mut declaration, mut found) = (Declaration::default(), Vec::new());
    for (kind, entries) in &table {
        let at = places.line(&[kind]);
        let Some(entries) = entries.as_table().filter(|_| TABLES.contains(&kind.as_str())) else {
            let meant = meant(kind, TABLES.into_iter());
            let kind = kind.escape_debug();
            found.push((
                at,
                format!("unknown table `{kind}` at {file}:{at}{meant}; expected {}", TABLES.join(" or ")),
            ));
            continue;
        };
        for (name, entry) in entries {
            let at = places.line(&[kind, name]);
            let mistakes = mistakes_of_members(kind, entry);
            let is_whole = mistakes.is_empty();
            for (member, sentence) in mistakes {
                let at = member.map_or(at, |member| places.line(&[kind, name, member]));
                found.push((at, format!("{sentence} at {file}:{at}, in {kind}.{name:?}")));
            }
            if is_whole && let Err(error) = declaration.add(kind, name, entry) {
                found.push((at, format!("{kind}.{name:?} at {file}:{at}: {error:#}")));
            }
        }
    }
    found.sort_by_key(|(line, _)| *line);
    let mut mistakes = Mistakes::default();
    found.into_iter().for_each(|(_, sentence)| mistakes.add(sentence));
    mistakes.into_result()?;
    Ok(declaration)
}

/// The lines of the keys of a document.
struct Places(BTreeMap<Vec<String>, usize>);

impl Places {
    /// Finds the keys of the tables, of their entries, and of the members of these.
    ///
    /// # Errors
    /// All syntax errors.
    fn of(text: &str, file: &str) -> Result<Self, Mistakes> {
        let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut mistakes = Mistakes::default();
        for error in errors {
            let line = line_of(error.span().map_or(0, |span| span.start));
            mistakes.add(format!("syntax error at {file}:{line}: {}", error.message()));
        }
        mistakes.into_result()?;
        let mut places = BTreeMap::new();
        let mut open = vec![(Vec::new(), table.get_ref())];
        while let Some((path, table)) = open.pop() {
            for (name, value) in table {
                let path: Vec<String> = path.iter().cloned().chain([name.get_ref().to_string()]).collect();
                places.insert(path.clone(), line_of(name.span().start));
                if let Some(below) = value.get_ref().as_table().filter(|_| path.len() < 3) {
                    open.push((path, below));
                }
            }
        }
        Ok(Self(places))
    }

    fn line(&self, path: &[&str]) -> usize {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        self.0.get(&path).copied().unwrap_or(1)
    }
}

/// What is wrong with the members of an entry, each for itself, and which required one is missing.
fn mistakes_of_members<'a>(kind: &str, entry: &'a toml::Value) -> Vec<(Option<&'a str>, String)> {
    let Some(entry) = entry.as_table() else { return vec![(None, "expected a table".to_owned())] };
    let is_client = kind == "clients";
    let required: (&[&str], _) = if is_client {
        (&["scope", "every_scope"], "expected scope or every_scope")
    } else {
        (&["keys"], "expected keys: \"discovery\", { jwks_uri = URL } or { jwks = TEXT }")
    };
    let is_missing = !required.0.iter().any(|name| entry.contains_key(*name));
    let mut mistakes: Vec<_> = is_missing.then(|| (None, required.1.to_owned())).into_iter().collect();
    for (name, value) in entry {
        let Err(error) = check_member(is_client, name, value) else { continue };
        let error = error.to_string();
        let shown = name.escape_debug();
        let sentence = match error.strip_prefix("unknown field") {
            Some(known) => {
                // serde lists the names that it knows, each between backticks, after the unknown one.
                let known = known.split('`').skip(3).step_by(2).chain(OWN_MEMBERS);
                format!("unknown member `{shown}`{}", meant(name, known))
            }
            None => format!("wrong value of `{shown}` ({error})"),
        };
        mistakes.push((Some(name.as_str()), sentence));
    }
    mistakes
}

/// Members that are none of [`Rights`] or [`Trust`].
const OWN_MEMBERS: [&str; 2] = ["enabled", "every_scope"];

/// Checks a member as if it were the only one.
fn check_member(is_client: bool, name: &str, value: &toml::Value) -> anyhow::Result<()> {
    let value = serde_json::to_value(value)?;
    match name {
        "enabled" => anyhow::ensure!(value.is_boolean(), "expected true or false"),
        "every_scope" if is_client => anyhow::ensure!(value == true, "expected true"),
        "scope" if is_client => {
            let scope = value.as_str().context("expected a string of scopes, separated by spaces")?;
            scope.parse::<Scope>()?;
        }
        _ => {
            let entry = Entry::from_iter([(name.to_owned(), value)]);
            if is_client {
                let (_, members) = overlaid(serde_json::to_value(Rights::new(AllowedScope::Every))?, entry)?;
                serde_json::from_value::<Rights>(members)?;
            } else {
                let (_, members) = overlaid(serde_json::to_value(Trust::new(KeySource::Discovery))?, entry)?;
                serde_json::from_value::<Trust>(members)?;
            }
        }
    }
    Ok(())
}

/// `, did you mean …?`, if a known name resembles this one.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |meant| format!(", did you mean `{meant}`?"))
}

impl Declaration {
    fn add(&mut self, kind: &str, name: &str, entry: &toml::Value) -> anyhow::Result<()> {
        let Value::Object(entry) = serde_json::to_value(entry)? else { anyhow::bail!("expected a table") };
        if kind == "clients" {
            let id = client::new_id(name).map_err(wrong_usage)?;
            let (enabled, rights) = read_client(&id, entry)?;
            self.clients.insert(id, (enabled, rights));
        } else {
            let issuer = foreign(name).map_err(wrong_usage)?;
            let (enabled, trust) = read_issuer(&issuer, entry)?;
            self.issuers.insert(name.into(), (issuer, enabled, trust));
        }
        Ok(())
    }
}

fn read_client(id: &ClientId, mut entry: Entry) -> anyhow::Result<(bool, Rights)> {
    let every = entry.remove("every_scope").is_some();
    // The members were checked before.
    let scope = match entry.remove("scope") {
        Some(_) if every => anyhow::bail!("scope and every_scope exclude each other"),
        Some(Value::String(scope)) => AllowedScope::Only(scope.parse::<Scope>()?),
        Some(_) | None => AllowedScope::Every,
    };
    let (enabled, members) = overlaid(serde_json::to_value(Rights::new(scope))?, entry)?;
    let rights: Rights = serde_json::from_value(members)?;
    rights.check()?;
    client::check(&rights, "omit may_assert_users")?;
    match rights.auth_method {
        AuthMethod::ClientSecret => anyhow::ensure!(
            !id.as_str().contains(':'),
            "the ID of a client with a secret must not contain a colon"
        ),
        AuthMethod::PrivateKeyJwt => {
            jwks_file::check(rights.jwks.as_deref().context("private_key_jwt needs jwks")?, "jwks")?;
        }
        AuthMethod::TlsClientAuth => {
            anyhow::ensure!(rights.certificate.is_some(), "tls_client_auth needs certificate")
        }
        AuthMethod::Federated | AuthMethod::Public => {}
    }
    for (name, text) in &rights.labels {
        labels::parse(&format!("{name}={text}")).map_err(wrong_usage)?;
    }
    Ok((enabled, rights))
}

fn read_issuer(issuer: &Issuer, entry: Entry) -> anyhow::Result<(bool, Trust)> {
    let (enabled, members) = overlaid(serde_json::to_value(Trust::new(KeySource::Discovery))?, entry)?;
    let trust: Trust = serde_json::from_value(members)?;
    trust.check()?;
    issuer::check(issuer, &trust)?;
    match &trust.keys {
        KeySource::Jwks(jwks) => jwks_file::check(jwks, "keys.jwks")?,
        KeySource::JwksUri(address) => drop(issuer::key_address(address).map_err(wrong_usage)?),
        KeySource::Discovery => {}
    }
    Ok((enabled, trust))
}

/// The defaults with the members of the entry over them, and whether it is enabled.
fn overlaid(mut members: Value, entry: Entry) -> anyhow::Result<(bool, Value)> {
    let mut enabled = true;
    for (name, value) in entry {
        if let ("enabled", Value::Bool(is_enabled)) = (name.as_str(), &value) {
            enabled = *is_enabled;
            continue;
        }
        let is_duration = DURATIONS.contains(&name.as_str());
        members[&name] = match value.as_str().filter(|_| is_duration) {
            Some(text) => {
                let length = duration::parse(text);
                length.map_err(|sentence| wrong_usage(format!("{name}: {sentence}")))?.as_seconds().into()
            }
            None => {
                anyhow::ensure!(!is_duration, "{name}: expected a duration, such as \"1h\"");
                value
            }
        };
    }
    Ok((enabled, members))
}
