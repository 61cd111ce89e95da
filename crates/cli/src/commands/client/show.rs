//! `tokenberg client list` and `show`: the rights of clients and the names of secrets, never a secret or its digest.

use crate::commands::{jwks_file, labels};
use crate::output::{self, Output, facts, state, table};
use crate::store_access::StoreLocation;
use crate::{clock, moment_text};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_core::registration::{AllowedScope, CertificateName, Federation, SubjectPattern, UserPattern};
use tokenberg_core::{AuthMethod, ClientId, GrantType, Lifetime, Rights, Timestamp};
use tokenberg_store::{ClientRecord, SecretRecord};

/// `tokenberg client list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg client list --label owner=alice
  tokenberg client list --label owner=
      clients without an owner")]
pub(crate) struct List {
    /// Only clients with this note; repeatable. NAME= selects those without it
    #[arg(long, value_name = "NAME=TEXT", value_parser = labels::parse)]
    label: Vec<labels::Label>,
}

/// Prints all clients, or those with the labels.
///
/// # Errors
/// If the store fails.
pub(super) async fn list(location: StoreLocation, arguments: &List, output: Output) -> anyhow::Result<()> {
    let now = clock::now()?;
    let store = location.open_to_read().await?;
    let mut clients = store.clients().await?;
    clients.retain(|client| labels::are_in(&client.rights.labels, &arguments.label));
    store.close().await;
    output.show(
        || clients.iter().map(|client| value(client, now)).collect(),
        || {
            let heading = ["ID", "STATE", "METHOD", "SECRETS", "LAST USED", "SCOPE"];
            let row = |client: &ClientRecord| {
                [
                    client.id.to_string(),
                    state(client.enabled).to_owned(),
                    method(&client.rights),
                    client.secrets.iter().filter(|s| is_live(s, now)).count().to_string(),
                    last_used(client, now),
                    scope(&client.rights.scope),
                ]
            };
            output::list(heading, clients.iter().map(row))
        },
    )?;
    Ok(())
}

/// How long ago a secret of the client was last used, to the minute or, long ago, to the day.
fn last_used(client: &ClientRecord, now: Timestamp) -> String {
    let Some(last) = client.secrets.iter().filter_map(|secret| secret.last_used_at).max() else {
        return if client.secrets.is_empty() { String::new() } else { "never".to_owned() };
    };
    let seconds = now.since(last).as_seconds();
    let grain = if seconds >= 86_400 { 86_400 } else { 60 };
    if seconds < grain {
        return "now".to_owned();
    }
    format!("{} ago", Lifetime::from_seconds(seconds / grain * grain))
}

/// Prints one client.
///
/// # Errors
/// If the client does not exist, or the store fails.
pub(super) async fn one(location: StoreLocation, id: &ClientId, output: Output) -> anyhow::Result<()> {
    let now = clock::now()?;
    let store = location.open_to_read().await?;
    let client = store.client(id).await?;
    store.close().await;
    output.show(|| value(&client, now), || text(&client, now))?;
    Ok(())
}

fn text(client: &ClientRecord, now: Timestamp) -> String {
    let rights = &client.rights;
    let known = facts(&[
        ("client id", client.id.to_string()),
        ("state", state(client.enabled).to_owned()),
        ("created", moment_text::with_distance(client.created_at, now)),
        ("authenticates with", rights.auth_method.as_str().to_owned()),
        ("public keys", rights.jwks.as_deref().map_or_else(String::new, jwks_file::summary)),
        ("certificate", rights.certificate.as_ref().map_or_else(String::new, certificate)),
        ("federated with", rights.federations.iter().map(federation).collect::<Vec<_>>().join(", ")),
        ("tokens", if rights.dpop_bound { "only with a DPoP proof" } else { "" }.to_owned()),
        (
            "audience of assertions",
            if rights.endpoint_as_audience { "the server's issuer or the token endpoint" } else { "" }
                .to_owned(),
        ),
        (
            "lifetime of assertions",
            match rights.auth_method {
                AuthMethod::PrivateKeyJwt => rights.assertion_lifetime.to_string(),
                AuthMethod::ClientSecret
                | AuthMethod::TlsClientAuth
                | AuthMethod::Federated
                | AuthMethod::Public => String::new(),
            },
        ),
        ("grants", grants(client).join(", ")),
        ("scope", scope(&rights.scope)),
        ("default scope", rights.default_scope.to_string()),
        ("audiences", rights.audiences.join(", ")),
        ("token lifetime", rights.token_lifetime.to_string()),
        ("session lifetime", rights.session_lifetime.to_string()),
        ("may act for", patterns(&rights.may_act_for).join(", ")),
        ("may impersonate", patterns(&rights.may_impersonate).join(", ")),
        ("may assert users", users(rights).join(", ")),
        ("serves", rights.serves.join(", ")),
        ("labels", labeled(rights)),
    ]);
    if client.secrets.is_empty() && rights.auth_method != AuthMethod::ClientSecret {
        return known;
    }
    let heading = ["SECRET", "STATE", "CREATED", "EXPIRES", "LAST USED"];
    let row = |secret: &SecretRecord| {
        [
            secret.id.to_string(),
            if is_live(secret, now) { "live" } else { "expired" }.to_owned(),
            moment_text::date(secret.created_at),
            secret.expires_at.map_or_else(|| "never".to_owned(), moment_text::written),
            secret.last_used_at.map_or_else(|| "never".to_owned(), moment_text::written),
        ]
    };
    let secrets = table(heading, client.secrets.iter().map(row));
    format!("{known}\n{secrets}")
}

