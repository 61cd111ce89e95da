//! Clients and issuers as a document: the entry of each has what differs from the defaults, and no secret.

use super::foreign_issuer::foreign;
use super::{client, issuer, jwks_file, labels};
use crate::duration;
use crate::failure::wrong_usage;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{AuthMethod, ClientId, Issuer, KeySource, Lifetime, Rights, Scope, Trust};
use tokenberg_store::{ClientRecord, IssuerRecord};

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

/// Reads and checks a document, TOML.
///
/// # Errors
/// If it is not TOML, has an unknown or invalid member, or an entry contradicts itself.
pub(super) fn read(text: &str, file: &Path) -> anyhow::Result<Declaration> {
    let table: toml::Table = toml::from_str(text).with_context(|| file.display().to_string())?;
    let mut declaration = Declaration::default();
    for (kind, entries) in table {
        let known = TABLES.contains(&kind.as_str());
        let entries = entries.as_table().filter(|_| known).with_context(|| {
            format!("{}: expected the tables {}, found {kind:?}", file.display(), TABLES.join(" and "))
        })?;
        for (name, entry) in entries {
            let added = declaration.add(&kind, name, entry);
            added.with_context(|| format!("{}: {kind}.{name:?}", file.display()))?;
        }
    }
    Ok(declaration)
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
    let every = entry.remove("every_scope").is_some_and(|every| every == true);
    let scope = match entry.remove("scope") {
        Some(_) if every => anyhow::bail!("scope and every_scope exclude each other"),
        None if every => AllowedScope::Every,
        Some(Value::String(scope)) => AllowedScope::Only(scope.parse::<Scope>()?),
        Some(_) => anyhow::bail!("scope: expected a string of scopes, separated by spaces"),
        None => anyhow::bail!("expected scope or every_scope"),
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
    anyhow::ensure!(
        entry.contains_key("keys"),
        "expected keys: \"discovery\", {{ jwks_uri = URL }} or {{ jwks = TEXT }}"
    );
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
