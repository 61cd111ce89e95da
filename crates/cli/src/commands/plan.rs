//! The changes that make the clients and issuers of a store those of a document, and how they are shown.

use super::declaration::{Declaration, Entry, client_entry, issuer_entry};
use serde_json::Value;
use std::collections::BTreeSet;
use tokenberg_core::AuthMethod;
use tokenberg_core::explanation::about;
use tokenberg_store::{ClientRecord, IssuerRecord, RegistrationChange};

/// The changes in the order in which they are made, and a line for each.
#[derive(Default)]
pub(super) struct Plan {
    /// The changes.
    pub(super) changes: Vec<RegistrationChange>,
    /// A line about each: `+ client etl`, `~ client etl: token_lifetime 1h → 15m`, `- client etl`.
    pub(super) lines: Vec<String>,
    /// What is registered and not in the document, and stays.
    pub(super) kept: Vec<String>,
}

impl Plan {
    fn add(&mut self, line: String, change: RegistrationChange) {
        self.changes.push(change);
        self.lines.push(line);
    }
}

/// Compares the document with what is registered. With `prunes`, what is not in the document is removed.
///
/// # Errors
/// If a value cannot be written.
pub(super) fn plan(
    declaration: &Declaration,
    clients: &[ClientRecord],
    issuers: &[IssuerRecord],
    prunes: bool,
) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    // Issuers come first, because identities of clients presuppose theirs.
    plan_issuers(&mut plan, declaration, issuers, prunes)?;
    plan_clients(&mut plan, declaration, clients, prunes)?;
    Ok(plan)
}

fn plan_issuers(
    plan: &mut Plan,
    declaration: &Declaration,
    registered: &[IssuerRecord],
    prunes: bool,
) -> anyhow::Result<()> {
    // A prefix that one issuer gives up is free for the next one.
    for record in registered {
        let (issuer, present) = (&record.trusted.issuer, &record.trusted.trust);
        let Some((_, enabled, trust)) = declaration.issuers.get(issuer.as_str()) else {
            if prunes {
                plan.add(
                    format!("- issuer {issuer}"),
                    RegistrationChange::RemoveIssuer { issuer: issuer.clone() },
                );
            } else {
                plan.kept.push(format!("issuer {issuer}"));
            }
            continue;
        };
        if present != trust {
            let changed = changed(&issuer_entry(true, present)?, &issuer_entry(true, trust)?);
            let (before, after) = (Box::new(present.clone()), Box::new(trust.clone()));
            plan.add(
                format!("~ issuer {issuer}: {changed}"),
                RegistrationChange::ChangeIssuer { issuer: issuer.clone(), before, after },
            );
        }
        if record.trusted.enabled != *enabled {
            let change = RegistrationChange::EnableIssuer { issuer: issuer.clone(), enabled: *enabled };
            plan.add(format!("~ issuer {issuer}: {}", state(*enabled)), change);
        }
    }
    for (issuer, enabled, trust) in declaration.issuers.values() {
        if registered.iter().any(|record| record.trusted.issuer == *issuer) {
            continue;
        }
        plan.add(
            format!("+ issuer {issuer}: {}", described(&issuer_entry(true, trust)?)),
            RegistrationChange::AddIssuer { issuer: issuer.clone(), trust: Box::new(trust.clone()) },
        );
        if !enabled {
            let change = RegistrationChange::EnableIssuer { issuer: issuer.clone(), enabled: false };
            plan.add(format!("~ issuer {issuer}: {}", state(false)), change);
        }
    }
    Ok(())
}

fn plan_clients(
    plan: &mut Plan,
    declaration: &Declaration,
    registered: &[ClientRecord],
    prunes: bool,
) -> anyhow::Result<()> {
    for client in registered {
        let id = &client.id;
        let Some((enabled, rights)) = declaration.clients.get(id) else {
            if prunes {
                plan.add(format!("- client {id}"), RegistrationChange::RemoveClient { id: id.clone() });
            } else {
                plan.kept.push(format!("client {id}"));
            }
            continue;
        };
        if client.rights != *rights {
            let changed = changed(&client_entry(true, &client.rights)?, &client_entry(true, rights)?);
            let (before, after) = (Box::new(client.rights.clone()), Box::new(rights.clone()));
            plan.add(
                format!("~ client {id}: {changed}"),
                RegistrationChange::ChangeClient { id: id.clone(), before, after },
            );
        }
        if client.enabled != *enabled {
            let change = RegistrationChange::EnableClient { id: id.clone(), enabled: *enabled };
            plan.add(format!("~ client {id}: {}", state(*enabled)), change);
        }
    }
    for (id, (enabled, rights)) in &declaration.clients {
        if registered.iter().any(|client| client.id == *id) {
            continue;
        }
        let secret = match rights.auth_method {
            AuthMethod::ClientSecret => {
                let command = about("tokenberg client secret add", id.as_str(), "");
                format!(" (it has no secret until `{command}`)")
            }
            AuthMethod::PrivateKeyJwt
            | AuthMethod::TlsClientAuth
            | AuthMethod::Federated
            | AuthMethod::Public => String::new(),
        };
        plan.add(
            format!("+ client {id}{secret}: {}", described(&client_entry(true, rights)?)),
            RegistrationChange::AddClient { id: id.clone(), rights: Box::new(rights.clone()) },
        );
        if !enabled {
            let change = RegistrationChange::EnableClient { id: id.clone(), enabled: false };
            plan.add(format!("~ client {id}: {}", state(false)), change);
        }
    }
    Ok(())
}

fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// The members of a new entry, which are those without their default: `scope "catalog", serves ["lake"], …`.
fn described(entry: &Entry) -> String {
    let member = |(name, value): (&String, &Value)| match value.as_object() {
        // Public keys are long.
        Some(keys) if keys.contains_key("jwks") => format!("{name} given"),
        Some(_) | None if name == "jwks" => "jwks given".to_owned(),
        Some(_) | None => format!("{name} {value}"),
    };
    entry.iter().map(member).collect::<Vec<_>>().join(", ")
}

/// The members that differ: `token_lifetime "1h" → "15m", serves added, …`.
fn changed(before: &Entry, after: &Entry) -> String {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "(default)".to_owned(), Value::to_string);
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let lines: Vec<String> = differing
        .map(|name| format!("{name} {} → {}", shown(before.get(name)), shown(after.get(name))))
        .collect();
    lines.join(", ")
}