fn value(client: &ClientRecord, now: Timestamp) -> Value {
    let rights = &client.rights;
    let secret = |secret: &SecretRecord| {
        json!({
            "secret_id": secret.id,
            "live": is_live(secret, now),
            "created_at": moment_text::written(secret.created_at),
            "expires_at": secret.expires_at.map(moment_text::written),
            "last_used_at": secret.last_used_at.map(moment_text::written),
        })
    };
    json!({
        "client_id": client.id,
        "enabled": client.enabled,
        "created_at": moment_text::written(client.created_at),
        "auth_method": rights.auth_method.as_str(),
        "jwks": rights.jwks.as_deref().map(jwks_file::shown),
        "certificate": rights.certificate,
        "federations": rights.federations,
        "dpop_bound": rights.dpop_bound,
        "endpoint_as_audience": rights.endpoint_as_audience,
        "assertion_lifetime": rights.assertion_lifetime.as_seconds(),
        "grants": grants(client),
        "scope": match &rights.scope {
            AllowedScope::Every => Value::Null,
            AllowedScope::Only(scope) => scope.as_str().into(),
        },
        "every_scope": rights.scope == AllowedScope::Every,
        "default_scope": rights.default_scope,
        "audiences": rights.audiences,
        "token_lifetime": rights.token_lifetime.as_seconds(),
        "session_lifetime": rights.session_lifetime.as_seconds(),
        "may_act_for": patterns(&rights.may_act_for),
        "may_impersonate": patterns(&rights.may_impersonate),
        "may_assert_users": users(rights),
        "serves": rights.serves,
        "labels": rights.labels,
        "secrets": client.secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}

fn scope(scope: &AllowedScope) -> String {
    match scope {
        AllowedScope::Every => "(every)".to_owned(),
        AllowedScope::Only(scope) => scope.to_string(),
    }
}

/// The authentication method of the client, and the number of its foreign identities.
fn method(rights: &Rights) -> String {
    let method = rights.auth_method.as_str();
    match rights.federations.len() {
        0 => method.to_owned(),
        many => format!("{method}+{many}"),
    }
}

fn certificate(name: &CertificateName) -> String {
    match name {
        CertificateName::Subject(subject) => subject.to_string(),
        CertificateName::Dns(name) => format!("DNS:{name}"),
        CertificateName::Uri(name) => format!("URI:{name}"),
        CertificateName::Ip(name) => format!("IP:{name}"),
        CertificateName::Email(name) => format!("email:{name}"),
    }
}

fn federation(federation: &Federation) -> String {
    let Federation { issuer, subject, audience, uid } = federation;
    let audience = audience.as_ref().map_or_else(String::new, |audience| format!(" for {audience}"));
    let uid = uid.as_ref().map_or_else(String::new, |uid| format!(" with uid {uid}"));
    format!("{subject} of {issuer}{audience}{uid}")
}

fn users(rights: &Rights) -> Vec<&str> {
    rights.may_assert_users.iter().map(UserPattern::as_str).collect()
}

fn grants(client: &ClientRecord) -> Vec<&'static str> {
    let name = |grant: &GrantType| match grant {
        GrantType::ClientCredentials => "client_credentials",
        GrantType::JwtBearer => "jwt_bearer",
        GrantType::TokenExchange => "token_exchange",
    };
    client.rights.grants.iter().map(name).collect()
}

fn patterns(patterns: &[SubjectPattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

fn labeled(rights: &Rights) -> String {
    rights.labels.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(", ")
}

fn is_live(secret: &SecretRecord, now: Timestamp) -> bool {
    secret.expires_at.is_none_or(|end| now < end)
}
